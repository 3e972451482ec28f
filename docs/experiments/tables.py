"""Densities of small tables: every family with its defaults beside what a practitioner would else use.

Wine (178 rows, 13 columns), iris (150, 4) and breast cancer (569, 30) of scikit-learn, a fifth of the rows held out by each
seed. What counts is the mean log density of the held-out rows, in nats a row and the units of the data: larger is better.
None is tuned: ours are `FlowEstimator(family)`, for ebm `EBMEstimator()`, with all their defaults. The others:

    gaussian   one normal distribution, full covariance
    mixture    scikit-learn's mixture of 1 to 6 of them, the number by BIC, the best of three starts
    zuko-maf   zuko's MAF, and zuko-nsf its neural spline flow, with their defaults on standardised columns: Adam at 0.001,
               batches of 128, a tenth of the training rows judge each epoch, 50 epochs without a better one end it, the best
               epoch is kept

    evenflow reproduce tables --preset best --seeds 5 --backend numpy

writes rows.jsonl as results come (--resume goes on with them), results.json, and tables.png. The preset quick makes 300 steps.
"""
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments.judged import column, deviation, having, mean
from evenflow.experiments.pages import markdown
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import Row, write_results
from evenflow.reference.app.pictures import COLOURS, new_figure, write
from evenflow.reference.core import Array
from evenflow.reference.work import options
from evenflow.reference.work.estimators import EBMEstimator, FlowEstimator

FAMILIES = tuple(family for family in options.FAMILIES if family != "glow")  # which is for images
DATA = ("wine", "iris", "breast_cancer")
PRESETS: dict[str, dict[str, int]] = {"quick": {"steps": 300}, "best": {}}
EPOCHS, BATCH, PATIENCE, RATE = 2000, 128, 50, 1e-3  # of zuko
FLOOR = -20.0  # nats: what is worse is drawn here
PICTURES = ("tables.png",)


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False
) -> list[Row]:
    """One row for each table, model and seed: data, model, seed, log_density, best_step."""
    asked(preset, PRESETS, seeds)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    done = {(row["data"], row["model"], row["seed"]) for row in written(out, preset)}
    jobs = [(d, m, s) for s in seeds for d in DATA for m in (*PEERS, *FAMILIES) if (d, m, s) not in done]
    side_by_side(learn, [(*job, preset, out) for job in jobs], on_step)
    rows = [row for row in written(out, preset) if row["seed"] in seeds]
    order = {name: i for i, name in enumerate((*DATA, *PEERS, *FAMILIES))}
    rows.sort(key=lambda row: (order[row["data"]], order[row["model"]], row["seed"]))
    write_results(out / "results.json", {"rows": rows, "preset": preset}, "scikit-learn", "torch", "zuko")
    draw(out / "tables.png", rows)
    return rows


def written(out: Path, preset: str) -> list[Row]:
    """The rows that are there."""
    path = out / "rows.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return having(rows, preset=preset)


def split(data: str, seed: int) -> tuple[Array, Array]:
    """Training rows and held-out rows."""
    from sklearn import datasets
    x = getattr(datasets, f"load_{data}")().data.astype(np.float64)
    order, k = np.random.default_rng(seed).permutation(len(x)), round(0.2 * len(x))
    return x[order[k:]], x[order[:k]]


def learn(data: str, model: str, seed: int, preset: str, out: Path, tell: OnStep) -> None:
    """One row, written to the file of rows."""
    train, test = split(data, seed)
    if model in PEERS:
        log_density, step = PEERS[model](train, test, seed), None
    else:
        choices: dict[str, Any] = {"random_state": seed, **PRESETS[preset]}
        fitted = (EBMEstimator(**choices) if model == "ebm" else FlowEstimator(model, **choices)).fit(train)
        log_density, step = fitted.score_samples(test), fitted.best_step_
    row = {"data": data, "model": model, "seed": seed, "preset": preset, "best_step": step}
    row["log_density"] = float(np.mean(log_density))
    with open(out / "rows.jsonl", "a") as file:
        file.write(json.dumps(row) + "\n")


def gaussian(train: Array, test: Array, seed: int) -> Array:
    from sklearn.mixture import GaussianMixture
    return standardised(lambda a, b: GaussianMixture(1).fit(a).score_samples(b), train, test)


def mixture(train: Array, test: Array, seed: int) -> Array:
    from sklearn.mixture import GaussianMixture

    def score(a: Array, b: Array) -> Array:
        fitted = [GaussianMixture(k, n_init=3, random_state=seed).fit(a) for k in range(1, 7)]
        return min(fitted, key=lambda one: float(one.bic(a))).score_samples(b)

    return standardised(score, train, test)


def standardised(score: Callable[[Array, Array], Array], train: Array, test: Array) -> Array:
    """The log density of test rows by a model of standardised columns, in the data's own units."""
    mean, sd = train.mean(axis=0), train.std(axis=0)
    return score((train - mean) / sd, (test - mean) / sd) - np.sum(np.log(sd))


def zuko(kind: str, train: Array, test: Array, seed: int) -> Array:
    return standardised(lambda a, b: early_stopped(kind, a, b, seed), train, test)


def early_stopped(kind: str, train: Array, test: Array, seed: int) -> Array:
    """zuko's flow at its best epoch."""
    import torch
    from zuko import flows
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    x, y = (torch.tensor(part, dtype=torch.float32) for part in (train, test))
    k = max(1, round(0.1 * len(x)))
    x = x[torch.randperm(len(x))]
    judge, x = x[:k], x[k:]
    flow = getattr(flows, kind)(x.shape[1])
    adam = torch.optim.Adam(flow.parameters(), lr=RATE)
    best, kept, waited = np.inf, flow.state_dict(), 0
    for _ in range(EPOCHS):
        for batch in x[torch.randperm(len(x))].split(BATCH):
            adam.zero_grad()
            (-flow().log_prob(batch).mean()).backward()
            adam.step()
        with torch.no_grad():
            value = float(-flow().log_prob(judge).mean())
        waited += 1
        if value < best:
            best, kept, waited = value, {name: tensor.clone() for name, tensor in flow.state_dict().items()}, 0
        if waited == PATIENCE:
            break
    flow.load_state_dict(kept)
    with torch.no_grad():
        return flow().log_prob(y).numpy().astype(np.float64)


PEERS: dict[str, Callable[[Array, Array, int], Array]] = {
    "gaussian": gaussian, "mixture": mixture, "zuko-maf": partial(zuko, "MAF"), "zuko-nsf": partial(zuko, "NSF"),
}


def values_of(rows: list[Row], data: str, model: str) -> list[float]:
    """Of the seeds."""
    return column(rows, "log_density", data=data, model=model)


def told(values: list[float], mark: str = "") -> str:
    return f"{mark}{mean(values):.2f}{mark} ({deviation(values):.2f})"


def summary(rows: list[Row]) -> list[Row]:
    """One row a model: mean (standard deviation) over the seeds, for each table."""
    return [{"model": m, **{data: told(values_of(rows, data, m)) for data in DATA}} for m in (*PEERS, *FAMILIES)]


def draw(path: Path, rows: list[Row]) -> None:
    """A panel a table, a line a model: the seeds' values less that of the best peer, of the same seed."""
    models, figure = (*PEERS, *FAMILIES), new_figure(4.2 * len(DATA), 4.5)
    for axes, data in zip(figure.subplots(1, len(DATA), sharey=True), DATA, strict=True):
        at = {(row["model"], row["seed"]): row["log_density"] for row in having(rows, data=data)}
        best = max(PEERS, key=lambda peer: mean(values_of(rows, data, peer)))
        for i, model in enumerate(models):
            gaps = [value - at[best, seed] for (name, seed), value in at.items() if name == model]
            axes.plot(np.maximum(gaps, FLOOR), [i] * len(gaps), "o", color=COLOURS[model not in PEERS], alpha=0.6)
        axes.axvline(0, color="black", linewidth=1)
        axes.axvline(-3, color="black", linewidth=1, linestyle=":")
        axes.set(title=f"{data}: less {best}", xlabel="nats a row", yticks=range(len(models)), yticklabels=models)
    axes.invert_yaxis()
    write(figure, path)


def table(results: Row) -> str:
    """results.json -> a Markdown table: means over the seeds, in brackets standard deviations; what leads in bold."""
    rows, lines = results["rows"], []
    for model in (*PEERS, *FAMILIES):
        cells = []
        for data in DATA:
            ours, best = values_of(rows, data, model), max(mean(values_of(rows, data, peer)) for peer in PEERS)
            cells.append(told(ours, "**" if mean(ours) >= best else ""))
        lines.append([model, *cells])
    return markdown(["model", *DATA], lines, "---:")


if __name__ == "__main__":
    print(table(json.loads(Path(sys.argv[1]).read_text())))
