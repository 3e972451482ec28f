"""The pictures of the studies in the plane: densities and negatives side by side, and what the zones weigh."""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.reference.app.pictures import COLOURS, new_figure, write
from evenflow.reference.core import Array
from evenflow.reference.ebm.normalizer import Lattice

NAMES = {
    "truth": "truth", "flowmc": "flowMC-EBM", "pcd": "PCD-ULA", "nt": "NT-EBM", "coopflow": "CoopFlow", "fce": "FCE",
    "jarzynski": "Jarzynski",
}
ACROSS = 4  # panels beside each other


def pictures(out: Path, target: Any, box: Lattice, drawn: Mapping[str, Mapping[str, Array]], rows: Sequence[Any]) -> None:
    """All three, of one seed.  drawn: algorithm -> log_p (m,) on the box and negatives (k, 2)."""
    low, high = float(box.points.min()), float(box.points.max())
    side = round(len(box.points) ** 0.5)
    log_p = {"truth": target.log_prob(box.points), **{name: kept["log_p"] for name, kept in drawn.items()}}
    densities(out / "densities.png", {name: values.reshape(side, side) for name, values in log_p.items()}, low, high)
    x = target.sample(target.noise(np.random.default_rng(0), 2_000))
    samples(out / "samples.png", {"truth": x, **{name: kept["negatives"] for name, kept in drawn.items()}}, low, high)
    weights(out / "weights.png", target.zone_weights(), [row for row in rows if row["zones_model"] is not None])


def densities(
    path: Path, log_p: Mapping[str, Array], low: float, high: float, names: Mapping[str, str] = NAMES, share: float = 0.999
) -> None:
    """One panel a density, all on the same scale.  log_p: name -> (k, k), the first axis x_1.

    share: of the truth, that the scale reaches: the rings' density is infinite at the origin.
    """
    figure, panels = grid_of(len(log_p))
    most = float(np.quantile(np.exp(log_p["truth"]), share))
    for axes, (name, values) in zip(panels, log_p.items(), strict=False):
        shown = np.exp(np.minimum(values.T, 50.0))
        axes.imshow(shown, origin="lower", extent=(low, high, low, high), cmap="magma", vmin=0, vmax=most)
        axes.set_title(names[name])
    write(figure, path)


def samples(path: Path, x: Mapping[str, Array], low: float, high: float) -> None:
    """One panel a sample: draws of p*, and each algorithm's negatives."""
    figure, panels = grid_of(len(x))
    for axes, (name, points) in zip(panels, x.items(), strict=False):
        axes.plot(*points.T, ".", color="black" if name == "truth" else COLOURS[0], markersize=2, alpha=0.5, markeredgewidth=0)
        axes.set(title=NAMES[name], xlim=(low, high), ylim=(low, high), aspect="equal")
    write(figure, path)


def weights(path: Path, true: Array, rows: Sequence[Mapping[str, Any]]) -> None:
    """A panel an algorithm: each zone's weight by E, by the negatives and by the chains' starts, over a line for the truth."""
    figure, panels = grid_of(len(rows))
    zones = np.arange(len(true))
    kinds = {"zones_model": "energy", "zones_negatives": "negatives", "zones_starts": "starts"}
    for axes, row in zip(panels, rows, strict=False):
        for k, (field, label) in enumerate(kinds.items()):
            axes.bar(zones + 0.25 * (k - 1), row[field], 0.25, color=COLOURS[k], label=label)
        axes.hlines(true, zones - 0.42, zones + 0.42, color="black", linewidth=1.5, label="truth")
        axes.set(title=NAMES[row["algorithm"]], xticks=zones, ylim=(0, 1.6 * max(true)))
    if rows:
        panels[0].legend(fontsize=8, loc="upper left")
    write(figure, path)


def grid_of(count: int) -> tuple[Any, Any]:
    """A figure of `count` panels, a few beside each other; those left over are not seen."""
    across = min(max(count, 1), ACROSS)
    down = -(-max(count, 1) // across)
    figure = new_figure(2.7 * across, 2.8 * down)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes in panels[count:]:
        axes.set_visible(False)
    return figure, panels
