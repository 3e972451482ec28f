"""Arrays on the device behind each other in one: pieces.cu. Nothing is copied where they already lie so, in one buffer."""
from collections.abc import Sequence

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels.loading import NULL, blocks, function
from evenflow.reference.core import Array

PARTS, THREADS = 16, 256  # PARTS: of one launch, as in pieces.cu


def in_one(parts: Sequence[Array]) -> Array:
    """All their numbers as one vector; the parts are of one dtype. What it shares memory with must not be written to."""
    xp, total = module_of(*parts), sum(part.size for part in parts)
    there = lying_so(parts, total)
    if there is not None:
        return there
    out, at = xp.empty(total, parts[0].dtype), 0
    solid = [xp.ascontiguousarray(part) for part in parts if part.size]
    for first in range(0, len(solid), PARTS):
        some = solid[first : first + PARTS]
        pad = PARTS - len(some)
        sizes = [np.int64(part.size) for part in some]
        grid = (blocks(int(max(sizes)), THREADS), len(some))
        function(xp, "pieces", "pieces", out.dtype)(
            grid, (THREADS,), (out[at:], *some, *[NULL] * pad, *sizes, *[np.int64(0)] * pad)
        )
        at += int(sum(sizes))
    return out


def stacked(parts: Sequence[Array]) -> Array:
    """Arrays of one shape and dtype as one, (len(parts), *shape). Likewise."""
    return in_one(parts).reshape(len(parts), *parts[0].shape)


def lying_so(parts: Sequence[Array], total: int) -> Array | None:
    """The vector that the parts are cut from, without a gap between them; None if there is none."""
    if len(parts) == 1 and parts[0].flags.c_contiguous:
        return parts[0].reshape(-1)
    buffer = parts[0].base
    if buffer is None or not buffer.flags.c_contiguous or buffer.dtype != parts[0].dtype:
        return None
    if not all(part.base is buffer and part.flags.c_contiguous for part in parts):
        return None
    at = int(parts[0].data.ptr)
    start = (at - int(buffer.data.ptr)) // int(parts[0].itemsize)
    for part in parts:
        if part.size and int(part.data.ptr) != at:
            return None
        at += int(part.nbytes)
    return buffer.reshape(-1)[start : start + total]
