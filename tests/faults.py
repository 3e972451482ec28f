"""Faults, planted: what becomes of a run when its process is killed, its disk full, its checkpoint damaged, its folder shared.

    python -m tests.faults [PAGE]    writes docs/reliability.md with what came out; ends with an error where a run was harmed

A tiny model is trained on the backend `numpy` with a checkpoint every 20 steps. The processes that are killed, or may write no
large file, are forks of this one, so that they do nothing but train. Moments, sizes and damages are random, from a fixed seed;
how often a kill meets a file half written depends on the machine.
"""
import io
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from evenflow import accel
from evenflow.reference.app.errors import reporting
from evenflow.reference.core.trees import named_leaves
from evenflow.reference.work import files, flow_model
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.folders import CHECKPOINT, CONFIG, LOG, read_log
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import load_run, train_on
from evenflow.reference.work.threads import single_blas_thread
from evenflow.reference.work.training import Settings
from evenflow.reference.work.units import Units

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
KILLS, LIMITS, FLIPS, CUTS, SPLICED, SWAPPED = 100, 30, 600, 200, 100, 100
WRITING = {"write_aside", "__call__", "take", "alone"}  # in files.py, folders.py, lock.py: what writes into the folder

TEXT = """# What a run survives

Whatever ends a training (Ctrl-C, `kill -9`, a full disk, a power cut), its folder is complete, or can be resumed, or the
command refuses it with one line that says what to do. This page is written by

    python -m tests.faults

which plants the faults below and ends with an error where one of them does harm; `make test-all` runs it, too. The
trainings are of a small flow on `numpy`, {steps} steps, a checkpoint every 20. Bit for bit: every number in the checkpoint
(parameters, best parameters, optimiser, random generator) and every line of the log but its seconds. Refused: by
`evenflow sample` and by `evenflow train --resume` alike.

**Killed (SIGKILL) at a random moment**, resumed, killed again, until it ended. {clock[kills]} kills of {clock[trainings]}
trainings: {clock[part]} left a half-written file, {clock[cut]} half a line of the log, {clock[unbegun]} no checkpoint yet.
All ended bit for bit where the uninterrupted training ends, and no half-written file stayed.

**Killed at a random call inside the writing** of config.json, checkpoint, log or lock. {writing[kills]} kills of
{writing[trainings]} trainings: {writing[part]} left a half-written file, {writing[cut]} half a line of the log,
{writing[unbegun]} no checkpoint yet. The same.

**No file may grow beyond a random size** (RLIMIT_FSIZE, like a full disk). {limited[limits]} sizes: {limited[stopped]}
trainings stopped with one line and exit status 1, {limited[cut]} of them with half a line in the log, {limited[unbegun]}
before their first checkpoint; the others fitted. Resumed without the limit, all ended with the parameters of the
uninterrupted training, bit for bit, and its log.

**Damaged checkpoints**, {damages} in all.

| | | accepted | refused in one line |
|---|---|---|---|
| one bit turned | {damaged[flips]} | 0 | all |
| truncated at a random byte | {damaged[cuts]} | 0 | all |
| the end replaced by that of another run's | {damaged[spliced]} | 0 | all |
| another run's (other seed, choices, length, data), or none at all | {damaged[swapped]} | 0 | all |

**Two processes in one folder.** The second, whether it begins or resumes, ends with status 1 and the first goes on:

    {shared}

What is not promised. After a power cut the log may lack lines before the checkpoint, which alone is flushed to the disk.
The lock is `flock`'s: on a network file system as good as there, and on Windows there is none. Another backend, another
number of BLAS threads or another machine round otherwise: resume with the same.

`--extend --steps 4000` goes on with a run of 3,000. Along a constant learning rate its last weights are bit for bit those
of a run of 4,000 (the best may differ: it also looked at the held-out rows at step 3,000). A rate that decays, as it does
unless told otherwise, would have been higher all along in such a run, and after step 3,000 is what it would be there: the
result is that of no uninterrupted run, but the same every time.
"""


def table(seed: int = 0) -> Dataset:
    x = np.random.default_rng(seed).standard_normal((200, 2))
    return Dataset("table", x[:160], x[160:], None, None, Units.whitened(x[:160]), None)


CHOSEN, DATA = Config("maf", layers=1, hidden=(8,), batch=32, steps=120), table()


def train(folder: Path, resume: bool = True) -> None:
    train_on(CHOSEN, DATA, folder, resume=resume)


def left(folder: Path) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """What a run comes to: every number in its checkpoint, and its log but for the seconds."""
    log = [{name: value for name, value in line.items() if name != "seconds"} for line in read_log(folder / LOG)]
    return numbers(folder / CHECKPOINT), log


def numbers(path: Path) -> dict[str, bytes]:
    return {name: leaf.tobytes() + str((leaf.dtype, leaf.shape)).encode() for name, leaf in named_leaves(files.load(path))}


def fork(work: Callable[[], object]) -> int:
    """A process that does this and ends: with status 0, or 1 after an error."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    return pid


def ended(pid: int) -> bool:
    """Whether it did its work; False where it was killed."""
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, -signal.SIGKILL), status
    return status == 0


# -- killed --------------------------------------------------------------------------------------------------------

def kill_by_the_clock(folder: Path, rng: np.random.Generator, seconds: float) -> bool:
    """Train on, and be killed at a moment within so many seconds; whether it ended before."""
    pid = fork(lambda: train(folder))
    time.sleep(rng.uniform(0, seconds))
    os.kill(pid, signal.SIGKILL)
    return ended(pid)


def kill_while_writing(folder: Path, rng: np.random.Generator, calls: float) -> bool:
    """Train on, and be killed at one of so many calls that are made while files are written."""
    at = int(rng.integers(int(calls)))
    return ended(fork(lambda: watched(folder, lambda count: os.kill(os.getpid(), signal.SIGKILL) if count == at else None)))


def watched(folder: Path, tell: Callable[[int], object]) -> int:
    """Train on, telling the number of each call made, of Python's or of C's, while the folder is written to."""
    depth = count = 0

    def profile(frame: Any, event: str, arg: Any) -> None:
        nonlocal depth, count
        name, code = frame.f_code.co_name, frame.f_code
        if event in ("call", "return") and name in WRITING and code.co_filename.endswith(("files.py", "folders.py", "lock.py")):
            depth += 1 if event == "call" else -1
        if depth > 0 and event in ("call", "c_call"):
            tell(count)
            count += 1

    sys.setprofile(profile)
    try:
        train(folder)
    finally:
        sys.setprofile(None)
    return count


def cut(folder: Path) -> bool:
    """Whether the last line of the log was not written to its end."""
    return (folder / LOG).exists() and (folder / LOG).read_bytes()[-1:] not in (b"", b"\n")


def killed(within: Path, kill: Callable[[Path, np.random.Generator, Any], bool], most: float, expected: Any) -> dict[str, int]:
    """KILLS kills of as many trainings as it takes, each resumed until it ends: how many were met in which state."""
    rng, found = np.random.default_rng(0), dict.fromkeys(("kills", "trainings", "unbegun", "part", "cut"), 0)
    while found["kills"] < KILLS:
        folder = within / f"{kill.__name__}{found['trainings']}"
        while found["kills"] < KILLS and not kill(folder, rng, most):
            found["kills"] += 1
            found["unbegun"] += not (folder / CHECKPOINT).exists()
            found["part"] += any(folder.glob(".*.part"))
            found["cut"] += cut(folder)
        assert ended(fork(lambda folder=folder: train(folder)))  # type: ignore[misc]
        assert left(folder) == expected, folder
        assert sorted(os.listdir(folder)) == sorted([CONFIG, CHECKPOINT, LOG])
        found["trainings"] += 1
    return found


# -- full ----------------------------------------------------------------------------------------------------------

def limited(within: Path, largest: int, expected: Any) -> dict[str, int]:
    """LIMITS trainings that may write no file beyond a random size: stopped with one line, then resumed without the limit."""
    rng, found = np.random.default_rng(0), {"limits": 0, "stopped": 0, "unbegun": 0, "cut": 0}
    for n in range(LIMITS):
        folder, limit = within / f"limit{n}", int(rng.integers(12 * largest // 10))
        reader, writer = os.pipe()

        def work(folder: Path = folder, limit: int = limit, writer: int = writer) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            status, lines = outcome(lambda: train(folder))
            os.write(writer, f"{status}\n{lines}".encode())

        assert ended(fork(work))
        os.close(writer)
        with os.fdopen(reader) as pipe:
            status, line, *more = [*pipe.read().split("\n"), ""]
        found["limits"] += 1
        found["stopped"] += status == "1"
        assert status == "0" or (line.startswith("error: cannot write ") and more == [""]), (status, line, more)
        found["unbegun"] += not (folder / CHECKPOINT).exists()
        found["cut"] += cut(folder)
        assert not any(folder.glob(".*.part"))
        train(folder)
        assert left(folder) == expected, folder
    return found


def outcome(work: Callable[[], object]) -> tuple[int, str]:
    """The exit status that a command would have, and what it would say."""
    with redirect_stderr(io.StringIO()) as told:
        try:
            with reporting():
                work()
        except SystemExit as end:
            return int(end.code or 0), told.getvalue().rstrip("\n")
    return 0, told.getvalue()


# -- damaged -------------------------------------------------------------------------------------------------------

def others(within: Path) -> list[bytes]:
    """Checkpoints of SWAPPED - 4 other runs, in seed, choices, length or data; and four files that are none."""
    made = []
    for n in range(SWAPPED - 4):
        others: list[dict[str, Any]] = [{"seed": n + 1}, {"learning_rate": 0.002 + n}, {"steps": n + 1}, {"hidden": (9 + n,)}]
        choice: dict[str, Any] = [*others, {}][n % 5]
        folder, data = within / f"other{n}", table(n + 1) if n % 5 == 4 else DATA
        with suppress(Stop):
            train_on(Config(**{**vars(CHOSEN), **choice}), data, folder, callback=stop)
        made.append((folder / CHECKPOINT).read_bytes())
    return [*made, (folder / CONFIG).read_bytes(), b"a text", b"", bytes(5000)]


class Stop(Exception):
    pass


def stop(progress: object) -> None:
    raise Stop


def damaged(within: Path) -> dict[str, int]:
    """How many damaged checkpoints were refused, to be sampled and to be resumed alike."""
    folder = within / "damaged"
    train(folder)
    path, whole, rng = folder / CHECKPOINT, (folder / CHECKPOINT).read_bytes(), np.random.default_rng(0)
    swapped = others(within)
    found = {"flips": 0, "cuts": 0, "spliced": 0, "swapped": 0}

    def refuse(kind: str, content: bytes) -> None:
        path.write_bytes(content)
        ends = [outcome(lambda: load_run(folder)), outcome(lambda: train(folder))]
        found[kind] += 1
        assert all(status == 1 and line.startswith("error: ") and "\n" not in line for status, line in ends), ends
        assert path.read_bytes() == content

    for bit in rng.choice(8 * len(whole), FLIPS, replace=False).tolist():
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        refuse("flips", bytes(flipped))
    for length in rng.choice(len(whole), CUTS, replace=False).tolist():
        refuse("cuts", whole[:length])
    for place in rng.choice(len(whole) - 1, SPLICED, replace=False).tolist():
        refuse("spliced", whole[: place + 1] + swapped[0][place + 1 :])
    for other in swapped:
        refuse("swapped", other)
    return found


# -- shared --------------------------------------------------------------------------------------------------------

def shared(within: Path) -> list[str]:
    """What the command says, on its one line, to whoever trains where another process trains, and to whoever resumes there."""
    command = [sys.executable, "-c", "from evenflow.conformance.cli import main; main()", "train", "maf"]
    begin, go_on = ["--data", "rings", "--out", "shared", "--steps", "100000"], ["--out", "shared", "--resume"]
    first = subprocess.Popen([*command, *begin], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=within)
    try:
        while len(read_log(within / "shared" / LOG)) < 5:
            assert first.poll() is None
            time.sleep(0.05)
        said = []
        for more in (begin, go_on):
            second = subprocess.run([*command, *more], capture_output=True, text=True, cwd=within, check=False)
            assert (second.returncode, second.stdout, second.stderr.count("\n")) == (1, "", 1), second
            said.append(second.stderr.strip().replace(str(first.pid), "N"))
        assert first.poll() is None
    finally:
        first.kill()
        first.wait()
    return said


def inject(within: Path) -> dict[str, Any]:
    """All of it, in a new folder."""
    every_20 = mock.patch.object(flow_model, "Settings", partial(Settings, checkpoint_every=20))
    with accel.use("numpy"), single_blas_thread(), every_20:
        train(within / "whole")
        expected = left(within / "whole")
        began = time.perf_counter()
        assert ended(fork(lambda: train(within / "again")))
        seconds = time.perf_counter() - began
        assert left(within / "again") == expected
        calls = watched(within / "watched", lambda count: None)
        assert left(within / "watched") == expected
        largest = max((within / "whole" / name).stat().st_size for name in (CHECKPOINT, LOG))
        return {
            "clock": killed(within, kill_by_the_clock, seconds, expected),
            "writing": killed(within, kill_while_writing, calls, expected),
            "limited": limited(within, largest, expected), "damaged": damaged(within), "shared": shared(within),
        }


def main(page: Path = PAGE) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = inject(Path(folder))
    damages = sum(found["damaged"].values())
    text = TEXT.format(**{**found, "shared": found["shared"][0]}, damages=damages, steps=CHOSEN.steps)
    files.write_aside(page, lambda file: file.write(text.encode()))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
