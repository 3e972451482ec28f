"""dispatch.py: a replacement is used where it was asked for, and nowhere else."""
import inspect
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

import pytest

from evenflow.reference.core import dispatch
from evenflow.reference.core.dispatch import definitions, replace, replaceable, restore


@pytest.fixture(autouse=True)
def definitions_as_they_were() -> Iterator[None]:
    before = dict(definitions)
    yield
    definitions.clear()
    definitions.update(before)


@contextmanager
def replacing(table: Mapping[str, Any]) -> Iterator[None]:
    token = replace(table)
    try:
        yield
    finally:
        restore(token)


def name_of(function: object) -> str:
    return next(name for name, definition in definitions.items() if definition is inspect.unwrap(function))  # type: ignore[arg-type]


def make() -> tuple[str, object]:
    @replaceable
    def double(x: int, *, times: int = 2) -> int:
        """Twice x."""
        return times * x

    return name_of(double), double


def test_the_replacement_is_used_inside_and_the_definition_outside() -> None:
    @replaceable
    def double(x: int, *, times: int = 2) -> int:
        return times * x

    seen = []

    def fast(x: int, *, times: int = 2) -> int:
        seen.append((x, times))
        return -1

    assert double(3) == 6
    with replacing({name_of(double): fast}):
        assert double(3) == -1
        assert double(x=4, times=5) == -1
    assert double(3) == 6
    assert seen == [(3, 2), (4, 5)]


def test_a_definition_that_calls_another_gets_its_replacement() -> None:
    @replaceable
    def inner(x: int) -> int:
        return x

    @replaceable
    def outer(x: int) -> int:
        return inner(x) + 1

    with replacing({name_of(inner): lambda x: 10 * x}):
        assert outer(2) == 21


def test_nested_tables_add_up_and_the_inner_one_wins() -> None:
    @replaceable
    def f() -> str:
        return "f"

    @replaceable
    def g() -> str:
        return "g"

    with replacing({name_of(f): lambda: "f1", name_of(g): lambda: "g1"}):
        with replacing({name_of(f): lambda: "f2"}):
            assert (f(), g()) == ("f2", "g1")
            with replacing({}):
                assert (f(), g()) == ("f2", "g1")
        assert (f(), g()) == ("f1", "g1")
    assert (f(), g()) == ("f", "g")


def test_an_error_inside_ends_the_replacement() -> None:
    @replaceable
    def f() -> str:
        return "f"

    with pytest.raises(ZeroDivisionError), replacing({name_of(f): lambda: "fast"}):
        raise ZeroDivisionError
    assert f() == "f"


def test_a_table_changed_later_changes_nothing() -> None:
    @replaceable
    def f() -> str:
        return "f"

    table = {name_of(f): lambda: "fast"}
    with replacing(table):
        table.clear()
        assert f() == "fast"


def test_another_thread_does_not_see_the_replacement() -> None:
    @replaceable
    def f() -> str:
        return "f"

    here, there = threading.Event(), threading.Event()

    def other() -> tuple[str, str]:
        assert here.wait(10)
        first = f()
        with replacing({name_of(f): lambda: "other"}):
            second = f()
            there.set()
            assert here.wait(10)
        return first, second

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(other)
        with replacing({name_of(f): lambda: "fast"}):
            here.set()
            assert there.wait(10)
            assert f() == "fast"
        assert answer.result(10) == ("f", "other")
    assert f() == "f"


def test_a_task_keeps_the_table_it_was_started_with() -> None:
    @replaceable
    def f() -> str:
        return "f"

    with replacing({name_of(f): lambda: "fast"}):
        context = copy_context()
    assert context.run(f) == "fast"
    assert f() == "f"


def test_an_unknown_name_suggests_the_nearest_and_replaces_nothing() -> None:
    @replaceable
    def f() -> str:
        return "f"

    definitions["scores.energy_score"] = f
    said = r"unknown replaceable function 'scores.enrgy_score', did you mean 'scores.energy_score'\?"
    with pytest.raises(ValueError, match=said), replacing({name_of(f): lambda: "fast", "scores.enrgy_score": f}):
        pass
    assert f() == "f"


def test_names_are_short_below_the_reference_and_full_elsewhere() -> None:
    def energy_score() -> None: ...
    energy_score.__module__, energy_score.__qualname__ = "evenflow.reference.scores.energy", "energy_score"
    replaceable(energy_score)
    assert definitions["scores.energy.energy_score"] is energy_score
    assert make()[0] == f"{__name__}.make.<locals>.double"


def test_docstring_signature_and_name_are_kept() -> None:
    name, double = make()
    assert inspect.getdoc(double) == "Twice x."
    assert str(inspect.signature(double)) == "(x: int, *, times: int = 2) -> int"  # type: ignore[arg-type]
    assert double.__name__ == "double"  # type: ignore[attr-defined]
    assert inspect.unwrap(double) is dispatch.definitions[name]  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------ work for another thread or process


@contextmanager
def fast(name: str) -> Iterator[None]:
    token = replace({}, name, lambda: fast(name))
    try:
        yield
    finally:
        restore(token)


@pytest.fixture
def process_as_it_was() -> Iterator[None]:
    before = dispatch._process
    yield
    dispatch._process = dispatch._default = before


def in_a_thread(f: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(f).result(10)


def whose() -> tuple[str, str, str]:
    """The choices here: the one that holds, that of the caller, and the one that holds while working for him."""
    with dispatch.as_its_caller():
        within = dispatch.chosen().name
    return dispatch.chosen().name, dispatch.caller().name, within


def test_a_thread_that_has_chosen_nothing_may_work_as_its_caller() -> None:
    assert whose() == in_a_thread(whose) == ("reference", "reference", "reference")
    with fast("a"):
        assert whose() == ("a", "a", "a")
        assert in_a_thread(whose) == ("reference", "a", "a")
        with fast("b"):
            assert in_a_thread(whose) == ("reference", "b", "b")

        def choosing() -> Any:
            with fast("c"):
                return whose()

        assert in_a_thread(choosing) == ("c", "c", "c")
        assert in_a_thread(whose) == ("reference", "a", "a")
    assert in_a_thread(whose) == ("reference", "reference", "reference")


def test_the_main_thread_works_for_nobody() -> None:
    chosen, done = threading.Event(), threading.Event()

    def choosing() -> None:
        with fast("a"):
            chosen.set()
            assert done.wait(10)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(choosing)
        assert chosen.wait(10)
        assert whose() == ("reference", "reference", "reference")
        done.set()


@pytest.mark.usefixtures("process_as_it_was")
def test_the_choice_of_a_process_holds_where_nothing_is_chosen() -> None:
    dispatch.by_default(lambda: fast("a"))
    assert whose() == in_a_thread(whose) == ("a", "a", "a")
    with fast("b"):
        assert whose() == ("b", "b", "b")
        assert in_a_thread(whose) == ("a", "b", "b")
    dispatch.work_for(lambda: fast("c"))
    assert whose() == in_a_thread(whose) == ("c", "c", "c")
    dispatch.work_for(None)
    assert whose() == in_a_thread(whose) == ("a", "a", "a")
