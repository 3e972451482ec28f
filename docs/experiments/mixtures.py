"""What mixture-16, -32 and -64 share: four Gaussians in many dimensions (Grenioux et al. 2023, Table 2 and Fig. 6).

Four equal N(mu_i, I) with mu_1 = a (1, ..., 1), mu_2 = a (-1, ... | 1, ...), the others their negatives. The paper prints
a = 0.5919, where the modes overlap; the authors' sampler code has a = 0.591 sqrt(2 ln d), where they are as far apart as the
paper says. Both are measured, each in rows of its own. flowMC-EBM, PCD (which the paper calls ULA), NT and CoopFlow as in the
paper; FCE and Jarzynski, which it does not have, in rows of their own. NT and CoopFlow begin with a flow trained on the data by
likelihood. mixture_measures.py says what is measured. Three presets:

    quick   4 epochs, chains 16 times shorter, 2,048 of them, N = 32, rates decaying to zero, Adam on most energies
    best    the same in 6 epochs, with 128 units in the first layer of the energy, which sees all directions then (32 do not at
            d = 64); flowMC, PCD and NT
    paper   as printed, with planar.py's rates: the paper has none for this study

    evenflow reproduce mixture-16 --preset quick

writes results.json and two pictures, and for each training a folder with its checkpoint, log and row.
"""
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments import mixture_pictures as draw
from evenflow.experiments import planar
from evenflow.experiments.mixture_measures import DRAWS, MEASURED, in_plane, measure, plane_spread
from evenflow.experiments.planar import ALGORITHMS, PRINTED, drawn
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import write_results
from evenflow.reference.core import SGD, Adam, Array
from evenflow.reference.ebm import FCE, NTEBM, PCD, CoopFlow, FlowMCEBM, Jarzynski, MLPEnergy
from evenflow.reference.flows.densities import Normal
from evenflow.reference.flows.flow import Flow, realnvp
from evenflow.reference.mcmc import ISIR, MALA
from evenflow.reference.targets.mixtures import READINGS, GaussianMixture, high_dimensional, misassignment, separation

HIDDEN = {16: 32, 32: 39, 64: 51}  # d -> units of the flow's networks
ULA_STEP, COOP_STEP = 1e-3, 1e-4   # of PCD and Jarzynski's walkers; of CoopFlow
MALA_STEP = 0.1                    # to begin with; it follows its acceptance of 75 %
ULA_STEPS, NT_STEPS, COOP_STEPS, SWEEPS, LOCAL = 512, 128, 256, 16, 8
PICTURES = ("chains.png", "numbers.png")
ROW = ("algorithm", "seed", *MEASURED, "seconds", "stopped_at")
SHOWN = ("reading", *ROW[:12], "stopped_at")


@dataclass(frozen=True)
class Preset(planar.Preset):
    """N: slots of i-SIR; units: of the energy's layers."""
    N: int = 128
    units: tuple[int, ...] = MLPEnergy.hidden


OURS = {"pcd": 1e-2, "nt": 1e-2, "coopflow": 1e-4, "flowmc": 1e-3, "fce": 1e-3, "jarzynski": 1e-3}
SHORT: dict[str, Any] = {
    "decays": True, "rates": OURS, "plain": ("pcd", "nt"), "shorter": 16, "pretraining": 1_000, "points": 50_000, "batch": 128,
    "buffer": 2_048, "N": 32, "flow_rates": {"flowmc": 5e-3},
}
PRESETS = {
    "quick": Preset(4, **SHORT),
    "best": Preset(6, **SHORT, algorithms=("flowmc", "pcd", "nt"), units=(128, 64, 64, 64)),
    "paper": Preset(150, False, PRINTED, ALGORITHMS, points=50_000, batch=128),
}


@dataclass(frozen=True)
class Mixture:
    """One d and one reading of a: what planar.learn needs of a study."""
    d: int
    reading: str
    fields = ROW

    @property
    def name(self) -> str:
        return f"mixture-{self.d}, {self.reading}"

    @property
    def presets(self) -> dict[str, Preset]:
        return PRESETS

    @property
    def target(self) -> GaussianMixture:
        return high_dimensional(self.d, self.reading)

    @cached_property
    def base(self) -> Normal:
        """N(0, s^2 I), s^2 the largest marginal variance of the target."""
        return Normal(self.d, math.sqrt(1 + separation(self.d, self.reading) ** 2))

    @cached_property
    def flow(self) -> Flow:
        """Two blocks, each of two couplings that take turns in what they move."""
        return realnvp(self.d, 4, (HIDDEN[self.d],), final_scale=0.0, base=self.base)

    def model(self, algorithm: str, preset: Preset) -> Any:
        """The algorithm with the chains of the paper, or shorter ones."""
        energy, flow, batch, shorter = MLPEnergy(self.d, preset.units), self.flow, preset.batch, preset.shorter
        optimiser: Any = SGD() if algorithm in preset.plain else Adam()
        if algorithm == "flowmc":
            moves = ((partial(ISIR, N=preset.N), 1), (MALA(MALA_STEP), LOCAL)) * (SWEEPS // shorter)
            return FlowMCEBM(energy, flow, moves, batch, preset.buffer, 1, True, optimiser)
        if algorithm == "pcd":
            return PCD(energy, self.base, ULA_STEPS // shorter, ULA_STEP, batch, preset.buffer, optimiser)
        if algorithm == "nt":
            return NTEBM(energy, flow, MALA(MALA_STEP), NT_STEPS // shorter, batch, True, optimiser)
        if algorithm == "coopflow":
            return CoopFlow(energy, flow, COOP_STEPS // shorter, COOP_STEP, batch, optimiser)
        if algorithm == "fce":
            return FCE(energy, flow, batch, optimiser)
        return Jarzynski(energy, self.base, ULA_STEP, preset.buffer, energy_optimiser=optimiser)

    def measured(self, model: Any, state: Any, how: Preset, seed: int) -> tuple[dict[str, Any], dict[str, Array]]:
        return measure(self.target, model, state, how.buffer, seed)


def run(
    d: int, out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False
) -> list[dict[str, Any]]:
    """Train each algorithm on both readings with each seed, as many at a time as there are cores; write into `out`.

    resume: go on with what `out` holds, begun with the same preset; what is finished there is read.
    """
    how = asked(preset, PRESETS, seeds)
    out = Path(out)
    jobs = [(d, reading, algorithm, preset, seed, out, resume)
            for seed in seeds for reading in READINGS for algorithm in how.algorithms]
    rows = side_by_side(learn, jobs, on_step)
    known = {"a": separation, "misassignment": misassignment, "plane_spread": true_plane_spread, "blob_spread": blob_spread}
    settings = asdict(how) | {name: {reading: f(d, reading) for reading in READINGS} for name, f in known.items()}
    write_results(out / "results.json", {"study": f"mixture-{d}", "preset": preset, "settings": settings, "rows": rows})
    first = [row for row in rows if row["seed"] == seeds[0]]
    seen = {reading: drawn(out / reading, [row for row in first if row["reading"] == reading]) for reading in READINGS}
    draw.chains(out / "chains.png", {r: Mixture(d, r).target for r in READINGS}, seen)
    draw.numbers(out / "numbers.png", rows)
    return rows


def true_plane_spread(d: int, reading: str) -> float:
    """Of draws of p*."""
    target = high_dimensional(d, reading)
    return plane_spread(target, in_plane(target, target.sample(target.noise(np.random.default_rng(0), DRAWS))))


def blob_spread(d: int, reading: str) -> float:
    """Of one normal density with the covariance of p*, without any modes."""
    sd = math.sqrt(1 + separation(d, reading) ** 2 * d / 2)  # in the plane
    return plane_spread(high_dimensional(d, reading), sd * np.random.default_rng(0).standard_normal((DRAWS, 2)))


def learn(
    d: int, reading: str, algorithm: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep
) -> dict[str, Any]:
    """One training and what is measured after it; its row."""
    row = planar.learn(
        Mixture(d, reading), algorithm, preset, seed, out / reading, resume,
        lambda name, progress: on_step(f"{name}, a of the {reading}", progress),
    )
    return {"reading": reading, **row}


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the terminal shows of each row."""
    return [{name: row[name] for name in SHOWN} for row in rows]
