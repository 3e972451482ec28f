"""Which tests run which lines of the reference, and how long each takes: the tests that can kill a mutant of a line.

    python -m tests.mutation.touching tests/reference/scores/test_scores.py scores.json

runs one file of tests under coverage, with a context for each test, in the tree where it is started.
"""
import json
import sys
import time
from collections.abc import Generator
from pathlib import Path

import coverage
import pytest

QUIET = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not gpu"]


class Watch:
    """A pytest plugin: tells coverage which test is running, and times it with its fixtures."""
    def __init__(self, measured: coverage.Coverage) -> None:
        self.measured = measured
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.measured.switch_context(item.nodeid)
        start = time.perf_counter()
        result = yield
        self.seconds[item.nodeid] = time.perf_counter() - start
        self.measured.switch_context("")
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


def touch(file: str) -> dict[str, object]:
    """{test: its seconds and the lines it runs, by file of the reference}, and the tests that fail as the tree stands."""
    root = Path.cwd().resolve()
    measured = coverage.Coverage(data_file=None, config_file=False, include=[f"{root}/reference/*"])
    watch = Watch(measured)
    measured.start()
    code = pytest.main([*QUIET, file], plugins=[watch])
    measured.stop()
    lines: dict[str, dict[str, list[int]]] = {test: {} for test in watch.seconds}
    data = measured.get_data()
    for source in data.measured_files():
        for line, tests in data.contexts_by_lineno(source).items():
            for test in filter(None, tests):
                lines[test].setdefault(str(Path(source).relative_to(root)), []).append(line)
    tests = {test: {"seconds": round(seconds, 3), "lines": lines[test]} for test, seconds in watch.seconds.items()}
    return {"code": int(code), "failed": watch.failed, "tests": tests}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(touch(sys.argv[1])))
