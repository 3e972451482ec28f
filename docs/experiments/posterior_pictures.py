"""The pictures of posterior.py: completions, ways from one digit to another, and where z varies too much."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from evenflow.experiments import judged
from evenflow.experiments.posterior_measures import draws, held_out, partners
from evenflow.experiments.results import Row
from evenflow.reference.app.pictures import digit_grid, new_figure, write
from evenflow.reference.core import Array
from evenflow.reference.work.runs import Trained

BACK = np.argsort(judged.z_order(8))  # from Z-order to lines
KEPT, DRAWN, STEPS, PAIRS = 32, 3, 9, 4


def completion(path: Path, models: Mapping[str, Trained], seed: int) -> None:
    """Ten held-out digits, their upper halves, and what each model with two blocks or more draws below them."""
    dataset = judged.dataset_of(judged.Z_ORDER)
    x, labels = held_out(dataset)
    chosen = np.array([np.flatnonzero(labels == k)[0] for k in range(10)])
    half = np.where(np.arange(64) < KEPT, x[chosen], np.nan)
    lines = {"held out": x[chosen], "what is kept": half}
    for name, trained in models.items():
        if KEPT * trained.config.blocks % 64 == 0:
            z = trained.encode(x[chosen], labels[chosen], np.random.default_rng(seed).random((10, 64)))
            lines[name] = draws(trained, z, labels[chosen], KEPT, seed)[:DRAWN].reshape(-1, 64)
    digit_grid(path, {name: images[:, BACK] for name, images in lines.items()})


def interpolation(path: Path, models: Mapping[str, Trained], seed: int) -> None:
    """From one held-out digit to another, in pixels and on the arc of each model: two pairs of one class, two of two."""
    dataset, rng = judged.dataset_of(judged.Z_ORDER), np.random.default_rng(seed)
    x, labels = held_out(dataset)
    start = np.array([np.flatnonzero(labels == k)[0] for k in (3, 8, 3, 8)])
    mates = partners(labels, seed)
    ends = start, np.where([True, True, False, False], mates["same"][start], mates["other"][start])
    lines = {"pixels": np.stack([x[start] * (1 - t) + x[ends[1]] * t for t in np.linspace(0, 1, STEPS)], axis=1)}
    for name, trained in models.items():
        lines[name] = arc(trained, x, labels, rng.random(x.shape), ends)
    digit_grid(path, {name: images.reshape(-1, 64)[:, BACK] for name, images in lines.items()}, per_line=2 * STEPS)


def arc(trained: Trained, x: Array, labels: Array, uniforms: Array, ends: tuple[Array, Array]) -> Array:
    """cos(a) z + sin(a) z' decoded, a from 0 to pi / 2: (pairs, STEPS, 64). The nearer end's label, halfway the first's."""
    z, other = (trained.encode(x[rows], labels[rows], uniforms[rows]) for rows in ends)
    way = []
    for step, a in enumerate(np.linspace(0, np.pi / 2, STEPS).astype(z.dtype)):
        way.append(trained.decode(np.cos(a) * z + np.sin(a) * other, labels[ends[0] if 2 * step < STEPS else ends[1]]))
    return np.stack(way, axis=1)


def variances(path: Path, rows: Sequence[Row]) -> None:
    """Of z of held-out digits, at each pixel: 1 if z is N(0, I). Logarithmic, the mean over the seeds."""
    known: dict[str, list[Array]] = {}
    for row in rows:
        if "z_variances" in row:
            name = f"B = {row['blocks']}, {row['objective']}" if row["blocks"] else "fresh normals"
            known.setdefault(name, []).append(np.array(row["z_variances"])[BACK].reshape(8, 8))
    figure = new_figure(2.3 * len(known) + 1.0, 2.8)
    panels = figure.subplots(1, len(known), squeeze=False)[0]
    for axes, (name, found) in zip(panels, known.items(), strict=True):
        image = axes.imshow(np.log10(np.mean(found, axis=0)), cmap="RdBu_r", vmin=-1.5, vmax=1.5)
        axes.set(title=name, xticks=[], yticks=[])
    figure.colorbar(image, ax=list(panels), label="log10 variance of z")
    write(figure, path)
