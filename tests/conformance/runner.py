"""All that an implementation is asked, and what it answered, row by row.

Three levels: the vectors, properties (Hypothesis draws the numbers), statistics (fixed seeds). Whatever goes wrong, in a
vector file or in the implementation, is a row.
"""
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evenflow.conformance import compare
from evenflow.conformance.adapter import Adapter
from evenflow.conformance.arrays import Arrays, decode, of_dtype
from evenflow.conformance.compare import FAIL, PASS, UNSUPPORTED, VALUES, Row
from evenflow.conformance.suites import Case, MalformedError, Suite, load_json, read, validate
from evenflow.conformance.worker import NoAnswer, Worker
from evenflow.reference.core import lookup

if TYPE_CHECKING:
    from evenflow.conformance.properties import Property

LEVELS = ("vectors", "properties", "statistics")
SLOWER = 10  # a property asks some hundreds of questions: it has ten times the limit of one


def suites(folder: Path, operations: Collection[str] = ()) -> tuple[list[Suite], list[Row]]:
    """The vectors of a folder, of all operations or of those named; and a failed row for each file that is malformed.

    Raises ValueError for a folder without vectors and for an operation that it does not have.
    """
    paths = {path.stem: path for path in sorted(folder.glob("*.json"))}
    if not paths:
        raise ValueError(f"{folder} holds no vectors (*.json)")
    for name in operations:
        lookup("operation", name, paths)
    good, bad = [], []
    for name, path in paths.items():
        if not operations or name in operations:
            try:
                good.append(read(path))
            except (MalformedError, OSError) as error:
                bad.append(Row(name, VALUES, "-", (), FAIL, math.inf, f"malformed vectors: {error}"))
    return good, bad


def level_of(kind: str) -> str:
    """At which level rows of a kind arise."""
    return kind if kind in LEVELS else "vectors"


def properties(suite: Suite, levels: Collection[str]) -> "list[Property]":
    """Those of an operation, at these levels."""
    from evenflow.conformance.properties import PROPERTIES  # needs Hypothesis, of the extra `conform`
    return [each for each in PROPERTIES.get(suite.operation, ()) if each.level in levels]


def questions(suites: list[Suite], levels: Collection[str] = LEVELS) -> int:
    """How many steps `asked` takes."""
    return sum(len(suite.cases) * ("vectors" in levels) + len(properties(suite, levels)) for suite in suites)


def asked(worker: Worker, suites: list[Suite], levels: Collection[str] = LEVELS) -> Iterator[list[Row]]:
    """Every question to an adapter, and its rows."""
    for suite in suites:
        for case in suite.cases if "vectors" in levels else ():
            yield case_asked(worker, suite, case)
        for each in properties(suite, levels):
            row = Row(suite.operation, each.level, each.name)
            try:
                yield [worker.ask(property_row, row, limit=SLOWER * worker.time_limit)]
            except NoAnswer as error:
                yield [replace(row, status=FAIL, worst=math.inf, reason=str(error))]


def case_asked(worker: Worker, suite: Suite, case: Case) -> list[Row]:
    try:
        return worker.ask(case_rows, replace(suite, cases=()), case)  # type: ignore[no-any-return]
    except NoAnswer as error:
        kinds = compare.asked(suite, case)
        return [Row(suite.operation, kind, case.id, case.flags, FAIL, math.inf, str(error)) for kind in kinds]


def case_rows(adapter: Adapter, suite: Suite, case: Case) -> list[Row]:
    return compare.rows(suite, case, adapter)


def property_row(adapter: Adapter, row: Row) -> Row:
    """The row of one property or statistical check, by its name."""
    from evenflow.conformance.properties import PROPERTIES
    each = next(p for p in PROPERTIES[row.operation] if (p.name, p.level) == (row.case, row.kind))
    try:
        return replace(row, status=PASS, worst=each.check(adapter))
    except NotImplementedError:
        return replace(row, status=UNSUPPORTED)
    except AssertionError as error:
        return replace(row, status=FAIL, worst=math.inf, reason=shortened(str(error)))
    except Exception as error:
        return replace(row, status=FAIL, worst=math.inf, reason=shortened(f"raised {type(error).__name__}: {error}"))


def shortened(text: str) -> str:
    return " ".join(text.split())[:200]


@dataclass(frozen=True)
class Recorded:
    """One answer out of a results file, as if an adapter had just given it."""
    name: str
    dtype: str
    answer: Mapping[str, Any]

    def call(self, operation: str, inputs: Arrays) -> Arrays:
        return self.part("outputs")

    def vjp(self, operation: str, inputs: Arrays, cotangents: Arrays) -> Arrays:
        return self.part("grads")

    def part(self, name: str) -> Arrays:
        if name not in self.answer:
            raise NotImplementedError(name)
        return of_dtype({k: decode(a) for k, a in self.answer[name].items()}, self.dtype)


def recorded(path: Path, suites: list[Suite]) -> tuple[str, str, list[Row]]:
    """Name, dtype and rows of the answers in a results file.

    Raises MalformedError for what is not as its schema says, ValueError for operations and cases that there are not.
    """
    document = load_json(path)
    validate(document, "results.schema.json", path)
    name, dtype, results = document["name"], document["dtype"], document["results"]
    known = {suite.operation: {case.id: case for case in suite.cases} for suite in suites}
    for operation, answers in results.items():
        for case in answers:
            lookup(f"case of {operation}", case, lookup("operation", operation, known))
    rows = [
        row for suite in suites for case in suite.cases
        for row in compare.rows(suite, case, Recorded(name, dtype, results.get(suite.operation, {}).get(case.id, {})))
    ]
    return name, dtype, rows
