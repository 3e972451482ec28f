"""An adapter in a process of its own: it may raise, print, hang or crash, and still every question gets an answer.

A worker is asked one thing at a time and has a time limit for it; one that does not answer in time, or dies, is replaced, and
the question is answered with the reason. The parent never imports what it checks.
"""
import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Self

from evenflow.conformance.adapter import Adapter, load

START_LIMIT = 300.0  # seconds for importing a library


class NoAnswer(Exception):
    """Why there is none."""


class Worker:
    """ask(f, *args) -> f(adapter, *args), computed elsewhere. A context manager: the process ends with the block."""

    def __init__(self, target: str, time_limit: float) -> None:
        self.target, self.time_limit = target, time_limit
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Raises ValueError, saying why, where the adapter cannot be had."""
        spawn = multiprocessing.get_context("spawn")  # a fresh interpreter: nothing of ours is in the adapter's way
        self.pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(target=serve, args=(theirs, self.target), daemon=True)
        self.process.start()
        theirs.close()
        try:
            self.name, self.dtype = self.answer(START_LIMIT)
        except NoAnswer as error:
            raise ValueError(f"{self.target} {error} while it was imported") from None

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def ask(self, f: Callable[..., Any], *args: Any, limit: float | None = None) -> Any:
        """Raises NoAnswer for a process that hangs or dies, and starts another one."""
        limit = self.time_limit if limit is None else limit
        try:
            self.pipe.send((f, args))
            return self.answer(limit)
        except (NoAnswer, OSError) as error:
            self.stop()
            self.start()
            raise NoAnswer(str(error)) from None

    def answer(self, limit: float) -> Any:
        if not self.pipe.poll(limit):
            raise NoAnswer(f"gave no answer within {limit:g} s")
        try:
            answer = self.pipe.recv()
        except EOFError:
            self.process.join()
            raise NoAnswer(f"ended its process with exit status {self.process.exitcode}") from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def serve(pipe: Connection, target: str) -> None:
    """The worker's side."""
    sys.path.append(os.getcwd())  # where the user's own adapter may lie
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # vectors are small, and threads would only wait for each other
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", os.devnull)  # else it makes a folder here
    try:
        adapter: Adapter = load(target)
        pipe.send((adapter.name, adapter.dtype))
    except ModuleNotFoundError as error:
        hint = "pip install 'evenflow[oracles]'" if target.startswith("evenflow.") else "install it"
        pipe.send(ValueError(f"{target} needs {error.name}, which is not installed: {hint}"))
        return
    except ValueError as error:
        pipe.send(error)
        return
    except Exception as error:
        pipe.send(ValueError(f"{target} raised {type(error).__name__} while it was imported: {error}"))
        return
    while True:
        try:
            f, args = pipe.recv()
        except EOFError:
            return
        pipe.send(f(adapter, *args))
