r"""An energy-based model as a run sees it: built from a Config, trained, sampled from, weighed; flow_model.py for flows.

The energy E is a perceptron (ebm/energies.py), its layers no narrower than 2 d, and the model $e^{-E}\, \rho$ with $\rho$ the
base of the flow; NT has the flow's own density in its place. The papers of PCD, CoopFlow and FCE have no $\rho$ (tilt none):
but with a perceptron alone Z need not be finite, and where it is, the weights of a flow's draws need not have a finite
variance. PCD's chains start from the base, tilted or not.

The loss in the log is the contrast, mean E(data) - mean E(samples): no likelihood, near zero throughout. Where a flow can weigh
the model, log.jsonl also holds, every 100 steps, the mean negative log-likelihood of held-out data.
"""
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from evenflow.reference.core import SGD, Adam, Array, Tree, check_count, fetched, placed, streams
from evenflow.reference.core.optim import SCHEDULES
from evenflow.reference.ebm import FCE, NTEBM, PCD, CoopFlow, FlowMCEBM, Jarzynski, MLPEnergy, Rates
from evenflow.reference.ebm.contract import Algorithm, check_unbounded
from evenflow.reference.ebm.jarzynski import softmax
from evenflow.reference.ebm.normalizer import LogZ, importance
from evenflow.reference.flows import Density, Flow, Permutation, Uniform, realnvp, spline_flow
from evenflow.reference.mcmc import HMC, ISIR, MALA, IndependentMH, RandomWalk
from evenflow.reference.mcmc.adaptation import Adaptable
from evenflow.reference.work import sampling
from evenflow.reference.work.checkpoints import Best, State
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.ebm_training import pretrained, train_ebm
from evenflow.reference.work.flow_model import base_of, looks
from evenflow.reference.work.given import Given
from evenflow.reference.work.options import Config
from evenflow.reference.work.rows import judges, rows_of
from evenflow.reference.work.sampling import Walk, flow_draws, walk
from evenflow.reference.work.shapes import Shape
from evenflow.reference.work.training import Settings
from evenflow.reference.work.units import Units

CHAINS = (sampling.CHAINS, 1000)  # at least and at most
BURN_IN, EVERY = 10, 2       # sweeps before the first samples are taken from the chains, and between takes
DRAWS = 2000  # of the flow judge the training as it goes on
TRUST = 0.01                 # where a smaller share of the draws is effective, they judge nothing
FROZEN = 0.05                # of the training: CoopFlow's flow waits so long (Xie et al. 2022)
PRETRAIN_RATE = 0.003        # of a flow trained beforehand, decaying linearly to zero
COPIES, COPIED = 16, 10**7   # of whole-number data, each dequantised anew, to pretrain a flow on; numbers in all


def build_energy(d: int) -> MLPEnergy:
    """At d <= 16 that of the papers. A layer narrower than the data would be blind to what it leaves out."""
    return MLPEnergy(d, tuple(max(width, 2 * d) for width in MLPEnergy(d).hidden))


def build_kernel(config: Config) -> Adaptable:
    if config.local_kernel == "hmc":
        return HMC(config.step_size, config.leapfrog_steps)
    return MALA(config.step_size) if config.local_kernel == "mala" else RandomWalk(config.step_size)


def build_companion(config: Config, rho: Density) -> Flow:
    """Exactly rho at the start: a RealNVP; on a cube splines, which stay in it."""
    if isinstance(rho, Uniform):
        return spline_flow(rho.d, config.layers, config.hidden, bound=rho.high, final_scale=0.0, base=rho)
    return realnvp(rho.d, config.layers, config.hidden, final_scale=0.0, base=rho)


def build_algorithm(config: Config, d: int) -> Algorithm:
    """The algorithm for data of d coordinates. Raises ValueError for choices that do not fit together."""
    energy, rho, batch = build_energy(d), base_of(config, d), config.batch
    how: dict[str, Any] = {"energy_optimiser": {"adam": Adam(), "sgd": SGD()}[config.energy_optimiser]}
    if hasattr(config, "tilt"):
        how["tilt"] = rho if config.tilt == "base" else None
    if config.algorithm in ("jarzynski", "coopflow") or (config.algorithm == "pcd" and how["tilt"]):
        check_unbounded("base", rho)
    if config.algorithm == "pcd":
        return PCD(energy, rho, config.local_steps, config.step_size, batch, config.buffer, **how)
    if config.algorithm == "jarzynski":
        return Jarzynski(energy, rho, config.step_size, config.buffer, **how)
    flow = build_companion(config, rho)
    if config.algorithm == "nt":
        return NTEBM(energy, flow, build_kernel(config), config.local_steps, batch, **how)
    if config.algorithm == "coopflow":
        return CoopFlow(energy, flow, config.local_steps, config.step_size, batch, **how)
    if config.algorithm == "fce":
        return FCE(energy, flow, batch, **how)
    local, half = build_kernel(config), config.local_steps // 2
    far: Any = partial(ISIR, N=config.N) if config.global_kernel == "isir" else IndependentMH
    moves: Any = ((local, half), (far, config.global_steps), (local, config.local_steps - half))
    return FlowMCEBM(energy, flow, tuple(move for move in moves if move[1]), batch, config.buffer, adapt=True, **how)


@dataclass(frozen=True)
class EnergyModel:
    """params are the algorithm's state; u (n, d) points in the model's units. No labels: context is always None."""
    config: Config
    algorithm: Algorithm
    flow: Flow  # the companion; for an algorithm without one the base alone

    abilities = ("log_z",)

    @classmethod
    def of(
        cls, config: Config, d: int, context_dim: int, whole: bool = False, shape: Shape | None = None
    ) -> "EnergyModel":
        algorithm = build_algorithm(config, d)
        return cls(config, algorithm, getattr(algorithm, "flow", Flow(base_of(config, d), Permutation(tuple(range(d))))))

    def init(self, rng: np.random.Generator, pretrain_on: Array | None = None) -> Any:
        """The algorithm's first state, in the run's dtype. pretrain_on (n, d): what its flow is trained on, if at all."""
        if not hasattr(self.config, "pretrain_steps"):
            state: Any = self.algorithm.init(rng)
        elif pretrain_on is None:
            state = self.algorithm.init(rng, self.flow.init(rng))
        else:
            steps, batch = self.config.pretrain_steps, self.config.batch
            state = self.algorithm.init(rng, pretrained(self.flow, pretrain_on, steps, rng, batch, PRETRAIN_RATE))
        return type(state)(*(placed(part, self.config.dtype) for part in state))

    def read(self, state: State) -> tuple[Any, Best | None]:
        """The algorithm's state, out of a checkpoint, and what it was chosen by, if it was."""
        best = state.best if self.config.keep == "best" else None
        params = state.params if best is None else best.params
        return type(self.init(np.random.default_rng(0)))(**placed(params, self.config.dtype)), best

    def like(self) -> Tree:
        return fetched(self.init(np.random.default_rng(0))._asdict())

    def log_density(self, params: Any, u: Array, context: Array | None = None) -> Array:
        """log p + log Z: u (n, d) -> (n,)."""
        return self.algorithm.log_density(params, u)

    def log_z(self, params: Any, draws: int, rng: np.random.Generator) -> LogZ:
        """By importance sampling from the companion flow."""
        return importance(*self.flow_draws(params, draws, rng))

    def flow_draws(self, params: Any, draws: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """log p + log Z and log lambda at draws of the companion flow."""
        return flow_draws(partial(self.log_density, params), self.flow, flow_params(params), draws, rng, self.config.dtype)

    def sample(self, params: Any, n: int, rng: np.random.Generator, context: Array | None = None) -> Array:
        """n samples (n, d) through flowMC. Those beyond the first 1,000 come from the same chains."""
        return self.sample_and_walk(params, n, rng)[0]

    def sample_and_walk(self, params: Any, n: int, rng: np.random.Generator) -> tuple[Array, Walk]:
        """The samples, and the walk they come from: its acceptances say how far to trust them."""
        check_count("n", n)
        chains = min(max(n, CHAINS[0]), CHAINS[1])
        walked = self.walk(params, chains, BURN_IN + EVERY * (-(-n // chains) - 1), rng)
        return walked.x[BURN_IN - 1 :: EVERY].reshape(-1, self.flow.d)[:n], walked

    def walk(self, params: Any, chains: int, sweeps: int, rng: np.random.Generator) -> Walk:
        """flowMC from the companion flow, or from the persistent chains where there is none."""
        if hasattr(params, "flow"):
            dtype = self.config.dtype
            x = self.flow.sample(params.flow, placed(self.flow.noise(streams(rng, dtype), chains), dtype))
        else:
            x = resting(params, chains, rng)
        N = self.config.N if hasattr(self.config, "N") else 32
        adapted = self.config.algorithm == "flowmc" and self.config.local_kernel == "mala"
        step_size = float(params.step_size[0]) if adapted else 0.01  # where the warm-up begins; NT's is one of latent space
        return walk(partial(self.log_density, params), self.flow, flow_params(params), x, sweeps, rng, step_size, N)

    def rates(self) -> Callable[[int], Rates]:
        """The learning rates of every step."""
        config, schedule = self.config, SCHEDULES[self.config.schedule]
        energy = schedule(config.learning_rate, config.steps)
        if not hasattr(config, "flow_learning_rate"):
            return lambda step: Rates(energy(step))
        flow = schedule(config.flow_learning_rate, config.steps)
        waits = FROZEN * config.steps if config.algorithm == "coopflow" else 0
        return lambda step: Rates(energy(step), flow(step) if step >= waits else 0.0)

    def judged_by(self, units: Units) -> str:
        return "loss"

    def fit(
        self, units: Units, dataset: Dataset, given: Given | None, resume: bool = False, **kept: Any
    ) -> tuple[Any, Best | None]:
        """As `read`, after training. kept: callback, checkpoint, identity, as in `training.loop`."""
        config, rng = self.config, np.random.default_rng(self.config.seed)

        rows = rows_of(dataset.train, units, config.dtype, weights=dataset.train_weights)
        judging = dataset.held_out[judges(dataset.held_out_weights)]

        def draw(step: int, rng: np.random.Generator) -> Array:
            return rows.at(rows.some(config.batch, rng), rng)[0]

        def judge(state: Any) -> dict[str, float]:
            """log_z, its effective sample size; loss: mean negative log-likelihood of held-out data, nats in the user's units.

            The same rows and noise every time. No loss where few draws are effective: it would come out too small.
            """
            rng = np.random.default_rng(config.seed)
            log_z = self.log_z(state, DRAWS, rng)
            told = {"log_z": log_z.log_z, "log_z_ess": log_z.ess}
            if log_z.ess < TRUST * DRAWS:
                return told
            u, log_det = units.steps(judging, units.uniforms(judging, rng))
            at_data = fetched(self.log_density(state, placed(u, config.dtype))) + log_det
            return {"loss": log_z.log_z - float(np.mean(at_data.astype(np.float64))), **told}

        data = None
        if hasattr(config, "pretrain_steps") and not resume:
            times = 1 if units.counted is None else max(1, min(COPIES, COPIED // dataset.train.size))
            copies = np.concatenate([dataset.train] * times)
            data = rows_of(copies, units, config.dtype).at(slice(None), rng)[0]
        settings = Settings(
            config.steps, patience=config.patience, evaluate_every=looks(len(dataset.train)),
            best_by=lambda told: told.get("loss", math.nan),
        )
        start = self.init(rng, data)
        return self.read(train_ebm(
            self.algorithm, start, draw, self.rates(), settings, rng, evaluate=judge, resume=resume, **kept
        ))


def flow_params(state: Any) -> Tree:
    return getattr(state, "flow", {})  # of the base alone: none


def resting(state: Any, n: int, rng: np.random.Generator) -> Array:
    """Where n chains may start: some of the persistent chains of PCD, or of Jarzynski's walkers by their weights."""
    if hasattr(state, "walkers"):
        p = softmax(fetched(state.log_weights).astype(np.float64))
        return state.walkers[rng.choice(len(p), size=n, p=p / p.sum())]
    return state.chains[rng.choice(len(state.chains), size=n, replace=n > len(state.chains))]
