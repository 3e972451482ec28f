"""The samplers of latent_chains.py: each trained model's own, and controls that change one thing about it."""
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from evenflow.experiments.planar import N, Study
from evenflow.experiments.planar_measures import chains as walkers_of
from evenflow.reference.core import Array, Tree, fetched, number, placed
from evenflow.reference.ebm import FCE, NTEBM, CoopFlow, FlowMCEBM, Jarzynski
from evenflow.reference.mcmc import ISIR, MALA, ULA, FlowMC, IndependentMH, pullback, run
from evenflow.reference.mcmc.adaptation import warm_up
from evenflow.reference.mcmc.contract import LogDensity, noise_like
from evenflow.reference.mcmc.zones import acceptance

SAMPLERS = {  # name -> the density that is walked on, where, and how
    "flowmc": ("flowMC's E", "data", "1 i-SIR, 24 MALA in turn"), "flowmc-local": ("flowMC's E", "data", "MALA"),
    "flowmc-latent": ("flowMC's E", "latent, flowMC", "MALA"), "flowmc-exact": ("p\\*", "latent, flowMC", "MALA"),
    "pcd": ("PCD's E", "data", "ULA"),
    "nt": ("NT's E", "latent, NT", "MALA"), "nt-longer": ("NT's E", "latent, NT", "MALA, longer"),
    "nt-exact": ("p\\*", "latent, NT", "MALA"), "exact-local": ("p\\*", "data", "MALA"),
    "exact-flowmc": ("p\\*", "data", "1 i-SIR of NT's flow, 24 MALA"),
    "coopflow": ("CoopFlow's E", "data", "Langevin without noise"), "fce": ("FCE's E", "data", "draws of its flow"),
    "jarzynski": ("Jarzynski's E", "data", "ULA"),
}
CHAINS = 64
WARMING, FIRST_STEP = 200, 0.01  # of MALA where no training has found its step
AT_ONCE = 100                    # steps of all chains, through the flow


class Sampler(NamedTuple):
    """name: one of SAMPLERS; start (chains, d): where its chains begin, in the space where log_density is one."""
    name: str
    kernel: Any
    start: Array
    log_density: LogDensity
    latent: bool = False  # whether that is the flow's latent space
    exact: bool = False   # whether p* is walked on, not the model
    longer: int = 1       # times the usual number of steps


@dataclass(frozen=True)
class Uphill(ULA):
    """Langevin's drift without its noise: CoopFlow's revision."""

    def noise(self, rng: np.random.Generator, chains: int, d: int) -> Tree:
        return {"normal": np.zeros((chains, d))}


def samplers(study: Study, model: Any, state: Any, longer: int, rng: np.random.Generator) -> Iterator[Sampler]:
    """Those of a trained model, its own first."""
    if isinstance(model, FlowMCEBM):
        yield from of_flowmc(study, model, state, rng)
    elif isinstance(model, NTEBM):
        yield from of_nt(study, model, state, longer, rng)
    elif isinstance(model, FCE):
        log_lambda = partial(model.flow.log_prob, state.flow)  # always accepted: independent draws
        yield Sampler("fce", IndependentMH(model.flow, state.flow), draws(model, state, rng)[1], log_lambda)
    else:
        log_p = partial(model.ebm.log_density, state.energy)
        if isinstance(model, CoopFlow):
            yield Sampler("coopflow", Uphill(model.step_size), draws(model, state, rng)[1], log_p)
        elif isinstance(model, Jarzynski):
            x, _, weights = walkers_of(model, state, 0, rng)
            x = placed(x[rng.choice(len(x), CHAINS, p=weights)], np.float32)
            yield Sampler("jarzynski", ULA(model.step_size), x, log_p)
        else:
            yield Sampler("pcd", ULA(model.step_size), state.chains[:CHAINS], log_p)


def of_flowmc(study: Study, model: FlowMCEBM, state: Any, rng: np.random.Generator) -> Iterator[Sampler]:
    """Its own; from the same starts without i-SIR, in the data space and in the flow's latent space; there p* as well."""
    log_p, x, flow = partial(model.ebm.log_density, state.energy), state.chains[:CHAINS], model.flow
    cycle = replace(model, moves=study.moves(1 + study.local))
    yield Sampler("flowmc", cycle.kernel(state.flow, state.step_size), x, log_p)
    yield tuned("flowmc-local", x, log_p, rng)
    z, _ = flow.inverse(state.flow, x)
    yield tuned("flowmc-latent", z, pullback(log_p, flow, state.flow), rng, latent=True)
    z, _ = draws(model, state, rng)
    yield tuned("flowmc-exact", z, pullback(study.target.log_prob, flow, state.flow), rng, latent=True, exact=True)


def of_nt(study: Study, model: NTEBM, state: Any, longer: int, rng: np.random.Generator) -> Iterator[Sampler]:
    """Its own, twice; from the same starts p* in the latent space, and in the data space without i-SIR and with."""
    flow, true, (z, x) = model.flow, study.target.log_prob, draws(model, state, rng)
    log_p_z = pullback(lambda x: -model.energy(state.energy, x), flow, state.flow, tilted=True)
    own = Sampler("nt", MALA(number(state.step_size)), z, log_p_z, latent=True)
    yield own
    yield own._replace(name="nt-longer", longer=longer)
    yield tuned("nt-exact", z, pullback(true, flow, state.flow), rng, latent=True, exact=True)
    local = tuned("exact-local", x, true, rng, exact=True)
    yield local
    yield local._replace(name="exact-flowmc", kernel=FlowMC(((ISIR(flow, state.flow, N), 1), (local.kernel, study.local))))


def draws(model: Any, state: Any, rng: np.random.Generator) -> tuple[Array, Array]:
    """CHAINS points of the flow: z and x = T(z), each (CHAINS, d)."""
    z = placed(model.flow.base.sample(model.flow.noise(rng, CHAINS)), np.float32)
    return z, model.flow.bijection.forward(state.flow, z)[0]


def tuned(name: str, start: Array, log_density: LogDensity, rng: np.random.Generator, **more: Any) -> Sampler:
    """MALA, its step found from the same starts, and then frozen."""
    kernel, _ = warm_up(MALA(FIRST_STEP), start, log_density, WARMING, rng)
    return Sampler(name, kernel, start, log_density, **more)


def walked(sampler: Sampler, steps: int, rng: np.random.Generator) -> tuple[Array, dict[str, float]]:
    """Every state on the way, (steps, chains, d), and the acceptances; of flowMC a step is one move, local or global."""
    kernel, x, log_p = sampler.kernel, sampler.start, sampler.log_density
    if not isinstance(kernel, FlowMC):
        ran = run(kernel, x, log_p, steps, rng)
        kind = "global" if isinstance(kernel, IndependentMH) else "local"
        took = {} if isinstance(kernel, ULA) else {f"acceptance_{kind}": acceptance(ran.accepted)}
        return fetched(ran.x).astype(np.float64), took
    state, sweeps = kernel.init(x, log_p), []
    for _ in range(-(-steps // sum(moves for _, moves in kernel.blocks))):
        state, sweep = kernel.step(state, noise_like(x, kernel, rng), log_p)
        sweeps.append(sweep)
    far, near = (acceptance(np.concatenate([fetched(sweep.blocks[k]) for sweep in sweeps])) for k in (0, 1))
    x = np.concatenate([fetched(sweep.trace) for sweep in sweeps]).astype(np.float64)
    return x[:steps], {"acceptance_global": far, "acceptance_local": near}


def to_data(model: Any, state: Any, z: Array) -> Array:
    """T of every state z (steps, chains, d), some steps at a time."""
    parts = [placed(part.reshape(-1, z.shape[2]), np.float32) for part in np.array_split(z, -(-len(z) // AT_ONCE))]
    x = np.concatenate([fetched(model.flow.bijection.forward(state.flow, part)[0]) for part in parts])
    return x.astype(np.float64).reshape(z.shape)


def step_size(kernel: Any) -> float | None:
    """Of the local moves, if there are any."""
    return getattr(kernel.blocks[-1][0] if isinstance(kernel, FlowMC) else kernel, "step_size", None)


def evaluations(kernel: Any) -> float:
    """Of the log density, at a point and with its gradient or without, for each step of a chain.

    One where the state keeps what is known of the point; i-SIR looks at all its fresh slots, and each block of flowMC begins
    with a look at where the chains are. A flow that proposes what is always accepted needs no energy.
    """
    if isinstance(kernel, FlowMC):
        looks = sum(1 + moves * (k.N - 1 if isinstance(k, ISIR) else 1) for k, moves in kernel.blocks)
        return looks / sum(moves for _, moves in kernel.blocks)
    return 0.0 if isinstance(kernel, IndependentMH) else 1.0
