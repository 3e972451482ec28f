"""Scale: the slope by hand, points that are kept, the page and the picture."""
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bench import scale, scale_page
from tests.bench.report import page
from tests.bench.scale import SWEEPS, Sweep, line, measured, run


def points(power: float, start: float = 0.0) -> dict[str, dict[str, float]]:
    return {str(n): {"seconds": start + 1e-6 * n**power, "peak": 5e6} for n in (10, 100, 1_000, 10_000)}


def test_the_slope_by_hand() -> None:
    """Of the last three points, in the order of the sizes and not of their names."""
    assert line(points(2.0))[0] == pytest.approx(2.0)
    late = {**points(1.0), "10": {"seconds": 1e3, "peak": 0.0}}
    assert line(dict(reversed(late.items())))[0] == pytest.approx(1.0)
    assert line(points(1.0), "peak")[0] == pytest.approx(0.0)


def test_points_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the same tree and backend; nothing is measured twice; the file is whole after each point."""
    monkeypatch.setattr(scale, "PATIENCE", 0.0)
    built: list[int] = []

    def build(n: int) -> Any:
        if n in built:
            raise AssertionError(f"{n} again")
        built.append(n)
        return lambda: time.sleep(1e-4 * n) if n < 9 else 1 / 0

    out, sweep = tmp_path / "s.json", Sweep("s", "n", (1, 2, 9), build, "1")
    with pytest.raises(ZeroDivisionError):
        run(out, "numpy", lambda said: None, (sweep,))
    assert list(json.loads(out.read_text())["points"]["s"]) == ["1", "2"]
    built.remove(9)
    with pytest.raises(ZeroDivisionError):
        run(out, "numpy", lambda said: None, (sweep,))
    assert built == [1, 2, 9]
    built.clear()
    with pytest.raises(ZeroDivisionError):
        run(out, "reference", lambda said: None, (sweep,))
    assert built == [1, 2, 9]


def test_memory_that_grows_is_seen() -> None:
    """What the energy score must not do: one number for each pair."""
    assert measured(lambda: np.ones((1_000, 1_000)).sum())["peak"] > 7e6


@pytest.mark.slow
def test_the_sweeps_run_and_the_energy_score_s_memory_does_not_grow_with_the_pairs() -> None:
    peaks = {}
    for sweep in SWEEPS:
        peaks[sweep.name] = [measured(sweep.build(size))["peak"] for size in sweep.sizes[:2]]
    small, large = peaks[SWEEPS[0].name]
    assert large < 2 * small  # nine times as many pairs


def test_the_page_and_the_picture(tmp_path: Path) -> None:
    machine = {"cpu": "a", "cores": 1, "system": "b"}
    made = {"suite": "scale", "backend": "numpy", "machine": machine, "about": {"numpy": {"versions": "v"}},
            "points": {SWEEPS[0].name: points(2.0), SWEEPS[1].name: {"10": {"seconds": 1.0, "peak": 1.0}}}}
    told = page([made])
    assert f"| {SWEEPS[0].name} | n | 10 | 10,000 | 1,000,000 | 2.00 | 2 | 5 |" in told
    assert SWEEPS[1].name not in told
    assert "images/scale.png" in told
    scale_page.draw(made, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 10_000
