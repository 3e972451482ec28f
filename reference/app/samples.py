"""Samples, drawn and written a part at a time: as many as are wanted fit into memory."""
import csv
import io
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from evenflow.reference.app import console, pictures, shaped_pictures
from evenflow.reference.core import Array, lookup
from evenflow.reference.work.files import write_aside
from evenflow.reference.work.flow_model import ROWS
from evenflow.reference.work.runs import Trained

WALKED = 100_000                   # samples of one walk: each begins with a warm-up
PRINTED, PICTURED = 10**8, 10_000  # samples at most, on standard output and in a picture
IMAGES = 1000                      # in a picture of images, or of series


class Part(NamedTuple):
    """Some samples."""
    x: Array              # (k, d)
    labels: Array | None  # (k,), of a class-conditional model


def whole_number(text: str) -> int:
    """What --n may be."""
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"--n must be a whole number >= 1, got {text!r}")
    return int(text)


def drawn(trained: Trained, n: int, rng: np.random.Generator, label: int | None = None) -> Iterator[Part]:
    """n samples in parts. Of an energy-based model it is said at the end how its chains moved: each part has its own."""
    walks, most = [], WALKED if trained.can("log_z") else ROWS
    for done in range(0, n, most):
        k = min(most, n - done)
        if trained.can("log_z"):
            x, walked = trained.sample_and_walk(k, rng)
            walks.append((walked.acceptance_local, walked.acceptance_global))
            yield Part(x, None)
        else:
            labels = trained.some_labels(k, rng) if label is None else np.full(k, label)
            yield Part(trained.sample(k, rng, labels), labels)
    if walks:
        local, far = np.mean(walks, axis=0)
        console.say(f"flowMC took {local:.0%} of the local, {far:.0%} of the global moves")


def drawn_for(trained: Trained, given: Array, n: int, rng: np.random.Generator) -> Iterator[Part]:
    """n samples for each row of given (m, k), row by row, in parts."""
    for row in given:
        for done in range(0, n, ROWS):
            k = min(ROWS, n - done)
            yield Part(trained.sample(k, rng, np.tile(row, (k, 1))), None)


def write_samples(trained: Trained, parts: Iterable[Part], each: int, out: Path | None, rows: int | None = None) -> None:
    """The samples of parts into a file by its ending, or as .csv on standard output. Refuses, before any is drawn, too many.

    As many as `each`, or as many for each of so many rows of what is given: a .csv then begins with the row's number, from 1,
    an array has the shape (rows, each, d). Images and series stand in arrays with their own axes in the place of d. Labels are
    the last column of a .csv, and y beside x in an .npz.
    """
    n = each * (1 if rows is None else rows)
    ending = ".csv" if out is None else out.suffix.lower()
    size, write = lookup("file ending", ending, WRITERS)
    if ending == ".png" and n > (most := PICTURED if trained.shape is None else IMAGES):
        raise ValueError(f"a picture shows {most:,} samples at most, got --n {n}")
    if out is None:
        if n > PRINTED:
            raise ValueError(f"{PRINTED:,} samples at most go to standard output, got --n {n}: name a file with --out")
        write_csv(sys.stdout, trained, parts, rows and each)
        return
    needed, free = n * trained.d * size, shutil.disk_usage(next(p for p in out.absolute().parents if p.exists())).free
    if needed > free:
        raise ValueError(f"{n} samples take about {needed / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free for {out}")
    if write is None:
        draw_sets(out, trained, {"samples": np.concatenate([x for x, _ in parts])})
    else:
        write_aside(out, lambda file: write(file, trained, parts, (each,) if rows is None else (rows, each)))


def write_csv(file: IO[str], trained: Trained, parts: Iterable[Part], each: int | None) -> None:
    """Words as words; each: samples for a row, whose number then comes first."""
    writer, columns = csv.writer(file, lineterminator="\n"), trained.columns or tuple(f"x{j}" for j in range(trained.d))
    words, i = [(j, trained.words[name]) for j, name in enumerate(columns) if name in trained.words], 0
    last = (trained.reading.label_column or "label",) if trained.class_shares and not each else ()
    writer.writerow((("row",) if each else ()) + columns + last)
    for x, labels in parts:
        for k, line in enumerate(x.tolist()):
            for j, classes in words:
                line[j] = classes[int(line[j])]
            kind = [] if labels is None else [trained.classes[labels[k]]]
            writer.writerow([i // each + 1, *line] if each else line + kind)
            i += 1


def csv_file(file: IO[bytes], trained: Trained, parts: Iterable[Part], shape: tuple[int, ...]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    write_csv(text, trained, parts, shape[1] if len(shape) > 1 else None)
    text.detach()


def npy_file(file: IO[bytes], trained: Trained, parts: Iterable[Part], shape: tuple[int, ...]) -> None:
    """What np.save writes of all parts in one array, each sample with its own axes."""
    axes = (trained.d,) if trained.shape is None else trained.shape.axes
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (*shape, *axes)})
    for x, _ in parts:
        file.write(x.astype("<f8").tobytes())


def npz_file(file: IO[bytes], trained: Trained, parts: Iterable[Part], shape: tuple[int, ...]) -> None:
    kinds: list[Array] = []

    def noted() -> Iterator[Part]:
        for part in parts:
            kinds.extend([] if part.labels is None else [part.labels])
            yield part

    with zipfile.ZipFile(file, "w") as archive:
        with archive.open("x.npy", "w", force_zip64=True) as entry:
            npy_file(entry, trained, noted(), shape)
        if kinds:
            with archive.open("y.npy", "w") as entry:
                np.save(entry, np.array(trained.classes)[np.concatenate(kinds)], allow_pickle=False)


def draw_sets(path: Path, trained: Trained, sets: dict[str, Array]) -> None:
    """Digits and images as such, series as lines, planes as points, all else as histograms of the columns."""
    shape = trained.shape
    if trained.data == "digits":
        pictures.digit_grid(path, sets)
    elif shape is not None and shape.series:
        shaped_pictures.series_picture(path, sets, shape)
    elif shape is not None:
        shaped_pictures.image_grid(path, sets, shape, trained.units.levels)
    elif trained.d == 2:
        pictures.scatter_picture(path, sets)
    else:
        pictures.marginals_picture(path, sets, trained.columns)


WRITERS: dict[str, tuple[int, Callable[..., None] | None]] = {  # bytes a number, about; what writes a file, None for a picture
    ".npy": (8, npy_file), ".npz": (8, npz_file), ".csv": (19, csv_file), ".png": (0, None),
}
