"""SAEF of images: squares generated one after the other, contexts by masked convolutions (Si et al. 2023, their image models).

One map T for all blocks of b x b pixels, one masked network for their contexts (reference/saef/image.py), class-conditional
where there are classes. The rows, the most important first: energy objective with coupling, free-form and spline maps,
likelihood, the energy score's beta, contexts without convolutions, other b. Presets:

    quick   digits, b = 2; with --data DIR, a folder with MNIST's files, 14 x 14 of them (each 2 x 2 pixels one): minutes
    paper   32 x 32 photographs, or CIFAR-10: batch 50, 10 draws, beta 1.5, Adam 3e-4; with MNIST's files 28 x 28 in 49 blocks
            of 4 x 4: batch 200, 2 draws, beta 0.5, Adam 1e-4; as in the authors' code, but 8,000 steps: for a device

    evenflow reproduce image-saef --preset paper --data DIR --backend cupy

writes results.json, samples.png and sweep.png. Times are multiples of what the first model takes to sample, in turn.
"""
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evenflow.experiments import image_study as study
from evenflow.experiments import saef_pictures
from evenflow.experiments.image_study import QUALITY, REAL
from evenflow.experiments.judged import column, having, mean
from evenflow.experiments.pages import show
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import Row, only
from evenflow.reference.app.pictures import COLOURS, new_figure, write
from evenflow.reference.core import fetched
from evenflow.reference.saef.semiautoregressive import SemiAutoregressive
from evenflow.reference.work.folders import describe_run
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import Trained, assemble, train_on

FIRST = "coupling, energy"
MODELS: dict[str, dict[str, Any]] = {
    FIRST: {}, "free form, energy": {"block_map": "free_form"}, "spline, energy": {"block_map": "spline"},
    "coupling, likelihood": {"objective": "likelihood"},
    "spline, likelihood": {"block_map": "spline", "objective": "likelihood"},
    "coupling, energy, beta = 1": {"beta": 1.0},
    "coupling, energy, dense contexts": {"contexts": "dense", "context_hidden": None},
}


class Study(NamedTuple):
    patches: tuple[int, ...]  # b of the models above, then the others
    choices: dict[str, Any]   # for all of them

    def models(self) -> dict[str, dict[str, Any]]:
        others = {f"{FIRST}, b = {b}": {"patch": b} for b in self.patches[1:]}
        return MODELS | others


SMALL = {"context_hidden": (32, 32), "steps": 1000, "beta": 0.5, "draws": 2}
GREY = {"context_hidden": (96,) * 3, "steps": 8000, "batch": 200, "learning_rate": 1e-4, "beta": 0.5, "draws": 2}
COLOUR = {"context_hidden": (64,) * 2, "steps": 8000, "batch": 50, "learning_rate": 3e-4, "beta": 1.5, "draws": 10}
PRINTED = {"schedule": "constant", "keep": "last"}
PRESETS: dict[str, dict[str, Study]] = {
    "quick": {"digits": Study((2, 4, 1), SMALL), "fashion-14": Study((2, 7), SMALL | {"steps": 500})},
    "paper": {"photographs": Study((4, 2, 1), COLOUR | PRINTED), "cifar": Study((4, 2, 1), COLOUR | PRINTED),
              "fashion": Study((4, 7, 2), GREY | PRINTED)},
}
PICTURES = ("samples.png", "sweep.png")
summary = partial(only, ("model", "seed", "blocks", *QUALITY, "sampling_time", "inversion_time", "naive_time"))


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False,
    data: Path | None = None,
) -> list[Row]:
    """Train all, as many at a time as there are cores; measure, draw and write into `out` after each; return the rows.

    data: a folder with MNIST's or CIFAR-10's files, whose images then take the place of the shipped ones.
    """
    how, out = asked(preset, PRESETS, seeds), Path(out)
    name = study.set_for(how, data)
    jobs = [(name, model, preset, seed, out, resume) for seed in seeds for model in (REAL, *how[name].models())]
    side_by_side(partial(learn, seeds=tuple(seeds), data=data), jobs, on_step)
    return report(name, preset, seeds, out, data)


def learn(
    name: str, model: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep, seeds: Sequence[int] = (),
    data: Path | None = None,
) -> Row:
    """The row of one training; what is written of it, and of those of the other seeds that are over, is written anew."""
    place, of_this = places(name, preset, (seed,), out)[model][0], f"{name}, {model}, seed {seed}"
    if model == REAL:
        row = study.real({"model": model, "blocks": None}, name, data, place, resume, seed)
    else:
        config, shape = config_of(name, model, preset, seed), study.dataset_of(name, data).shape
        assert shape is not None
        known = {"model": model, "blocks": shape.patches(config.patch), "objective": config.objective}
        row = study.learn(
            known, config, name, data, place, resume,
            lambda dataset: train_on(config, dataset, place, resume, partial(on_step, of_this)),
            lambda trained: calls(trained, None if model == FIRST else untrained(name, preset, seed, data)))
    report(name, preset, seeds or (seed,), out, data)
    return row


def config_of(name: str, model: str, preset: str, seed: int) -> Config:
    how = PRESETS[preset][name]
    choices = {"contexts": "conv", "patch": how.patches[0], **how.choices, **how.models()[model], "seed": seed}
    if choices.get("objective") == "likelihood":
        choices |= {"beta": None, "draws": None}
    return Config("saef", class_conditional=name != "photographs", **choices)


def untrained(name: str, preset: str, seed: int, data: Path | None) -> Trained:
    """The first model as it starts: what times are compared with."""
    trained = assemble(describe_run(config_of(name, FIRST, preset, seed), study.dataset_of(name, data)))
    return replace(trained, params=trained.flow_model().init(np.random.default_rng(seed)))


def calls(trained: Trained, first: Trained | None) -> Mapping[str, study.Call]:
    """What is timed; of the first model also sampling with the whole network in every step."""
    z, context, sample = study.sampling(trained)
    both: dict[str, study.Call] = {"sampling": sample, **study.inversion(trained)}
    if first is not None:
        return {"first": study.sampling(first)[2], **both}
    bijection = trained.flow_model().invertible().bijection
    assert isinstance(bijection, SemiAutoregressive)
    return both | {"naive": lambda: fetched(SemiAutoregressive.generate(bijection, trained.params, z, context)[0])}


def places(name: str, preset: str, seeds: Sequence[int], out: Path) -> dict[str, list[Path]]:
    models = (REAL, *PRESETS[preset][name].models())
    return {model: [out / f"{k}-seed{seed}" for seed in seeds] for k, model in enumerate(models)}


def report(name: str, preset: str, seeds: Sequence[int], out: Path, data: Path | None) -> list[Row]:
    """Of the rows that are there."""
    how = {"data": name, **PRESETS[preset][name]._asdict()}
    rows = study.report(out, "image-saef", preset, how, places(name, preset, seeds, out), data)
    if column(of_the_sweep(rows), "sampling_time"):
        sweep(out / "sweep.png", rows)
    return rows


def of_the_sweep(rows: list[Row]) -> list[Row]:
    """The first model at each b."""
    return [row for row in rows if row["model"] == FIRST or row["model"].startswith(f"{FIRST}, b = ")]


def sweep(path: Path, rows: list[Row]) -> None:
    """A panel a measure against the number of blocks, real images a dotted line; the last: times, both axes logarithmic."""
    figure, mine = new_figure(14.0, 3.4), of_the_sweep(rows)
    *panels, last = figure.subplots(1, 1 + len(QUALITY))
    for axes, (field, title) in zip(panels, QUALITY.items(), strict=True):
        saef_pictures.against_blocks(axes, mine, field, COLOURS[0], "energy")
        if known := column(having(rows, model=REAL), field):
            axes.axhline(mean(known), color="black", linestyle=":")
        axes.set_title(title)
    for colour, part in zip(COLOURS, ("sampling", "inversion"), strict=False):
        saef_pictures.against_blocks(last, mine, f"{part}_time", colour, part)
    last.set_yscale("log", base=2)
    last.set_title("time")
    last.legend()
    write(figure, path)


if __name__ == "__main__":
    from evenflow.experiments.image_pages import saef_page
    show(saef_page)
