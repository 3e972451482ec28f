"""The pictures of image_ebm.py: images side by side, acceptances along the training, and the shares of the classes."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from evenflow.experiments.results import Row
from evenflow.reference.app.pictures import COLOURS, new_figure, write
from evenflow.reference.app.shaped_pictures import image_grid
from evenflow.reference.core import Array
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.shapes import Shape

PAPER = (0.05, 0.10)  # global moves that are accepted, Fig. 8
INK = {"flowmc": COLOURS[0], "pcd": COLOURS[1], "data": "black"}
WIDTH = 0.13  # of a bar
SHADE = {"fresh chains": 1.0, "held-out images": 1.0, "flow": 0.25}  # of the others half
LINES = ((0, "acceptance_global", "-", "global moves"), (0, "acceptance_local", ":", "MALA"), (1, "contrast", "-", "contrast"))


def pictures(out: Path, names: Mapping[str, str], folders: Mapping[str, Path], rows: Sequence[Row], dataset: Dataset) -> None:
    """All three, of one seed, of the trainings that did not break off.  folders: algorithm -> where drawn.npz lies."""
    images: dict[str, Array] = {}
    for name, folder in sorted(folders.items(), key=lambda one: list(names).index(one[0])):
        if (folder / "drawn.npz").exists():
            kept = np.load(folder / "drawn.npz")
            images |= {f"{names[name]}, {what}": kept[what] for what in kept.files}
    image_grid(out / "samples.png", images, dataset.shape or Shape((8, 8)), dataset.units.levels)
    curves(out / "acceptance.png", names, [row for row in rows if row["curve"]])
    classes(out / "classes.png", names, rows)


def curves(path: Path, names: Mapping[str, str], rows: Sequence[Row]) -> None:
    """Acceptances above, the contrast below, means over sixtieths of the training."""
    figure = new_figure(7.5, 5.6)
    above, below = panels = figure.subplots(2, sharex=True)
    for row in rows:
        curve, ink = row["curve"], INK[row["algorithm"]]
        for panel, field, style, said in LINES:
            if field in curve:
                steps = curve["steps"] * (np.arange(len(curve[field])) + 0.5) / len(curve[field])
                panels[panel].plot(steps, curve[field], style, color=ink, label=f"{names[row['algorithm']]}, {said}")
    above.axhspan(*PAPER, color="grey", alpha=0.25, label="global moves in the paper, CIFAR-10")
    above.set(ylabel="accepted", ylim=(0, 1))
    below.set(ylabel="mean E(data) - mean E(chains)", xlabel="step")
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    write(figure, path)


def classes(path: Path, names: Mapping[str, str], rows: Sequence[Row]) -> None:
    """A bar for each class and each set of images; nothing where there are no classes."""
    shares = {(row["algorithm"], what): told["classes"] for row in rows for what, told in (row["samples"] or {}).items()
              if told["classes"]}
    order = sorted(shares, key=lambda key: list(names).index(key[0]))
    figure = new_figure(9.0, 3.6)
    axes = figure.subplots()
    for k, key in enumerate(order):
        at, shade = np.arange(len(shares[key])) + WIDTH * (k - (len(order) - 1) / 2), SHADE.get(key[1], 0.5)
        axes.bar(at, shares[key], WIDTH, color=INK[key[0]], alpha=shade, label=f"{names[key[0]]}, {key[1]}")
    axes.set(xlabel="class, by the classifier", ylabel="share")
    if order:
        axes.set_xticks(range(len(shares[order[0]])))
        axes.legend(fontsize=7, ncols=3)
    write(figure, path)
