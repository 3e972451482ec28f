"""What the backend compiled does in C++: chains of affine couplings, MALA and ULA on perceptron energies. All else is NumPy's.

A context, a spline, another density, arrays of several dtypes or of shapes that do not fit: those go to the functions of the
backend numpy, which compute them or say what is wrong: each function here gets its own as `numpys`.
"""
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from evenflow.accel.compiled.calls import NAMES, Energy, Pass, Plan, plan_of_chain, plan_of_energy
from evenflow.accel.compiler import library
from evenflow.accel.core.networks import arrays
from evenflow.accel.energies import recognised
from evenflow.accel.fused import fused
from evenflow.reference.core import Array, Tree
from evenflow.reference.flows import AffineTransformer, Chain, Coupling
from evenflow.reference.flows.contract import check_input
from evenflow.reference.flows.densities import LOG_2PI, Normal
from evenflow.reference.mcmc.contract import Info, LogDensity
from evenflow.reference.mcmc.langevin import MALA, ULA, State
from evenflow.reference.mcmc.latent import pulled_back

Numpys = Callable[..., Any]  # what the backend numpy has in the same place
WIDEST = 128     # of a hidden layer
LARGEST = 80.0   # of a log scale whose e^s is a number in float32 too


def forward(plan: Plan, x: Array, *leaves: Array, keep: bool = True) -> tuple[tuple[Array, Array], Any]:
    way = Pass(plan, list(leaves))
    image, log_det, kept = way.forward(x, keep)
    return (image, log_det), (way, image, kept)


def backward(saved: Any, wanted: tuple[int, ...], g: Array | None, g_log_det: Array | None) -> list[Array]:
    way, image, kept = saved
    g = np.zeros_like(image) if g is None else g
    g_log_det = np.zeros(len(image), image.dtype) if g_log_det is None else g_log_det
    of_x, of_leaves = way.backward(g, g_log_det, kept, max(wanted) > 1)
    return [of_x if i == 1 else of_leaves[i - 2] for i in wanted]


chained = fused(forward, backward, partial(forward, keep=False))


def through(couplings: tuple[Any, ...], params: Sequence[Tree], x: Array, back: bool) -> tuple[Array, Array] | None:
    """Image and log_det of couplings, given from noise to data; None where they are not done here."""
    planned = plan_of(couplings, params, back)
    if planned is None:
        return None
    plan, leaves = planned
    out, log_det = chained(plan, x, *leaves)
    return out, log_det


def plan_of(couplings: tuple[Any, ...], params: Sequence[Tree], back: bool) -> tuple[Plan, list[Array]] | None:
    """What C++ needs to know of couplings that it can do, and the leaves."""
    if not all(map(narrow, couplings)) or len(params) != len(couplings):
        return None
    plan, leaves = plan_of_chain(couplings, back), [leaf for p in params for leaf in arrays(p, False)]
    return (plan, leaves) if tuple([leaf.shape for leaf in leaves]) == plan.shapes else None


def narrow(each: Any) -> bool:
    """Whether this is an affine coupling without a context whose products are too small for BLAS to pay."""
    affine = type(each) is Coupling and type(each.transformer) is AffineTransformer and each.transformer.limit <= LARGEST
    return affine and not each.context_dim and max((*each.hidden, each.d)) <= WIDEST


def chain(
    numpys: Numpys, chain: Chain, params: Tree, x: Array, context: Array | None = None, *, back: bool
) -> tuple[Array, Array]:
    """flows.compose.Chain.forward and inverse."""
    check_input(chain, "x" if back else "z", x, context)
    done = through(chain.layers, params, x, back) if type(chain) is Chain else None
    return done or numpys(chain, params, x, context)


def one(
    numpys: Numpys, coupling: Coupling, params: Tree, x: Array, context: Array | None = None, *, back: bool
) -> tuple[Array, Array]:
    """flows.coupling.Coupling.forward and inverse."""
    check_input(coupling, "x" if back else "z", x, context)
    return through((coupling,), [params], x, back) or numpys(coupling, params, x, context)


def energy_of(log_density: LogDensity, x: Array, *others: Array) -> Energy | None:
    """The energy behind a log density, if it can be computed here at x and beside these other arrays."""
    latent = log_density.args if isinstance(log_density, partial) and log_density.func is pulled_back else None
    model = recognised(log_density if latent is None else latent[0])
    if model is None or not isinstance(x, np.ndarray) or x.dtype not in NAMES:
        return None
    ((net, sd), leaves), way, d = model, None, x.shape[1]
    if latent is not None:
        _, flow, params, tilted = latent
        known = tilted and sd is None and type(flow.base) is Normal and type(flow.bijection) is Chain
        way = plan_of(flow.bijection.layers, params, back=False) if known else None
        if way is None:
            return None
        sd = float(flow.base.sd)
    plan = plan_of_energy(net.activation, (d, *(W.shape[-1] for W in leaves[::2])))
    together = (*leaves, *others, *(way[1] if way else ()))
    if tuple([leaf.shape for leaf in leaves]) != plan.shapes or any(array.dtype != x.dtype for array in together):
        return None
    constant = 0.0 if sd is None else -d * (0.5 * LOG_2PI + math.log(sd))
    return Energy(plan, leaves, 0.0 if sd is None else 1 / sd**2, constant, Pass(*way) if way else None)


def density_and_gradient(numpys: Numpys, x: Array, log_density: LogDensity) -> tuple[Array, Array]:
    """mcmc.contract.density_and_gradient."""
    energy = energy_of(log_density, x)
    if energy is not None:
        log_p, score = energy.density(x)
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(x.sum() + log_p.sum() + score.sum()):  # NaN and infinity survive a sum
                return log_p, score
    return numpys(x, log_density)  # type: ignore[no-any-return]


def walked(
    state: State, noises: Sequence[Array], uniforms: Sequence[Array] | None, step_size: float, log_density: LogDensity
) -> tuple[State, Array, Array, Array] | None:
    """The last state, positions, acceptances and log ratios of all steps of MALA, or without uniforms of ULA.

    None where NumPy is to do them.
    """
    fits = all(noise.shape == state.x.shape for noise in noises) and all(u.shape == state.log_p.shape for u in uniforms or ())
    energy = energy_of(log_density, state.x, *state, *noises, *(uniforms or ())) if fits else None
    done = None if energy is None else energy.walk(tuple(state), noises, uniforms, step_size)
    return None if done is None else (State(*done[0]), *done[1:])


def mala(
    numpys: Numpys, state: State, noise: Array, uniform: Array, step_size: float, log_density: LogDensity
) -> tuple[State, Info]:
    """mcmc.langevin.mala."""
    done = walked(state, [noise], [uniform], step_size, log_density)
    if done is None:
        return numpys(state, noise, uniform, step_size, log_density)  # type: ignore[no-any-return]
    after, _, accepted, log_ratio = done
    return after, Info(accepted[0], log_ratio[0])


def ula(numpys: Numpys, state: State, noise: Array, step_size: float, log_density: LogDensity) -> State:
    """mcmc.langevin.ula."""
    done = walked(state, [noise], None, step_size, log_density)
    return numpys(state, noise, step_size, log_density) if done is None else done[0]


def walk(
    numpys: Numpys, kernel: Any, state: Any, noises: Sequence[Tree], log_density: LogDensity
) -> tuple[Any, Array, Array]:
    """mcmc.contract.walk."""
    if type(kernel) in (MALA, ULA) and len(noises):
        uniforms = [noise["uniform"] for noise in noises] if type(kernel) is MALA else None
        done = walked(state, [noise["normal"] for noise in noises], uniforms, kernel.step_size, log_density)
        if done is not None:
            return done[:3]
    return numpys(kernel, state, noises, log_density)  # type: ignore[no-any-return]


REPLACEMENTS: dict[str, Callable[..., Any]] = {  # each with the backend numpy's function as its first argument
    "flows.compose.Chain.forward": partial(chain, back=False), "flows.compose.Chain.inverse": partial(chain, back=True),
    "flows.coupling.Coupling.forward": partial(one, back=False), "flows.coupling.Coupling.inverse": partial(one, back=True),
    "mcmc.contract.density_and_gradient": density_and_gradient, "mcmc.contract.walk": walk, "mcmc.langevin.mala": mala,
    "mcmc.langevin.ula": ula,
}


def table(numpys: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """The table of the backend numpy with these in it. Raises Unavailable where the kernels cannot be had."""
    library()
    return {**numpys, **{name: partial(function, numpys[name]) for name, function in REPLACEMENTS.items()}}
