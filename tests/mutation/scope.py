"""Which tests can kill a mutant: those that run its statement.

A statement that runs at import (a constant, a default, a decorator) meets the tests that run a line of its class or
function, then all that run a line of its module.
"""
import ast
from typing import Any

NEAR = ("tests/reference", "tests/statistics")  # the others import heavy libraries, or accel
Touched = dict[str, dict[str, Any]]  # {test: {"seconds": ..., "lines": {file: [...]}}}


def stages(tests: dict[str, float], killers: list[str], patience: float) -> list[dict[str, float]]:
    """{test: seconds} in groups, to be tried in turn: what killed other mutants of the file, the quick ones, the rest.

    With limited patience, as many of each group as take that many seconds.
    """
    known = {test: tests[test] for test in sorted(killers, key=lambda test: tests.get(test, 0.0)) if test in tests}
    near = {test: tests[test] for test in tests if test not in known and test.startswith(NEAR)}
    quick = within(near, 15.0)
    rest = {test: tests[test] for test in tests if test not in known and test not in quick}
    return [within(group, patience) for group in (known, quick, rest)]


def within(tests: dict[str, float], patience: float) -> dict[str, float]:
    """The first of them, as many as take that many seconds."""
    spent, chosen = 0.0, dict[str, float]()
    for test, seconds in tests.items():
        if spent + seconds <= patience:
            chosen[test], spent = seconds, spent + seconds
    return chosen


def meeting(file: str, source: str, line: int, touched: Touched) -> dict[str, float]:
    """{test: seconds} of all that can see a change of this line; the nearest first, then the quickest."""
    tests: dict[str, float] = {}
    for lines in scopes(source, line):
        near = {test: entry["seconds"] for test, entry in touched.items() if lines.intersection(entry["lines"].get(file, ()))}
        tests |= dict(sorted(near.items(), key=lambda pair: pair[1]))  # a test that is in already keeps its place
    return tests


def scopes(source: str, line: int) -> list[set[int]]:
    """The lines whose tests see a change of this line, nearest first."""
    around = statements(source, line)
    if runs_in_a_function(source, line):
        return [head(around[0])]
    return [*map(lines_of, around), set(range(1, len(source.splitlines()) + 1))]


def runs_in_a_function(source: str, line: int) -> bool:
    """And not at import."""
    return any(line >= node.body[0].lineno for node in statements(source, line) if isinstance(node, ast.FunctionDef))


def statements(source: str, line: int) -> list[ast.stmt]:
    """Those that the line belongs to, the inner ones first."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt) and line in lines_of(node)]
    return sorted(found, key=lambda node: len(lines_of(node)))


def lines_of(node: ast.stmt) -> set[int]:
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    return set(range(first, (node.end_lineno or node.lineno) + 1))


def head(node: ast.stmt) -> set[int]:
    """The lines of a statement without the statements in it."""
    body = getattr(node, "body", None)
    return {line for line in lines_of(node) if line < body[0].lineno or line == node.lineno} if body else lines_of(node)
