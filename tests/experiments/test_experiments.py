"""What holds for each experiment: bad input is refused, results are written a row a line, and the page in docs/experiments/ is
made of the results in docs/results/ and shows pictures that are there."""
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from evenflow.experiments import (
    backends,
    block_sweep,
    digits,
    draws,
    eight_gaussians,
    four_modes,
    generators,
    image_ebm_pages,
    image_pages,
    latent_chains_pages,
    likelihood_vs_quality_pages,
    mixture_page,
    objectives,
    own_density_pages,
    planar_pages,
    posterior_pages,
    regression_pages,
    rings,
    simulator_pages,
    sixteen_blocks,
    tables,
    tabular_pages,
    two_modes_page,
)
from evenflow.experiments.judged import having
from evenflow.experiments.pages import in_float32
from evenflow.experiments.results import Row, kept, lines, write_results
from tests.experiments.conftest import SCRIPTS

DOCS = Path(__file__).parents[2] / "docs"
Page = Callable[[list[Row]], str]
PLANAR: dict[str, Page] = {
    name: partial(planar_pages.page, module.STUDY)
    for name, module in {"eight-gaussians": eight_gaussians, "rings": rings, "four-modes": four_modes}.items()
}
OF_FLOWS: dict[str, Page] = {
    "block-sweep": block_sweep.page, "objectives": objectives.page, "sixteen-blocks": sixteen_blocks.page, "draws": draws.page,
    "generators": generators.page, "likelihood-vs-quality": likelihood_vs_quality_pages.page, "posterior": posterior_pages.page,
    "image-ebm": image_ebm_pages.page,
}
PAGES: dict[str, tuple[Page, list[str]]] = {  # name -> what makes it, of which results
    **{name: (page, [f"{name}-{preset}" for preset in ("quick", "swapped", "best", "paper", "equal")])
       for name, page in PLANAR.items()},
    **{name: (page, [f"{name}-{preset}" for preset in ("best", "quick")]) for name, page in OF_FLOWS.items()},
    "two-modes": (two_modes_page.page, [f"two-modes-{preset}" for preset in ("paper", "best", "quick")]),
    "latent-chains": (latent_chains_pages.page, [f"latent-chains-{preset}" for preset in ("quick", "best", "paper")]),
    "mixture": (mixture_page.page, [f"mixture-{d}-{preset}" for d in (16, 32, 64) for preset in ("quick", "best", "paper")]),
    "tabular": (tabular_pages.page, [f"tabular-{preset}" for preset in ("best", "quick", "images")]),
    "backends": (backends.page, ["backends"]),
    "own-density": (own_density_pages.page, ["own-density-quick"]),
    "regression": (regression_pages.page, ["regression-best", "regression-quick"]),
    **{name: (page, [f"{name}-{label}" for label in ("paper-fashion", "paper-cifar", "paper", "quick-fashion-14", "quick")])
       for name, page in {"image-saef": image_pages.saef_page, "glow-objectives": image_pages.glow_page}.items()},
    "simulator": (simulator_pages.page, ["simulator-best", "simulator-long", "simulator-quick"]),
}


def committed(name: str) -> tuple[Page, str, list[Row]]:
    """What makes a page, the page, and its results."""
    page, names = PAGES[name]
    paths = [DOCS / f"results/{one}.json" for one in names]
    found = [json.loads(path.read_text()) for path in paths if path.exists()]
    return page, (DOCS / f"experiments/{name}.md").read_text(), found


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.slow) if name == "likelihood-vs-quality" else name for name in PAGES])
def test_a_page_is_that_of_the_committed_results(name: str) -> None:
    page, text, results = committed(name)
    assert page(results) == text
    for line in text.splitlines():
        if line.startswith("!["):
            image = DOCS / "experiments" / line.partition("](")[2].rstrip(")")
            assert image.exists(), image
            assert name in PLANAR or image.stat().st_size < 100_000, image


@pytest.mark.parametrize(("name", "where", "field"), [
    ("backends", {"experiment": "block-sweep"}, "values/d_loss"), ("block-sweep", {"blocks": 1}, "d_loss"),
    ("objectives", {"data": "digits"}, "d_loss"), ("sixteen-blocks", {"run": "energy"}, "d_loss"),
    ("draws", {"kind": "gradient"}, "draws_noise"), ("draws", {"kind": "training"}, "d_loss"),
    ("draws", {"kind": "check"}, "mean_ratio"),
    *(("generators", {"head": "free form"}, field) for field in ("d_loss", "spread", "dimension", "sampling_time")),
    *(("posterior", {"blocks": 16}, field) for field in (
        "z_distance", "completed/32/score", "midpoints/same, arc in z/d_loss")),
    *(("tabular", {"model": "Gaussian"}, field) for field in ("log_density", "energy_score", "crps", "d_loss")),
    *(("image-saef", {"model": "coupling, energy"}, field) for field in ("d_loss", "frechet", "naive_time", "inversion_time")),
    *(("glow-objectives", {"model": "likelihood"}, field) for field in ("d_loss", "bits_per_dim")),
    *(("latent-chains", {"sampler": "nt"}, field) for field in (
        "switch_rate", "tau", "tau_evaluations", "chains_density", "acceptance_local", "kl")),
    *(("image-ebm", {"algorithm": "flowmc"}, field) for field in (
        "acceptance_global", "bits_flow", "samples/fresh chains/d_loss")),
    *((name, {"algorithm": "flowmc"}, field) for name in PLANAR for field in ("median_squared_error", "kl", "model_true")),
    *(("two-modes", {"algorithm": "flowmc"}, field) for field in ("final_weight", "rhat_mode", "acceptance_global")),
    *(("mixture", {"algorithm": "flowmc"}, field) for field in ("rhat", "chains_off", "plane_spread")),
    pytest.param("likelihood-vs-quality", {"family": "SAEF spline"}, "d_loss", marks=pytest.mark.slow),
])
def test_its_numbers_come_from_the_results(name: str, where: Row, field: str) -> None:
    page, text, results = committed(name)
    place = having(results[0]["rows"], **where)[0]
    *way, last = field.split("/")
    for part in way:
        place = place[part]
    place[last] = 5 * place[last] + 1
    assert page(results) != text


def test_there_is_a_page_of_all_that_has_one() -> None:
    assert sorted(PAGES) == sorted(path.stem for path in (DOCS / "experiments").glob("*.md") if path.stem != "index")


def test_tables_on_other_pages_are_made_of_the_committed_results() -> None:
    def rows(name: str) -> Row:
        return dict(json.loads((DOCS / f"results/{name}.json").read_text()))

    assert tables.table(rows("tables")) in (DOCS / "tables.md").read_text()
    assert digits.table([rows(f"digits-seed{seed}")["rows"] for seed in range(3)]) in (DOCS / "digits.md").read_text()


@pytest.mark.parametrize("name", SCRIPTS)
def test_bad_input(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown preset 'fast'"):
        SCRIPTS[name].run(tmp_path / "nowhere", "fast")
    with pytest.raises(ValueError, match="seeds must be an integer >= 0, got -1"):
        SCRIPTS[name].run(tmp_path / "nowhere", "quick", (-1,))
    assert not list(tmp_path.iterdir())


WRITTEN = sorted(path for path in (DOCS / "results").glob("*.json") if not path.stem.startswith("bench-"))


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_results_are_as_they_are_written(path: Path) -> None:
    """But for timings, bench-*.json, which have a writer of their own."""
    assert path.read_text(encoding="utf-8") == lines(json.loads(path.read_text(encoding="utf-8")))


def test_what_was_made_otherwise_is_not_gone_on_with(tmp_path: Path) -> None:
    """Nor made again where it was made so; and the error says what differs."""
    path, there = tmp_path / "row.json", {"run": {"steps": (1, 2), "config": {"seed": 0}}}
    assert kept(path, there, "row", True, lambda: {"x": 1.0}) == {"x": 1.0}
    assert kept(path, there, "row", True, lambda: pytest.fail("it is there")) == {"x": 1.0}
    with pytest.raises(ValueError, match=r"seed is 0 there, 1 here: .* holds another run: go on with the preset it was begun"):
        kept(path, {"run": {"steps": [1, 2], "config": {"seed": 1}}}, "row", True, lambda: {})
    assert kept(path, there, "row", False, lambda: {"x": 2.0}) == {"x": 2.0}
    assert json.loads(path.read_text()) == {"run": {"steps": [1, 2], "config": {"seed": 0}}, "row": {"x": 2.0}}


def test_what_results_were_computed_with(tmp_path: Path) -> None:
    """The processor, too; a page says it once, or whose it is."""
    path = tmp_path / "results.json"
    write_results(path, {"preset": "quick"}, "scikit-learn")
    one = json.loads(path.read_text())
    assert set(one["versions"]) == {"evenflow", "numpy", "autograd", "scikit-learn"}
    assert any(" for " in library for library in one["blas"])
    bare = one | {"preset": "paper", "blas": []}
    known, short = (in_float32([result]).removesuffix("; float32") for result in (one, bare))
    assert known == ", ".join([short, *one["blas"]])
    assert in_float32([one, one | {"preset": "best"}]) == f"{known}; float32"
    assert in_float32([one, one | {"preset": "best"}, bare]) == f"{known} (`quick`, `best`); {short} (`paper`); float32"
