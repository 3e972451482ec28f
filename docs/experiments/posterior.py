"""What an invertible SAEF gives and a generator does not: inversion, completion, interpolation (Si et al. 2023).

The models are those of block_sweep.py with B = 1, 4 and 16, each by the energy score and by likelihood; posterior_measures.py
has what is measured of held-out digits. The presets are those of block_sweep.py: quick, best and paper. A training's folder is
one of block-sweep's.

    evenflow reproduce posterior --preset best --seeds 2 --out posterior

writes results.json, completion.png, interpolation.png and variances.png.
"""
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from evenflow.experiments import block_sweep, judged
from evenflow.experiments import posterior_pictures as draw
from evenflow.experiments.block_sweep import PRESETS, folder_of
from evenflow.experiments.pages import show
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.posterior_measures import measure, real
from evenflow.experiments.posterior_pages import page
from evenflow.experiments.results import Row, only, remembered
from evenflow.reference.work.runs import Trained, load_run
from evenflow.reference.work.threads import single_blas_thread

RUNS = tuple((B, objective) for B in (1, 4, 16) for objective in ("energy", "likelihood"))
OF_SWEEP = ("d_loss", "bits_per_dim")  # what of its row stands beside ours
PICTURES = ("completion.png", "interpolation.png", "variances.png")
summary = partial(only, (
    "blocks", "objective", "seed", "round_trip_max", "z_distance", "z_d_loss", "d_loss", "bits_per_dim", "stopped_at"))


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False
) -> list[Row]:
    """Train all, as many at a time as there are cores, the longest first; measure, draw into `out`; return the rows."""
    asked(preset, PRESETS, seeds)
    out = Path(out)
    jobs = [(blocks, objective, preset, seed, out, resume) for blocks, objective in reversed(RUNS) for seed in seeds]
    taken = side_by_side(learn, jobs, on_step)
    with single_blas_thread():
        rows = [real(seed) for seed in seeds] + taken[::-1]
        rows.sort(key=lambda row: row["seed"])
        judged.write_rows(out / "results.json", "posterior", preset, PRESETS[preset], rows)
        shown = models(out, taken, seeds[0])
        draw.completion(out / "completion.png", shown, seeds[0])
        draw.interpolation(out / "interpolation.png", shown, seeds[0])
        draw.variances(out / "variances.png", rows)
    return rows


def learn(blocks: int, objective: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep) -> Row:
    """A training of block-sweep, and what is measured of it here."""
    trained = block_sweep.learn(blocks, objective, preset, seed, out, resume, on_step)
    fields = ("blocks", "objective", "seed", "parameters", "train_seconds", "stopped_at", *OF_SWEEP)
    row, folder = {name: trained[name] for name in fields}, folder_of(out, blocks, objective, seed)
    if row["stopped_at"] is not None:
        return row
    return row | remembered(folder / "posterior.json", resume, lambda: measure(load_run(folder), seed))


def models(out: Path, rows: Sequence[Row], seed: int) -> dict[str, Trained]:
    """Those of one seed that came to their end, by name."""
    over = {(row["blocks"], row["objective"]) for row in rows if row["seed"] == seed and row["stopped_at"] is None}
    return {f"B = {B}, {o}": load_run(folder_of(out, B, o, seed)) for B, o in RUNS if (B, o) in over}


if __name__ == "__main__":
    show(page)
