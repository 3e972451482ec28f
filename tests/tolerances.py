"""Every tolerance of the suite, in one place, derived from the dtype and the conditioning.

A map whose derivative lies within e^-L and e^L turns one rounding of its output, eps |x|, into an error of e^L eps |x| on the
way back; a composition of such maps multiplies. So a round trip is compared with `ROUNDINGS * eps * steepness * size`.
"""
import numpy as np

ROUNDINGS = 256  # how many roundings of the worst size a test may see; a wrong formula is off by 1e8 times more in float64


def eps(dtype: np.typing.DTypeLike) -> float:
    return float(np.finfo(np.dtype(dtype)).eps)


def round_trip(dtype: np.typing.DTypeLike, steepness: float, size: float) -> float:
    """The error allowed in inverse(forward(z)) where |z| <= size and the inverse's slopes are <= steepness."""
    return ROUNDINGS * eps(dtype) * max(1.0, steepness) * max(1.0, float(size))


def value(dtype: np.typing.DTypeLike, size: float) -> float:
    """The error allowed in a sum of numbers up to `size`."""
    return ROUNDINGS * eps(dtype) * max(1.0, size)


GRADIENT_RTOL = 1e-5     # central difference, step 1e-6, float64: truncation 1e-12, rounding eps/step = 2e-10, times growth
GRADIENT_ATOL = 1e-6
JACOBIAN_RTOL = 1e-8     # log|det| of autograd's Jacobian (exact rules) against log_det, float64
QUADRATURE = 2e-3        # a density summed over a grid; the grid's own error at the chosen spacing
MASS = 1e-6              # midpoint rule, step 0.05, on normals with deviations >= 0.3: exact but for the tails outside the box
SMOOTHING = 1e-9         # relative: the energy score has EPS^2 = 1e-12 added to |u|^2, the plain norm not; |u| above 0.03
LEVELS = 1e-5            # midpoint rule over levels h = 1/4000 apart: the kink costs h^2 Q'/8, each tail about h^2 |Q(h)|


def agreement(
    dtype: np.typing.DTypeLike, exact: np.ndarray, nearby: list[np.ndarray], size: float
) -> np.ndarray:
    """The error allowed, entry by entry, in what should be `exact`, a float64 result for numbers of this dtype up to `size`.

    nearby: the same result where each of those numbers is off by one rounding. How far they are from `exact` is the
    conditioning: what no order of summation and no rearrangement of the formula can be asked to avoid. To this comes one
    rounding of the largest number on the way; of both, ROUNDINGS.
    """
    off = np.max([np.abs(other - exact) for other in nearby] + [0 * np.abs(exact)], axis=0)
    largest = max(1.0, size, float(np.max(np.abs(exact), initial=0.0)))
    return np.asarray(ROUNDINGS * (off + eps(dtype) * largest))
