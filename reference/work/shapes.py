"""What a row of d numbers stands for: an image (h, w) or (h, w, c), line by line, or a series (t, c), time by time."""
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from evenflow.reference.core import check_count
from evenflow.reference.flows import squeeze


class Shape(NamedTuple):
    """The axes of one row.

    >>> str(Shape.of((32, 32, 3))), str(Shape.of((24, 2), series=True))
    ('images of 32 x 32, 3 channels', 'series of 24 times, 2 channels')
    """
    axes: tuple[int, ...]
    series: bool = False

    @classmethod
    def of(cls, axes: Any, series: bool = False) -> "Shape":
        """Raises ValueError unless there are as many axes as there must be, each at least 1."""
        known, wanted = ((2,), "(t, c)") if series else ((2, 3), "(h, w) or (h, w, c)")
        if not isinstance(axes, Iterable) or len(axes := tuple(axes)) not in known:
            raise ValueError(f"shape must be {wanted} of one {'series' if series else 'image'}, got {axes}")
        for part in axes:
            check_count("shape", part)
        return cls(tuple(map(int, axes)), bool(series))

    @property
    def d(self) -> int:
        return math.prod(self.axes)

    @property
    def channels(self) -> int:
        return self.axes[-1] if self.series or len(self.axes) == 3 else 1

    def patches(self, patch: int) -> int:
        """How many squares of patch x patch pixels, or stretches of so many times. Raises ValueError unless they fit."""
        check_count("patch", patch)
        sides = self.axes[: 1 if self.series else 2]
        if any(side % patch for side in sides):
            names = "t" if self.series else "h and w"
            raise ValueError(f"patch must divide {names} = {' x '.join(map(str, sides))}, got {patch}")
        return math.prod(side // patch for side in sides)

    def __str__(self) -> str:
        size = f"series of {self.axes[0]} times" if self.series else f"images of {self.axes[0]} x {self.axes[1]}"
        return size + (f", {self.channels} channels" if self.channels > 1 else "")


def patch_order(shape: Shape, patch: int) -> tuple[int, ...]:
    """The numbers of a row, so ordered that each patch x patch square, all channels of it, is one run: x[:, order].

    Blocks are then squares, as in the paper's MNIST model; line by line within and between. A series stays as it comes: its
    blocks are stretches of `patch` times.
    """
    shape.patches(patch)
    if shape.series:
        return tuple(range(shape.d))
    h, w = shape.axes[:2]
    return squeeze((h, w, shape.channels), patch).back


def square_for(shape: Shape, blocks: int) -> int | None:
    """The edge of so many equal squares of an image; None where there are none."""
    h, w = shape.axes[:2]
    edge = math.isqrt(h * w // blocks)
    fits = not shape.series and edge and edge**2 * blocks == h * w and not (h % edge or w % edge)
    return edge if fits else None
