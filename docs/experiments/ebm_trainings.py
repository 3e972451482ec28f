"""One training of an energy-based model, kept in a folder: what all studies of them share.

A study has its name, target, presets, flow, model(algorithm, preset), fields (of a row) and measured(model, state, ...).
"""
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evenflow.experiments.planar_pictures import NAMES
from evenflow.experiments.pool import OnStep
from evenflow.experiments.results import Row, kept
from evenflow.reference.core import SGD, Adam, Array, Tree, per_step, placed
from evenflow.reference.core.optim import constant, cosine_decay, linear_decay
from evenflow.reference.ebm import FCE, NTEBM, PCD, CoopFlow, FlowMCEBM, Jarzynski, MLPEnergy, Rates
from evenflow.reference.flows.flow import Flow
from evenflow.reference.mcmc import MALA
from evenflow.reference.work.ebm_training import pretrained, train_ebm
from evenflow.reference.work.files import write_aside
from evenflow.reference.work.folders import Log, read_log
from evenflow.reference.work.stretches import TrainingStopped
from evenflow.reference.work.training import Progress, Settings

ALGORITHMS = ("flowmc", "pcd", "nt", "coopflow", "fce", "jarzynski")
ULA_STEPS, NT_STEPS, COOP_STEPS = 512, 128, 256
FROZEN = 0.05                    # the part of CoopFlow's training in which its flow stays as it is


@dataclass(frozen=True)
class Preset:
    """decays: rates fall to zero, as a line or half a cosine; rates: of each algorithm, energy and flow; plain: which have
    plain steps on E, the others Adam; shorter: all chains are so many times shorter than printed; walked: so many times those
    whose negatives are measured, None: as in the training; pretraining: steps of likelihood for the flow of NT and CoopFlow;
    flow_rates: of those whose flow has a rate of its own."""
    epochs: int
    decays: bool
    rates: Mapping[str, float]
    plain: tuple[str, ...] = ()
    shorter: int = 1
    walked: int | None = None
    pretraining: int = 3_000
    points: int = 60_000
    batch: int = 256
    buffer: int = 8_192
    algorithms: tuple[str, ...] = ALGORITHMS
    flow_rates: Mapping[str, float] = field(default_factory=dict)
    cosine: bool = False

    @property
    def steps(self) -> int:
        return self.epochs * (self.points // self.batch)

    def rate(self, algorithm: str, of_flow: bool = False) -> Callable[[int], float]:
        rate = self.flow_rates.get(algorithm, self.rates[algorithm]) if of_flow else self.rates[algorithm]
        decay = cosine_decay if self.cosine else linear_decay
        return decay(rate, self.steps) if self.decays else constant(rate)


class Steps(NamedTuple):
    """ula: of PCD and of Jarzynski's walkers; coop: of CoopFlow; mala: to begin with, it follows its acceptance of 75 %."""
    ula: float
    coop: float
    mala: float


def model_of(
    algorithm: str, how: Preset, energy: MLPEnergy, flow: Flow, start: Any, moves: Any, chains: int, used: int, steps: Steps
) -> Any:
    """start: of PCD's chains; moves, chains, used: of flowMC; steps: sizes of the local ones."""
    optimiser: Any = SGD() if algorithm in how.plain else Adam()
    if algorithm == "flowmc":
        return FlowMCEBM(energy, flow, moves, chains, how.buffer, used, True, optimiser)
    if algorithm == "pcd":
        return PCD(energy, start, ULA_STEPS // how.shorter, steps.ula, how.batch, how.buffer, optimiser)
    if algorithm == "nt":
        return NTEBM(energy, flow, MALA(steps.mala), NT_STEPS // how.shorter, how.batch, True, optimiser)
    if algorithm == "coopflow":
        return CoopFlow(energy, flow, COOP_STEPS // how.shorter, steps.coop, how.batch, optimiser)
    if algorithm == "fce":
        return FCE(energy, flow, how.batch, optimiser)
    return Jarzynski(energy, flow.base, steps.ula, how.buffer, energy_optimiser=optimiser)


def learn(study: Any, algorithm: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep) -> dict[str, Any]:
    """One training and what is measured after it, kept beside its checkpoint; its row.

    study: a Study, or whatever has its name, target, presets, flow, model, fields and measured.
    """
    folder, how = out / f"{algorithm}-seed{seed}", study.presets[preset]
    identity = {"study": study.name, "algorithm": algorithm, "preset": preset, "seed": seed}

    def make() -> Row:
        row = dict.fromkeys(study.fields) | {"algorithm": algorithm, "seed": seed}
        try:
            _, state = trained(study, algorithm, how, seed, folder, resume, identity, on_step)
            measured, drawn = study.measured(algorithm, state, how, seed)
        except TrainingStopped as stopped:
            return row | {"stopped_at": stopped.step}
        write_aside(folder / "drawn.npz", lambda file: np.savez_compressed(file, **drawn))
        return {**row, **measured, "seconds": round(spent(read_log(folder / "log.jsonl")), 1)}

    return dict(kept(folder / "row.json", {"identity": identity}, "row", resume, make))


def trained(
    study: Any, algorithm: str, how: Preset, seed: int, folder: Path, resume: bool, identity: Any, on_step: OnStep
) -> tuple[Any, Any]:
    """The model, and its state after the training."""
    data, model = points(study.target, how.points, seed), study.model(algorithm, how)
    flow = []
    if algorithm in ("nt", "coopflow"):
        flow = [pretrained(study.flow, data, how.pretraining, np.random.default_rng([seed, 3]), how.batch)]
    rate, of_flow = how.rate(algorithm), how.rate(algorithm, of_flow=True)
    frozen = FROZEN * how.steps if algorithm == "coopflow" else 0
    state = fitted(
        model, flow, data, how.batch, lambda step: Rates(rate(step), 0.0 if step < frozen else of_flow(step)),
        Settings(how.steps, checkpoint_every=500), seed, folder, resume, identity,
        partial(on_step, f"{NAMES[algorithm]}, seed {seed}"))
    return model, state


def fitted(
    model: Any, flow: Sequence[Tree], data: Array, batch: int, rates: Callable[[int], Rates], settings: Settings, seed: int,
    folder: Path, resume: bool, identity: Row, tell: Callable[[Progress], None],
    evaluate: Callable[[Any], dict[str, float]] | None = None,
) -> Any:
    """The state after a training from init(..., *flow): each epoch goes through all points once, in an order of its own."""
    rng, there, log = np.random.default_rng([seed, 1]), placed(data, np.float32), Log(folder / "log.jsonl")
    start, checkpoint = model.init(rng, *flow), folder / "checkpoint.npz"

    def rows(step: int) -> Array:
        epoch, k = divmod(step, len(data) // batch)
        order = np.random.default_rng([seed, 2, epoch]).permutation(len(data))
        return order[k * batch : (k + 1) * batch]

    def report(progress: Progress) -> None:
        log(progress)
        tell(progress)

    state = train_ebm(
        model, type(start)(*(placed(tree, np.float32) for tree in start)), lambda step, rng: there[per_step(rows, step)], rates,
        settings, rng, evaluate, callback=report, checkpoint=checkpoint, resume=resume and checkpoint.exists(),
        identity=identity)
    return type(start)(**state.params)


def points(target: Any, count: int, seed: int) -> Array:
    """The data of a seed."""
    x: Array = target.sample(target.noise(np.random.default_rng(seed), count))
    return x.astype(np.float32)


def spent(lines: list[dict[str, Any]]) -> float:
    """Seconds of training, of all the calls that made these lines: each counts from its own beginning."""
    seconds = [line["seconds"] for line in lines]
    return float(sum(now for now, after in zip(seconds, [*seconds[1:], 0.0], strict=True) if after < now))
