"""Two modes, one twice as heavy as the other: Grenioux et al. 2023, Fig. 1.

flowMC-EBM and PCD-ULA learn p* = 1/3 N(-1.5 (1, 1), 0.05 I) + 2/3 N(1.5 (1, 1), 0.1 I) from 16,384 points: batches of 64,
1,024 persistent chains, learning rates of 0.01, Adam for the flow, Langevin steps of 0.01. ULA makes 10 of them a training
step; flowMC 4 of MALA, 2 of i-SIR with 32 slots, 4 of MALA. flowMC-EBM is tilted by the base N(0, I) of its flow, PCD is not. A
third run is flowMC-EBM with 10 of MALA and no i-SIR: what it loses is lost for want of global moves alone. All chains start
from N(0, I).

What is watched is the weight of the upper-right mode: the mass of the model where x_1 + x_2 > 0, by a grid. Three presets:

    paper   75 epochs of plain steps on the energy at a constant rate, as printed
    best    20 epochs, Adam on the energy as well, the rates decaying linearly to zero: flowMC-EBM alone comes to its end
    quick   as best, in 8 epochs

    evenflow reproduce two-modes --preset best --seeds 5 --out two-modes

writes results.json and four pictures.
"""
import json
import math
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evenflow import accel
from evenflow.experiments import two_modes_pictures as draw
from evenflow.experiments.pool import OnStep, side_by_side
from evenflow.experiments.two_modes_pictures import NAMES
from evenflow.reference.core import SGD, Adam, Array, check_count, fetched, lookup, per_step, placed
from evenflow.reference.core.optim import constant, linear_decay
from evenflow.reference.ebm import PCD, FlowMCEBM, Rates
from evenflow.reference.ebm.contract import Optimiser
from evenflow.reference.ebm.energies import MLPEnergy
from evenflow.reference.ebm.normalizer import LogZ, annealed, grid, importance, lattice
from evenflow.reference.flows.densities import Normal
from evenflow.reference.flows.flow import realnvp
from evenflow.reference.mcmc import ISIR, MALA, ULA
from evenflow.reference.mcmc.chains import run as run_chains
from evenflow.reference.mcmc.contract import LogDensity
from evenflow.reference.mcmc.zones import mode_rhat, switch_rate
from evenflow.reference.targets.mixtures import two_modes
from evenflow.reference.work.ebm_training import train_ebm
from evenflow.reference.work.files import write_aside
from evenflow.reference.work.folders import Log, read_log
from evenflow.reference.work.stretches import TrainingStopped
from evenflow.reference.work.training import Progress, Settings

TARGET = two_modes()
UPPER_RIGHT = 1                       # its zone
POINTS, BATCH, BUFFER = 16_384, 64, 1_024
STEP_SIZE, N = 0.01, 32               # of the Langevin steps; slots of i-SIR
LOW, HIGH = -4.0, 4.0
BOX = lattice((LOW, LOW), (HIGH, HIGH), 160)
IN_UPPER_RIGHT = TARGET.zones(BOX.points) == UPPER_RIGHT
EVERY = 64                            # steps between two looks at the weight
CHAINS, SWEEPS = 64, 200              # that tell whether the trained sampler mixes
DRAWS = 20_000                        # of the flow, for log Z
PARTICLES, TEMPERATURES = 2_000, 200  # of the annealing, for log Z without a flow
LOCAL, FAR = MALA(STEP_SIZE), partial(ISIR, N=N)
MOVES: dict[str, Any] = {"flowmc": ((LOCAL, 4), (FAR, 2), (LOCAL, 4)), "flowmc-local": ((LOCAL, 10),)}
MODELS: dict[str, Any] = {
    name: FlowMCEBM(MLPEnergy(2), realnvp(2, layers=4, hidden=(60,), final_scale=0.0), moves, BATCH, BUFFER)
    for name, moves in MOVES.items()
}
MODELS["pcd"] = PCD(MLPEnergy(2), Normal(2), 10, STEP_SIZE, BATCH, BUFFER)
ALGORITHMS = tuple(MODELS)
BETWEEN = {"flowmc": "4 MALA, 2 i-SIR, 4 MALA", "flowmc-local": "10 MALA", "pcd": "10 ULA"}  # two states of a chain
PICTURES = ("densities.png", "chains.png", "conditional.png", "weights.png")
ROW = (  # the fields of a row; the first eleven and the last are shown in the terminal
    "algorithm", "seed", "true_weight", "empirical_weight", "final_weight", "weight_min_late", "weight_max_late",
    "acceptance_global", "rhat_mode", "log_z", "log_z_grid", "weight_sd_late", "chain_weight", "switch_rate",
    "acceptance_local", "log_z_ess", "log_z_standard_error", "stopped_at",
)


@dataclass(frozen=True)
class Preset:
    epochs: int
    decays: bool
    energy_optimiser: Optimiser
    learning_rate: float = 0.01  # of energy and flow

    @property
    def steps(self) -> int:
        return self.epochs * POINTS // BATCH

    def rate(self) -> Callable[[int], float]:
        return linear_decay(self.learning_rate, self.steps) if self.decays else constant(self.learning_rate)


PRESETS = {
    "paper": Preset(75, False, SGD()), "best": Preset(20, True, Adam()), "quick": Preset(8, True, Adam()),
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
    """Train both algorithms with each seed, as many at a time as there are cores; write into `out`; return the rows.

    resume: go on with the trainings that `out` holds, begun with the same preset.
    """
    lookup("preset", preset, PRESETS)
    for seed in seeds:
        check_count("seeds", seed, least=0)
    out = Path(out)
    jobs = [(algorithm, preset, seed, out, resume) for seed in seeds for algorithm in ALGORITHMS]
    outcomes = side_by_side(learn, jobs, on_step)
    rows = [outcome.row for outcome in outcomes]
    traces = {a: [o.weights for o in outcomes if o.row["algorithm"] == a] for a in ALGORITHMS}
    write_results(out / "results.json", preset, rows, traces)
    pictures(out, dict(zip(ALGORITHMS, outcomes, strict=False)), traces)
    return rows


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the terminal shows of each row."""
    return [{name: row[name] for name in (*ROW[:11], "stopped_at")} for row in rows]


def learn(algorithm: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep) -> Outcome:
    """One training and what is measured after it."""
    data = TARGET.sample(TARGET.noise(np.random.default_rng(seed), POINTS)).astype(np.float32)
    there = placed(data, np.float32)
    how, folder = PRESETS[preset], out / f"{algorithm}-seed{seed}"
    model = replace(MODELS[algorithm], energy_optimiser=how.energy_optimiser)
    rng = np.random.default_rng([seed, 1])
    rate, log, name = how.rate(), Log(folder / "log.jsonl"), f"{NAMES[algorithm]}, seed {seed}"

    def rows(step: int) -> Array:
        """Each epoch goes through all points once, in an order of its own."""
        epoch, batch = divmod(step, POINTS // BATCH)
        order = np.random.default_rng([seed, 2, epoch]).permutation(POINTS)
        return order[batch * BATCH : (batch + 1) * BATCH]

    def draw(step: int, rng: np.random.Generator) -> Array:
        return there[per_step(rows, step)]

    def report(progress: Progress) -> None:
        log(progress)
        on_step(name, progress)

    start, checkpoint = model.init(rng), folder / "checkpoint.npz"
    row = dict.fromkeys(ROW) | {
        "algorithm": algorithm, "seed": seed, "true_weight": float(TARGET.zone_weights()[UPPER_RIGHT]),
        "empirical_weight": float(np.mean(TARGET.zones(data) == UPPER_RIGHT)),
    }
    try:
        trained = train_ebm(
            model, type(start)(*(placed(tree, np.float32) for tree in start)), draw, lambda step: Rates(rate(step), rate(step)),
            Settings(how.steps, evaluate_every=EVERY, checkpoint_every=10 * EVERY), rng,
            evaluate=lambda state: {"weight": weight(at_host(model, state))}, callback=report,
            checkpoint=checkpoint, resume=resume and checkpoint.exists(),
            identity={"algorithm": algorithm, "preset": preset, "seed": seed},
        )
    except TrainingStopped as stopped:
        return Outcome(row | {"stopped_at": stopped.step}, trace(read_log(log.path)))
    return measure(row, model, type(start)(**trained.params), read_log(log.path))


def at_host(model: Any, state: Any) -> LogDensity:
    """The model's log density from points (n, 2) to numbers (n,), both on the host."""
    return lambda x: fetched(model.log_density(state, placed(x, np.float32)))


def weight(log_density: LogDensity) -> float:
    """The mass of a density where x_1 + x_2 > 0, by the grid."""
    return float(grid(log_density, BOX).mass[IN_UPPER_RIGHT].sum())


def trace(lines: list[dict[str, Any]]) -> list[tuple[int, float]]:
    return [(line["step"], line["held_out"]["weight"]) for line in lines if line["held_out"]]


def measure(row: dict[str, Any], model: Any, state: Any, lines: list[dict[str, Any]]) -> Outcome:
    rng, log_density = np.random.default_rng([row["seed"], 3]), partial(model.ebm.log_density, state.energy)
    at, estimate = grid(at_host(model, state), BOX), log_z(model, state, log_density, rng)
    kernel, every = sampler(model, state)
    chains = fetched(run_chains(kernel, state.chains[:CHAINS], log_density, SWEEPS * every, rng, every).x)
    zones = TARGET.zones(chains.reshape(-1, 2)).reshape(chains.shape[:2])
    weights = trace(lines)
    late = [value for step, value in weights if step > lines[-1]["step"] / 2]
    row = row | {
        "final_weight": weights[-1][1], "weight_min_late": min(late), "weight_max_late": max(late),
        "acceptance_global": mean_late(lines, "acceptance_global"), "log_z": estimate.log_z, "log_z_grid": at.log_z,
        "rhat_mode": finite_or_text(mode_rhat(zones, TARGET.count)), "weight_sd_late": float(np.std(late)),
        "chain_weight": float(np.mean(zones == UPPER_RIGHT)), "switch_rate": switch_rate(zones),
        "acceptance_local": mean_late(lines, "acceptance_local"),
        "log_z_ess": estimate.ess, "log_z_standard_error": estimate.standard_error,
    }
    log_lambda = None
    if row["algorithm"] == "flowmc":
        log_lambda = grid(lambda x: fetched(model.flow.log_prob(state.flow, placed(x, np.float32))), BOX).log_p
    return Outcome(row, weights, at.log_p - at.log_z, log_lambda, chains)


def sampler(model: Any, state: Any) -> tuple[Any, int]:
    """The kernel that the model was trained with, and how many of its steps one training step makes."""
    if isinstance(model, PCD):
        return ULA(STEP_SIZE), model.steps
    return model.kernel(state.flow, model.step_sizes), 1


def log_z(model: Any, state: Any, log_density: LogDensity, rng: np.random.Generator) -> LogZ:
    """By importance sampling from the flow; without a flow, by annealing N(0, I)."""
    if not isinstance(model, PCD):
        x, log_lambda = model.flow.sample_and_log_prob(state.flow, placed(model.flow.noise(rng, DRAWS), np.float32))
        return importance(fetched(log_density(x)), fetched(log_lambda))
    base = Normal(2)
    kernel, x = MALA(STEP_SIZE), placed(base.noise(rng, PARTICLES), np.float32)
    noise = [placed(kernel.noise(rng, PARTICLES, 2), np.float32) for _ in range(TEMPERATURES - 1)]
    b = np.linspace(0, 1, TEMPERATURES + 1).tolist()
    return annealed(log_density, lambda x: base.log_prob(x), x, b, kernel, noise)[0]


def mean_late(lines: list[dict[str, Any]], field: str) -> float | None:
    """The mean over the second half of the training, where there is such a field."""
    late = [line[field] for line in lines[len(lines) // 2 :] if field in line]
    return float(np.mean(late)) if late else None


def finite_or_text(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def pictures(out: Path, first: dict[str, Outcome], traces: dict[str, list[list[tuple[int, float]]]]) -> None:
    """Of the first seed, of the trainings that did not break off; the weights of all."""
    log_p = {"truth": TARGET.log_prob(BOX.points)}
    for name, outcome in first.items():
        if outcome.log_p is not None:
            log_p[name] = outcome.log_p
        if outcome.log_lambda is not None:
            log_p["flow"] = outcome.log_lambda
    side = round(math.sqrt(len(BOX.points)))
    square = {name: values.reshape(side, side) for name, values in log_p.items()}
    draw.densities(out / "densities.png", square, LOW, HIGH)
    draw.conditional(out / "conditional.png", BOX.points[:: side + 1, 0], {k: np.diagonal(v) for k, v in square.items()})
    x = {name: outcome.chains for name, outcome in first.items() if outcome.chains is not None}
    zones = {name: TARGET.zones(c.reshape(-1, 2)).reshape(c.shape[:2]) for name, c in x.items()}
    draw.chains(out / "chains.png", x, zones, BETWEEN)
    row = first["flowmc"].row
    draw.weights(out / "weights.png", traces, row["true_weight"], row["empirical_weight"], POINTS // BATCH)


def write_results(path: Path, preset: str, rows: list[dict[str, Any]], traces: dict[str, Any]) -> None:
    results = {
        "rows": rows, "preset": preset, **vars(PRESETS[preset]), "energy_optimiser": repr(PRESETS[preset].energy_optimiser),
        "weights": traces, "backend": accel.active(), "python": platform.python_version(),
        "versions": {name: version(name) for name in ("evenflow", "numpy", "autograd")},
    }
    text = json.dumps(results, allow_nan=False) + "\n"
    write_aside(path, lambda file: file.write(text.encode()))


def table(results: list[dict[str, Any]]) -> str:
    """results.json of several presets -> a Markdown table: means over the seeds, in brackets standard deviations."""
    heads = [
        "preset", "algorithm", "trained", "final weight", "final - data", "final - 2/3", "final - chains", "late range",
        "late sd", "global acceptance", "R-hat of the mode",
    ]
    lines = [heads, ["---"] * len(heads)]
    for result in results:
        for algorithm in ALGORITHMS:
            rows = [row for row in result["rows"] if row["algorithm"] == algorithm]
            lines.append([result["preset"], NAMES[algorithm], *cells(rows)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cells(rows: list[dict[str, Any]]) -> list[str]:
    """One line of the table, from the rows of all seeds; those that broke off are counted and left out."""
    whole = [row for row in rows if row["stopped_at"] is None]
    counted = f"{len(whole)} of {len(rows)}"
    if not whole:
        return [counted, *["-"] * 8]
    column = {name: np.array([row[name] for row in whole]) for name in ROW}
    final, accepted = column["final_weight"].astype(float), column["acceptance_global"]
    return [
        counted, f"{final.mean():.3f} ({final.std(ddof=1):.3f})" if len(final) > 1 else f"{final[0]:.3f}",
        *(f"{np.abs(final - column[other]).mean():.4f}" for other in ("empirical_weight", "true_weight", "chain_weight")),
        f"{column['weight_min_late'].min():.3f}-{column['weight_max_late'].max():.3f}",
        f"{column['weight_sd_late'].mean():.3f}",
        "-" if accepted[0] is None else f"{accepted.mean():.3f}",
        f"{max(float(value) for value in column['rhat_mode']):.3f}",
    ]


if __name__ == "__main__":
    print(table([json.loads(Path(path).read_text()) for path in sys.argv[1:]]))
