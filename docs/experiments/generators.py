"""Free-form heads on digits: noise, draws and beta, beside invertible heads (Si et al. 2023; EAR, CALM).

From a base point, 16 blocks, 16 noise numbers a block, 4 draws a datum, beta = 1, one thing is changed at a time (`models`).
Beside it, at 16 and 4 blocks, the invertible heads `affine` and `spline` with the base point's objective. Steps, batches and
rates are equal.

    quick   200 steps, to see that all runs
    best    800 steps of 128, Adam 1e-3 decaying linearly to zero
    paper   the authors' MNIST configuration as far as digits allow: beta = 0.5 and 2 draws at the base point, Adam at a
            constant 1e-4, batches of 200, 3,000 steps

    evenflow reproduce generators --preset best --seeds 1 --out generators

writes results.json, sweeps.png and samples.png. Times to sample are ratios to the base point, in turn with it.
"""
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evenflow.experiments import generators_pictures as draw
from evenflow.experiments import judged
from evenflow.experiments.draws_trainings import fitted
from evenflow.experiments.generators_measures import DIVERSITY, diversity, real
from evenflow.experiments.generators_model import generator
from evenflow.experiments.generators_pages import page
from evenflow.experiments.pages import show
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import Row, kept, only, remembered
from evenflow.reference.app.pictures import digit_grid
from evenflow.reference.core import Array, fetched, placed
from evenflow.reference.saef import FreeForm
from evenflow.reference.work.checkpoints import load_checkpoint
from evenflow.reference.work.data import Dataset, load
from evenflow.reference.work.folders import CHECKPOINT, describe_run
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import Trained, assemble
from evenflow.reference.work.threads import single_blas_thread

__all__ = ["PICTURES", "PRESETS", "page", "run", "summary"]

PRESETS: dict[str, dict[str, Any]] = {
    "quick": {"steps": 200, "learning_rate": 1e-3, "beta": 1.0, "draws": 4},
    "best": {"steps": 800, "learning_rate": 1e-3, "beta": 1.0, "draws": 4},
    "paper": {"steps": 3000, "learning_rate": 1e-4, "schedule": "constant", "batch": 200, "beta": 0.5, "draws": 2},
}
BLOCKS, NOISE, DRAWS, BETA = (16, 4), (1, 2, 4, 16, 64), (2, 4, 8), (0.5, 1.0, 1.5)
NOISE_OF_FEW = (1, 4, 16)     # of the fewer blocks
HEADS = ("affine", "spline")  # with a way back
HIDDEN = (64, 64)             # of the free-form head
ROUNDS, ROWS = 5, 1000        # of the times; samples in a round
PICTURES = ("sweeps.png", "samples.png")


class Model(NamedTuple):
    """noise: numbers a block, of the free-form head; draws a datum."""
    head: str
    blocks: int
    noise: int | None
    draws: int
    beta: float

    def __str__(self) -> str:
        noise = "" if self.noise is None else f"{self.noise} noise numbers, "
        return f"{self.head}, B = {self.blocks}, {noise}{self.draws} draws, beta = {self.beta:g}"

    def config(self, preset: str, seed: int) -> Config:
        own: dict[str, Any] = {"block_map": "free_form", "hidden": HIDDEN} if self.noise else {"block_map": self.head}
        own |= {"blocks": self.blocks, "draws": self.draws, "beta": self.beta, "class_conditional": True, "keep": "last"}
        return Config("saef", **(PRESETS[preset] | own), seed=seed)

    def untrained(self, config: Config, dataset: Dataset) -> Trained:
        trained = assemble(describe_run(config, dataset))
        model = trained.flow_model()
        if self.noise and isinstance(model.flow, FreeForm):
            return replace(trained, model=replace(model, flow=generator(model.flow, self.noise)))
        return trained

    def folder(self, out: Path, seed: int) -> Path:
        return out / f"{str(self).replace(' = ', '').replace(', ', '-').replace(' ', '-')}-seed{seed}"


def base(preset: str) -> Model:
    return Model("free form", BLOCKS[0], 16, PRESETS[preset]["draws"], PRESETS[preset]["beta"])


def models(preset: str) -> list[Model]:
    """The base point, what differs from it in one thing, less noise for fewer blocks, and the invertible heads."""
    one = base(preset)
    several = [one, *(one._replace(noise=r) for r in NOISE), *(one._replace(draws=m) for m in DRAWS)]
    several += [*(one._replace(beta=beta) for beta in BETA), *(one._replace(blocks=BLOCKS[1], noise=r) for r in NOISE_OF_FEW)]
    return list(dict.fromkeys([*several, *(one._replace(head=h, blocks=B, noise=None) for B in BLOCKS for h in HEADS)]))


summary = partial(only, (
    *Model._fields, "seed", "d_loss", "frechet", "energy_score", "spread", "spread_over_error", "sampling_time"))


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False
) -> list[Row]:
    """Train all, as many at a time as there are cores; measure, draw into `out`; return the rows."""
    asked(preset, PRESETS, seeds)
    out = Path(out)
    trained = side_by_side(learn, [(*one, preset, seed, out, resume) for seed in seeds for one in models(preset)], on_step)
    with single_blas_thread():
        rows = []
        for seed in seeds:
            mine = [row for row in trained if row["seed"] == seed]
            taken = times(out, preset, seed, [of_row(row) for row in mine if row["stopped_at"] is None], resume)
            rows += [real(seed), *(row | {"sampling_time": taken.get(str(of_row(row)))} for row in mine)]
        judged.write_rows(out / "results.json", "generators", preset, PRESETS[preset], rows)
        draw.sweeps(out / "sweeps.png", rows, base(preset)._asdict())
        digit_grid(out / "samples.png", samples(out, preset, seeds[0], trained), per_line=20)
    return rows


def of_row(row: Row) -> Model:
    return Model(*(row[name] for name in Model._fields))


def learn(
    head: str, blocks: int, noise: int | None, draws: int, beta: float, preset: str, seed: int, out: Path, resume: bool,
    on_step: OnStep,
) -> Row:
    """The row of one training. One that broke off has stopped_at and no measurements."""
    one = Model(head, blocks, noise, draws, beta)
    config, folder, dataset = one.config(preset, seed), one.folder(out, seed), load("digits")
    there = {"config": config.as_json(), "noise": one.noise}

    def make() -> Row:
        row: Row = {**one._asdict(), "seed": seed, **dict.fromkeys(("parameters", *judged.MEASURED, *DIVERSITY, "stopped_at"))}
        tell = partial(on_step, f"{one}, seed {seed}")
        return row | judged.timed(
            lambda: fitted(one.untrained(config, dataset), dataset, folder, there, resume, tell),
            lambda trained: judged.measure(trained, dataset, seed) | diversity(trained, dataset, seed))

    return dict(kept(folder / "row.json", {"run": there}, "made", resume, make))


def stored(one: Model, preset: str, seed: int, out: Path) -> Trained:
    config = one.config(preset, seed)
    trained = one.untrained(config, load("digits"))
    there = {"config": config.as_json(), "noise": one.noise}
    state = load_checkpoint(one.folder(out, seed) / CHECKPOINT, there, trained.flow_model().like())
    return replace(trained, params=placed(state.params, config.dtype))


def times(out: Path, preset: str, seed: int, over: list[Model], resume: bool) -> dict[str, float]:
    """Model -> its time to sample, as a ratio to the base point: the median over rounds. Kept, so that a resumed run shows
    the same."""
    def make() -> dict[str, float]:
        calls = {str(model): [sampling(stored(model, preset, seed, out), seed)] for model in over}
        told = judged.against_the_first(calls, ROUNDS) if base(preset) in over else {}
        return {model: ratio for model, (ratio,) in told.items()}

    return remembered(out / f"times-seed{seed}.json", resume, make)


def sampling(trained: Trained, seed: int) -> Callable[[], object]:
    rng, flow = np.random.default_rng(seed), trained.flow_model().flow
    z = placed(flow.noise(rng, ROWS), trained.config.dtype)
    context = trained.context(np.resize(np.arange(10), ROWS), ROWS)
    return lambda: fetched(flow.sample(trained.params, z, context))


def samples(out: Path, preset: str, seed: int, rows: list[Row]) -> dict[str, Array]:
    """A 0 to 9, twice: held-out digits, the sweep over noise numbers, and the invertible heads, at the first B."""
    (labels, drawn), one = judged.a_few_of_each(load("digits")), base(preset)
    over = {of_row(row) for row in rows if row["seed"] == seed and row["stopped_at"] is None}
    for model in [*(one._replace(noise=r) for r in NOISE), *(one._replace(head=h, noise=None) for h in HEADS)]:
        if model in over:
            name = f"free form, r = {model.noise}" if model.noise else model.head
            drawn[name] = stored(model, preset, seed, out).sample(len(labels), np.random.default_rng(seed), labels)
    return drawn


if __name__ == "__main__":
    show(page)
