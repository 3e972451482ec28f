"""Pictures: what is drawn, read back from the figures and from the files; and that a failed one leaves nothing behind."""
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from evenflow.reference.app import pictures
from evenflow.reference.core.trees import Array

RNG = np.random.default_rng(0)
DIGITS = RNG.integers(17, size=(25, 64)).astype(float)
PLANE = RNG.standard_normal((500, 2)) * [3.0, 0.5] + [10.0, -2.0]


def log(steps: int, top: float) -> list[dict[str, Any]]:
    return [
        {"step": k, "loss": top / k, "held_out": {"loss": top / k + 1} if k % 10 == 0 else None} for k in range(1, steps + 1)
    ]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are written, in turn."""
    figures: list[Any] = []
    write = pictures.write

    def keep(figure: Any, path: pictures.PathLike) -> None:
        figures.append(figure)
        write(figure, path)

    monkeypatch.setattr(pictures, "write", keep)
    return figures


def test_every_picture_is_a_whole_png_and_leaves_nothing_else(tmp_path: Path) -> None:
    """Warnings are errors: missing glyphs, empty legends and layouts that do not fit would be among them."""
    pictures.loss_picture(tmp_path / "loss.png", {"a": log(200, 5.0), "b": log(3, 4.0)}, {"a": "energy", "b": "likelihood"})
    pictures.digit_grid(tmp_path / "grid.png", {"real, held out": DIGITS, "B = 1": DIGITS[:3]})
    pictures.posterior_picture(
        tmp_path / "posterior.png", DIGITS[:5], RNG.standard_normal((5, 64)), DIGITS[5:10], DIGITS[:24].reshape(3, 8, 64))
    pictures.scatter_picture(tmp_path / "new folder" / "plane.png", {"data": PLANE, "samples": PLANE[:7]})
    pictures.scatter_picture(tmp_path / "alone.png", {"samples": PLANE})
    pictures.marginals_picture(tmp_path / "line.png", {"data": PLANE[:, :1], "samples": PLANE[:1, :1]})
    pictures.marginals_picture(tmp_path / "many.png", {"samples": RNG.standard_normal((9, 40))})
    made = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert [path.name for path in made] == [
        "alone.png", "grid.png", "line.png", "loss.png", "many.png", "plane.png", "posterior.png"]
    for path in made:
        image = imread(path)
        assert min(image.shape[:2]) > 100, path
        assert max(image.shape[:2]) < 3000, path
        assert image[..., :3].min() < 0.3 < 0.9 < image[..., :3].max(), path  # ink on paper


def test_losses_are_drawn_by_objective_with_the_held_out_points(tmp_path: Path, drawn: list[Any]) -> None:
    objectives = {"one": "energy", "two": "energy", "three": "likelihood"}
    pictures.loss_picture(tmp_path / "a.png", {name: log(40, 5.0) for name in objectives}, objectives)
    energy, likelihood = drawn[0].axes
    assert (energy.get_ylabel(), likelihood.get_ylabel()) == ("loss (energy)", "loss (likelihood)")
    assert energy.get_xlabel() == "step"
    assert [text.get_text() for text in energy.get_legend().get_texts()] == ["one", "two"]
    assert [text.get_text() for text in likelihood.get_legend().get_texts()] == ["three"]
    line, dots = likelihood.lines
    assert line.get_xdata().tolist() == list(range(1, 41))
    assert dots.get_xdata().tolist() == [10, 20, 30, 40]
    np.testing.assert_allclose(dots.get_ydata(), [1.5, 1.25, 1 + 1 / 6, 1.125])
    assert line.get_color() == dots.get_color()
    assert energy.lines[0].get_color() != energy.lines[2].get_color()


def test_more_curves_than_colours_are_all_drawn(tmp_path: Path, drawn: list[Any]) -> None:
    pictures.loss_picture(tmp_path / "a.png", {str(k): log(12, 5.0) for k in range(8)})
    assert len(drawn[0].axes[0].lines) == 16


@pytest.mark.parametrize("n", [0, 1, 99, 100, 250, 1000])
def test_smoothing_keeps_lines_straight_and_is_the_mean_of_a_window(n: int) -> None:
    """A symmetric window leaves a straight line as it is, up to both ends; one that lags or is cut off does not."""
    line = 3.0 - 0.25 * np.arange(n)
    np.testing.assert_allclose(pictures.smoothed(line), line, atol=1e-9)
    losses, reach = np.random.default_rng(n).standard_normal(n), n // 100
    middle = n // 2
    if n:
        expected = losses[middle - reach : middle + reach + 1].mean()
        np.testing.assert_allclose(pictures.smoothed(losses)[middle], expected, atol=1e-9)


def strips(figure: Any) -> list[Array]:
    return [np.ma.filled(axes.images[0].get_array(), np.nan) for axes in figure.axes]


def test_each_digit_stands_in_its_place_the_right_way_up(tmp_path: Path, drawn: list[Any]) -> None:
    pictures.digit_grid(tmp_path / "a.png", {"real": DIGITS[:13], "samples": DIGITS[13:15]}, per_line=5)
    real, samples = strips(drawn[0])
    assert real.shape == (27, 45)
    assert samples.shape == (9, 45)
    np.testing.assert_array_equal(real[9:17, 18:26], DIGITS[7].reshape(8, 8))   # the third of the second line
    np.testing.assert_array_equal(samples[:8, 9:17], DIGITS[14].reshape(8, 8))
    assert np.isnan(samples[:8, 18:]).all()                                     # no digit is made up
    assert [axes.get_ylabel() for axes in drawn[0].axes] == ["real", "samples"]
    for axes in drawn[0].axes:
        assert axes.images[0].get_clim() == (0.0, 16.0)
        assert axes.images[0].origin == "upper"


def test_the_posterior_shows_the_four_parts_in_order(tmp_path: Path, drawn: list[Any]) -> None:
    z, between = RNG.standard_normal((2, 64)), DIGITS[:12].reshape(4, 3, 64)
    pictures.posterior_picture(tmp_path / "a.png", DIGITS[:2], z, DIGITS[2:4], between)
    first, noise, back, lines = strips(drawn[0])
    np.testing.assert_array_equal(first[:8, 9:17], DIGITS[1].reshape(8, 8))
    np.testing.assert_array_equal(noise[:8, 9:17], z[1].reshape(8, 8))
    np.testing.assert_array_equal(back[:8, 9:17], DIGITS[3].reshape(8, 8))
    np.testing.assert_array_equal(lines[18:26, 9:17], between[2, 1].reshape(8, 8))
    assert [axes.images[0].get_clim() for axes in drawn[0].axes] == [(0, 16), (-3, 3), (0, 16), (0, 16)]


def test_stray_samples_do_not_shrink_the_data(tmp_path: Path, drawn: list[Any]) -> None:
    """Both panels have the axes of the first set, here of the data: one sample far off must not squeeze them to a dot."""
    pictures.scatter_picture(tmp_path / "a.png", {"data": PLANE, "samples": np.concatenate([PLANE, [[1e6, -1e6]]])})
    pictures.marginals_picture(tmp_path / "b.png", {"data": PLANE, "samples": 1e6 * PLANE}, ["height", "width"])
    left, right = drawn[0].axes
    assert left.get_xlim() == right.get_xlim()
    assert left.get_ylim() == right.get_ylim()
    assert left.get_aspect() == right.get_aspect() == 1.0
    assert (left.get_title(), right.get_title()) == ("data", "samples")
    assert np.diff(left.get_xlim()) < 40
    height, width = drawn[1].axes
    assert (height.get_title(), width.get_title()) == ("height", "width")
    assert np.diff(height.get_xlim()) < 40


def test_one_stray_in_thousands_is_left_out(tmp_path: Path, drawn: list[Any]) -> None:
    many = np.concatenate([np.random.default_rng(2).standard_normal((5000, 2)), [[1e6, -1e6]]])
    pictures.scatter_picture(tmp_path / "a.png", {"samples": many})
    pictures.marginals_picture(tmp_path / "b.png", {"samples": many})
    assert np.diff(drawn[0].axes[0].get_ylim()) < 15
    assert np.diff(drawn[1].axes[0].get_xlim()) < 15


def test_histograms_are_densities(tmp_path: Path, drawn: list[Any]) -> None:
    """Sets of different sizes can be compared: each has the area 1 but for what lies outside the window."""
    x = np.random.default_rng(1).standard_normal((5000, 1))
    pictures.marginals_picture(tmp_path / "a.png", {"data": x, "samples": x[:100]})
    for stairs in drawn[0].axes[0].patches:
        values, edges, _ = stairs.get_data()
        assert np.sum(values * np.diff(edges)) == pytest.approx(1.0, abs=0.005)


def test_a_constant_column_of_samples_can_be_drawn(tmp_path: Path) -> None:
    pictures.marginals_picture(tmp_path / "a.png", {"samples": np.ones((20, 3))})
    pictures.scatter_picture(tmp_path / "b.png", {"samples": np.ones((20, 2))})


def test_a_full_disk_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    pictures.scatter_picture(path, {"samples": PLANE})
    old = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        pictures.scatter_picture(path, {"samples": PLANE + 1})
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("draw", "said"), [
    (lambda path: pictures.digit_grid(path, {"real": DIGITS[:, :63]}), r"rows\['real'\] must have shape \(k, 64\)"),
    (lambda path: pictures.posterior_picture(path, DIGITS[:3], DIGITS[:2], DIGITS[:3], DIGITS.reshape(5, 5, 64)),
     r"z must have shape \(3, 64\), got \(2, 64\)"),
    (lambda path: pictures.posterior_picture(path, DIGITS[:3], DIGITS[:3], DIGITS[:3], DIGITS),
     r"interpolations must have shape \(lines, steps, 64\), got \(25, 64\)"),
    (lambda path: pictures.scatter_picture(path, {"samples": DIGITS}), r"samples must have shape \(n, 2\), got \(25, 64\)"),
    (lambda path: pictures.marginals_picture(path, {"data": PLANE, "samples": DIGITS}), r"samples must have shape \(n, 2\)"),
])
def test_wrong_shapes_are_refused(draw: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        draw(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_drawing_neither_needs_nor_touches_pyplot(tmp_path: Path) -> None:
    """pyplot would choose a window system, and keep every figure alive."""
    code = f"""
import sys
from evenflow.reference.app import pictures
assert "matplotlib" not in sys.modules
pictures.scatter_picture({str(tmp_path / "a.png")!r}, {{"samples": __import__("numpy").eye(2)}})
assert "matplotlib.figure" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env={**os.environ, "DISPLAY": ""})
