"""Training an energy-based model on a data set, keeping the run in a folder (folders.py), and sampling from it.

A TrainedEBM takes and gives data in the user's units; the standardisation is part of it. The algorithms themselves know the
model's units alone. The loss in the log is the contrast, mean E(data) - mean E(samples): no likelihood, near zero throughout.
Where a flow can weigh the model, log.jsonl also holds, every 100 steps, the mean negative log-likelihood of held-out data.
"""
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.reference.core import optim
from evenflow.reference.core.checks import check_count, check_finite, check_shape
from evenflow.reference.core.placement import fetched, placed, streams
from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.ebm import NTEBM, CoopFlow, Rates
from evenflow.reference.ebm.contract import Algorithm
from evenflow.reference.ebm.jarzynski import softmax
from evenflow.reference.ebm.normalizer import LogZ
from evenflow.reference.flows.flow import Flow
from evenflow.reference.work.checkpoints import load_checkpoint
from evenflow.reference.work.data import Dataset, Units
from evenflow.reference.work.ebm_loop import train_ebm
from evenflow.reference.work.ebm_models import EBMConfig, build_algorithm, build_flow
from evenflow.reference.work.folders import (
    CHECKPOINT,
    FORMAT,
    LOG,
    Log,
    PathLike,
    describe_data,
    described_columns,
    described_units,
    find_checkpoint,
    open_run,
    read_log,
)
from evenflow.reference.work.pretraining import pretrained
from evenflow.reference.work.sampling import Walk, flow_log_z, walk
from evenflow.reference.work.training import Progress, Settings

CHAINS = (200, 1000)         # at least, lest the warm-up follow noise, and at most
BURN_IN, EVERY = 10, 2       # sweeps before the first samples are taken from the chains, and between takes
HELD_OUT, DRAWS = 500, 2000  # held-out rows and draws of the flow that judge the training as it goes on
TRUST = 0.01                 # where a smaller share of the draws is effective, they judge nothing
FROZEN = 0.05                # of the training: CoopFlow's flow waits so long (Xie et al. 2022)
PRETRAIN_RATE = 0.003        # of a flow trained beforehand, decaying linearly to zero
COPIES = 16                  # of whole-number data, each dequantised anew, to pretrain a flow on


@dataclass(frozen=True)
class TrainedEBM:
    """A model with its parameters and the units of its data."""
    config: EBMConfig
    data: str                          # the data set's name, or its path
    units: Units
    columns: tuple[str, ...] | None
    algorithm: Algorithm
    state: Any                         # the algorithm's own

    @property
    def d(self) -> int:
        return len(self.units.shift)

    def log_density(self, x: Array, uniforms: Array | None = None) -> Array:
        """log p(x) + log Z.  x (n, d) in the user's units -> (n,) nats in those units. Whole numbers need uniforms (n, d)."""
        return fetched(self.log_p(self.to_model(x, uniforms))) + self.units.log_det()

    def log_z(self, draws: int, rng: np.random.Generator) -> LogZ:
        """log Z by importance sampling from the companion flow, or from N(0, I) where there is none."""
        return flow_log_z(self.log_p, *self.companion(), draws, rng, self.config.dtype)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """n samples (n, d) in the user's units, through flowMC. Those beyond the first 1,000 come from the same chains."""
        return self.sample_and_walk(n, rng)[0]

    def sample_and_walk(self, n: int, rng: np.random.Generator) -> tuple[Array, Walk]:
        """The samples, and the walk they come from: its acceptances say how far to trust them."""
        check_count("n", n)
        chains = min(max(n, CHAINS[0]), CHAINS[1])
        takes = -(-n // chains)
        walked = self.walk(chains, BURN_IN + EVERY * (takes - 1), rng)
        u = walked.x[BURN_IN - 1 :: EVERY].reshape(-1, self.d)[:n]
        return self.to_user(u), walked

    def walk(self, chains: int, sweeps: int, rng: np.random.Generator) -> Walk:
        """flowMC from the companion flow, or from the persistent chains where there is none; in the model's units."""
        flow, params = self.companion()
        if hasattr(self.state, "flow"):
            x = flow.sample(params, placed(flow.noise(streams(rng, self.config.dtype), chains), self.config.dtype))
        else:
            x = resting(self.state, chains, rng)
        return walk(self.log_p, flow, params, x, sweeps, rng, N=self.config.N or 32)

    def companion(self) -> tuple[Flow, Tree]:
        """The flow that proposes, with its parameters; the base alone, N(0, I), for an algorithm without a flow."""
        flow = build_flow(self.config, self.d)
        if hasattr(self.state, "flow"):
            return flow, self.state.flow
        return flow, placed(flow.init(np.random.default_rng(0)), self.config.dtype)  # at its start it is the identity

    def log_p(self, u: Array) -> Array:
        """log p + log Z in the model's units.  u (n, d) -> (n,)."""
        return self.algorithm.log_density(self.state, u)

    def to_model(self, x: Array, uniforms: Array | None = None) -> Array:
        check_shape("x", x, "n", self.d)
        check_finite("x", x)
        return placed(self.units.to_model(x, uniforms), self.config.dtype)

    def to_user(self, u: Array) -> Array:
        """In float64, as for flows (runs.py)."""
        return self.units.to_user(fetched(u).astype(np.float64))


def resting(state: Any, n: int, rng: np.random.Generator) -> Array:
    """Where n chains may start: some of the persistent chains of PCD, or of Jarzynski's walkers by their weights."""
    if hasattr(state, "walkers"):
        p = softmax(fetched(state.log_weights).astype(np.float64))
        return state.walkers[rng.choice(len(p), size=n, p=p / p.sum())]
    return state.chains[rng.choice(len(state.chains), size=n, replace=n > len(state.chains))]


def train_ebm_on(
    config: EBMConfig, dataset: Dataset, folder: PathLike | None = None, resume: bool = False,
    callback: Callable[[Progress], None] | None = None,
) -> TrainedEBM:
    """Train on a data set; with a folder, keep the run there, and with resume go on with the run that it holds.

    A run that was stopped before its first step, while its flow was pretrained, begins anew and comes out the same. Raises
    ValueError for choices that do not fit the data, FileExistsError for a folder that holds a run already, and what
    `training.loop` raises.
    """
    described = describe_ebm(config, dataset)
    trained = assemble_ebm(described)
    log = None if folder is None else Log(open_run(folder, described, resume) / LOG)
    resume = resume and not (folder is not None and never_began(Path(folder)))
    rng = np.random.default_rng(config.seed)
    first = begin(trained, rng, None if resume else to_pretrain_on(trained, dataset, rng))

    def report(progress: Progress) -> None:
        for tell in (log, callback):
            if tell is not None:
                tell(progress)

    state = train_ebm(
        trained.algorithm, first, lambda step, rng: batch(trained, dataset, rng), rates(config),
        Settings(config.steps), rng, callback=report, resume=resume, identity=described,
        evaluate=lambda state: judge(replace(trained, state=state), dataset),
        checkpoint=None if folder is None else Path(folder) / CHECKPOINT,
    )
    return replace(trained, state=state)


def never_began(folder: Path) -> bool:
    return not (folder / CHECKPOINT).exists() and not read_log(folder / LOG)


def batch(trained: TrainedEBM, dataset: Dataset, rng: np.random.Generator) -> Array:
    """Data rows for one step in the model's units, whole numbers freshly dequantised."""
    n = len(dataset.train)
    x = dataset.train[rng.choice(n, size=min(trained.config.batch, n), replace=False)]
    return trained.to_model(x, rng.random(x.shape) if trained.units.levels else None)


def rates(config: EBMConfig) -> Callable[[int], Rates]:
    """The learning rates of every step."""
    schedule = optim.SCHEDULES[config.schedule]
    energy = schedule(config.learning_rate, config.steps)
    if not config.flow_learning_rate:
        return lambda step: Rates(energy(step))
    flow = schedule(config.flow_learning_rate, config.steps)
    waits = FROZEN * config.steps if config.algorithm == "coopflow" else 0
    return lambda step: Rates(energy(step), flow(step) if step >= waits else 0.0)


def judge(trained: TrainedEBM, dataset: Dataset) -> dict[str, float]:
    """log_z and its effective sample size; loss: mean negative log-likelihood of held-out data, nats in the user's units.

    The same rows and the same noise every time. No loss where few draws are effective: it would come out too small.
    """
    rng, x = np.random.default_rng(trained.config.seed), dataset.held_out[:HELD_OUT]
    log_z = trained.log_z(DRAWS, rng)
    if log_z.ess < TRUST * DRAWS:
        return {"log_z": log_z.log_z, "log_z_ess": log_z.ess}
    at_data = trained.log_density(x, rng.random(x.shape) if trained.units.levels else None)
    loss = log_z.log_z - float(np.mean(at_data.astype(np.float64)))
    return {"loss": loss, "log_z": log_z.log_z, "log_z_ess": log_z.ess}


def begin(trained: TrainedEBM, rng: np.random.Generator, data: Array | None = None) -> Any:
    """The algorithm's first state, in the run's dtype.  data (n, d): what its flow is pretrained on; None: not at all."""
    config, algorithm = trained.config, trained.algorithm
    if isinstance(algorithm, NTEBM | CoopFlow):
        flow = algorithm.flow.init(rng) if data is None else pretrained(
            algorithm.flow, data, config.pretrain_steps, rng, config.batch, PRETRAIN_RATE
        )
        state: Any = algorithm.init(rng, flow)
    else:
        state = algorithm.init(rng)  # type: ignore[attr-defined]
    return type(state)(*(placed(part, config.dtype) for part in state))


def to_pretrain_on(trained: TrainedEBM, dataset: Dataset, rng: np.random.Generator) -> Array:
    """The data in the model's units; whole numbers several times over, each time dequantised afresh."""
    if not trained.units.levels:
        return trained.to_model(dataset.train)
    x = np.concatenate([dataset.train] * COPIES)
    return trained.to_model(x, rng.random(x.shape))


def describe_ebm(config: EBMConfig, dataset: Dataset) -> dict[str, Any]:
    """All of a run but its numbers, as JSON: what must agree before it may be resumed."""
    return {"format": FORMAT, "config": config.as_json(), **describe_data(dataset)}


def assemble_ebm(described: dict[str, Any]) -> TrainedEBM:
    """The model that `describe_ebm` described, without parameters."""
    config, units = EBMConfig.from_json(described["config"]), described_units(described)
    algorithm = build_algorithm(config, len(units.shift))
    return TrainedEBM(config, described["data"], units, described_columns(described), algorithm, None)


def load_ebm(folder: PathLike, described: dict[str, Any]) -> TrainedEBM:
    """The model of a run, as its last checkpoint has it. Raises as runs.load_run."""
    trained, checkpoint = assemble_ebm(described), find_checkpoint(folder)
    first = begin(trained, np.random.default_rng(0))
    state = load_checkpoint(checkpoint, described, first._asdict())
    return replace(trained, state=type(first)(**placed(state.params, trained.config.dtype)))
