"""Two modes, one twice as heavy as the other: Grenioux et al. 2023, Fig. 1.

All six algorithms of ebm/ learn p* = 1/3 N(-1.5 (1, 1), 0.05 I) + 2/3 N(1.5 (1, 1), 0.1 I) from 16,384 points: batches of 64,
1,024 persistent chains, learning rates of 0.01, Adam for the flow, Langevin steps of 0.01. ULA makes 10 of them a training
step; flowMC 4 of MALA, 2 of i-SIR with 32 slots, 4 of MALA. flowMC-EBM is tilted by the base N(0, I) of its flow, PCD is not. A
third run is flowMC-EBM with 10 of MALA and no i-SIR: what it loses is lost for want of global moves alone. All their chains
start from N(0, I). The paper's figure has no more than flowMC and ULA; the others are here with as much walking: NT 10 of MALA
in latent space, CoopFlow 10 steps of Langevin without noise, both after PRETRAINING steps of likelihood for their flow; FCE;
Jarzynski with 1,024 walkers.

What is watched is the weight of the upper-right mode: the mass of the model where x_1 + x_2 > 0, by a grid. Four presets:

    paper   75 epochs of plain steps on the energy at a constant rate, as printed
    best    20 epochs, Adam on the energy as well, the rates decaying linearly to zero; lower ones for the last three
    quick   as best, in 8 epochs
    demo    quick, of the first three

    evenflow reproduce two-modes --preset best --seeds 5 --out two-modes

writes results.json and four pictures.
"""
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evenflow.experiments import two_modes_pictures as draw
from evenflow.experiments.ebm_trainings import FROZEN, fitted, points
from evenflow.experiments.pages import show
from evenflow.experiments.planar_measures import at_host
from evenflow.experiments.planar_pictures import densities
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import only, write_results
from evenflow.experiments.two_modes_measures import TARGET, UPPER_RIGHT, measure
from evenflow.experiments.two_modes_pictures import NAMES
from evenflow.reference.core import SGD, Adam, Array, fetched, placed
from evenflow.reference.core.optim import constant, linear_decay
from evenflow.reference.ebm import FCE, NTEBM, PCD, CoopFlow, FlowMCEBM, Jarzynski, Rates
from evenflow.reference.ebm.contract import Optimiser
from evenflow.reference.ebm.energies import MLPEnergy
from evenflow.reference.ebm.normalizer import grid, lattice
from evenflow.reference.flows.densities import Normal
from evenflow.reference.flows.flow import realnvp
from evenflow.reference.mcmc import ISIR, MALA
from evenflow.reference.mcmc.contract import LogDensity
from evenflow.reference.work.ebm_training import pretrained
from evenflow.reference.work.folders import read_log
from evenflow.reference.work.stretches import TrainingStopped
from evenflow.reference.work.training import Settings

POINTS, BATCH, BUFFER = 16_384, 64, 1_024
STEP_SIZE, N = 0.01, 32               # of the Langevin steps; slots of i-SIR
LOW, HIGH = -4.0, 4.0
BOX = lattice((LOW, LOW), (HIGH, HIGH), 160)
IN_UPPER_RIGHT = TARGET.zones(BOX.points) == UPPER_RIGHT
EVERY = 64                            # steps between two looks at the weight
PRETRAINING = 1_000                   # steps of likelihood for the flow of NT and CoopFlow
LOCAL, FAR = MALA(STEP_SIZE), partial(ISIR, N=N)
ENERGY, FLOW = MLPEnergy(2), realnvp(2, layers=4, hidden=(60,), final_scale=0.0)
MODELS: dict[str, Any] = {
    "flowmc": FlowMCEBM(ENERGY, FLOW, ((LOCAL, 4), (FAR, 2), (LOCAL, 4)), BATCH, BUFFER),
    "flowmc-local": FlowMCEBM(ENERGY, FLOW, ((LOCAL, 10),), BATCH, BUFFER),
    "pcd": PCD(ENERGY, Normal(2), 10, STEP_SIZE, BATCH, BUFFER),
    "nt": NTEBM(ENERGY, FLOW, LOCAL, 10, BATCH, True),
    "coopflow": CoopFlow(ENERGY, FLOW, 10, STEP_SIZE, BATCH),
    "fce": FCE(ENERGY, FLOW, BATCH),
    "jarzynski": Jarzynski(ENERGY, Normal(2), STEP_SIZE, BUFFER),
}
ALGORITHMS = tuple(MODELS)
LOWER = {"coopflow": 1e-4, "fce": 1e-3, "jarzynski": 1e-3}  # rates of best and quick
PICTURES = ("densities.png", "chains.png", "conditional.png", "weights.png")
ROW = (  # the fields of a row; the first eleven and the last are shown in the terminal
    "algorithm", "seed", "true_weight", "empirical_weight", "final_weight", "weight_min_late", "weight_max_late",
    "acceptance_global", "rhat_mode", "log_z", "log_z_grid", "weight_sd_late", "chain_weight", "switch_rate",
    "acceptance_local", "log_z_ess", "log_z_standard_error", "stopped_at",
)
summary = partial(only, (*ROW[:11], "stopped_at"))


@dataclass(frozen=True)
class Preset:
    epochs: int
    decays: bool
    energy_optimiser: Optimiser
    learning_rate: float = 0.01  # of energy and flow
    algorithms: tuple[str, ...] = ALGORITHMS

    @property
    def steps(self) -> int:
        return self.epochs * POINTS // BATCH

    def rate(self, algorithm: str) -> Callable[[int], float]:
        if not self.decays:
            return constant(self.learning_rate)
        return linear_decay(LOWER.get(algorithm, self.learning_rate), self.steps)


PRESETS = {
    "paper": Preset(75, False, SGD()), "best": Preset(20, True, Adam()), "quick": Preset(8, True, Adam()),
    "demo": Preset(8, True, Adam(), algorithms=ALGORITHMS[:3]),
}


class Outcome(NamedTuple):
    """What one training leaves: its row of the table, and what the pictures need. One that broke off has no model."""
    row: dict[str, Any]
    weights: list[tuple[int, float]]  # step, weight of the upper-right mode
    log_p: Array | None = None        # of the model on BOX, normalised there
    log_lambda: Array | None = None   # of its flow
    chains: Array | None = None       # (SWEEPS, CHAINS, 2)


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False
) -> list[dict[str, Any]]:
    """Train each algorithm with each seed, as many at a time as there are cores; write into `out`; return the rows.

    resume: go on with the trainings that `out` holds, begun with the same preset.
    """
    how = asked(preset, PRESETS, seeds)
    out = Path(out)
    jobs = [(algorithm, preset, seed, out, resume) for seed in seeds for algorithm in how.algorithms]
    outcomes = side_by_side(learn, jobs, on_step)
    rows = [outcome.row for outcome in outcomes]
    traces = {a: [o.weights for o in outcomes if o.row["algorithm"] == a] for a in how.algorithms}
    settings = asdict(how) | {"energy_optimiser": repr(how.energy_optimiser)}
    write_results(out / "results.json", {"preset": preset, "settings": settings, "rows": rows, "weights": traces})
    pictures(out, dict(zip(how.algorithms, outcomes, strict=False)), traces)
    return rows


def learn(algorithm: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep) -> Outcome:
    """One training and what is measured after it."""
    data, how, folder = points(TARGET, POINTS, seed), PRESETS[preset], out / f"{algorithm}-seed{seed}"
    model, rate = replace(MODELS[algorithm], energy_optimiser=how.energy_optimiser), how.rate(algorithm)
    of_flow = np.random.default_rng([seed, 4])
    flow = [pretrained(FLOW, data, PRETRAINING, of_flow, BATCH)] if algorithm in ("nt", "coopflow") else []
    frozen = FROZEN * how.steps if algorithm == "coopflow" else 0
    row = dict.fromkeys(ROW) | {
        "algorithm": algorithm, "seed": seed, "true_weight": float(TARGET.zone_weights()[UPPER_RIGHT]),
        "empirical_weight": float(np.mean(TARGET.zones(data) == UPPER_RIGHT)),
    }
    try:
        state = fitted(
            model, flow, data, BATCH, lambda step: Rates(rate(step), 0.0 if step < frozen else rate(step)),
            Settings(how.steps, evaluate_every=EVERY, checkpoint_every=10 * EVERY), seed, folder, resume,
            {"algorithm": algorithm, "preset": preset, "seed": seed}, partial(on_step, f"{NAMES[algorithm]}, seed {seed}"),
            lambda state: {"weight": weight(at_host(model, state))})
    except TrainingStopped as stopped:
        return Outcome(row | {"stopped_at": stopped.step}, trace(read_log(folder / "log.jsonl")))
    lines = read_log(folder / "log.jsonl")
    told, chains = measure(model, state, np.random.default_rng([seed, 3]))
    at, weights = grid(at_host(model, state), BOX), trace(lines)
    late = [value for step, value in weights if step > lines[-1]["step"] / 2]
    row |= told | {
        "final_weight": weights[-1][1], "weight_min_late": min(late), "weight_max_late": max(late), "log_z_grid": at.log_z,
        "weight_sd_late": float(np.std(late)), "acceptance_global": mean_late(lines, "acceptance_global"),
        "acceptance_local": mean_late(lines, "acceptance_local"),
    }
    log_lambda = None
    if algorithm == "flowmc":
        log_lambda = grid(lambda x: fetched(FLOW.log_prob(state.flow, placed(x, np.float32))), BOX).log_p
    return Outcome(row, weights, at.log_p - at.log_z, log_lambda, chains)


def weight(log_density: LogDensity) -> float:
    """The mass of a density where x_1 + x_2 > 0, by the grid."""
    return float(grid(log_density, BOX).mass[IN_UPPER_RIGHT].sum())


def trace(lines: list[dict[str, Any]]) -> list[tuple[int, float]]:
    return [(line["step"], line["held_out"]["weight"]) for line in lines if line["held_out"]]


def mean_late(lines: list[dict[str, Any]], field: str) -> float | None:
    """The mean over the second half of the training, where there is such a field."""
    late = [line[field] for line in lines[len(lines) // 2 :] if field in line]
    return float(np.mean(late)) if late else None


def pictures(out: Path, first: dict[str, Outcome], traces: dict[str, list[list[tuple[int, float]]]]) -> None:
    """Of the first seed, of the trainings that did not break off; the weights of all."""
    log_p = {"truth": TARGET.log_prob(BOX.points)}
    for name, outcome in first.items():
        if outcome.log_p is not None:
            log_p[name] = outcome.log_p
        if outcome.log_lambda is not None:
            log_p["flow"] = outcome.log_lambda
    side = round(len(BOX.points) ** 0.5)
    square = {name: values.reshape(side, side) for name, values in log_p.items()}
    densities(out / "densities.png", square, LOW, HIGH, NAMES, 1.0)
    draw.conditional(out / "conditional.png", BOX.points[:: side + 1, 0], {k: np.diagonal(v) for k, v in square.items()})
    x = {name: outcome.chains for name, outcome in first.items() if outcome.chains is not None}
    zones = {name: TARGET.zones(c.reshape(-1, 2)).reshape(c.shape[:2]) for name, c in x.items()}
    draw.chains(out / "chains.png", x, zones)
    row = first["flowmc"].row
    draw.weights(out / "weights.png", traces, row["true_weight"], row["empirical_weight"], POINTS // BATCH)


if __name__ == "__main__":
    from evenflow.experiments.two_modes_page import page
    show(page)
