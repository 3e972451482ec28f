r"""Energy-based models with a perceptron for an energy: log density, and its gradient in x, in one pass forth and one back.

$$\log p(x) = -E(x) - \frac{|x|^2}{2 s^2} - \frac d2 \log 2\pi s^2, \qquad
  \nabla \log p(x) = -\nabla E(x) - x / s^2$$

without the terms in s where there is no tilt. Backward from $\bar\ell$: the perceptron's from $-\bar\ell$, and
$\bar x \mathrel{-}= \bar\ell\, x / s^2$.
"""
import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from autograd.tracer import isbox

from evenflow.accel.backends import module_of, on_device
from evenflow.accel.core.elementwise import row_sums, with_ones
from evenflow.accel.core.networks import Layers, arrays, back_through, no_bias_of, through
from evenflow.accel.fused import fused, of_one_dtype
from evenflow.accel.kernels import Target, density, fits
from evenflow.accel.kernels.network import ACTIVATIONS, widths
from evenflow.reference.core import Array, Tree, check_shape
from evenflow.reference.core.dispatch import definitions
from evenflow.reference.ebm.energies import EBM, MLPEnergy
from evenflow.reference.flows.densities import LOG_2PI, Normal


class Known(NamedTuple):
    """An energy-based model of the kind above."""
    net: Layers
    sd: float | None  # of the tilt


def known(ebm: EBM) -> Known | None:
    """The model in the terms of this file; None for any other energy or tilt, a subclass too: it may mean something else."""
    energy, tilt = ebm.energy, ebm.tilt
    if type(energy) is not MLPEnergy:
        return None
    net = Layers(energy.activation, False)
    if tilt is None:
        return Known(net, None)
    return Known(net, float(tilt.sd)) if type(tilt) is Normal else None


def log_p_of(model: Known, E: Array, x: Array) -> Array:
    if model.sd is None:
        return -E
    w = x / model.sd
    return -E - 0.5 * row_sums(w * w) - x.shape[1] * (0.5 * LOG_2PI + math.log(model.sd))


def forward(model: Known, x: Array, *leaves: Array, keep: bool = True) -> tuple[tuple[Array], Any]:
    E, saved = through(model.net, with_ones(x, list(range(x.shape[1]))), None, leaves, keep)
    return (log_p_of(model, E[:, 0], x),), (model, x, saved)


def backward(kept: tuple[Known, Array, Any], wanted: tuple[int, ...], g: Array) -> list[Array]:
    model, x, saved = kept
    g_x, _, grads = back_through(model.net, saved, -g[:, None], max(wanted) > 1, 1 in wanted)
    if g_x is not None and model.sd is not None:
        g_x -= g[:, None] * (x / model.sd**2)
    return [g_x if i == 1 else grads[i - 2] for i in wanted]


tilted = fused(forward, backward, partial(forward, keep=False))


def log_density(ebm: EBM, params: Tree, x: Array) -> Array:
    """ebm.energies.EBM.log_density."""
    model = known(ebm)
    if model is None:
        return definitions["ebm.energies.EBM.log_density"](ebm, params, x)
    check_shape("x", x, "n", ebm.d)
    leaves = arrays(params, False)
    if on_device(x) and not any(map(isbox, (x, *leaves))):
        target = target_of(model, leaves, [x])
        if target is not None:
            return density.log_density(target, x)
    return tilted(model, x, *leaves)[0]


def target_of(model: Known, leaves: list[Array], others: Sequence[Array]) -> Target | None:
    """The model as the kernels take it. None unless it fits, and its arrays and the others are of one dtype on a device."""
    layers: list[Any] = list(zip(leaves[::2], leaves[1::2], strict=True))
    dtype = others[0].dtype
    if model.net.activation not in ACTIVATIONS or not all(on_device(a) and a.dtype == dtype for a in (*others, *leaves)):
        return None
    if leaves[-1] is no_bias_of(leaves[-2]):
        layers[-1] = leaves[-2], None
    return Target(layers, model.net.activation, model.sd) if fits(module_of(others[0]), widths(layers), dtype) else None


def recognised(log_density: Any) -> tuple[Known, list[Array]] | None:
    """Model and parameters of a `partial(ebm.log_density, params)`; None for any other function."""
    if not (isinstance(log_density, partial) and len(log_density.args) == 1 and not log_density.keywords):
        return None
    ebm = getattr(log_density.func, "__self__", None)
    if type(ebm) is not EBM or log_density.func != ebm.log_density:
        return None
    model = known(ebm)
    return None if model is None else (model, arrays(log_density.args[0], False))


def density_and_score(model: Known, leaves: list[Array], x: Array) -> tuple[Array, Array]:
    """log p (n,) and its gradient (n, d), nothing looked at."""
    wide, *leaves = of_one_dtype([x, *leaves])
    (log_p,), (_, _, saved) = forward(model, wide, *leaves)
    score: Array = back_through(model.net, saved, module_of(x).full((len(x), 1), -1, wide.dtype), leaves=False)[0]
    if model.sd is not None:
        score = score - wide / model.sd**2
    return log_p, score.astype(x.dtype, copy=False)


REPLACEMENTS = {"ebm.energies.EBM.log_density": log_density}
