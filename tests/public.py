"""A small valid call of everything public that takes arrays: from these the tests of the gate derive theirs.

    name -> (function, {argument: its shape, `Small(shape)`, or the array itself})

The arguments get whole numbers, which every dtype holds: up to a limit that the test sets, or from 0 to 3 (`Small`) where large
ones would overflow an exponential. Names are those of the rooms' `__all__`, a method's with its class.
"""
import inspect
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import autograd.numpy as anp
import numpy as np

from evenflow.reference import ebm, flows, mcmc, saef, scores, targets
from evenflow.reference.core import MLP, ConvNet, MaskedMLP, bounded, conv2d, gated, logsumexp, normal_quantile
from evenflow.reference.ebm import Rates, normalizer
from evenflow.reference.flows import Normal
from evenflow.reference.flows.image import checkerboard
from evenflow.reference.mcmc.adaptation import warm_up
from evenflow.reference.mcmc.ess import autocorrelation, integrated_time
from evenflow.reference.mcmc.rhat import split_rhat
from tests.strategies import randomise


class Small(NamedTuple):
    """An argument of this shape whose numbers are small."""
    shape: tuple[int, ...]


Spec = tuple[int, ...] | Small | np.ndarray
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Spec]]] = {}
EXEMPT = {  # public, and nobody calls them with arrays of his own
    "pullback": "takes functions; what it gives is called here",
    "EachPlace.gathered": "what the bijection of the channels gives, put together",
    **dict.fromkeys(("FCE.init", "CoopFlow.init", "NTEBM.init"), "takes parameters alone"),
    **dict.fromkeys((
        "AffineTransformer.shape", "SplineTransformer.shape", "Coupling.raw", "Coupling.select", "MaskedAutoregressive.raw",
        "TwoMoons.curve", "Spirals.curve", "Energy.score", "Sliced.score", "FlowMCEBM.kernel", "FlowMCEBM.negatives",
        "FlowMCEBM.adaptation", "FCE.log_p", "ConvCoupling.raw",
    ), "a part of what is called here"),
}


def call(name: str, function: Callable[..., Any], **arguments: Spec) -> None:
    CALLS[name] = function, arguments


def trained(model: Any, scale: float = 0.1) -> Any:
    """Parameters away from the start."""
    return randomise(model.init(np.random.default_rng(0)), np.random.default_rng(1), scale)


def semi(blocks: Any, **choices: Any) -> Any:
    return saef.saef(3, blocks, hidden=(8,), **choices)


def log_p(x: Any) -> Any:
    return -anp.sum((x - 1) ** 2, axis=1) / 2


# core
for net, width in ((MLP(2, 3, (4,), context_dim=1), 2), (MaskedMLP((1, 2), (1, 2), (4,), context_dim=1), 2)):
    call(f"{type(net).__name__}.__call__", partial(net, trained(net)), x=(5, width), context=(5, 1))
images = ConvNet((2, 2, 1), 3, width=4, blocks=1, context_dim=1, groups=1)
call("ConvNet.__call__", partial(images, trained(images)), x=(5, 2, 2, 1), context=(5, 1))
call("conv2d", conv2d, x=(2, 3, 3, 2), W=(2, 2, 2, 3), b=(3,))
call("gated", gated, a=(5, 4))
call("bounded", bounded, raw=(5,))
call("logsumexp", partial(logsumexp, axis=1), a=(5, 3))
call("normal_quantile", normal_quantile, alpha=np.array([0.25, 0.5]))

# targets
for target in (targets.two_modes(), targets.Rings(), targets.TwoMoons(), targets.Spirals(), targets.Checkerboard(),
               targets.Pinwheel()):
    kind = type(target).__name__
    noise = target.noise(np.random.default_rng(0), 4)
    call(f"{kind}.sample", lambda target=target, **noise: target.sample(noise), **{
        k: v if k == "component" else Small(v.shape) if k == "normals" else np.zeros(v.shape) for k, v in noise.items()
    })
    for method in ("log_prob", "zones"):
        if hasattr(target, method):
            call(f"{kind}.{method}", getattr(target, method), x=Small((4, 2)))

# scores
each, shared, y = (4, 3, 2), (4, 2), (3, 2)
for name in ("energy_score", "sliced_energy_score", "kernel_score"):
    more: dict[str, Spec] = {"directions": np.eye(2)} if "sliced" in name else {}
    f = getattr(scores, name) if name != "kernel_score" else partial(scores.kernel_score, kernel=scores.distance_kernel())
    call(name, f, draws=each, y=y, **more)
    call(f"{name} shared", f, draws=shared, y=y, **more)
call("energy_distance", scores.energy_distance, x=(4, 2), y=(3, 2))
call("sliced_energy_distance", scores.sliced_energy_distance, x=(4, 2), y=(3, 2), directions=np.eye(2))
call("mmd", lambda x, y: scores.mmd(x, y, scores.linear_kernel()), x=(4, 2), y=(3, 2))
for kernel in (scores.rbf_kernel(), scores.linear_kernel(), scores.distance_kernel()):
    call(f"{type(kernel).__name__}.__call__", kernel, a=(4, 2), b=(4, 2))
call("crps", scores.crps, draws=(4, 3), y=(3,))
call("crps_normal", scores.crps_normal, mean=(3,), sd=np.array([1.0, 2.0, 3.0]), y=(3,))
call("quantile_score", scores.quantile_score, quantile=(3,), y=(3,), alpha=np.array([0.25, 0.5, 0.75]))
call("random_directions", scores.random_directions, noise=np.array([[3.0, 4.0], [0.0, 1.0]]))

# flows
for density in (Normal(2, 3.0), flows.Uniform(2, -1.0, 200.0)):
    kind = type(density).__name__
    call(f"{kind}.sample", density.sample, noise=(4, 2))
    call(f"{kind}.log_prob", density.log_prob, x=(4, 2))
call("affine", flows.affine, z=(4,), log_scale=Small((4,)), shift=(4,))
call("affine_inverse", flows.affine_inverse, x=(4,), log_scale=Small((4,)), shift=(4,))
call("dense", flows.dense, z=(4, 2), W=np.array([[0.0, 1.0], [2.0, 1.0]]), shift=(4, 2))
call("dense_inverse", flows.dense_inverse, x=(4, 2), W=np.array([[0.0, 1.0], [2.0, 1.0]]), shift=(4, 2))
ends, ones = np.array([[0.0, 2.0, 5.0]] * 4), np.ones((4, 3))
call("rational_quadratic_spline", flows.rational_quadratic_spline, z=(4,), x_knots=ends, y_knots=2 * ends, slopes=ones)
call("rational_quadratic_spline_inverse", flows.rational_quadratic_spline_inverse,
     x=(4,), x_knots=ends, y_knots=2 * ends, slopes=ones)
for transformer in (flows.AffineTransformer(), flows.SplineTransformer(4)):
    kind = type(transformer).__name__
    call(f"{kind}.forward", transformer.forward, raw=Small((4, transformer.width)), z=(4,))
    call(f"{kind}.inverse", transformer.inverse, raw=Small((4, transformer.width)), x=(4,))
coupling = flows.Coupling((True, False, True), context_dim=1)
LAYERS: tuple[tuple[str, Any, int], ...] = (
    ("Coupling", coupling, 1), ("MaskedAutoregressive", flows.MaskedAutoregressive((1, 0, 2), context_dim=1), 1),
    ("Coupling spline", flows.Coupling((True, False, True), flows.SplineTransformer(4), context_dim=1), 1),
    ("Dense", flows.Dense(3, 1), 1), ("PLU", flows.PLU((1, 0, 2), 1), 1), ("Permutation", flows.reversal(3), 0),
    ("LeakyReLU", flows.LeakyReLU(3), 0), ("SmoothLeakyReLU", flows.SmoothLeakyReLU(3), 0),
    ("Chain", flows.Chain((coupling, flows.elementwise(3, context_dim=1))), 1), ("Invert", flows.Invert(coupling), 1),
    ("SAEF", semi(3, block_map="affine", context_width=4, context_dim=1).bijection, 1),
    ("SAEF coupling", semi((2, 1), block_map="coupling", map_hidden=(4,), context_dim=1).bijection, 1),
)
for name, layer, c in LAYERS:
    part, _, rest = name.partition(" ")
    given = {"context": (4, 1)} if c else {}
    call(f"{part}.forward {rest}".strip(), partial(layer.forward, trained(layer)), z=(4, 3), **given)
    call(f"{part}.inverse {rest}".strip(), partial(layer.inverse, trained(layer)), x=(4, 3), **given)
board = flows.ConvCoupling((2, 2, 1), checkerboard((2, 2, 1), odd=False), 4, 1, 1)
on_grid: Any = saef.image_saef((2, 2, 1), 1, "affine", (4,), 4, context_dim=1).bijection  # type: ignore[union-attr]
for name, layer, c in (
    ("Inside", flows.Inside(flows.Dense(2, 1), (0, 3), 4), 1), ("EachPlace", flows.EachPlace((2, 1, 2), flows.PLU((1, 0))), 0),
    ("ActNorm", flows.ActNorm(4), 0), ("ConvCoupling", board, 1), ("ImageSAEF", on_grid, 1),
):
    given = {"context": (4, 1)} if c else {}
    call(f"{name}.forward", partial(layer.forward, trained(layer)), z=Small((4, 4)), **given)
    call(f"{name}.inverse", partial(layer.inverse, trained(layer)), x=Small((4, 4)), **given)
call("ActNorm.start", flows.ActNorm(2).start, x=(4, 2))
call("started", lambda x, context: flows.started(flows.Chain((board,)), [trained(board)], x, context)[1], x=Small((4, 4)),
     context=(4, 1))
flow = flows.realnvp(2, layers=2, hidden=(4,), context_dim=1)
params = trained(flow)
call("Flow.sample", partial(flow.sample, params), noise=(4, 2), context=(4, 1))
call("Flow.sample_and_log_prob", partial(flow.sample_and_log_prob, params), noise=(4, 2), context=(4, 1))
call("Flow.log_prob", partial(flow.log_prob, params), x=(4, 2), context=(4, 1))
call("Flow.inverse", partial(flow.inverse, params), x=(4, 2), context=(4, 1))
call("Flow.loss", partial(flow.loss, params, score=scores.energy_score), x=(4, 2), noise=(8, 2), context=(4, 1))

# saef
whole = semi(3, context_width=4, block_map="affine")
forms = semi(3, context_width=4, map_hidden=(4,), block_map="free_form")
for name, model in (("SAEF", whole.bijection), ("FreeForm", forms)):
    call(f"{name}.generate", partial(model.generate, trained(model)), z=(4, 3))
    call(f"{name}.forecasts", partial(model.forecasts, trained(model)), x=(4, 3), z=(8, 3))
call("OnGrid.forecasts", partial(on_grid.forecasts, trained(on_grid)), x=Small((4, 4)), z=Small((8, 4)), context=(4, 1))
call("OnGrid.generate", partial(on_grid.generate, trained(on_grid)), z=Small((4, 4)), context=(4, 1))
call("FreeForm.sample", partial(forms.sample, trained(forms)), noise=(4, 3))
call("FreeForm.loss", partial(forms.loss, trained(forms), score=scores.energy_score), x=(4, 3), noise=(8, 3))
quantiles = saef.aqf(2, hidden=(4,))
levels = np.array([[[0.25, 0.5]] * 4] * 3)
call("AQF.quantiles", partial(quantiles.quantiles, trained(quantiles)), alpha=levels, x=(4, 2))
call("AQF.quantile_loss", partial(quantiles.quantile_loss, trained(quantiles)), x=(4, 2), alpha=levels)
call("Quantile.__call__", lambda x, alpha: saef.Quantile(3)(trained(quantiles), quantiles, x, {"alpha": alpha}),
     x=(4, 2), alpha=levels)
for objective in (saef.Energy(draws=2), saef.Sliced(draws=2), saef.MMD(draws=2)):
    more = {"v": np.array([[3.0, 4.0, 1.0]])} if isinstance(objective, saef.Sliced) else {}
    call(f"{type(objective).__name__}.__call__", lambda x, noise, objective=objective, **more: objective(
        trained(whole), whole, x, {"z": noise, **more}), x=(4, 3), noise=(8, 3), **more)

# mcmc
start, uniform = np.array([[1.0, 0.0], [2.0, 1.0], [0.0, 3.0]]), np.array([0.0, 0.0, 1.0])
proposer = flows.realnvp(2, layers=2, hidden=(4,))
KERNELS: tuple[Any, ...] = (
    mcmc.ULA(0.1), mcmc.MALA(0.1), mcmc.HMC(0.1, 2), mcmc.RandomWalk(1.0), mcmc.FlowMC(((mcmc.MALA(0.1), 1),)),
    mcmc.IndependentMH(proposer, trained(proposer)), mcmc.ISIR(proposer, trained(proposer), 3),
)
for walker in KERNELS:
    kind = type(walker).__name__
    call(f"{kind}.init", partial(walker.init, log_density=log_p), x=Small((3, 2)))

    def step(noise: Any, uniform: Any = None, walker: Any = walker) -> Any:
        given = {"flow" if isinstance(walker, mcmc.IndependentMH) else "normal": noise, "uniform": uniform}
        return walker.step(walker.init(start, log_p), [[given]] if isinstance(walker, mcmc.FlowMC) else given, log_p)

    rows = 6 if isinstance(walker, mcmc.ISIR) else 3
    call(f"{kind}.step", step, noise=Small((rows, 2)), **{} if isinstance(walker, mcmc.ULA) else {"uniform": uniform})
call("run", lambda x: mcmc.run(mcmc.MALA(0.1), x, log_p, 2, np.random.default_rng(0)), x=Small((3, 2)))
call("warm_up", lambda x: warm_up(mcmc.MALA(0.1), x, log_p, 2, np.random.default_rng(0)), x=Small((3, 2)))
pulled = mcmc.pullback(log_p, proposer, trained(proposer))
call("pullback's", pulled, z=Small((3, 2)))
for name, diagnostic in (
    ("ess", mcmc.ess), ("rhat", mcmc.rhat), ("split_rhat", split_rhat), ("autocorrelation", autocorrelation),
    ("integrated_time", partial(integrated_time, trust=1)),
):
    call(name, diagnostic, draws=np.random.default_rng(0).integers(0, 100, (200, 2)).astype(float))

# ebm
energy = ebm.MLPEnergy(2, (4, 4))
tilted, theta = ebm.EBM(energy, Normal(2)), trained(energy)
call("MLPEnergy.__call__", partial(energy, theta), x=(4, 2))
picture = ebm.ConvEnergy((4, 4, 1), (2, 3))
call("ConvEnergy.__call__", partial(picture, trained(picture)), x=(3, 16))
call("EBM.log_density", partial(tilted.log_density, theta), x=(4, 2))
call("Likelihood.__call__", lambda x: saef.Likelihood()(trained(whole), whole, x, {}), x=(4, 3))
call("contrast", partial(ebm.energies.contrast, energy, theta), positives=(4, 2), negatives=(2, 2),
     weights=np.array([0.0, 1.0]))
pair = flows.realnvp(2, layers=2, hidden=(4,))
ALGORITHMS: tuple[Any, ...] = (
    ebm.PCD(energy, Normal(2), steps=2, batch=3, buffer=3), ebm.CoopFlow(energy, pair, steps=2, batch=3),
    ebm.FCE(energy, pair, batch=3), ebm.NTEBM(energy, pair, steps=2, batch=3), ebm.Jarzynski(energy, Normal(2), walkers=3),
    ebm.FlowMCEBM(energy, pair, ((mcmc.MALA(0.1), 1), (partial(mcmc.ISIR, N=3), 1)), batch=3, buffer=3),
)
for algorithm in ALGORITHMS:
    kind, rng = type(algorithm).__name__, np.random.default_rng(0)
    more_arguments = (trained(pair),) if kind in ("CoopFlow", "NTEBM") else ()
    state = algorithm.init(rng, *more_arguments)._replace(energy=theta)
    noise = algorithm.noise(rng)
    call(f"{kind}.step", partial(algorithm.step, state, noise=noise, rates=Rates(0.01, 0.01)), positives=(4, 2))
    call(f"{kind}.log_density", partial(algorithm.log_density, state), x=(4, 2))
call("importance", normalizer.importance, log_p=Small((5,)), log_q=Small((5,)))
call("bridge", normalizer.bridge, **{f"log_{f}_at_{at}": Small((5,)) for f in "pq" for at in "pq"})
between = np.array([0.0, 0.5, 1.0])
call("annealed", lambda x, temperatures: normalizer.annealed(
    log_p, Normal(2).log_prob, x, temperatures, mcmc.MALA(0.1), [{"normal": np.ones((3, 2)), "uniform": np.zeros(3)}]
), x=Small((3, 2)), temperatures=between)


def public() -> set[str]:
    """Every public function and method of the rooms that takes an array or a tree."""
    found = set()
    for room in (targets, scores, flows, saef, mcmc, ebm):
        for name in room.__all__:
            found |= set(taking_arrays(room, name))
    return found


def taking_arrays(room: ModuleType, name: str) -> list[str]:
    thing = getattr(room, name)
    if inspect.isfunction(thing):
        return [name] if takes_arrays(thing) else []
    if not inspect.isclass(thing) or getattr(thing, "_is_protocol", False):
        return []
    methods = [(k, v) for k, v in vars(thing).items() if inspect.isfunction(v) and (k == "__call__" or not k.startswith("_"))]
    return [f"{name}.{k}" for k, v in methods if takes_arrays(v)]


def takes_arrays(function: Callable[..., Any]) -> bool:
    """Array and Tree are names for Any."""
    kinds = [p.annotation for p in inspect.signature(function).parameters.values()]
    return any(Any in (kind, *getattr(kind, "__args__", ())) for kind in kinds)
