"""What a run of an experiment leaves, and how one is stopped."""
import json
from pathlib import Path
from typing import Any

from evenflow.experiments.pool import OnStep
from evenflow.experiments.results import Row
from evenflow.reference.work.training import Progress

TIMES = ("train_seconds", "seconds", "time", "step_time", "sampling_time", "inversion_time", "naive_time")


class Stopped(KeyboardInterrupt):
    pass


def stopping(name: str, step: int) -> OnStep:
    """As if a user stopped the training whose name begins so."""
    def stop(training: str, progress: Progress) -> None:
        if training.startswith(name) and progress.step == step:
            raise Stopped

    return stop


def without_times(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def written(folder: Path, script: Any) -> Row:
    """results.json; beside it stand all the script's pictures."""
    for picture in script.PICTURES:
        assert (folder / picture).read_bytes()[:4] == b"\x89PNG", picture
    return dict(json.loads((folder / "results.json").read_text()))
