r"""Drawing from a trained energy-based model, and weighing it: flowMC with everything frozen, and log Z.

    1.  chains start from the companion flow, or where the caller says
    2.  warm-up: MALA alone, its step size following the acceptance (mcmc/adaptation.py); what is drawn here is thrown away
    3.  sweeps of 4 MALA, 2 i-SIR, 4 MALA, the step size and the flow held fixed: p is left invariant

log Z comes from draws of the flow (ebm/normalizer.py). All in the model's units.
"""
from typing import NamedTuple

import numpy as np

from evenflow.reference.core import Array, Tree, check_count, fetched, placed, replayed, streams
from evenflow.reference.flows.flow import Flow
from evenflow.reference.mcmc.adaptation import warm_up
from evenflow.reference.mcmc.contract import LogDensity, noise_like
from evenflow.reference.mcmc.flowmc import FlowMC, State, Sweep
from evenflow.reference.mcmc.independence import ISIR, propose
from evenflow.reference.mcmc.independence import State as Proposed
from evenflow.reference.mcmc.langevin import MALA
from evenflow.reference.mcmc.zones import acceptance

WARM_UP, LOCAL, GLOBAL = 100, 4, 2
CHAINS = 200  # at least: of fewer the warm-up would follow the noise of their acceptance
CHUNK = 4096  # draws of the flow at a time: a network's activations then stay small


class Walk(NamedTuple):
    """What the chains did after the warm-up."""
    x: Array                  # (sweeps, chains, d)
    acceptance_local: float   # the share of MALA's proposals that were taken
    acceptance_global: float  # how often i-SIR chose another point than the current one
    step_size: float          # of MALA, as the warm-up left it


def walk(
    log_density: LogDensity, flow: Flow, params: Tree, x: Array, sweeps: int, rng: np.random.Generator,
    step_size: float = 0.01, N: int = 32,
) -> Walk:
    """From x (chains, d), whose dtype everything takes. step_size: where the warm-up begins; N: slots of i-SIR."""
    check_count("sweeps", sweeps)
    mala, x = warm_up(MALA(step_size), x, log_density, WARM_UP, rng)
    kernel = FlowMC(((mala, LOCAL), (ISIR(flow, params, N), GLOBAL), (mala, LOCAL)))

    def to_next(rng: np.random.Generator, state: State) -> tuple[State, Sweep]:
        return kernel.step(state, noise_like(x, kernel, rng), log_density)

    state, trace, local, jumps, go = kernel.init(x, log_density), [], [], [], replayed(to_next)
    for _ in range(sweeps):
        state, sweep = go(rng, state)
        before, jumped, after = (acceptance(fetched(block)) for block in sweep.blocks)
        trace.append(state.x)
        local.append((before + after) / 2)
        jumps.append(jumped)
    return Walk(fetched(np.stack(trace)), float(np.mean(local)), float(np.mean(jumps)), mala.step_size)


def flow_draws(
    log_density: LogDensity, flow: Flow, params: Tree, draws: int, rng: np.random.Generator, dtype: str
) -> tuple[Array, Array]:
    """log p and log lambda (draws,) at so many draws of the flow. Draws that overflow have log p = -inf."""
    check_count("draws", draws, least=2)

    def some(rng: np.random.Generator, n: int = CHUNK) -> Proposed:
        return propose(placed(flow.noise(streams(rng, dtype), n), dtype), log_density, flow, params)

    chunk = replayed(some)
    parts = [chunk(rng) if draws - done >= CHUNK else some(rng, draws - done) for done in range(0, draws, CHUNK)]
    log_p, log_lambda = (np.concatenate([getattr(part, name) for part in parts]) for name in ("log_p", "log_lambda"))
    return fetched(log_p), fetched(log_lambda)
