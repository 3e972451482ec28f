"""The pictures of two_modes.py: densities, chains, the line through both centres, and the weight along the training."""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments import planar_pictures
from evenflow.reference.app.pictures import COLOURS, new_figure, write
from evenflow.reference.core import Array

NAMES = planar_pictures.NAMES | {"flow": "its companion flow", "flowmc-local": "without global moves"}
INK = {"truth": "black", "flowmc": COLOURS[0], "flow": COLOURS[2], "flowmc-local": COLOURS[3], "pcd": COLOURS[1],
       "nt": COLOURS[4], "coopflow": COLOURS[5], "fce": "gray", "jarzynski": "olive"}
BETWEEN = {  # two states of a chain
    "flowmc": "4 MALA, 2 i-SIR, 4 MALA", "flowmc-local": "10 MALA", "pcd": "10 ULA", "nt": "10 MALA in latent space",
}
MODES = (COLOURS[4], COLOURS[1])  # lower left, upper right


def chains(path: Path, x: Mapping[str, Array], zones: Mapping[str, Array]) -> None:
    """Above, states in the plane; below, one line a chain over time; both coloured by mode.

    x: algorithm -> (steps, chains, 2), zones -> (steps, chains), 0 or 1.
    """
    from matplotlib.colors import ListedColormap
    figure = new_figure(4.4 * len(x) + 0.5, 6.4)
    panels = figure.subplots(2, len(x), height_ratios=[1.15, 1], squeeze=False)
    for (above, below), (name, states) in zip(panels.T, x.items(), strict=True):
        for zone, colour in enumerate(MODES):
            points = states[zones[name] == zone][:: max(1, states[..., 0].size // 3000)]
            above.plot(*points.T, ".", color=colour, markersize=3, alpha=0.6, label=("lower left", "upper right")[zone])
        above.set(title=f"{NAMES[name]}: states of {states.shape[1]} chains", aspect="equal", xlim=(-3, 3), ylim=(-3, 3))
        above.legend(loc="upper left", markerscale=3)
        below.imshow(zones[name].T, cmap=ListedColormap(MODES), vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        below.set(xlabel=f"state, {BETWEEN[name]} apart", ylabel="chain", title="the mode each chain is in")
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
    """The weight of the upper-right mode along the training, above of the paper's two and the control, below of the others.

    traces: algorithm -> for each seed its (step, weight).
    """
    names = list(traces)
    parts = [part for part in (names[:3], names[3:]) if part]
    figure = new_figure(8.5, 0.6 + 4.0 * len(parts))
    for axes, part in zip(figure.subplots(len(parts), sharex=True, squeeze=False).ravel(), parts, strict=True):
        for name in part:
            for k, trace in enumerate(trace for trace in traces[name] if trace):
                steps, values = np.array(trace).T
                style: dict[str, Any] = {"alpha": 1.0, "linewidth": 1.6} if k == 0 else {"alpha": 0.35, "linewidth": 0.9}
                axes.plot(steps / per_epoch, values, color=INK[name], label=NAMES[name] if k == 0 else None, **style)
        axes.axhline(true, color="black", linewidth=1.2, label=f"truth, {true:.3f}")
        axes.axhline(empirical, color="black", linewidth=1.0, linestyle=":", label=f"data of the first seed, {empirical:.3f}")
        axes.set(ylabel="weight of the upper-right mode", ylim=(-0.03, 1.03))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    axes.set_xlabel("epoch")
    write(figure, path)
