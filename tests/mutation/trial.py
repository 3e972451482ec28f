"""One mutant against some tests, in a child process: forked, so that nothing is imported twice.

The first failure ends it. A failing Hypothesis example is not shrunk: that it fails is all that is asked. A test that takes
far longer than it did is ended with the child: killed, of its own kind.
"""
import importlib
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import Phase, settings

from tests.mutation.touching import QUIET

LIBRARIES = (
    "autograd.numpy", "scipy.stats", "hypothesis.extra.numpy", "sklearn.datasets", "matplotlib.pyplot", "typer", "rich.live",
)
FAST = ["-x", "--tb=line", "-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is there before pytest looks
UNCHANGED = 98
IMPORT = "import"
MEMORY = 6 * 2**30


class Outcome(NamedTuple):
    """killed (by a test), import (the tests cannot be collected), timeout, crash (a signal) or survived."""
    status: str
    test: str = ""


class Chosen:
    """A pytest plugin: the given tests in the given order, a limit for each, and which one fails."""
    def __init__(self, seconds: dict[str, float], report: int) -> None:
        self.seconds, self.report = seconds, report

    def pytest_sessionstart(self) -> None:
        """After the conftest has loaded its profile, before a module of tests is imported."""
        settings.register_profile("mutation", settings.get_profile("evenflow"), phases=(Phase.explicit, Phase.generate))
        settings.load_profile("mutation")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            os.pwrite(self.report, IMPORT.encode().ljust(1000), 0)

    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        if session.testsfailed:
            return  # a file cannot be imported: the session ends here
        ranks = {test: rank for rank, test in enumerate(self.seconds)}
        items[:] = sorted((item for item in items if item.nodeid in ranks), key=lambda item: ranks[item.nodeid])
        here = str(Path.cwd())
        strangers = [name for name, m in sys.modules.items() if name.startswith("evenflow.") and not within(m, here)]
        if len(items) != len(ranks) and not strangers:
            strangers = sorted(set(ranks) - {item.nodeid for item in items})
        if strangers:
            pytest.exit(f"not what was asked for: {strangers[:3]}", returncode=99)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        os.pwrite(self.report, item.nodeid.encode().ljust(1000), 0)
        limit(self.seconds[item.nodeid])
        return (yield)


class Session:
    """A pytest plugin: `work` instead of the tests that were collected; it gets them by name."""
    def __init__(self, work: Callable[[dict[str, pytest.Item]], None]) -> None:
        self.work = work

    pytest_sessionstart = Chosen.pytest_sessionstart

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise RuntimeError("the tests cannot be collected without a mutant")
        self.work({item.nodeid: item for item in session.items})
        return True


def within(module: object, folder: str) -> bool:
    file = getattr(module, "__file__", None)
    return file is None or str(Path(file).resolve()).startswith(folder)


def trial(seconds: dict[str, float], log: Path) -> Outcome:
    """The tests {name: seconds it should take}, collected anew, on the tree in the working folder."""
    if "evenflow.reference" in sys.modules:
        raise RuntimeError("a process that has imported the original cannot import a mutant")

    def ask(report: int) -> int:
        limit(0)  # the collection
        files: list[str] = list(dict.fromkeys(test.split("::")[0] for test in seconds))
        return pytest.main([*QUIET, *FAST, *files], plugins=[Chosen(seconds, report)])

    return forked(ask, log)


def quick_trial(seconds: dict[str, float], items: dict[str, pytest.Item], change: Callable[[], bool], log: Path) -> Outcome:
    """The same tests as this process has collected them, on the functions as `change` makes them: "unchanged" if it cannot."""
    def ask(report: int) -> int:
        if not change():
            return UNCHANGED
        tests = [items[test] for test in seconds]
        for item, following in zip(tests, [*tests[1:], None], strict=True):
            os.pwrite(report, item.nodeid.encode().ljust(1000), 0)
            limit(seconds[item.nodeid])
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if item.session.testsfailed:
                return 1
        return 0

    return forked(ask, log)


def limit(seconds: float) -> None:
    """Ends this process after far more than that of its own time, or much more still by the clock: it may be a busy machine."""
    signal.setitimer(signal.ITIMER_PROF, 60 + 10 * seconds)
    signal.alarm(600 + int(100 * seconds))


def forked(ask: Callable[[int], int], log: Path) -> Outcome:
    with open(log, "w+") as said, open(log.with_suffix(".test"), "wb+") as report:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.setsid()
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            code = 3
            try:
                code = int(ask(report.fileno()))
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        status = os.waitpid(child, 0)[1]
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # what its tests have started
        test = report.read().decode().strip()
    return outcome(status, test, log)


def outcome(status: int, test: str, log: Path) -> Outcome:
    if os.WIFSIGNALED(status):
        return Outcome("timeout" if os.WTERMSIG(status) in (signal.SIGALRM, signal.SIGPROF) else "crash", test)
    code = os.WEXITSTATUS(status)
    if code == 0:
        return Outcome("survived")
    if test == IMPORT:
        return Outcome("import")
    if code == 1 and test:
        return Outcome("killed", test)
    if code == UNCHANGED:
        return Outcome("unchanged")
    raise RuntimeError(f"pytest ended with {code}:\n{log.read_text()[-2000:]}")


def preload() -> None:
    for library in LIBRARIES:
        importlib.import_module(library)
