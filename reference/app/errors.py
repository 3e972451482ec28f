"""How the command says what went wrong: one line on standard error, never a traceback, and an exit status.

1 for a bad input or a training that had to stop, 2 for a command line that cannot be read or a package that is missing, 130 for
Ctrl-C.
"""
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import numpy as np

from evenflow.reference.work.stretches import TrainingStopped

EXTRAS = {"typer": "cli", "rich": "cli", "threadpoolctl": "cli", "matplotlib": "plots", "sklearn": "data", "pyarrow": "parquet"}


@contextmanager
def reporting(as_json: bool = False, on_interrupt: str = "interrupted") -> Iterator[None]:
    """Turn what can go wrong in a command into its one line and its exit status; with as_json, into {"error": ...} too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a stopped job leaves its checkpoint, as after Ctrl-C
    try:
        yield
        sys.stdout.flush()  # what cannot be written is said here, not when Python ends
    except KeyboardInterrupt:
        leave(on_interrupt, 130, as_json)
    except ModuleNotFoundError as error:
        leave(missing(error), 2, as_json)
    except BrokenPipeError:  # whoever read our output has had enough
        drop_output()
        sys.exit(1)
    except (ValueError, OSError, MemoryError, FloatingPointError, TrainingStopped, np.linalg.LinAlgError) as error:
        leave(f"error: {message(error)}", 1, as_json)


def drop_output() -> None:
    """Python would else try again to write it when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def message(error: BaseException) -> str:
    """What an error says, on one line; of an OSError the reason and the file, without its number."""
    said = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        said = error.strerror if error.filename is None else f"{error.strerror}: {error.filename}"
    return " ".join(said.split())


def missing(error: ModuleNotFoundError) -> str:
    """What to install for a module that is not there. An unknown one is a mistake of ours, and raised."""
    top = (error.name or "").split(".")[0]
    if top not in EXTRAS:
        raise error
    command = f"pip install 'evenflow[{EXTRAS[top]}]', or [demo] for all that the demo needs"
    return f"error: this needs {top}, which is not installed: {command}"


def leave(line: str, status: int, as_json: bool = False) -> NoReturn:
    print(line, file=sys.stderr)
    try:
        if as_json:
            print(json.dumps({"error": line.removeprefix("error: ")}))
        sys.stdout.flush()
    except OSError:
        drop_output()
    sys.exit(status)
