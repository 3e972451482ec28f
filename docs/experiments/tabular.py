"""Real tables and patches of photographs, by energy and by likelihood (Papamakarios et al. 2017, section 4).

What does one get who trains on the energy score, or on the pinball loss, and not on the likelihood? Without any download:

    diabetes, wine, breast_cancer   scikit-learn's tables
    patches                         8 x 8 of its two photographs, prepared as BSDS300 is, in regions of their own for each part

With --data DIR the same on POWER, GAS, HEPMASS, MINIBOONE and BSDS300 (tabular_uci.py: Zenodo record 1161203). Presets:

    quick   200 steps on tables, 100 on patches, to see that all runs
    best    the estimators' defaults on tables, 1,500 steps on patches
    images  as best, on patches of scikit-image's photographs as well: pip install 'evenflow[images]'
    paper   with --data: as the code of Papamakarios et al. trains, as far as it goes here

    evenflow reproduce tabular --preset best --seeds 2

writes results.json, bars.png and patches.png.
"""
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evenflow.experiments import judged
from evenflow.experiments import tabular_measures as measures
from evenflow.experiments import tabular_pictures as draw
from evenflow.experiments.ebm_trainings import spent
from evenflow.experiments.pages import show
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import Row, kept, only
from evenflow.experiments.tabular_data import PATCHES, TABLES, Parts, completed, shipped
from evenflow.experiments.tabular_uci import UCI, WHERE, check_folder, uci
from evenflow.reference.work.files import write_aside
from evenflow.reference.work.flow_model import looks
from evenflow.reference.work.folders import read_log
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import train_on
from evenflow.reference.work.stretches import TrainingStopped

BLOCKS = (1, 3, 9)
YARDSTICKS = ("Gaussian", "training rows")
MODELS: dict[str, dict[str, Any]] = {
    **{f"SAEF, B = {B}, {objective}": {"family": "saef", "blocks": B, "block_map": "spline", "objective": objective}
       for objective in ("energy", "likelihood") for B in BLOCKS},
    "AQF, pinball": {"family": "aqf", "transformer": "spline", "objective": "quantile"},
    "AQF, likelihood": {"family": "aqf", "transformer": "spline", "objective": "likelihood"},
    "MAF, likelihood": {"family": "maf"}, "spline flow, likelihood": {"family": "spline"},
    "RealNVP, likelihood": {"family": "realnvp"},
}


class Preset(NamedTuple):
    """data: where none is given; tables, patches: what is chosen for them."""
    data: tuple[str, ...]
    tables: dict[str, Any]
    patches: dict[str, Any]


SHIPPED = (*TABLES, "patches")
BATCH = 100
PRINTED = {"batch": BATCH, "learning_rate": 1e-4, "schedule": "constant"}  # in the code of Papamakarios et al.
PATIENCE, EPOCHS = 30, 1000  # epochs without a better one that end it, as theirs; at most so many, ours
PRESETS = {
    "quick": Preset(SHIPPED, {"steps": 200}, {"steps": 100, "keep": "last"}),
    "best": Preset(SHIPPED, {}, {"steps": 1500, "keep": "last"}),
    "images": Preset(("photographs",), {}, {"steps": 1500, "keep": "last"}), "paper": Preset((), PRINTED, PRINTED),
}
PICTURES = ("bars.png", "patches.png")
summary = partial(only, ("data", "model", "seed", *measures.MEASURED))


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False,
    data: Path | None = None,
) -> list[Row]:
    """Train all, as many at a time as there are cores, the longest first; draw and write into `out`; return the rows.

    data: the folder of the five UCI sets, which then take the place of the shipped ones.
    """
    how = asked(preset, PRESETS, seeds)
    names = UCI if data else how.data
    if not names:
        raise ValueError(f"the preset {preset} is of the five UCI sets, --data DIR; {WHERE}")
    if data:
        check_folder(data)
    packages = ["scikit-image"] if "photographs" in names else []
    if packages:
        import skimage  # noqa: F401
    out = Path(out)
    models = (*YARDSTICKS, *MODELS)
    jobs = [(name, model, preset, seed, out, resume) for name in reversed(names) for seed in seeds for model in models]
    rows = side_by_side(partial(learn, folder=data), jobs, on_step)
    at = {name: i for i, name in enumerate((*names, *models))}
    rows.sort(key=lambda row: (at[row["data"]], at[row["model"]], row["seed"]))
    judged.write_rows(out / "results.json", "tabular", preset, how._asdict(), rows, *packages)
    draw.bars(out / "bars.png", rows, models)
    draw.patches(out / "patches.png", drawn(out, next(name for name in names if name in PATCHES), seeds[0]))
    return rows


def folder_of(out: Path, data: str, model: str, seed: int) -> Path:
    return out / f"{data}-{(*YARDSTICKS, *MODELS).index(model)}-seed{seed}"


def learn(
    data: str, model: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep, folder: Path | None = None
) -> Row:
    """One row. One whose training broke off has stopped_at and no measurements."""
    place = folder_of(out, data, model, seed)
    parts = uci(data, folder) if folder else shipped(data, seed)
    config = None if model in YARDSTICKS else config_of(model, preset, seed, parts)
    there = {"preset": preset, "data": data, "model": model, "config": None if config is None else config.as_json()}

    def make() -> Row:
        n, d = parts.train.shape
        row: Row = {"data": data, "model": model, "seed": seed, "rows": n, "columns": d, "parameters": None, "best_step": None}
        row |= dict.fromkeys((*measures.MEASURED, "stopped_at"))
        try:
            if config is not None:
                trained = train_on(config, parts.dataset(), place, resume, partial(on_step, f"{data}, {model}, seed {seed}"))
                found, draws = measures.of_model(trained, parts, seed)
            else:
                found, draws = (measures.of_gaussian if model == "Gaussian" else measures.of_training_rows)(parts, seed)
            row |= found
            place.mkdir(parents=True, exist_ok=True)
            write_aside(place / "drawn.npz", lambda file: np.savez_compressed(file, draws=draws[: draw.SHOWN]))
        except TrainingStopped as stopped:
            row["stopped_at"] = stopped.step
        return row | {"train_seconds": None if config is None else round(spent(read_log(place / "log.jsonl")), 1)}

    return dict(kept(place / "row.json", {"run": there}, "row", resume, make))


def config_of(model: str, preset: str, seed: int, parts: Parts) -> Config:
    n, d = parts.train.shape
    how, choices = PRESETS[preset], dict(MODELS[model])
    family = choices.pop("family")
    if family == "saef":
        choices["blocks"] = sizes(d, choices["blocks"])
    choices |= how.patches if parts.name in PATCHES else how.tables
    if preset == "paper":
        choices |= printed(family, parts.name, n)
    return Config(family, seed=seed, **choices)


def sizes(d: int, B: int) -> tuple[int, ...]:
    """Of B blocks that differ by one at most; of d where there are fewer numbers.

    >>> sizes(13, 3), sizes(6, 9)
    ((5, 4, 4), (1, 1, 1, 1, 1, 1))
    """
    B = min(B, d)
    return tuple(d // B + (b < d % B) for b in range(B))


def printed(family: str, data: str, n: int) -> dict[str, Any]:
    """Widths and stopping as in the code of Papamakarios et al.; five layers for the flows that are stacks of layers."""
    width = 100 if data in ("power", "gas") else 512
    choices: dict[str, Any] = {"context_hidden" if family == "saef" else "hidden": (width, width)}
    if family in ("maf", "spline", "realnvp"):
        choices["layers"] = 5
    epoch = n / BATCH
    return choices | {"steps": math.ceil(EPOCHS * epoch), "patience": math.ceil(PATIENCE * epoch / looks(n))}


def drawn(out: Path, data: str, seed: int) -> dict[str, Any]:
    """model -> a few of its draws, patches (k, 64), of the trainings that did not break off."""
    kept = {model: folder_of(out, data, model, seed) / "drawn.npz" for model in (*YARDSTICKS, *MODELS)}
    return {model: completed(np.load(path)["draws"]) for model, path in kept.items() if path.exists()}


if __name__ == "__main__":
    from evenflow.experiments.tabular_pages import page
    show(page)
