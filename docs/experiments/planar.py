"""What the studies in the plane share: Grenioux et al. 2023, section 4: Fig. 2 and Table 1, Fig. 3 and Table 3.

All six algorithms of ebm/ learn a density in the plane that is known exactly: flowMC-EBM, PCD (which the paper calls ULA), NT
and CoopFlow as in the paper; FCE and Jarzynski, which it does not have, in rows of their own. NT and CoopFlow begin with a flow
trained on the data by likelihood. Measured of each, when its training is over:

    median_squared_error       of log p against log p*, at DRAWS draws of p*; log Z by the midpoint rule on the study's box
    median_squared_error_box   the same at the lattice points of the box (the paper does not say where it looks)
    kl                         KL(p* || p) on the box
    model_true                 mean squared error of the zones' weights, of E by its mass on the lattice against p*,
    negatives_model            of the negatives, counted, against E,
    starts_model               and of the points where their chains start, counted, against E

Negatives are those of a pass over `buffer` chains with the trained energy: the persistent chains of PCD and flowMC start where
they stand, NT's and CoopFlow's are drawn from the flow; FCE has draws of its flow for both, Jarzynski its weighted walkers. A
study's own module has its target, its samplers' settings, and the paper's numbers. Four presets:

    quick   4 epochs, chains 8 times shorter, rates decaying to zero; on E Adam, or plain steps for PCD and NT: two or three
            minutes on two cores
    swapped quick, with plain steps for those that have Adam there, and Adam for PCD and NT
    best    quick in 10 epochs; flowMC, PCD and NT
    paper   as printed: on one core flowMC takes 41 minutes a seed for four-modes and 4 for the others, PCD 71, NT 44, CoopFlow
            14, FCE 2, Jarzynski 7 (20 steps timed, of 23,400); the short ones come first

    evenflow reproduce four-modes --preset quick --seeds 3

writes results.json and three pictures, and for each training a folder with its checkpoint, log and row. Interrupted, it leaves
the results of the trainings that are over.
"""
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments import planar_pictures as draw
from evenflow.experiments.planar_measures import ERRORS, ZONES, measure
from evenflow.experiments.planar_pictures import NAMES
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import write_json, write_results
from evenflow.reference.core import SGD, Adam, Array, per_step, placed
from evenflow.reference.core.optim import constant, linear_decay
from evenflow.reference.ebm import FCE, NTEBM, PCD, CoopFlow, FlowMCEBM, Jarzynski, MLPEnergy, Rates
from evenflow.reference.ebm.normalizer import Lattice, lattice
from evenflow.reference.flows.densities import Normal, Uniform
from evenflow.reference.flows.flow import Flow, realnvp
from evenflow.reference.mcmc import ISIR, MALA
from evenflow.reference.work.ebm_training import pretrained, train_ebm
from evenflow.reference.work.files import write_aside
from evenflow.reference.work.folders import Log, read_log
from evenflow.reference.work.stretches import TrainingStopped
from evenflow.reference.work.training import Progress, Settings

ALGORITHMS = ("flowmc", "pcd", "nt", "coopflow", "fce", "jarzynski")
ULA_STEP = 0.125**2 / 2          # of PCD, and of Jarzynski's walkers
ULA_STEPS, NT_STEPS, COOP_STEPS, MOVES, N = 512, 128, 256, 128, 64
COOP_STEP = 5e-4
MALA_STEP = 0.01                 # to begin with; it follows its acceptance of 75 %
FROZEN = 0.05                    # the part of CoopFlow's training in which its flow stays as it is
CELLS = 200                      # of the box, along each edge
PICTURES = ("densities.png", "samples.png", "weights.png")
ROW = ("algorithm", "seed", *ERRORS, "log_z_grid", *ZONES, "seconds", "stopped_at")


@dataclass(frozen=True)
class Preset:
    """rates: of each algorithm, energy and flow; plain: which have plain steps on E, the others Adam; shorter: all chains are
    so many times shorter than printed; pretraining: steps of likelihood for the flow of NT and CoopFlow; flow_rates: of those
    whose flow has a rate of its own."""
    epochs: int
    decays: bool
    rates: Mapping[str, float]
    plain: tuple[str, ...] = ()
    shorter: int = 1
    pretraining: int = 3_000
    points: int = 60_000
    batch: int = 256
    buffer: int = 8_192
    algorithms: tuple[str, ...] = ALGORITHMS
    flow_rates: Mapping[str, float] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        return self.epochs * (self.points // self.batch)

    def rate(self, algorithm: str, of_flow: bool = False) -> Callable[[int], float]:
        rate = self.flow_rates.get(algorithm, self.rates[algorithm]) if of_flow else self.rates[algorithm]
        return linear_decay(rate, self.steps) if self.decays else constant(rate)


PRINTED = {"pcd": 1e-2, "nt": 1e-2, "coopflow": 1e-3, "flowmc": 1e-3, "fce": 1e-3, "jarzynski": 1e-3}  # the last two are ours
OURS = {"pcd": 1e-2, "nt": 1e-2, "coopflow": 1e-4, "flowmc": 5e-3, "fce": 1e-3, "jarzynski": 1e-3}
SWAPPED = {"pcd": 5e-3, "nt": 5e-3, "coopflow": 1e-3, "flowmc": 1e-2, "fce": 1e-2, "jarzynski": 1e-2}
WITH_ADAM = ("flowmc", "coopflow", "fce", "jarzynski")  # the energies of quick and best
PRESETS = {
    "quick": Preset(4, True, OURS, ("pcd", "nt"), shorter=8, pretraining=1_000),
    "swapped": Preset(4, True, SWAPPED, WITH_ADAM, shorter=8, pretraining=1_000),
    "best": Preset(10, True, OURS, ("pcd", "nt"), shorter=8, pretraining=1_000, algorithms=("flowmc", "pcd", "nt")),
    "paper": Preset(100, False, PRINTED, ALGORITHMS, algorithms=("fce", "jarzynski", "coopflow", "flowmc", "nt", "pcd")),
}


@dataclass(frozen=True)
class Study:
    """base_sd: of the flows' base, which tilts flowMC's energy; local: how many MALA follow each i-SIR; divided: so many times
    fewer chains, of each `used` as in FlowMCEBM; judged: measure -> algorithm -> the paper's number."""
    name: str
    target: Any
    half_width: float  # of the box
    base_sd: float
    local: int
    divided: int
    used: int
    presets: Mapping[str, Preset]
    judged: Mapping[str, Mapping[str, float]]
    layers: int = 4
    hidden: tuple[int, ...] = (60,)

    @cached_property
    def box(self) -> Lattice:
        return lattice((-self.half_width,) * 2, (self.half_width,) * 2, CELLS)

    @cached_property
    def flow(self) -> Flow:
        return realnvp(2, self.layers, self.hidden, final_scale=0.0, base=Normal(2, self.base_sd))

    def moves(self, total: int) -> tuple[tuple[Any, int], ...]:
        """1 i-SIR and `local` MALA in turn, `total` moves in all."""
        blocks: list[tuple[Any, int]] = []
        while total > 0:
            blocks += [(partial(ISIR, N=N), 1), (MALA(MALA_STEP), min(self.local, total - 1))]
            total -= 1 + self.local
        return tuple((kernel, steps) for kernel, steps in blocks if steps)

    def model(self, algorithm: str, preset: Preset) -> Any:
        """The algorithm with the chains of the paper, or shorter ones."""
        energy, flow, batch = MLPEnergy(2), self.flow, preset.batch
        optimiser: Any = SGD() if algorithm in preset.plain else Adam()
        shorter, start = preset.shorter, Uniform(2, -self.half_width, self.half_width)
        if algorithm == "flowmc":
            used = max(1, self.used // shorter)
            chains = batch // self.divided
            return FlowMCEBM(energy, flow, self.moves(MOVES // shorter), chains, preset.buffer, used, True, optimiser)
        if algorithm == "pcd":
            return PCD(energy, start, ULA_STEPS // shorter, ULA_STEP, batch, preset.buffer, optimiser)
        if algorithm == "nt":
            return NTEBM(energy, flow, MALA(MALA_STEP), NT_STEPS // shorter, batch, True, optimiser)
        if algorithm == "coopflow":
            return CoopFlow(energy, flow, COOP_STEPS // shorter, COOP_STEP, batch, optimiser)
        if algorithm == "fce":
            return FCE(energy, flow, batch, optimiser)
        return Jarzynski(energy, Normal(2, self.base_sd), ULA_STEP, preset.buffer, energy_optimiser=optimiser)

    @property
    def fields(self) -> tuple[str, ...]:
        """Of a row."""
        return ROW

    def measured(self, model: Any, state: Any, how: Preset, seed: int) -> tuple[dict[str, Any], dict[str, Array]]:
        """Of a trained model: the numbers of its row, and what the pictures need."""
        return measure(self.target, self.box, model, state, how.buffer, seed)

    def run(
        self, out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False
    ) -> list[dict[str, Any]]:
        """Train each algorithm with each seed, as many at a time as there are cores; write into `out`; return the rows.

        resume: go on with what `out` holds, begun with the same preset; what is finished there is read.
        """
        how = asked(preset, self.presets, seeds)
        out = Path(out)
        check_preset(out / "results.json", preset)
        jobs = [(self, algorithm, preset, seed, out, resume) for seed in seeds for algorithm in how.algorithms]
        try:
            rows = side_by_side(learn, jobs, on_step)
        finally:
            if done := over(out, preset, seeds, how.algorithms):
                write_rows(out / "results.json", self, preset, done)
        first = [row for row in rows if row["seed"] == seeds[0]]
        draw.pictures(out, self.target, self.box, drawn(out, first), first)
        return rows


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the terminal shows of each row."""
    return [{name: row[name] for name in (*ROW[:8], "stopped_at")} for row in rows]


def learn(study: Any, algorithm: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep) -> dict[str, Any]:
    """One training and what is measured after it, kept beside its checkpoint; its row.

    study: a Study, or whatever has its name, target, presets, flow, model, fields and measured.
    """
    folder, how = out / f"{algorithm}-seed{seed}", study.presets[preset]
    identity = {"study": study.name, "algorithm": algorithm, "preset": preset, "seed": seed}
    if resume and (folder / "row.json").exists():
        kept: dict[str, Any] = json.loads((folder / "row.json").read_text())
        for name, value in identity.items():
            if kept["identity"][name] != value:
                raise ValueError(f"{name} is {kept['identity'][name]} there, {value} here: {folder} holds another training")
        return dict(kept["row"])
    row = dict.fromkeys(study.fields) | {"algorithm": algorithm, "seed": seed}
    try:
        model, state = trained(study, algorithm, how, seed, folder, resume, identity, on_step)
        measured, drawn = study.measured(model, state, how, seed)
        row |= measured | {"seconds": round(spent(read_log(folder / "log.jsonl")), 1)}
        write_aside(folder / "drawn.npz", lambda file: np.savez_compressed(file, **drawn))
    except TrainingStopped as stopped:
        row["stopped_at"] = stopped.step
    write_json(folder / "row.json", {"identity": identity, "row": row})
    return row


def trained(
    study: Any, algorithm: str, how: Preset, seed: int, folder: Path, resume: bool, identity: Any, on_step: OnStep
) -> tuple[Any, Any]:
    """The model, and its state after the training."""
    data, model, rng = points(study, how, seed), study.model(algorithm, how), np.random.default_rng([seed, 1])
    there, flow = placed(data, np.float32), []
    if algorithm in ("nt", "coopflow"):
        flow = [pretrained(study.flow, data, how.pretraining, np.random.default_rng([seed, 3]), how.batch)]
    start, log, name = model.init(rng, *flow), Log(folder / "log.jsonl"), f"{NAMES[algorithm]}, seed {seed}"
    rate, of_flow, per_epoch = how.rate(algorithm), how.rate(algorithm, of_flow=True), how.points // how.batch
    frozen = FROZEN * how.steps if algorithm == "coopflow" else 0

    def rows(step: int) -> Array:
        """Each epoch goes through all points once, in an order of its own."""
        epoch, batch = divmod(step, per_epoch)
        order = np.random.default_rng([seed, 2, epoch]).permutation(how.points)
        return order[batch * how.batch : (batch + 1) * how.batch]

    def report(progress: Progress) -> None:
        log(progress)
        on_step(name, progress)

    checkpoint = folder / "checkpoint.npz"
    state = train_ebm(
        model, type(start)(*(placed(tree, np.float32) for tree in start)), lambda step, rng: there[per_step(rows, step)],
        lambda step: Rates(rate(step), 0.0 if step < frozen else of_flow(step)), Settings(how.steps, checkpoint_every=500), rng,
        callback=report, checkpoint=checkpoint, resume=resume and checkpoint.exists(), identity=identity,
    )
    return model, type(start)(**state.params)


def points(study: Any, how: Preset, seed: int) -> Array:
    """The data of a seed."""
    x: Array = study.target.sample(study.target.noise(np.random.default_rng(seed), how.points))
    return x.astype(np.float32)


def spent(lines: list[dict[str, Any]]) -> float:
    """Seconds of training, of all the calls that made these lines: each counts from its own beginning."""
    seconds = [line["seconds"] for line in lines]
    return float(sum(now for now, after in zip(seconds, [*seconds[1:], 0.0], strict=True) if after < now))


def check_preset(path: Path, preset: str) -> None:
    """Raises ValueError where there are results of another preset."""
    there = json.loads(path.read_text())["preset"] if path.exists() else preset
    if there != preset:
        raise ValueError(f"preset is {there} there, {preset} here: {path} holds other results; choose another folder")


def over(out: Path, preset: str, seeds: Sequence[int], algorithms: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of the trainings that are over."""
    paths = [out / f"{algorithm}-seed{seed}" / "row.json" for seed in seeds for algorithm in algorithms]
    kept = [json.loads(path.read_text()) for path in paths if path.exists()]
    return [one["row"] for one in kept if one["identity"]["preset"] == preset]


def write_rows(path: Path, study: Study, preset: str, rows: list[dict[str, Any]]) -> None:
    settings, machine = asdict(study.presets[preset]), f"{os.cpu_count()} cores"
    write_results(path, {"study": study.name, "preset": preset, "settings": settings, "rows": rows, "machine": machine})


def drawn(out: Path, rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Array]]:
    """algorithm -> what the pictures need of it, of the trainings that did not break off."""
    kept = {row["algorithm"]: out / f"{row['algorithm']}-seed{row['seed']}" / "drawn.npz" for row in rows}
    return {name: dict(np.load(path)) for name, path in kept.items() if path.exists()}
