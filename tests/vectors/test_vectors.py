"""The vectors are what their oracles say, the reference gives them, and each mistake that is planted shows in them."""
from functools import cache

import numpy as np
import pytest

from evenflow.conformance.adapters.evenflow import Evenflow, numpy, numpy_float32, reference
from evenflow.conformance.arrays import Arrays
from evenflow.conformance.compare import FAIL, PASS, rows
from evenflow.conformance.operations import OPERATIONS
from evenflow.conformance.suites import FOLDER, Suite, read
from tests.agreement.backends import backend
from tests.standin_autograd import restored
from tests.vectors import MISTAKES, ORACLES
from tests.vectors.exact import exact, rounded
from tests.vectors.making import Oracle
from tests.vectors.planting import Mistake, planted


class OnStandIn(Evenflow):
    """The adapter `:cupy`, with the stand-in in the place of CuPy."""

    def call(self, operation: str, inputs: Arrays) -> Arrays:
        with backend("standin"):
            return super().call(operation, inputs)

    def vjp(self, operation: str, inputs: Arrays, cotangents: Arrays) -> Arrays:
        with backend("standin"):
            return super().vjp(operation, inputs, cotangents)


BACKENDS = {"reference": reference, "numpy": numpy, "numpy_float32": numpy_float32}
by_operation = pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: oracle.operation)


@cache
def suite_of(operation: str) -> Suite:
    return read(FOLDER / f"{operation}.json")


def test_there_is_one_file_an_operation() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(OPERATIONS) == {oracle.operation for oracle in ORACLES}
    assert len(ORACLES) == len(OPERATIONS)


def test_all_vectors_together_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.glob("*.json")) < 2e6


@pytest.mark.slow
@by_operation
def test_the_oracle_gives_them_again(oracle: Oracle) -> None:
    """From the inputs in the files: within a tenth of the tolerance, which is for others."""
    suite = suite_of(oracle.operation)
    notes = oracle.notes_of(suite.cases)
    said = (oracle.summary, oracle.source, oracle.inputs, oracle.outputs, oracle.log_dets, notes)
    assert said == (suite.summary, suite.source, suite.inputs, suite.outputs, suite.log_dets, suite.notes)
    for case in suite.cases:
        x = {name: exact(array) for name, array in case.inputs.items()}
        outputs, grads = dict(oracle.answer(x)), oracle.pulled(x, case.cotangents, tuple(case.grads))
        for kind, again, stored in (("outputs", outputs, case.outputs), ("grads", grads, case.grads)):
            assert set(again) == set(stored)
            for name in stored:
                allowed = case.tolerance["float64"][kind][name] / 10
                np.testing.assert_allclose(rounded(again[name]), stored[name], rtol=0, atol=allowed)


@by_operation
@pytest.mark.parametrize("backend", BACKENDS)
def test_evenflow_passes(backend: str, oracle: Oracle) -> None:
    suite = suite_of(oracle.operation)
    found = [row for case in suite.cases for row in rows(suite, case, BACKENDS[backend])]
    assert found
    assert [row for row in found if row.status != PASS] == []


@pytest.mark.slow
@by_operation
def test_evenflow_passes_on_the_stand_in(oracle: Oracle) -> None:
    suite = suite_of(oracle.operation)
    with restored():
        found = [row for case in suite.cases for row in rows(suite, case, OnStandIn("cupy"))]
    assert found
    assert [row for row in found if row.status != PASS] == []


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_planted_mistake_is_noticed(mistake: Mistake) -> None:
    suite = suite_of(mistake.operation)
    with planted(mistake):
        assert any(row.status == FAIL for case in suite.cases for row in rows(suite, case, reference))


def test_every_operation_has_three_mistakes() -> None:
    planted = [mistake.operation for mistake in MISTAKES]
    assert {operation: planted.count(operation) for operation in OPERATIONS if planted.count(operation) < 3} == {}


def test_a_mistake_must_be_in_the_source() -> None:
    with pytest.raises(ValueError, match="must occur once"), planted(Mistake("affine", MISTAKES[0].function, "nowhere", "")):
        pass
