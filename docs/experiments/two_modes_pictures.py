"""The pictures of two_modes.py: densities, chains, the line through both centres, and the weight along the training."""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.reference.app.pictures import COLOURS, new_figure, write
from evenflow.reference.core import Array

NAMES = {
    "truth": "truth", "flowmc": "flowMC-EBM", "flow": "its companion flow", "flowmc-local": "without global moves",
    "pcd": "PCD-ULA",
}
INK = {"truth": "black", "flowmc": COLOURS[0], "flow": COLOURS[2], "flowmc-local": COLOURS[3], "pcd": COLOURS[1]}
MODES = (COLOURS[4], COLOURS[1])  # lower left, upper right


def densities(path: Path, log_p: Mapping[str, Array], low: float, high: float) -> None:
    """One panel a density, all on the same scale.  log_p: name -> (k, k), the first axis x_1."""
    figure = new_figure(3.4 * len(log_p) + 0.8, 3.7)
    panels = figure.subplots(1, len(log_p), sharey=True)
    most = float(np.exp(log_p["truth"].max()))
    for axes, (name, values) in zip(panels, log_p.items(), strict=True):
        drawn = axes.imshow(np.exp(values.T), origin="lower", extent=(low, high, low, high), cmap="magma", vmin=0, vmax=most)
        axes.set(title=NAMES[name], xlabel="$x_1$")
    panels[0].set_ylabel("$x_2$")
    figure.colorbar(drawn, ax=panels, label="density", shrink=0.85)
    write(figure, path)


def chains(path: Path, x: Mapping[str, Array], zones: Mapping[str, Array], between: Mapping[str, str]) -> None:
    """Above, states in the plane; below, one line a chain over time; both coloured by mode.

    x: algorithm -> (steps, chains, 2), zones -> (steps, chains), 0 or 1; between: algorithm -> what lies between two states.
    """
    from matplotlib.colors import ListedColormap
    figure = new_figure(5.2 * len(x) + 0.5, 7.2)
    panels = figure.subplots(2, len(x), height_ratios=[1.15, 1], squeeze=False)
    for (above, below), (name, states) in zip(panels.T, x.items(), strict=True):
        for zone, colour in enumerate(MODES):
            points = states[zones[name] == zone][:: max(1, states[..., 0].size // 3000)]
            above.plot(*points.T, ".", color=colour, markersize=3, alpha=0.6, label=("lower left", "upper right")[zone])
        above.set(title=f"{NAMES[name]}: states of {states.shape[1]} chains", aspect="equal", xlim=(-3, 3), ylim=(-3, 3))
        above.legend(loc="upper left", markerscale=3)
        below.imshow(zones[name].T, cmap=ListedColormap(MODES), vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        below.set(xlabel=f"state, {between[name]} apart", ylabel="chain", title="the mode each chain is in")
    write(figure, path)


def conditional(path: Path, t: Array, log_p: Mapping[str, Array]) -> None:
    """The densities on the line x = (t, t) through both centres, each with area 1 there.  log_p: name -> (len(t),)."""
    figure = new_figure(7.5, 4.2)
    axes = figure.subplots()
    for name, values in log_p.items():
        p = np.exp(values - values.max())
        style: dict[str, Any] = {"linewidth": 2.5, "alpha": 0.55} if name == "truth" else {"linewidth": 1.4}
        axes.plot(t, p / (p.sum() * (t[1] - t[0])), color=INK[name], label=NAMES[name], **style)
    axes.set(xlabel="t", ylabel="density of t given $x = (t, t)$")
    axes.grid(alpha=0.3)
    axes.legend()
    write(figure, path)


def weights(
    path: Path, traces: Mapping[str, Sequence[Sequence[tuple[int, float]]]], true: float, empirical: float, per_epoch: int
) -> None:
    """The weight of the upper-right mode along the training.  traces: algorithm -> for each seed its (step, weight)."""
    figure = new_figure(8.5, 4.6)
    axes = figure.subplots()
    for name, seeds in traces.items():
        for k, trace in enumerate(trace for trace in seeds if trace):
            steps, values = np.array(trace).T
            style: dict[str, Any] = {"alpha": 1.0, "linewidth": 1.6} if k == 0 else {"alpha": 0.35, "linewidth": 0.9}
            axes.plot(steps / per_epoch, values, color=INK[name], label=NAMES[name] if k == 0 else None, **style)
    axes.axhline(true, color="black", linewidth=1.2, label=f"truth, {true:.3f}")
    axes.axhline(empirical, color="black", linewidth=1.0, linestyle=":", label=f"data of the first seed, {empirical:.3f}")
    axes.set(xlabel="epoch", ylabel="weight of the upper-right mode", ylim=(-0.03, 1.03))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=3)
    write(figure, path)
