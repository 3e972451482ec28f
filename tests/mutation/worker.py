"""One of the processes that try mutants, each in a copy of the tree of its own, where it is started.

    python -m tests.mutation.worker in-place mutants.json touched/ results.jsonl inf

A line is written for each mutant as it comes, so that a run can be broken off and taken up again.
"""
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from tests.mutation.mutants import Mutant, mutated
from tests.mutation.scope import Touched, meeting, stages
from tests.mutation.swap import functions_of, swap
from tests.mutation.touching import QUIET
from tests.mutation.trial import FAST, Outcome, Session, preload, quick_trial, trial

APART = "tests/oracles"  # they start threads when they are imported, and such a process cannot be forked


@dataclass
class Worker:
    touched: Touched
    patience: float  # seconds of tests that a mutant meets
    results: Path
    killers: dict[str, list[str]] = field(default_factory=dict)  # by file, the latest first
    log: Path = field(default_factory=lambda: Path("trial.log").resolve())

    def in_place(self, mutants: list[Mutant], items: dict[str, pytest.Item]) -> None:
        """The mutants of functions, on what this process has imported: killed or not, a line each."""
        functions = functions_of("reference")
        for mutant in mutants:
            tests = {test: spent for group in self.groups(mutant, items.__contains__) for test, spent in group.items()}
            with planted(mutant) as (before, after):
                change = partial(swap, functions[mutant.file], before, after)
                self.write(mutant, partial(quick_trial, tests, items, change, self.log))
        self.check(lambda tests: quick_trial(tests, items, lambda: True, self.log))

    def imported(self, mutants: list[Mutant], only: str = "") -> None:
        """Every mutant, imported anew with its tests; this process must not have imported the original."""
        for mutant in mutants:
            groups = self.groups(mutant, lambda test: test.startswith(only))
            with planted(mutant):
                self.write(mutant, partial(first_that_kills, groups, self.log))
        self.check(lambda tests: trial(tests, self.log))

    def groups(self, mutant: Mutant, asked: Callable[[str], bool]) -> list[dict[str, float]]:
        met = meeting(mutant.file, Path(mutant.file).read_text(), mutant.line, self.touched)
        tests = {test: met[test] for test in filter(asked, met)}
        return stages(tests, self.killers.get(mutant.file, [])[:10], self.patience)

    def write(self, mutant: Mutant, ask: Callable[[], Outcome]) -> None:
        start = time.perf_counter()
        found = ask()
        if found.status == "killed":
            killers = self.killers.setdefault(mutant.file, [])
            killers[:] = [found.test, *(test for test in killers if test != found.test)]
        row = {**mutant._asdict(), **found._asdict(), "seconds": round(time.perf_counter() - start, 1)}
        with open(self.results, "a") as file:
            print(json.dumps(row), file=file)

    def check(self, ask: Callable[[dict[str, float]], Outcome]) -> None:
        """The tests that killed pass on the tree as it stands; raises RuntimeError if one does not."""
        killers = {test for tests in self.killers.values() for test in tests}
        tests = {test: spent for spent, test in sorted((self.touched[test]["seconds"], test) for test in killers)}
        found = ask(tests) if tests else Outcome("survived")
        if found.status != "survived":
            raise RuntimeError(f"{found.test} fails without a mutant ({found.status}), so what it killed is not killed")


@contextmanager
def planted(mutant: Mutant) -> Iterator[tuple[str, str]]:
    """The file as it was and as it is meanwhile. Its times are put back: its compiled form is that of the original."""
    path = Path(mutant.file)
    before, times = path.read_text(), path.stat()
    after = mutated(before, mutant.operator, mutant.occurrence)
    path.write_text(after)
    try:
        yield before, after
    finally:
        path.write_text(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def first_that_kills(groups: list[dict[str, float]], log: Path) -> Outcome:
    for group in filter(None, groups):
        found = trial(group, log)
        if found.status != "survived":
            return found
    return Outcome("survived")


def read_touched(folder: Path) -> Touched:
    """The tests that pass on the tree as it stands; one that fails there can prove nothing."""
    files = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    return {test: entry for file in files for test, entry in file["tests"].items() if test not in file["failed"]}


def main(how: str, mutants: str, touched: str, results: str, patience: str) -> None:
    worker = Worker(read_touched(Path(touched)), float(patience), Path(results))
    given = [Mutant(*row) for row in json.loads(Path(mutants).read_text())]
    preload()
    if how != "in-place":
        worker.imported(given, only=APART if how == "apart" else "")
        return
    files = sorted({test.split("::")[0] for test in worker.touched if not test.startswith(APART)})
    if code := pytest.main([*QUIET, *FAST, "-s", *files], plugins=[Session(lambda items: worker.in_place(given, items))]):
        sys.exit(int(code))


if __name__ == "__main__":
    main(*sys.argv[1:])
