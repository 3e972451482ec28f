"""From one block to one pixel a block: what B buys and what it costs (Si et al. 2023, section 4).

One class-conditional SAEF on scikit-learn's 8x8 digits with B = 1 (a plain energy flow), 2, 4, 8, 16, 32 and 64 (fully
autoregressive) under the energy objective, and B = 16 by maximum likelihood. Only B changes: the block map is the spline one at
every size of block, the networks have the same widths, start, batches and rates, and the pixels stand in Z-order, so that B and
2 B cut the same line, and each block of the one is two of the other. Three presets:

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
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments import digits, judged
from evenflow.experiments import saef_pictures as draw
from evenflow.experiments.judged import Row, cell, column, deviation, mean
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import write_json
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
        draw.strip(out / "samples.png", samples(out, seeds[0]))
    return rows


def summary(rows: list[Row]) -> list[Row]:
    """What the terminal shows of each row."""
    fields = ("blocks", "objective", "seed", *QUALITY, "bits_per_dim", *TIMES)
    return [{name: row.get(name) for name in fields} for row in rows]


def folder_of(out: Path, blocks: int, objective: str, seed: int) -> Path:
    return out / f"{objective}-{blocks}-seed{seed}"


def learn(blocks: int, objective: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep) -> Row:
    choices = {"objective": objective, "blocks": blocks, "block_map": "spline", "class_conditional": True, "seed": seed}
    of_energy = {} if objective == "energy" else {"beta": None, "draws": None}
    known, name = {"blocks": blocks, "objective": objective}, f"B = {blocks}, {objective}, seed {seed}"
    config, folder = Config("saef", **(choices | PRESETS[preset] | of_energy)), folder_of(out, blocks, objective, seed)
    row = judged.learn(name, known, config, judged.Z_ORDER, folder, resume, on_step)
    return row | {"bits_per_dim": None if row["nll"] is None else row["nll"] / (64 * math.log(2))}


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
    path = out / f"times-seed{seed}.json"
    if resume and path.exists():
        return dict(json.loads(path.read_text()))
    dataset = judged.dataset_of(judged.Z_ORDER)
    calls = {name: timed_calls(trained, dataset, seed) for name, trained in models(out, seed).items()}
    rounds = [{name: [seconds(call) for call in mine] for name, mine in calls.items()} for _ in range(1 + ROUNDS)]
    one = f"{RUNS[0][0]} energy"
    if one not in calls:
        return {}
    ratios = {name: [np.divide(taken[name], taken[one]) for taken in rounds[1:]] for name in calls}  # the first: to warm up
    told = {name: dict(zip(TIMES, np.median(ratio, axis=0).tolist(), strict=True)) for name, ratio in ratios.items()}
    write_json(path, told)
    return told


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


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def samples(out: Path, seed: int) -> dict[str, Array]:
    """For each model and for the data a 0 to 9, twice, as images line by line."""
    labels, back = np.tile(np.arange(10), 2), np.argsort(judged.z_order(8))
    data = load("digits")
    assert data.held_out_labels is not None
    seen = [np.flatnonzero(data.held_out_labels == k)[i // 10] for i, k in enumerate(labels)]
    drawn = {"real, held out": data.held_out[seen]}
    for name, trained in models(out, seed).items():
        drawn["B = " + name.replace(" energy", "").replace(" l", ", l")] = trained.sample(
            len(labels), np.random.default_rng(seed), labels)[:, back]
    return drawn


def table(results: Row) -> str:
    heads = ["B", "objective", "parameters", *QUALITY.values(), "bits per dim", "training step", "sampling", "inversion"]
    lines = []
    for blocks, objective in ((None, "real digits"), *RUNS):
        rows = [row for row in results["rows"] if (row["blocks"], row["objective"]) == (blocks, objective)]
        counted = column(rows, "parameters")
        first = [str(blocks or "-"), objective, f"{counted[0]:,}" if counted else "-"]
        lines.append(first + [cell(column(rows, field)) for field in (*QUALITY, "bits_per_dim", *TIMES)])
    return judged.markdown(heads, lines)


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


HEAD = """# Block sweep: from one block to one pixel a block

Si et al. 2023 (arXiv 2206.06672): a semi-autoregressive flow stands between a plain energy flow (B = 1) and a fully
autoregressive one (B = d), and B says how much of each. Their tables could not be had, so there is no column of theirs here; of
their code it is known that sampling takes B evaluations of the whole grid one after the other, on MNIST 49: 5,940 images in
47.1 s on a GPU of Colab. `docs/experiments/block_sweep.py` trains one class-conditional SAEF on scikit-learn's 8x8 digits for
each B, with 1,500 to train and 297 held out.

What differs from their set-up: digits in the place of MNIST; a masked perceptron makes the contexts, not a masked convolution;
the block map is a spline flow, invertible, with likelihood and inverse, where their head is not; all draws enter the fidelity
term. One map throughout: splines for every size of block, and the pixels in Z-order, so that the blocks of 2 B are halves of
those of B, and B is all that changes. The parameters differ nevertheless: there is a context for each block, and large blocks
have larger networks in their maps.

Means over the seeds and, in brackets, standard deviations. *D-loss*: held-out cross-entropy of a classifier between 297 samples
and the 297 held-out digits; larger is better, log 2 = 0.693 if it cannot tell. *Frechet* distance of classifier features,
*energy score* of 50 draws a digit, *bits per dim* of dequantised held-out digits: smaller is better. *training step*,
*sampling*, *inversion*: times as ratios to B = 1, taken side by side in one process. The first row judges training digits in
the place of samples.
"""
NOTES = """What to make of it. More blocks make better samples until the classifier can hardly tell them, at a price in
sampling that in the end grows like B and faster: every step runs the whole context network, and that grows with B as well.
Inversion and training take one pass and cost less than B times as much. The likelihood does not follow the samples: the energy
objective sees draws, not densities, and the score may hardly feel how narrow a density gets where pixels are nearly always
empty; so bits per dim can get worse while D-loss and Frechet get better, as the paper says of its energy flows. At B = d each
block is one number, and its CRPS leaves the least to hide. Between energy and likelihood at B = 16 see the last line of each
preset; with affine couplings in the place of splines, and patches line by line in that of Z-order, the energy objective is
further behind ([digits.md](../digits.md)): much of what looked like the objective's fault is not. What more draws, another
beta and more steps do to the gap stands in [sixteen-blocks](sixteen-blocks.md).
"""
PICTURED = """![quality against the number of blocks](../images/block-sweep-quality.png)

![times against the number of blocks](../images/block-sweep-times.png)

![samples for each number of blocks](../images/block-sweep-samples.png)
"""


def page(all_results: list[Row]) -> str:
    """docs/experiments/block-sweep.md, from the results.json of one or more presets."""
    parts = [HEAD]
    for results in all_results:
        parts += [f"## {results['preset']}\n", judged.made_by(results) + "\n", table(results) + "\n"]
        parts += ["\n".join(f"- {line}." for line in findings(results)) + "\n"]
        if results is all_results[0]:
            parts += [PICTURED, NOTES]
    return "\n".join(parts)


if __name__ == "__main__":
    print(page([json.loads(Path(path).read_text()) for path in sys.argv[1:]]), end="")
