"""The picture of own_density.py: draws of `evenflow.sample` on each density, two coordinates of it, beside the exact one."""
from pathlib import Path

import numpy as np

from evenflow.experiments.own_density_targets import TARGETS
from evenflow.reference.app.pictures import COLOURS, new_figure, write
from evenflow.reference.core import Array

SHOWN = 2000
AXES = {  # target -> the coordinates, their names, where the picture ends
    "two-modes": ((0, 1), ("$x_1$", "$x_2$"), (-6, 6, -6, 6)), "funnel": ((1, 0), ("$x_1$", "$v$"), (-25, 25, -9, 9)),
    "banana": ((0, 1), ("$x_1$", "$x_2$"), (-32, 32, -6, 28)), "mixture": ((0, 1), ("$x_1$", "$x_2$"), (-6, 6, -6, 6)),
    "eight-schools": ((0, 1), (r"$\mu$", r"$\tau$"), (-8, 16, 0, 15)),
}


def draw(path: Path, draws: dict[str, Array]) -> None:
    """A panel a density.  draws: target -> (n, d)."""
    figure = new_figure(2.5 * len(draws), 2.9)
    panels = figure.subplots(1, max(len(draws), 1), squeeze=False)[0]
    for axes, (name, x) in zip(panels, draws.items(), strict=True):
        (i, j), names, edges = AXES[name]
        axes.plot(*x[-SHOWN:, [i, j]].T, ".", color=COLOURS[0], markersize=1.5, alpha=0.5)
        target = TARGETS[name]()
        axes.errorbar(*target.mean[[i, j]], xerr=target.sd[i], yerr=target.sd[j], color=COLOURS[1], capsize=2, linewidth=1)
        axes.set(xlim=edges[:2], ylim=edges[2:], xlabel=names[0], ylabel=names[1])
        axes.set_title(name, fontsize=9)
    write(figure, path)


def written(out: Path) -> dict[str, Array]:
    """The draws that the folder holds, in the order of the targets."""
    return {name: np.load(out / f"{name}.npy") for name in TARGETS if (out / f"{name}.npy").exists()}
