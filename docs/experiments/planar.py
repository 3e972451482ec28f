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
study's own module has its target, its samplers' settings, and the paper's numbers. Five presets:

    quick   4 epochs, chains 8 times shorter, rates decaying to zero; on E Adam, or plain steps for PCD and NT
    swapped quick, with plain steps for those that have Adam there, and Adam for PCD and NT
    best    quick in 10 epochs, and the chains that leave the negatives as long as printed; flowMC, PCD and NT
    paper   as printed, two hours of one core a seed; the short ones come first
    equal   flowMC of paper, its E at the rate printed for PCD and NT

    evenflow reproduce four-modes --preset quick --seeds 3

writes results.json and three pictures, and for each training a folder with its checkpoint, log and row. Interrupted, it leaves
the results of the trainings that are over.
"""
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments import planar_pictures as draw
from evenflow.experiments.ebm_trainings import ALGORITHMS, Preset, Steps, learn, model_of
from evenflow.experiments.planar_measures import ERRORS, ZONES, measure
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import only, write_results
from evenflow.reference.core import Array
from evenflow.reference.ebm import MLPEnergy
from evenflow.reference.ebm.normalizer import Lattice, lattice
from evenflow.reference.flows.densities import Normal, Uniform
from evenflow.reference.flows.flow import Flow, realnvp
from evenflow.reference.mcmc import ISIR, MALA

MOVES, N = 128, 64                # of flowMC; slots of i-SIR
CELLS = 200                      # of the box, along each edge
PICTURES = ("densities.png", "samples.png", "weights.png")
ROW = ("algorithm", "seed", *ERRORS, "log_z_grid", *ZONES, "seconds", "stopped_at")
summary = partial(only, (*ROW[:8], "stopped_at"))


STEPS = Steps(ula=0.125**2 / 2, coop=5e-4, mala=0.01)


PRINTED = {"pcd": 1e-2, "nt": 1e-2, "coopflow": 1e-3, "flowmc": 1e-3, "fce": 1e-3, "jarzynski": 1e-3}  # the last two are ours
OURS = {"pcd": 1e-2, "nt": 1e-2, "coopflow": 1e-4, "flowmc": 5e-3, "fce": 1e-3, "jarzynski": 1e-3}
SWAPPED = {"pcd": 5e-3, "nt": 5e-3, "coopflow": 1e-3, "flowmc": 1e-2, "fce": 1e-2, "jarzynski": 1e-2}
WITH_ADAM = ("flowmc", "coopflow", "fce", "jarzynski")  # the energies of quick and best
PRESETS = {
    "quick": Preset(4, True, OURS, ("pcd", "nt"), shorter=8, pretraining=1_000),
    "swapped": Preset(4, True, SWAPPED, WITH_ADAM, shorter=8, pretraining=1_000),
    "best": Preset(10, True, OURS, ("pcd", "nt"), shorter=8, walked=1, pretraining=1_000, algorithms=("flowmc", "pcd", "nt")),
    "paper": Preset(100, False, PRINTED, ALGORITHMS, algorithms=("fce", "jarzynski", "coopflow", "flowmc", "nt", "pcd")),
    "equal": Preset(100, False, {"flowmc": PRINTED["pcd"]}, ALGORITHMS, algorithms=("flowmc",),
                    flow_rates={"flowmc": PRINTED["flowmc"]}),
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
    fields = ROW

    @cached_property
    def box(self) -> Lattice:
        return lattice((-self.half_width,) * 2, (self.half_width,) * 2, CELLS)

    @cached_property
    def flow(self) -> Flow:
        return realnvp(2, 4, (60,), final_scale=0.0, base=Normal(2, self.base_sd))

    def moves(self, total: int) -> tuple[tuple[Any, int], ...]:
        """1 i-SIR and `local` MALA in turn, `total` moves in all."""
        blocks: list[tuple[Any, int]] = []
        while total > 0:
            blocks += [(partial(ISIR, N=N), 1), (MALA(STEPS.mala), min(self.local, total - 1))]
            total -= 1 + self.local
        return tuple((kernel, steps) for kernel, steps in blocks if steps)

    def model(self, algorithm: str, preset: Preset) -> Any:
        """The algorithm with the chains of the paper, or shorter ones."""
        moves, used = self.moves(MOVES // preset.shorter), max(1, self.used // preset.shorter)
        start = Uniform(2, -self.half_width, self.half_width)
        return model_of(algorithm, preset, MLPEnergy(2), self.flow, start, moves, preset.batch // self.divided, used, STEPS)

    def measured(self, algorithm: str, state: Any, how: Preset, seed: int) -> tuple[dict[str, Any], dict[str, Array]]:
        """Of a trained model: the numbers of its row, and what the pictures need."""
        model = self.model(algorithm, replace(how, shorter=how.walked or how.shorter))
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
