"""Pictures of runs: losses, samples beside data, and what the inverse makes of data.

Every function draws one PNG and writes it aside first, so that `path` never holds half a picture. matplotlib is needed
here and nowhere else; it is imported when a picture is drawn, without a display and without its global state.
"""
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.reference.core import Array, check_shape
from evenflow.reference.work.files import write_aside

PathLike = str | os.PathLike[str]
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")  # told apart by colour-blind readers too
SIDE = 8        # of a digit
PIXELS_PER_INCH = 60  # of wide images
INK = 16        # the darkest pixel
SHOWN = 2000    # points in a scatter plot
MARGINALS = 16  # coordinates shown


def loss_picture(
    path: PathLike, curves: Mapping[str, Sequence[Mapping[str, Any]]], objectives: Mapping[str, str] | None = None
) -> None:
    """Training loss, smoothed, and held-out loss as dots.  curves: name -> the lines of its log (runs.read_log).

    objectives: name -> objective. Losses of different objectives have different units: each objective has its panel.
    """
    objectives = objectives or {}
    panels = list(dict.fromkeys(objectives.get(name, "") for name in curves))
    figure = new_figure(1.5 + 6.0 * len(panels), 4.5)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        mine = {name: lines for name, lines in curves.items() if objectives.get(name, "") == panel}
        for colour, (name, lines) in zip(COLOURS * len(mine), mine.items(), strict=False):
            draw_curve(axes, name, lines, colour)
        axes.set_xlabel("step")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_ylabel(f"loss ({panel})" if panel else "loss")
        axes.grid(alpha=0.3)
        axes.legend(title="line: training, smoothed; dot: held out", title_fontsize=9)
    write(figure, path)


def draw_curve(axes: Any, name: str, lines: Sequence[Mapping[str, Any]], colour: str) -> None:
    steps, losses = [line["step"] for line in lines], np.array([line["loss"] for line in lines], dtype=float)
    axes.plot(steps, smoothed(losses), color=colour, linewidth=1.5, label=name)
    judged = [(line["step"], line["held_out"]["loss"]) for line in lines if line["held_out"]]
    axes.plot(*np.reshape(judged, (-1, 2)).T, "o", color=colour, markersize=4)


def smoothed(losses: Array) -> Array:
    """The mean over a window of a fiftieth of all steps, narrower towards both ends."""
    reach = len(losses) // 100
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    k = np.arange(len(losses))
    r = np.minimum(reach, np.minimum(k, len(losses) - 1 - k))
    return (sums[k + r + 1] - sums[k - r]) / (2 * r + 1)


def digit_grid(path: PathLike, rows: Mapping[str, Array], per_line: int = 10) -> None:
    """8x8 digits, the real ones beside samples.  rows: label -> (k, 64), pixels 0 ... 16; each in lines of `per_line`."""
    grid(path, {label: in_lines(label, digits, per_line) for label, digits in rows.items()}, SIDE, per_line, INK)


def grid(path: PathLike, strips: Mapping[str, Array], width: int, per_line: int, most: float, cmap: str = "gray_r") -> None:
    """Strips of `in_lines`, one above the other.  width: of one image."""
    heights, inches = [strip.shape[0] for strip in strips.values()], max(0.5, width / PIXELS_PER_INCH)
    figure = new_figure(inches * per_line + 2.0, 0.9 * inches * sum(heights) / (width + 1) + 0.15 * len(strips))
    axes = figure.subplots(len(strips), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for ax, (label, strip) in zip(axes, strips.items(), strict=True):
        show(ax, strip, label, most, cmap=cmap)
    write(figure, path)


def in_lines(label: str, images: Array, per_line: int, axes: tuple[int, ...] = (SIDE, SIDE), gap: float = math.nan) -> Array:
    """Images (k, h w c) -> one image, lines of `per_line` of them a pixel apart; `gap` where there is none."""
    check_shape(f"rows[{label!r}]", images, "k", math.prod(axes))
    (h, w, *c), lines = axes, math.ceil(len(images) / per_line)
    tiles = np.full((lines * per_line, h + 1, w + 1, *c), gap)
    tiles[: len(images), :h, :w] = np.reshape(images, (-1, *axes))
    return tiles.reshape(lines, per_line, h + 1, w + 1, *c).swapaxes(1, 2).reshape(lines * (h + 1), per_line * (w + 1), *c)


def show(axes: Any, strip: Array, label: str, ink: float, least: float = 0.0, cmap: str = "gray_r") -> None:
    axes.imshow(strip, cmap=cmap, vmin=least, vmax=ink, interpolation="nearest", aspect="equal")
    axes.set_ylabel(label, rotation=0, ha="right", va="center")
    axes.set(xticks=[], yticks=[], anchor="W")
    axes.spines[:].set_visible(False)


def posterior_picture(path: PathLike, originals: Array, z: Array, reconstructions: Array, interpolations: Array) -> None:
    """Digits, their z and the way back, and below, line by line, interpolations in z.

    originals, z, reconstructions (k, 64); interpolations (lines, steps, 64).
    """
    k = len(originals)
    for name, array in (("z", z), ("reconstructions", reconstructions)):
        check_shape(name, array, k, SIDE * SIDE)
    check_shape("interpolations", interpolations, "lines", "steps", SIDE * SIDE)
    lines, steps = interpolations.shape[:2]
    between = in_lines("interpolations", interpolations.reshape(-1, SIDE * SIDE), steps)
    figure = new_figure(0.5 * max(k, steps) + 2.2, 0.5 * (3 + lines) + 0.6)
    axes = figure.subplots(4, 1, gridspec_kw={"height_ratios": [1, 1, 1, lines]})
    show(axes[0], in_lines("originals", originals, k), "held out", INK)
    show(axes[1], in_lines("z", z, k), "z", 3.0, least=-3.0)
    show(axes[2], in_lines("reconstructions", reconstructions, k), "and back", INK)
    show(axes[3], between, "straight lines\nin z", INK)
    write(figure, path)


def scatter_picture(path: PathLike, sets: Mapping[str, Array]) -> None:
    """Points in the plane, one panel a set, all on the same axes.  sets: label -> (n, 2), such as data and samples."""
    figure = new_figure(4.5 * len(sets), 4.6)
    panels = figure.subplots(1, len(sets), squeeze=False, sharex=True, sharey=True)[0]
    for axes, colour, (label, points) in zip(panels, COLOURS, sets.items(), strict=False):
        check_shape(label, points, "n", 2)
        axes.plot(*np.asarray(points[:SHOWN]).T, ".", color=colour, markersize=4, alpha=0.6, markeredgewidth=0)
        axes.set_title(label, parse_math=False)
        axes.set_aspect("equal", adjustable="box")
    middle = [window(np.asarray(next(iter(sets.values())))[:, j]) for j in range(2)]
    panels[0].set(xlim=middle[0], ylim=middle[1])
    write(figure, path)


def marginals_picture(path: PathLike, sets: Mapping[str, Array], columns: Sequence[str] | None = None) -> None:
    """A histogram of each coordinate (the first 16), the sets over one another.  sets: label -> (n, d)."""
    first = np.asarray(next(iter(sets.values())))
    for label, points in sets.items():
        check_shape(label, points, "n", first.shape[1])
    shown = min(first.shape[1], MARGINALS)
    across = min(shown, 4)
    down = math.ceil(shown / across)
    figure = new_figure(3.2 * across + 0.6, 2.5 * down + 0.4)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for j, axes in enumerate(panels[:shown]):
        edges = np.linspace(*window(first[:, j]), 41)
        for colour, (label, points) in zip(COLOURS, sets.items(), strict=False):
            density, _ = np.histogram(points[:, j], edges)
            width = len(points) * (edges[1] - edges[0])
            axes.stairs(density / width, edges, color=colour, linewidth=1.5, label=label)
        axes.set_title(columns[j] if columns else f"column {j}", parse_math=False)  # a $ is a $
        axes.set_yticks([])
    for axes in panels[shown:]:
        axes.set_visible(False)
    panels[0].legend()
    write(figure, path)


def window(values: Array) -> tuple[float, float]:
    """The range that holds all but a thousandth of the values on either side, with a margin: a stray sample is left out."""
    low, high = np.quantile(values, [0.001, 0.999])
    margin = 0.15 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def new_figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure
    return Figure(figsize=(width, height), layout="constrained")


def write(figure: Any, path: PathLike) -> None:
    write_aside(Path(path), lambda file: figure.savefig(file, format="png", dpi=120, bbox_inches="tight"))
