"""What the commands print: progress bars on standard error, tables and JSON on standard output."""
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from evenflow.reference.work import training
from evenflow.reference.work.checkpoints import Best

HEADS = {
    "blocks": "blocks", "objective": "objective", "held_out_energy_score": "energy\nscore", "d_loss": "D-loss",
    "frechet": "Frechet", "nll_bits_per_dim": "bits\nper dim", "sampling_ms_per_1000": "sample\nms/1000",
    "inversion_ms_per_1000": "invert\nms/1000", "round_trip_error": "round\ntrip", "train_seconds": "train\ns",
    "true_weight": "true\nweight", "empirical_weight": "data's", "final_weight": "final", "weight_min_late": "least\nlate",
    "weight_max_late": "most\nlate", "acceptance_global": "global\naccept.", "rhat_mode": "R-hat\nmode",
    "log_z_grid": "log_z\ngrid", "stopped_at": "broke\noff at",
}


class Bars:
    """One progress bar a training: step, loss, held-out loss, steps per second, time left."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.tasks: dict[str, tuple[TaskID, int]] = {}  # each with the steps that were behind it

    def __call__(self, name: str, at: training.Progress) -> None:
        if name not in self.tasks:
            self.tasks[name] = self.progress.add_task(name, total=at.steps, loss="", held_out="", rate=""), at.step - 1
        task, first = self.tasks[name]
        self.progress.update(task, completed=at.step, **told(at, first))  # type: ignore[arg-type]


def told(at: training.Progress, first: int) -> dict[str, str]:
    """first: the steps that were behind it when it began, or was resumed."""
    fields = {"loss": f"loss {at.loss:.4g}", "rate": f"{(at.step - first) / max(at.seconds, 1e-9):.1f}/s"}
    if at.held_out and "loss" in at.held_out:
        fields["held_out"] = f"held out {at.held_out['loss']:.4g}"
    return fields


class Lines:
    """Where no terminal is, in a file or a pipe: a line every twentieth of a training."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[int, dict[str, str]]] = {}  # of each, the steps that were behind it, and what was told

    def __call__(self, name: str, at: training.Progress) -> None:
        first, fields = self.known.setdefault(name, (at.step - 1, {}))
        fields.update(told(at, first))
        if at.step * 20 // at.steps > (at.step - 1) * 20 // at.steps:
            left = timedelta(seconds=round(at.seconds / (at.step - first) * (at.steps - at.step)))
            parts = [fields[k] for k in ("loss", "held_out", "rate") if k in fields]
            say(f"{name}: step {at.step} of {at.steps}, {', '.join(parts)}, {left} left")


@contextmanager
def bars() -> Iterator[Callable[[str, training.Progress], None]]:
    """Shows on standard error how trainings go on, until the block ends."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines()
        return
    columns: list[tuple[int, ProgressColumn]] = [  # the width from which on each has room
        (60, TextColumn("{task.description}", table_column=Column())), (105, BarColumn(bar_width=24)),
        (0, MofNCompleteColumn()), (0, TextColumn("{task.fields[loss]}")), (75, TextColumn("{task.fields[held_out]}")),
        (80, TextColumn("{task.fields[rate]}")), (50, TimeRemainingColumn()),
    ]
    with Progress(*(column for width, column in columns if console.width >= width), console=console) as progress:
        yield Bars(progress)


def kept_step(lines: list[dict[str, Any]], best: Best | None, figure: str) -> int | None:
    """Say which step's weights were kept of a training with this log, and what the others were worth; return the step.

    figure: of held_out, by which they were judged.
    """
    judged = [(line["held_out"][figure], line["step"]) for line in lines if figure in (line["held_out"] or {})]
    if not judged:
        return lines[-1]["step"] if lines else None
    least, at = (best.value, best.step) if best is not None else min(judged)
    last, step = judged[-1][0], lines[-1]["step"]
    kept = step if best is None else best.step
    say(f"best held out {least:.4g} at step {at}; last {last:.4g}: kept step {kept}")
    return kept


def say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr)


def print_json(document: Any) -> None:
    """The one document on standard output that --json promises. Infinity becomes "inf"; NaN is not JSON, and refused."""
    print(json.dumps(without_infinity(document), indent=2, allow_nan=False))


def without_infinity(document: Any) -> Any:
    if isinstance(document, Mapping):
        return {name: without_infinity(value) for name, value in document.items()}
    if isinstance(document, list | tuple):
        return [without_infinity(value) for value in document]
    return str(document) if isinstance(document, float) and math.isinf(document) else document


def print_rows(rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """A table of rows that share their fields."""
    table = Table(title=escape(title))
    for field in rows[0]:
        table.add_column(HEADS.get(field, field), justify="left" if field == "objective" else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(cell, row.values()))
    Console(width=None if sys.stdout.isatty() else 114).print(table)


def cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return "  ".join(map(cell, value))
    if isinstance(value, float):
        return f"{value:.1e}" if value and abs(value) < 1e-3 else f"{value:.{max(0, 3 - max(0, exponent(value)))}f}"
    return str(value)


def exponent(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0
