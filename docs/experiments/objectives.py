"""What one trains on: one model under every objective (Si et al. 2023, section 3; Si et al. 2022).

The energy score at beta = 0.5, 1 and 1.5, its sliced form, the MMD, and maximum likelihood on one SAEF; the pinball loss, which
is for autoregressive quantile flows only, on an AQF, beside maximum likelihood on the same AQF. Within a data set all SAEFs are
equal in architecture, start, steps and batches, and so are both AQFs. Two toys in the plane and the digits:

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
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evenflow.experiments import judged
from evenflow.experiments import saef_pictures as draw
from evenflow.experiments.judged import Row, cell, column, mean
from evenflow.experiments.pool import OnStep, asked, side_by_side
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


def summary(rows: list[Row]) -> list[Row]:
    """What the terminal shows of each row."""
    shown = ("data", "objective", "seed", *OF_TOYS, "bits_per_dim", "frechet")
    return [{name: row[name] for name in shown} for row in rows]


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
    bits = row["nll"] / (64 * math.log(2)) if of_digits and row["nll"] is not None else None
    return row | {"bits_per_dim": bits}


def table(rows: list[Row], data: str) -> str:
    heads, lines = ["objective", "parameters", *fields(data).values()], []
    for name in OBJECTIVES:
        mine = [row for row in rows if (row["data"], row["objective"]) == (data, name)]
        counted, stopped = column(mine, "parameters"), [row for row in mine if row["stopped_at"] is not None]
        beside = f" ({len(mine) - len(stopped)} of {len(mine)} trained)" if stopped else ""
        cells = [cell(column(mine, field)) for field in fields(data)]
        lines.append([name + beside, f"{counted[0]:,}" if counted else "-", *cells])
    return judged.markdown(heads, lines)


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


HEAD = """# Objectives: the same model, trained on something else

Si et al. 2023 (arXiv 2206.06672) train on the energy score instead of the likelihood, and compare with the MMD; Si et al. 2022
(ICLR) trained on the pinball loss. Their tables could not be had, so no column of theirs stands here; beta = 0.5 is what the
authors' MNIST code uses, 1.5 its CIFAR code. `docs/experiments/objectives.py` trains, for each data set, one SAEF under each of
six objectives with everything else equal, and one AQF with the pinball loss and by maximum likelihood.

What differs from their set-up: toys and 8x8 digits in the place of MNIST; an invertible block map, so that every model has a
likelihood to be judged by; all draws in the fidelity term; bandwidths of the MMD that suit standardised data, 0.5 to 8. On the
toys the model without a condition is one forecast for all data of a batch: 128 points against 512 draws. AQF is another
architecture (the parameters stand beside it): compare its two lines with each other.

Means over the seeds and, in brackets, standard deviations. *D-loss*: held-out cross-entropy of a classifier between samples and
held-out data; larger is better, log 2 = 0.693 if it cannot tell. *energy score* at beta = 1 whatever was trained on, *nats a
row* or *bits per dim* of held-out data (negative log-likelihood), *Frechet* distance of classifier features: smaller is better.
The weights are those that held-out data liked best: on the toys by their likelihood, under every objective; on the digits by
the objective itself.
"""


def page(all_results: list[Row]) -> str:
    """docs/experiments/objectives.md, from the results.json of one or more presets."""
    parts = [HEAD]
    for results in all_results:
        parts += [f"## {results['preset']}\n", judged.made_by(results) + "\n"]
        for data in DATA:
            parts += [f"### {data}\n", table(results["rows"], data) + "\n"]
        parts += ["\n".join(f"- {line}." for line in findings(results["rows"])) + "\n"]
        if results is all_results[0]:
            parts.append("![objectives, as bars](../images/objectives.png)\n\nThe bars do not begin at 0.\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(page([json.loads(Path(path).read_text()) for path in sys.argv[1:]]), end="")
