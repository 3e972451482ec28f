"""The properties hold for evenflow, each mistake that is planted shows in the property that is there for it, and what an
adapter does wrong besides (raises, mutates, answers NaN or another dtype, lacks something) comes out as it should."""
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from evenflow.conformance.adapter import Adapter
from evenflow.conformance.adapters.evenflow import numpy, numpy_float32, reference
from evenflow.conformance.arrays import Arrays
from evenflow.conformance.compare import PASS, VJP, rows
from evenflow.conformance.operations import OPERATIONS
from evenflow.conformance.properties import PROPERTIES, Property, checking
from evenflow.conformance.properties.bijections import round_trip
from evenflow.conformance.suites import FOLDER, read
from evenflow.reference.core.networks import made_masks
from tests.vectors.mistakes_properties import PLANTED, Planted
from tests.vectors.planting import planted

BACKENDS: dict[str, Adapter] = {"reference": reference, "numpy": numpy, "numpy_float32": numpy_float32}
FEW = 4  # examples each, where evenflow is right: `evenflow conform` asks 25


@pytest.fixture(autouse=True)
def fresh_masks() -> Iterator[None]:
    """made_masks remembers its answers: not those of a planted mistake."""
    made_masks.cache_clear()
    yield
    made_masks.cache_clear()


def named(operation: str, name: str, level: str = "properties") -> Property:
    return next(each for each in PROPERTIES[operation] if (each.name, each.level) == (name, level))


def test_they_are_of_operations_that_there_are_and_have_their_own_names() -> None:
    assert set(PROPERTIES) <= set(OPERATIONS)
    for properties in PROPERTIES.values():
        names = [(each.name, each.level) for each in properties]
        assert len(set(names)) == len(names)
        assert {each.level for each in properties} <= {"properties", "statistics"}


@pytest.mark.parametrize("backend", ["reference", pytest.param("numpy", marks=pytest.mark.slow),
                                     pytest.param("numpy_float32", marks=pytest.mark.slow)])
@pytest.mark.parametrize("operation", sorted(PROPERTIES))
def test_evenflow_has_them(backend: str, operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "EXAMPLES", FEW)
    for each in PROPERTIES[operation]:
        assert 0 <= each.check(BACKENDS[backend]) <= 1, each.name


@pytest.mark.parametrize("mistake", PLANTED, ids=str)
def test_a_planted_mistake_is_noticed(mistake: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "quiet", settings(checking.quiet, phases=[Phase.generate]))  # one example is enough
    operation = mistake.mistakes[0].operation
    with ExitStack() as all_of_them:
        for each in mistake.mistakes:
            all_of_them.enter_context(planted(each))
        with pytest.raises(AssertionError):
            named(operation, mistake.name, mistake.level).check(BACKENDS[mistake.backend])


def test_every_kind_of_property_has_a_planted_mistake() -> None:
    kinds = {(each.level, each.name) for properties in PROPERTIES.values() for each in properties}
    assert kinds == {(mistake.level, mistake.name) for mistake in PLANTED}


# ------------------------------------------------------------------------------------------------------- other misconduct


@dataclass(frozen=True)
class Halved:
    """x = z / 2 under the name `affine`, with faults of many kinds."""
    fault: str
    name: str = "a fake"
    dtype: str = "float64"

    def call(self, operation: str, inputs: Arrays) -> Arrays:
        i: dict[str, Any] = dict(inputs)
        if operation == "affine":
            x, log_det = i["z"] * np.exp(i["log_scale"]) + i["shift"], i["log_scale"]
        elif operation == "affine_inverse" and self.fault != "lacks the inverse":
            x, log_det = (i["x"] - i["shift"]) * np.exp(-i["log_scale"]), -i["log_scale"]
        else:
            raise NotImplementedError(operation)
        if self.fault == "mutates":
            i["shift"] += 1.0
        if self.fault == "answers NaN":
            x = np.where(x > 0, x, np.nan)
        if self.fault == "float32":
            log_det = log_det.astype(np.float32)
        if self.fault == "shape":
            log_det = log_det[None]
        if self.fault == "raises":
            raise KeyError("something within")
        if self.fault == "is not one function" and len(x) == 3:
            x = x + 1e-3
        return {"x" if operation == "affine" else "z": x, "log_det": log_det}

    def vjp(self, operation: str, inputs: Arrays, cotangents: Arrays) -> Arrays:
        raise NotImplementedError(operation)


def test_a_right_adapter_of_a_few_lines_passes() -> None:
    for name in ("inverse", "jacobian", "rows"):
        assert named("affine", name).check(Halved("")) <= 1


@pytest.mark.parametrize(("fault", "property_name", "message"), [
    ("mutates", "inverse", "changed its inputs: shift, at Draw"),
    ("answers NaN", "inverse", "x is not finite"),
    ("float32", "inverse", "log_det has dtype float32, expected float64"),
    ("shape", "rows", "log_det"),
    ("is not one function", "rows", "of row 0 alone is off by 0.001"),
])
def test_other_faults_are_told(fault: str, property_name: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        named("affine", property_name).check(Halved(fault))


def test_what_is_lacking_is_no_failure() -> None:
    for adapter, operation, name in (
        (Halved("lacks the inverse"), "affine", "inverse"), (Halved(""), "affine", "gradient"), (Halved(""), "mala", "balance"),
        (Halved(""), "mala", "invariance"),
    ):
        level = "statistics" if name == "invariance" else "properties"
        with pytest.raises(NotImplementedError):
            named(operation, name, level).check(adapter)


def test_what_an_adapter_raises_goes_through() -> None:
    with pytest.raises(KeyError, match="something within"):
        named("affine", "inverse").check(Halved("raises"))


def test_nothing_is_printed_and_every_run_is_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    messages = []
    for _ in range(2):
        with pytest.raises(AssertionError) as caught:
            named("affine", "inverse").check(Halved("answers NaN"))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert capfd.readouterr().out == ""


@dataclass(frozen=True)
class Memory:
    """Knows the vectors of one operation by heart, and nothing else: zeros for all other inputs."""
    operation: str
    name: str = "a memory"
    dtype: str = "float64"

    def call(self, operation: str, inputs: Arrays) -> Arrays:
        if operation != self.operation:
            return reference.call(operation, inputs)
        for case in read(FOLDER / f"{operation}.json").cases:
            if all(k in inputs and np.array_equal(inputs[k], a) for k, a in case.inputs.items()):
                return case.outputs
        return {k: np.zeros_like(out) for k, out in reference.call(operation, inputs).items()}

    def vjp(self, operation: str, inputs: Arrays, cotangents: Arrays) -> Arrays:
        raise NotImplementedError(operation)


@pytest.mark.parametrize(("operation", "name"), [("affine", "jacobian"), ("energy_score", "difference"), ("mala", "balance")])
def test_who_knows_the_vectors_by_heart_is_caught(operation: str, name: str) -> None:
    suite, adapter = read(FOLDER / f"{operation}.json"), Memory(operation)
    found = [row for case in suite.cases for row in rows(suite, case, adapter) if row.kind != VJP]
    assert {row.status for row in found} == {PASS}
    kept = "energy_distance" if name == "difference" else operation
    with pytest.raises(AssertionError):
        named(kept, name).check(adapter)


@dataclass(frozen=True)
class Off:
    """The reference, its inverse of saef off by so much."""
    by: float
    name: str = "off"
    dtype: str = "float64"

    def call(self, operation: str, inputs: Arrays) -> Arrays:
        outputs = reference.call(operation, inputs)
        return {**outputs, "z": outputs["z"] + self.by} if operation == "saef_inverse" else outputs

    def vjp(self, operation: str, inputs: Arrays, cotangents: Arrays) -> Arrays:
        raise NotImplementedError(operation)


def test_a_steep_map_is_allowed_what_its_roundings_do_and_no_more() -> None:
    """Here x keeps 1.3e-8 of a move of z: a rounding of x, which is 5, moves z by 8e-8. In float32 nothing is kept."""
    def there_and_back(adapter: Adapter) -> None:
        @settings(checking.quiet, max_examples=1)
        @given(st.just(checking.Draw(1, 3, 2, 219)))
        def example(draw: checking.Draw) -> None:
            assert 0 < round_trip("saef", "z", adapter, draw) <= 1

        example()

    there_and_back(reference)
    with pytest.raises(AssertionError, match=r"z after x is off by 0\.0001"):
        there_and_back(Off(1e-4))
    with pytest.raises(Unsatisfiable):
        there_and_back(numpy_float32)
