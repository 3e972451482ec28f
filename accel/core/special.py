r"""Special functions for whole arrays, on host and device: the normal quantile and the error function.

$\Phi^{-1}$ by rational functions of three ranges (Wichura 1988, algorithm AS 241, error about 1e-16): with $q = \alpha - 1/2$,

    |q| <= 0.425    q P(r) / Q(r)          r = 0.425^2 - q^2
    else            sign(q) P(r) / Q(r)    r = sqrt(-log min(alpha, 1 - alpha)) - 1.6, or - 5 where that root is above 5
"""
from typing import Any

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels import layers
from evenflow.reference.core import Array, anywhere, value
from evenflow.reference.core.dispatch import definitions

# Coefficients of P and Q of the three ranges, the highest power first; Q ends in 1.
CENTRE = (
    (2509.0809287301227, 33430.57558358813, 67265.7709270087, 45921.95393154987,
     13731.69376550946, 1971.5909503065513, 133.14166789178438, 3.3871328727963665),
    (5226.495278852854, 28729.085735721943, 39307.89580009271, 21213.794301586597,
     5394.196021424751, 687.1870074920579, 42.31333070160091, 1.0),
)
TAIL = (
    (0.0007745450142783414, 0.022723844989269184, 0.2417807251774506, 1.2704582524523684,
     3.6478483247632045, 5.769497221460691, 4.630337846156546, 1.4234371107496835),
    (1.0507500716444169e-09, 0.0005475938084995345, 0.015198666563616457, 0.14810397642748008,
     0.6897673349851, 1.6763848301838038, 2.053191626637759, 1.0),
)
FAR = (
    (2.0103343992922881e-07, 2.7115555687434876e-05, 0.0012426609473880784, 0.026532189526576124,
     0.29656057182850487, 1.7848265399172913, 5.463784911164114, 6.657904643501103),
    (2.0442631033899397e-15, 1.421511758316446e-07, 1.8463183175100548e-05, 0.0007868691311456133,
     0.014875361290850615, 0.1369298809227358, 0.599832206555888, 1.0),
)

COEFFICIENTS = tuple(number for each in (CENTRE, TAIL, FAR) for part in each for number in part)


def ratio(range_of: tuple[tuple[float, ...], tuple[float, ...]], r: Array) -> Array:
    """P(r) / Q(r), by Horner's rule."""
    (p, *rest_p), (q, *rest_q) = range_of
    above, below = p * r + rest_p[0], q * r + rest_q[0]
    for a, b in zip(rest_p[1:], rest_q[1:], strict=True):
        above, below = above * r + a, below * r + b
    return above / below


def normal_quantile(alpha: Array) -> Array:
    """core.special.normal_quantile: in float64 inside, as the definition."""
    alpha = value(alpha)
    xp = module_of(alpha)
    alpha = xp.asarray(alpha)
    if anywhere(xp.logical_not((alpha > 0) & (alpha < 1))):
        least, most = float(alpha.min()), float(alpha.max())
        raise ValueError(f"alpha must lie strictly between 0 and 1, got values from {least} to {most}")
    if xp is not np and alpha.dtype.kind == "f":
        return layers.normal_quantile(alpha, COEFFICIENTS)
    wide = alpha.astype(np.float64)
    q = wide - 0.5
    root = xp.sqrt(-xp.log(xp.minimum(wide, 1 - wide)))
    tail = xp.where(root <= 5.0, ratio(TAIL, root - 1.6), ratio(FAR, root - 5.0))
    central = q * ratio(CENTRE, 0.425**2 - q * q)
    return xp.where(xp.abs(q) <= 0.425, central, xp.sign(q) * tail).astype(alpha.dtype)


def erf_entries(x: Array) -> Array:
    """scores.crps.erf_entries: on the device CUDA's own; NumPy has none, and the definition stands."""
    if module_of(x) is not np:
        return layers.erf(x)
    return definitions["scores.crps.erf_entries"](x)


REPLACEMENTS: dict[str, Any] = {"core.special.normal_quantile": normal_quantile, "scores.crps.erf_entries": erf_entries}
