"""What mixture-16, -32 and -64 share: four Gaussians in many dimensions (Grenioux et al. 2023, Table 2 and Fig. 6).

Two readings of their distance a are measured, that of the paper and that of the authors' code (targets/mixtures.py), each in
rows of its own, by the algorithms of planar.py. mixture_measures.py says what is measured. Three presets:

    quick   4 epochs, chains 16 times shorter, 2,048 of them, N = 32, rates decaying to zero, Adam on most energies
    best    the same in 8 epochs, with 128 units in the first layer of the energy, which sees all directions then (32 do not at
            d = 64), and rates that fall as half a cosine: what a mode weighs is an average over the last, small steps, and a
            line has fewer of them; flowMC, PCD and NT
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

from evenflow.experiments import ebm_trainings
from evenflow.experiments import mixture_pictures as draw
from evenflow.experiments.ebm_trainings import ALGORITHMS, Steps
from evenflow.experiments.mixture_measures import DRAWS, MEASURED, in_plane, measure, plane_spread
from evenflow.experiments.planar import PRINTED, drawn
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import only, write_results
from evenflow.reference.core import Array
from evenflow.reference.ebm import MLPEnergy
from evenflow.reference.flows.densities import Normal
from evenflow.reference.flows.flow import Flow, realnvp
from evenflow.reference.mcmc import ISIR, MALA
from evenflow.reference.targets.mixtures import READINGS, GaussianMixture, high_dimensional, misassignment, separation

HIDDEN = {16: 32, 32: 39, 64: 51}  # d -> units of the flow's networks
STEPS = Steps(ula=1e-3, coop=1e-4, mala=0.1)
SWEEPS, LOCAL = 16, 8
PICTURES = ("chains.png", "numbers.png")
ROW = ("algorithm", "seed", *MEASURED, "seconds", "stopped_at")
SHOWN = ("reading", *ROW[:12], "stopped_at")
summary = partial(only, SHOWN)


@dataclass(frozen=True)
class Preset(ebm_trainings.Preset):
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
    "best": Preset(8, **SHORT, algorithms=("flowmc", "pcd", "nt"), units=(128, 64, 64, 64), cosine=True),
    "paper": Preset(150, False, PRINTED, ALGORITHMS, points=50_000, batch=128),
}


@dataclass(frozen=True)
class Mixture:
    """One d and one reading of a: what ebm_trainings.learn needs of a study."""
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
        energy, chains = MLPEnergy(self.d, preset.units), preset.batch
        moves = ((partial(ISIR, N=preset.N), 1), (MALA(STEPS.mala), LOCAL)) * (SWEEPS // preset.shorter)
        return ebm_trainings.model_of(algorithm, preset, energy, self.flow, self.base, moves, chains, 1, STEPS)

    def measured(self, algorithm: str, state: Any, how: Preset, seed: int) -> tuple[dict[str, Any], dict[str, Array]]:
        return measure(self.target, self.model(algorithm, how), state, how.buffer, seed)


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
    row = ebm_trainings.learn(
        Mixture(d, reading), algorithm, preset, seed, out / reading, resume,
        lambda name, progress: on_step(f"{name}, a of the {reading}", progress),
    )
    return {"reading": reading, **row}
