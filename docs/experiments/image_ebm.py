"""Energy-based models of images, flowMC-EBM against PCD: Grenioux et al. 2023, section 5, Fig. 7 and 8.

Everything lives in one space: pixels with uniform noise, brought into (0, 1) with a margin of 5 %, by the logit onto the line,
and with one shift and one scale for all of them to mean 0 and variance 1. There a convolutional energy is tilted by N(0, I),
and the companion flow, a RealNVP of images, begins as that N(0, I): at the start model, tilt and flow are one density, and no
chain can leave the cube. Of images but digits each second one is flipped left to right. A training step of flowMC moves a batch
of 8 batches of persistent chains by 3 x (1 i-SIR + MALA). PCD has the same energy, tilt, start, penalty, optimiser (Adam) and
rates, and as many steps of ULA as flowMC has of MALA: what differs is the sampler. Presets:

    quick    digits; with --data DIR Fashion-MNIST at 14 x 14
    device   the same with larger networks and longer chains
    paper    the paper's sizes: photographs 32 x 32; with --data DIR Fashion-MNIST 28 x 28, or CIFAR-10

    evenflow reproduce image-ebm --preset quick --seeds 2

writes results.json and three pictures, and for each training a folder with its checkpoint, log and row. Interrupted, it leaves
the results of the trainings that are over. What is measured is said in image_ebm_measures.py.
"""
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evenflow.experiments import image_ebm_pictures as draw
from evenflow.experiments import judged
from evenflow.experiments.ebm_trainings import fitted, spent
from evenflow.experiments.image_data import images
from evenflow.experiments.image_ebm_measures import MEASURED, Judge, measure, of_data
from evenflow.experiments.pages import show
from evenflow.experiments.planar import check_preset, over
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import Row, kept, only
from evenflow.reference.core import Adam, Array
from evenflow.reference.core.optim import linear_decay, step_decay
from evenflow.reference.ebm import PCD, ConvEnergy, FlowMCEBM, Rates
from evenflow.reference.flows.image import image_realnvp
from evenflow.reference.mcmc import ISIR, MALA
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.evaluation import in_chunks
from evenflow.reference.work.files import write_aside
from evenflow.reference.work.folders import read_log
from evenflow.reference.work.stretches import TrainingStopped
from evenflow.reference.work.training import Settings
from evenflow.reference.work.units import Units

NAME, ALGORITHMS = "image-ebm", ("flowmc", "pcd")
NAMES = {"data": "data", "flowmc": "flowMC-EBM", "pcd": "PCD-ULA"}
SWEEPS, BATCHES, PENALTY, EVERY = 3, 8, 1e-4, 50  # batches in the buffer
MARGIN, COPIED = 0.05, 24_000
PICTURES = ("samples.png", "acceptance.png", "classes.png")
ROW = ("algorithm", "seed", "data", *MEASURED, "seconds", "stopped_at")
SHOWN = (*ROW[:3], "acceptance_global", "contrast", "bits", "bits_flow", "chains", "fresh chains", "flow", "stopped_at")


class Preset(NamedTuple):
    """images, in_folder: the data without and with a folder; levels: of grey images with 256 of them; widths: of the energy;
    width, blocks, scales: of the flow; N: slots of i-SIR; local: MALA after each; factor: of the rate every 50 batches, None:
    it falls linearly to zero; ula: PCD's step; walked: sweeps of fresh chains; judged: images at most, no more than there are
    chains, since Frechet distances are compared at equal numbers; draws: of the flow, for log Z."""
    images: str
    in_folder: str
    levels: int | None
    widths: tuple[int, ...]
    width: int
    blocks: int
    scales: int
    N: int
    local: int
    batch: int
    steps: int
    rate: float
    factor: float | None
    ula: float = 0.005
    walked: int = 12
    judged: int = 1_000
    draws: int = 4_000


PAPER_EPOCHS = 70
PRESETS = {
    "quick": Preset("digits", "fashion-14", levels=16, widths=(16, 32, 32), width=16, blocks=1, scales=1, N=16, local=16,
                    batch=32, steps=600, rate=2e-3, factor=None, walked=24, judged=256),
    "device": Preset("digits", "fashion-14", levels=16, widths=(64, 128, 256), width=32, blocks=1, scales=1, N=32, local=16,
                     batch=128, steps=1_000, rate=1e-3, factor=None, walked=30, judged=500),
    "paper": Preset("photographs", "fashion", levels=None, widths=(80, 160, 320, 640), width=64, blocks=4, scales=2, N=128,
                    local=32, batch=128, steps=27_300, rate=1e-4, factor=0.99),
}


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False,
    data: Path | None = None,
) -> list[Row]:
    """Train both with each seed, as many at a time as there are cores; write into `out`; return the rows.

    resume: go on with what `out` holds, begun with the same preset; what is finished there is read.
    data: a folder of images, in the place of those that come with the libraries.
    """
    how, out = asked(preset, PRESETS, seeds), Path(out)
    check_preset(out / "results.json", preset)
    kinds = ("flowmc", "pcd", "data")
    jobs = [(kind, preset, seed, out, resume) for seed in seeds for kind in kinds]
    try:
        rows = side_by_side(partial(learn, data=data), jobs, on_step)
    finally:
        if done := over(out, preset, seeds, kinds):
            judged.write_rows(out / "results.json", NAME, preset, how._asdict(), done)
    first = [row for row in rows if row["seed"] == seeds[0]]
    drawn = {row["algorithm"]: out / f"{row['algorithm']}-seed{seeds[0]}" for row in first}
    draw.pictures(out, NAMES, drawn, first, read(how, data))
    return rows


def summary(rows: Sequence[Row]) -> list[Row]:
    """For the terminal: under chains, fresh chains and flow their D-loss."""
    return only(SHOWN, [row | {what: told.get("d_loss") for what, told in (row["samples"] or {}).items()} for row in rows])


def learn(
    algorithm: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep, data: Path | None = None
) -> Row:
    """One training and what is measured after it, kept beside its checkpoint; its row. data: what is measured of the data."""
    folder, how = out / f"{algorithm}-seed{seed}", PRESETS[preset]
    dataset = read(how, data)
    units = logit_units(dataset)
    identity = {"study": NAME, "algorithm": algorithm, "preset": preset, "seed": seed, "data": dataset.name}

    def make() -> Row:
        row = dict.fromkeys(ROW) | {"algorithm": algorithm, "seed": seed, "data": dataset.name}
        judge = Judge(dataset, units, how.judged, seed)
        if algorithm == "data":
            measured, drawn = of_data(judge)
        else:
            try:
                trained, state = train(algorithm, dataset, units, how, seed, folder, resume, identity, on_step)
            except TrainingStopped as stopped:
                return row | {"stopped_at": stopped.step}
            lines = read_log(folder / "log.jsonl")
            measured, drawn = measure(trained, state, judge, how, lines)
            measured["seconds"] = round(spent(lines), 1)
        folder.mkdir(parents=True, exist_ok=True)
        write_aside(folder / "drawn.npz", lambda file: np.savez_compressed(file, **drawn))
        return row | measured

    return dict(kept(folder / "row.json", {"identity": identity}, "row", resume, make))


def train(
    algorithm: str, dataset: Dataset, units: Units, how: Preset, seed: int, folder: Path, resume: bool, identity: Row,
    on_step: OnStep,
) -> tuple[Any, Any]:
    """The model, and its state after the training."""
    model = model_of(algorithm, shape_of(dataset), how)
    rate = linear_decay(how.rate, how.steps) if how.factor is None else step_decay(how.rate, how.factor, EVERY)
    x = np.concatenate(list(copies(dataset, units, np.random.default_rng([seed, 5]))))
    state = fitted(
        model, [], x, how.batch, lambda step: Rates(rate(step), rate(step)), Settings(how.steps, checkpoint_every=EVERY), seed,
        folder, resume, identity, partial(on_step, f"{NAMES[algorithm]}, seed {seed}"))
    return model, state


def model_of(algorithm: str, shape: tuple[int, int, int], how: Preset) -> FlowMCEBM | PCD:
    energy, flow = ConvEnergy(shape, how.widths), image_realnvp(shape, how.scales, how.width, how.blocks, final_scale=0.0)
    if algorithm == "flowmc":
        moves = ((partial(ISIR, N=how.N), 1), (MALA(0.05), how.local)) * SWEEPS
        return FlowMCEBM(energy, flow, moves, how.batch, BATCHES * how.batch, None, True, Adam(), penalty=PENALTY)
    return PCD(energy, flow.base, SWEEPS * how.local, how.ula, how.batch, BATCHES * how.batch, Adam(), flow.base, PENALTY)


def read(how: Preset, data: Path | None) -> Dataset:
    """The images, in as many levels as the preset says where they are grey: an empty ground is then no thin slab."""
    name = how.images if data is None else how.in_folder
    dataset = images(name, data)
    name = "cifar" if data and shape_of(dataset)[2] == 3 else name
    if how.levels is None or dataset.units.levels != 256:
        return dataset._replace(name=name)
    train, held_out = (part // (256 // how.levels) for part in (dataset.train, dataset.held_out))
    return dataset._replace(name=name, train=train, held_out=held_out, units=Units.whole_numbers(train, how.levels))


def shape_of(dataset: Dataset) -> tuple[int, int, int]:
    """(h, w, c); digits come without a shape."""
    axes = (8, 8) if dataset.shape is None else dataset.shape.axes
    return axes[0], axes[1], axes[2] if len(axes) == 3 else 1


def logit_units(dataset: Dataset) -> Units:
    """y / levels -> logit(MARGIN + (1 - 2 MARGIN) y / levels), then one shift and one scale for all pixels."""
    d, levels = dataset.train.shape[1], dataset.units.levels
    assert levels is not None
    beyond = MARGIN / (1 - 2 * MARGIN) * levels
    bounds = np.repeat([[-beyond], [levels - 1 + beyond]], d, axis=1)
    plain = Units(np.zeros(d), np.ones(d), levels, bounds=bounds)
    t = plain.dequantised(dataset.train[:2_000], np.random.default_rng(0))
    return replace(plain, shift=np.full(d, t.mean()), scale=np.full(d, t.std()))


def copies(dataset: Dataset, units: Units, rng: np.random.Generator) -> Iterator[Array]:
    """The training images (k, d) in the model's units, a few times, COPIED in all where they are few.

    Each copy has noise of its own, and each second image is flipped, but of digits none.
    """
    shape = shape_of(dataset)
    for _ in range(max(2, COPIED // len(dataset.train))):
        for (x,) in in_chunks(dataset.train):
            if dataset.name != "digits":
                x = np.where(rng.random((len(x), 1)) < 0.5, x, x.reshape(-1, *shape)[:, :, ::-1].reshape(x.shape))
            yield units.dequantised(x, rng).astype(np.float32)


if __name__ == "__main__":
    from evenflow.experiments.image_ebm_pages import page
    show(page)
