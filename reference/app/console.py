"""What the commands print: progress bars on standard error, tables and JSON on standard output."""
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

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
        self.tasks: dict[str, TaskID] = {}
        self.first: dict[str, tuple[int, float]] = {}

    def __call__(self, name: str, at: training.Progress) -> None:
        if name not in self.tasks:
            self.tasks[name] = self.progress.add_task(name, total=at.steps, loss="", held_out="", rate="")
            self.first[name] = (at.step - 1, 0.0)
        done = at.step - self.first[name][0]
        fields = {"loss": f"loss {at.loss:.4g}", "rate": f"{done / max(at.seconds, 1e-9):.1f}/s"}
        if at.held_out and "loss" in at.held_out:
            fields["held_out"] = f"held out {at.held_out['loss']:.4g}"
        self.progress.update(self.tasks[name], completed=at.step, **fields)  # type: ignore[arg-type]


@contextmanager
def bars() -> Iterator[Bars]:
    """Draws the bars on standard error until the block ends."""
    columns = [TextColumn(f"{{task.fields[{field}]}}") for field in ("loss", "held_out", "rate")]
    with Progress(
        TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), *columns, TimeRemainingColumn(),
        console=Console(stderr=True), transient=False,
    ) as progress:
        yield Bars(progress)


def kept_step(lines: list[dict[str, Any]], best: Best | None) -> int | None:
    """Say which step's weights were kept of a training with this log, and what the others were worth; return the step."""
    judged = [(line["held_out"]["loss"], line["step"]) for line in lines if "loss" in (line["held_out"] or {})]
    if not judged:
        return lines[-1]["step"] if lines else None
    least, at = (best.value, best.step) if best is not None else min(judged)
    last, step = judged[-1][0], lines[-1]["step"]
    kept = step if best is None else best.step
    say(f"best held out {least:.4g} at step {at}; last {last:.4g}: kept step {kept}")
    return kept


def say(line: str) -> None:
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
    table = Table(title=title)
    for field in rows[0]:
        table.add_column(HEADS.get(field, field), justify="left" if field == "objective" else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(cell, row.values()))
    Console(width=None if sys.stdout.isatty() else 114).print(table)


def print_fields(row: Mapping[str, Any], title: str = "") -> None:
    """A table of one row, a field a line."""
    table = Table(title=title, show_header=False)
    for field, value in row.items():
        table.add_row(field.replace("_", " "), cell(value))
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
