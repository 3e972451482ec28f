"""Pictures of images and of series, real ones beside samples; pictures.py says how a picture is written."""
from collections.abc import Mapping

import numpy as np

from evenflow.reference.app.pictures import COLOURS, PathLike, grid, in_lines, new_figure, write
from evenflow.reference.core import Array, check_shape
from evenflow.reference.work.shapes import Shape

PER_LINE = 10
LINES, PANELS = 30, 4  # series in a panel, and channels shown


def image_grid(path: PathLike, rows: Mapping[str, Array], shape: Shape, levels: int | None = None) -> None:
    """Images in lines of ten, grey or in colours, of other numbers of channels than 3 and 4 the first.  rows: label -> (k, d).

    Black is 0 and white levels - 1, or of real numbers the least and the most in the first rows.
    """
    (h, w), c = shape.axes[:2], shape.channels if shape.channels in (3, 4) else 1
    seen = {}
    for label, images in rows.items():
        check_shape(f"rows[{label!r}]", images, "k", shape.d)
        seen[label] = images.reshape(-1, h * w, shape.channels)[:, :, :c].reshape(-1, h * w * c).astype(np.float64)
    first, axes = next(iter(seen.values())), (h, w, c) if c > 1 else (h, w)
    low, high = (0.0, levels - 1.0) if levels else (first.min(), first.max())
    shades = {label: np.clip((x - low) / (high - low or 1.0), 0, 1) for label, x in seen.items()}
    strips = {label: in_lines(label, x, PER_LINE, axes, gap=1.0) for label, x in shades.items()}
    grid(path, strips, w, PER_LINE, most=1.0, cmap="gray")


def series_picture(path: PathLike, sets: Mapping[str, Array], shape: Shape) -> None:
    """A panel for each of the first channels, with the first series of each set.  sets: label -> (n, t c)."""
    shown = min(shape.channels, PANELS)
    figure = new_figure(8.0, 2.2 * shown + 0.4)
    panels = figure.subplots(shown, 1, squeeze=False, sharex=True)[:, 0]
    for colour, (label, rows) in zip(("grey" if len(sets) > 1 else COLOURS[0], COLOURS[1]), sets.items(), strict=False):
        check_shape(label, rows, "n", shape.d)
        for c, axes in enumerate(panels):
            lines = axes.plot(rows[:LINES].reshape(-1, *shape.axes)[:, :, c].T, color=colour, linewidth=0.8, alpha=0.6)
            lines[0].set_label(label)
            axes.set_ylabel(f"channel {c}")
    panels[-1].set_xlabel("time")
    panels[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)  # above, where no line is
    write(figure, path)
