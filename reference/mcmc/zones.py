"""Which mode are the chains in? What R-hat of the positions cannot show: weights of zones, switches, R-hat of the mode.

A zone is a part of space, one a mode (targets/mixtures.py); zones are whole numbers (steps, chains), time first.
"""
import numpy as np

from evenflow.reference.core import Array, check_count, check_shape, fetched, numbers
from evenflow.reference.mcmc.rhat import check_steps, plain_rhat, split


def acceptance(accepted: Array) -> float:
    """The fraction of proposals kept: booleans (steps, chains) -> a float. ValueError for anything but booleans."""
    accepted = fetched(numbers("accepted", accepted))
    check_shape("accepted", accepted, "steps", "chains")
    if accepted.dtype != bool or accepted.size == 0:
        raise ValueError(f"accepted must hold booleans, at least one, got dtype {accepted.dtype}, shape {accepted.shape}")
    return float(np.mean(accepted))


def zone_weights(zones: Array, count: int) -> Array:
    """How often each zone was seen: whole numbers 0 .. count - 1 of any shape -> (count,), which sum to 1.

    Raises ValueError for a zone outside, for numbers that are not integers, for no numbers at all.

    >>> zone_weights(np.array([[0, 1], [0, 0]]), count=3)
    array([0.75, 0.25, 0.  ])
    """
    zones = check_zones(zones, count)
    return np.bincount(zones.ravel().astype(np.intp), minlength=count) / zones.size


def switch_rate(zones: Array) -> float:
    """How often a chain's zone differs from the one a step before: integers (steps >= 2, chains) -> between 0 and 1.

    >>> switch_rate(np.array([[0, 1], [0, 0]]))
    0.5
    """
    zones = check_zones(zones)
    check_steps("zones", zones, 2)
    return float(np.mean(zones[1:] != zones[:-1]))


def mode_rhat(zones: Array, count: int) -> float:
    """The largest split R-hat of the indicators 1[zone == k], k = 0 .. count - 1: do the chains agree on the weights?

    zones: whole numbers (steps >= 4, chains). math.inf where some zone holds some half chains always and the others never; 1.0
    where all sit in one and the same: a zone that no chain has seen shows in `zone_weights`. Raises ValueError as that does.

    >>> mode_rhat(np.array([[0, 1]] * 4), count=2)
    inf
    """
    zones = check_zones(zones, count)
    check_steps("zones", zones, 4)
    return max(plain_rhat(split((zones == k).astype(np.float64))) for k in range(count))


def check_zones(zones: Array, count: int | None = None) -> Array:
    zones = fetched(numbers("zones", zones))
    if zones.dtype.kind not in "iu" or zones.size == 0:
        raise ValueError(f"zones must hold integers, at least one, got dtype {zones.dtype}, shape {zones.shape}")
    if count is not None:
        check_count("count", count)
        if zones.min() < 0 or zones.max() >= count:
            raise ValueError(f"zones must lie in 0 .. {count - 1}, got values from {zones.min()} to {zones.max()}")
    return zones
