"""Steps in stretches, on the stand-in, which refuses what a device refuses while it records: right, and recorded indeed."""
from typing import Any

import numpy as np
import pytest

from evenflow import accel
from evenflow.reference.core.trees import tree_map
from evenflow.reference.work.training import STRETCH
from tests.agreement.backends import backend
from tests.bench import cases
from tests.bench.checking import asked, errors, limit
from tests.bench.inputs import make
from tests.bench.peers import evenflow, recorded
from tests.standin import counting

CASES = [case for case in cases.TINY if case.kind in recorded.KINDS]


def right(case: cases.Case, inputs: Any) -> dict[str, Any]:
    wide = tree_map(lambda leaf: leaf.astype(np.float64) if leaf.dtype.kind == "f" else leaf, inputs)
    with accel.use("numpy"):
        work = evenflow.prepare(case.kind, case.sizes, wide)
        return work.outputs(work.call())


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_first_step_is_right_and_a_stretch_is_one_wait(case: cases.Case) -> None:
    inputs = make(case.kind, case.sizes)
    with backend("standin", "device"):
        work = recorded.prepare(case.kind, case.sizes, inputs)
        found = work.outputs(work.call())
        assert max(errors(found, asked(right(case, inputs), found, inputs)).values()) < limit(2.0**-23)
        assert work.steps == STRETCH
        with counting() as count:
            after, _ = work.call()
        assert after.step == 1 + STRETCH
        assert count.synchronisations <= 2  # of the stretch, and of the bench
    assert {case.kind for case in CASES} == set(recorded.KINDS)


def test_what_is_no_training_is_as_ever() -> None:
    case = cases.energy(16, 2)
    with accel.use("numpy"):
        assert recorded.prepare(case.kind, case.sizes, make(case.kind, case.sizes)).steps == 1
