"""From one block to one pixel a block: what B buys and what it costs (Si et al. 2023, section 4).

One class-conditional SAEF on scikit-learn's 8x8 digits with B = 1 (a plain energy flow), 2, 4, 8, 16, 32 and 64 (fully
autoregressive) under the energy objective, and B = 16 by maximum likelihood. Only B changes. Three presets:

    quick   60 steps, to see that all runs
    best    800 steps of 128, Adam 1e-3 decaying linearly to zero: the steps of docs/digits.md
    paper   the authors' MNIST configuration as far as digits allow: beta = 0.5, 2 draws a datum, Adam at a constant 1e-4,
            batches of 200; their number of epochs is not known, here it is 400

    evenflow reproduce block-sweep --preset best --seeds 3 --out sweep

writes results.json, quality.png, times.png and samples.png. The times are taken after all trainings, the models of one seed one
after the other in rounds, and are ratios to B = 1 of the same round: medians over the rounds.
"""
import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments import digits, judged
from evenflow.experiments import saef_pictures as draw
from evenflow.experiments.judged import cell, column, deviation, having, mean
from evenflow.experiments.pages import bullets, filled, made_by, markdown, show
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import Row, only, remembered
from evenflow.reference.app.pictures import digit_grid
from evenflow.reference.core import Array, fetched, placed
from evenflow.reference.work.data import Dataset, load
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import Trained, load_run
from evenflow.reference.work.threads import single_blas_thread
from evenflow.reference.work.training import Settings, advance, begin

BLOCKS = (1, 2, 4, 8, 16, 32, 64)
RUNS = (*((B, "energy") for B in BLOCKS), (16, "likelihood"))
PRESETS: dict[str, dict[str, Any]] = {
    "quick": {"steps": 60, "learning_rate": 1e-3},
    "best": {"steps": 800, "learning_rate": 1e-3},
    "paper": {"steps": 3000, "learning_rate": 1e-4, "schedule": "constant", "batch": 200, "beta": 0.5, "draws": 2},
}
ROUNDS, ROWS = 5, 1000  # of the times; rows sampled and inverted in a round
TIMES = ("step_time", "sampling_time", "inversion_time")
QUALITY = {"d_loss": "D-loss", "frechet": "Frechet", "energy_score": "energy score"}
HIGHER = ("d_loss",)  # is better
PICTURES = ("quality.png", "times.png", "samples.png")
summary = partial(only, ("blocks", "objective", "seed", *QUALITY, "bits_per_dim", *TIMES))


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False
) -> list[Row]:
    """Train all, as many at a time as there are cores, the longest first; measure, draw into `out`; return the rows."""
    asked(preset, PRESETS, seeds)
    out = Path(out)
    jobs = [(blocks, objective, preset, seed, out, resume) for blocks, objective in reversed(RUNS) for seed in seeds]
    trained = side_by_side(learn, jobs, on_step)
    with single_blas_thread():
        rows = []
        for seed in seeds:
            taken = times(out, seed, resume)
            mine = [row for row in reversed(trained) if row["seed"] == seed]
            rows += [real(seed), *(row | taken.get(f"{row['blocks']} {row['objective']}", {}) for row in mine)]
        judged.write_rows(out / "results.json", "block-sweep", preset, PRESETS[preset], rows)
        draw.quality(out / "quality.png", rows)
        draw.times(out / "times.png", rows)
        digit_grid(out / "samples.png", samples(out, seeds[0]), per_line=20)
    return rows


def folder_of(out: Path, blocks: int, objective: str, seed: int) -> Path:
    return out / f"{objective}-{blocks}-seed{seed}"


def learn(blocks: int, objective: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep) -> Row:
    choices = {"objective": objective, "blocks": blocks, "block_map": "spline", "class_conditional": True, "seed": seed}
    of_energy = {} if objective == "energy" else {"beta": None, "draws": None}
    known, name = {"blocks": blocks, "objective": objective}, f"B = {blocks}, {objective}, seed {seed}"
    config, folder = Config("saef", **(choices | PRESETS[preset] | of_energy)), folder_of(out, blocks, objective, seed)
    row = judged.learn(name, known, config, judged.Z_ORDER, folder, resume, on_step)
    return row | judged.bits(row)


def real(seed: int) -> Row:
    """Training digits in the place of samples: what a perfect model would get, sampling error included."""
    row = digits.real_row(load("digits"), seed)
    known = {"energy_score": row["held_out_energy_score"], "d_loss": row["d_loss"], "frechet": row["frechet"]}
    return {"blocks": None, "objective": "real digits", "seed": seed, **known, "train_seconds": None}


def models(out: Path, seed: int) -> dict[str, Trained]:
    """Those that came to their end, by blocks and objective."""
    folders = {f"{blocks} {objective}": folder_of(out, blocks, objective, seed) for blocks, objective in RUNS}
    over = {name: json.loads((folder / "row.json").read_text())["row"] for name, folder in folders.items()}
    return {name: load_run(folders[name]) for name, row in over.items() if row["stopped_at"] is None}


def times(out: Path, seed: int, resume: bool) -> dict[str, Row]:
    """Name -> the three times as ratios to B = 1; kept, so that a resumed run shows the same."""
    def make() -> Row:
        dataset = judged.dataset_of(judged.Z_ORDER)
        calls = {name: timed_calls(trained, dataset, seed) for name, trained in models(out, seed).items()}
        told = judged.against_the_first(calls, ROUNDS) if f"{RUNS[0][0]} energy" in calls else {}
        return {name: dict(zip(TIMES, ratios, strict=True)) for name, ratios in told.items()}

    return remembered(out / f"times-seed{seed}.json", resume, make)


def timed_calls(trained: Trained, dataset: Dataset, seed: int) -> list[Callable[[], object]]:
    """A training step, its noise and Adam included; ROWS samples; the way back."""
    model, dtype, rng = trained.flow_model(), trained.config.dtype, np.random.default_rng(seed)
    assert dataset.train_labels is not None

    def some(n: int) -> tuple[Array, Array | None]:
        u = placed(dataset.units.dequantised(dataset.train[:n], rng), dtype)
        return u, trained.context(dataset.train_labels[:n], n)  # type: ignore[index]

    u, context = some(trained.config.batch)
    x, given = some(ROWS)
    z = placed(model.flow.noise(rng, ROWS), dtype)
    settings = Settings(1)
    start = begin(trained.params, settings, rng)

    def draws(rng: np.random.Generator) -> tuple[Any, ...]:
        return u, placed(model.objective.noise(rng, model.flow, len(u)), dtype), context

    return [
        lambda: fetched(advance(start, model.loss, draws, settings)[0].params),
        lambda: fetched(model.flow.sample(trained.params, z, given)),
        lambda: fetched(model.inverse(trained.params, x, given)),
    ]


def samples(out: Path, seed: int) -> dict[str, Array]:
    """For each model and for the data a 0 to 9, twice, as images line by line."""
    (labels, drawn), back = judged.a_few_of_each(load("digits")), np.argsort(judged.z_order(8))
    for name, trained in models(out, seed).items():
        drawn["B = " + name.replace(" energy", "").replace(" l", ", l")] = trained.sample(
            len(labels), np.random.default_rng(seed), labels)[:, back]
    return drawn


def table(results: Row) -> str:
    heads = ["B", "objective", "parameters", *QUALITY.values(), "bits per dim", "training step", "sampling", "inversion"]
    lines = []
    for blocks, objective in ((None, "real digits"), *RUNS):
        rows = having(results["rows"], blocks=blocks, objective=objective)
        counted = column(rows, "parameters")
        first = [str(blocks or "-"), objective, f"{counted[0]:,}" if counted else "-"]
        lines.append(first + [cell(column(rows, field)) for field in (*QUALITY, "bits_per_dim", *TIMES)])
    return markdown(heads, lines)


def findings(results: Row) -> list[str]:
    """What the numbers say, said from the numbers."""
    rows = [row for row in results["rows"] if row["objective"] == "energy"]
    said = [saturation(rows, field, name) for field, name in (QUALITY | {"bits_per_dim": "bits per dim"}).items()]
    for field in TIMES:
        means = [mean(column(rows, field, blocks=B)) for B in BLOCKS]
        pairs = pairwise(zip(BLOCKS, means, strict=True))
        falls = [f"{a} to {b}" for (a, before), (b, after) in pairs if after < before]
        monotone = f"not monotone: it falls from B = {', '.join(falls)}" if falls else "monotone in B"
        power = np.polyfit(np.log(BLOCKS[3:]), np.log(means[3:]), 1)[0]
        name = field.replace("_time", "").replace("step", "a training step")
        last = f"{means[-1]:.3g} times B = 1 at B = 64, and from B = 8 on like B^{power:.2f}"
        said.append(f"**time of {name}**: {monotone}; {last}")
    return [*said, claim(results["rows"])]


def saturation(rows: list[Row], field: str, name: str) -> str:
    """The best B, the least B within two standard errors of it, and whether each B is better than the one before."""
    values = {B: column(rows, field, blocks=B) for B in BLOCKS}
    sign = -1 if field in HIGHER else 1
    best = min(BLOCKS, key=lambda B: sign * mean(values[B]))

    def near(B: int) -> bool:
        error = math.hypot(*(deviation(values[b]) / math.sqrt(len(values[b]) or 1) for b in (B, best)))
        return sign * (mean(values[B]) - mean(values[best])) <= 2 * error

    enough = next(B for B in BLOCKS if near(B))
    worse = [b for a, b in pairwise(BLOCKS) if sign * (mean(values[b]) - mean(values[a])) > 0]
    steps = f"no better than the B before at B = {', '.join(map(str, worse))}" if worse else "better at every doubling"
    reached = "" if enough == best else f", and from B = {enough} on within two standard errors of that"
    return f"**{name}**: best at B = {best} ({mean(values[best]):.3g}){reached}; {steps}"


def claim(rows: list[Row]) -> str:
    """Energy against likelihood at B = 16, seed by seed."""
    ours, theirs = (column(rows, "d_loss", blocks=16, objective=objective) for objective in ("energy", "likelihood"))
    gaps = [a - b for a, b in zip(ours, theirs, strict=False)]
    verdict = "no worse" if mean(gaps) >= 0 else "worse"
    return (
        f"**energy against likelihood at B = 16**, equal parameters and steps: D-loss {mean(ours):.3f} against "
        f"{mean(theirs):.3f}, energy {verdict} (seed by seed {', '.join(f'{gap:+.3f}' for gap in gaps)})"
    )


def page(all_results: list[Row]) -> str:
    """docs/experiments/block-sweep.md, from the results.json of one or more presets."""
    return filled("block-sweep", lambda one: {
        "made_by": made_by(one), "table": table(one), "findings": bullets(findings(one))}, all_results)


if __name__ == "__main__":
    show(page)
