"""What one trains on: one model under every objective (Si et al. 2023, section 3; Si et al. 2022).

Within a data set all SAEFs are equal in architecture, start, steps and batches, and so are both AQFs. Two toys in the plane and
the digits:

    eight-gaussians, checkerboard   SAEF with B = 1, four spline couplings; in one block the sliced score slices
    digits                          class-conditional SAEF, B = 16 patches of 2 x 2, affine couplings: that of docs/digits.md

Three presets:

    quick   200 steps on the toys, 60 on the digits, to see that all runs
    best    1,500 steps on the toys, 800 on the digits, batches of 128, 4 draws a datum, Adam 1e-3 decaying linearly to zero
    paper   the authors' MNIST configuration as far as these data allow: 2 draws, Adam at a constant 1e-4, batches of 200, 3,000
            steps; they trained at beta = 0.5, which is one of the lines

    evenflow reproduce objectives --preset best --seeds 3 --out objectives

writes results.json and bars.png.
"""
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from evenflow.experiments import judged
from evenflow.experiments import saef_pictures as draw
from evenflow.experiments.judged import cell, column, having, mean
from evenflow.experiments.pages import bullets, filled, made_by, markdown, show
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import Row, only
from evenflow.reference.work.options import Config

DATA = ("eight-gaussians", "checkerboard", "digits")
OBJECTIVES: dict[str, dict[str, Any]] = {
    "energy, beta = 0.5": {"family": "saef", "objective": "energy", "beta": 0.5},
    "energy, beta = 1": {"family": "saef", "objective": "energy", "beta": 1.0},
    "energy, beta = 1.5": {"family": "saef", "objective": "energy", "beta": 1.5},
    "sliced energy": {"family": "saef", "objective": "sliced"},
    "MMD": {"family": "saef", "objective": "mmd"},
    "likelihood": {"family": "saef", "objective": "likelihood"},
    "AQF, pinball": {"family": "aqf", "objective": "quantile"},
    "AQF, likelihood": {"family": "aqf", "objective": "likelihood"},
}
MODELS: dict[tuple[str, bool], dict[str, Any]] = {  # family, whether of digits -> its choices
    ("saef", False): {"blocks": 1, "block_map": "spline", "layers": 4},
    ("saef", True): {"blocks": 16, "class_conditional": True},
    ("aqf", False): {"transformer": "spline"},
    ("aqf", True): {"transformer": "spline", "hidden": (256, 256), "class_conditional": True},
}


class Preset(NamedTuple):
    toy_steps: int
    digit_steps: int
    choices: dict[str, Any]


PRESETS = {
    "quick": Preset(200, 60, {"learning_rate": 1e-3}),
    "best": Preset(1500, 800, {"learning_rate": 1e-3}),
    "paper": Preset(3000, 3000, {"learning_rate": 1e-4, "schedule": "constant", "batch": 200, "draws": 2}),
}
OF_TOYS = {"d_loss": "D-loss", "energy_score": "energy score", "nll": "nats a row"}
OF_DIGITS = {"d_loss": "D-loss", "energy_score": "energy score", "bits_per_dim": "bits per dim", "frechet": "Frechet"}
PICTURES = ("bars.png",)
summary = partial(only, ("data", "objective", "seed", *OF_TOYS, "bits_per_dim", "frechet"))


def fields(data: str) -> dict[str, str]:
    return OF_DIGITS if data == "digits" else OF_TOYS


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False
) -> list[Row]:
    """Train all, as many at a time as there are cores, the longest first; draw and write into `out`; return the rows."""
    asked(preset, PRESETS, seeds)
    out = Path(out)
    kinds = [(data, name) for data in reversed(DATA) for name in reversed(OBJECTIVES)]
    jobs = [(*kind, preset, seed, out, resume) for seed in seeds for kind in kinds]
    rows = side_by_side(learn, jobs, on_step)
    at = {name: i for i, name in enumerate((*DATA, *OBJECTIVES))}
    rows.sort(key=lambda row: (at[row["data"]], at[row["objective"]], row["seed"]))
    judged.write_rows(out / "results.json", "objectives", preset, PRESETS[preset]._asdict(), rows)
    draw.bars(out / "bars.png", rows, list(OBJECTIVES), {data: fields(data) for data in DATA})
    return rows


def learn(data: str, objective: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep) -> Row:
    how, of_digits, choices = PRESETS[preset], data == "digits", dict(OBJECTIVES[objective])
    family = choices.pop("family")
    steps = how.digit_steps if of_digits else how.toy_steps
    choices |= MODELS[family, of_digits] | {"steps": steps, "seed": seed} | how.choices
    if choices["objective"] == "likelihood":
        choices["draws"] = None
    known, name = {"data": data, "objective": objective}, f"{data}, {objective}, seed {seed}"
    folder = out / f"{data}-{list(OBJECTIVES).index(objective)}-seed{seed}"
    row = judged.learn(name, known, Config(family, **choices), data, folder, resume, on_step)
    return row | (judged.bits(row) if of_digits else {"bits_per_dim": None})


def table(rows: list[Row], data: str) -> str:
    heads, lines = ["objective", "parameters", *fields(data).values()], []
    for name in OBJECTIVES:
        mine = having(rows, data=data, objective=name)
        counted, cells = column(mine, "parameters"), [cell(column(mine, field)) for field in fields(data)]
        lines.append([name + judged.trained_of(mine), f"{counted[0]:,}" if counted else "-", *cells])
    return markdown(heads, lines)


def findings(rows: list[Row]) -> list[str]:
    """What the numbers say, said from the numbers."""
    said = []
    saefs = [name for name, choices in OBJECTIVES.items() if choices["family"] == "saef"]
    for data in DATA:
        for field, title in fields(data).items():
            means = {name: mean(column(rows, field, data=data, objective=name)) for name in saefs}
            known = {name: value for name, value in means.items() if not math.isnan(value)}
            if known:
                order = sorted(known, key=lambda name: known[name], reverse=field == "d_loss")
                said.append(f"**{data}, {title}**: of the SAEFs {order[0]} is first, {order[-1]} last")
    return [*said, flat(rows, saefs), claim(rows)]


def flat(rows: list[Row], names: list[str]) -> str:
    """How little the energy score tells the SAEFs of the toys apart, and how much the likelihood."""
    told = []
    for data in DATA:
        if data != "digits":
            scores, nats = (
                [mean(column(rows, field, data=data, objective=name)) for name in names] for field in ("energy_score", "nll"))
            told.append(f"{data} {max(scores) / min(scores) - 1:.2%} and {max(nats) - min(nats):.2f} nats")
    return (
        "**how flat the scores are**: between the best and the worst of the SAEFs lie, in energy score and in log "
        f"likelihood, on {'; '.join(told)}. A reason why likelihood may be hard to beat"
    )


def claim(rows: list[Row]) -> str:
    """Each energy objective against likelihood on the digits, seed by seed."""
    theirs = column(rows, "d_loss", data="digits", objective="likelihood")
    told = []
    for name, choices in OBJECTIVES.items():
        if choices["family"] == "saef" and name != "likelihood":
            ours = column(rows, "d_loss", data="digits", objective=name)
            gaps = [a - b for a, b in zip(ours, theirs, strict=False)]
            told.append(f"{name} {mean(ours):.3f} ({', '.join(f'{gap:+.3f}' for gap in gaps)})")
    return (
        f"**D-loss of the digits at B = 16, equal parameters and steps**: likelihood {mean(theirs):.3f}; and, in brackets seed "
        f"by seed what is gained over it, {'; '.join(told)}"
    )


def page(all_results: list[Row]) -> str:
    """docs/experiments/objectives.md, from the results.json of one or more presets."""
    def numbers(one: Row) -> dict[str, str]:
        tables = "\n\n".join(f"### {data}\n\n{table(one['rows'], data)}" for data in DATA)
        return {"made_by": made_by(one), "tables": tables, "findings": bullets(findings(one["rows"]))}

    return filled("objectives", numbers, all_results)


if __name__ == "__main__":
    show(page)
