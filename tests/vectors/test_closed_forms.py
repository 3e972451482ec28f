"""Where a value is known without any oracle, it stands in the vectors."""
import math

import numpy as np
import pytest

from evenflow.conformance.suites import FOLDER, read
from evenflow.reference.core.trees import Array

KNOWN = [
    ("log_z_importance", "closed_form", "log_z", lambda i: 0.5), ("log_z_bridge", "closed_form", "log_z", lambda i: 0.5),
    ("log_z_grid", "closed_form", "log_z", lambda i: 0.0), ("effective_size", "tie", "ess", lambda i: len(i["log_weights"])),
    ("fce_objective", "equal", "value", lambda i: -2 * math.log(2)), ("split_rhat", "still", "value", lambda i: 1.0),
    ("split_rhat", "apart", "value", lambda i: math.inf), ("zone_weights", "one_zone", "weights", lambda i: np.eye(3)[1]),
]


@pytest.mark.parametrize(("operation", "flag", "output", "known"), KNOWN, ids=[f"{known[0]}-{known[1]}" for known in KNOWN])
def test_the_known_value_stands_in_the_vectors(operation: str, flag: str, output: str, known: Array) -> None:
    flagged = [case for case in read(FOLDER / f"{operation}.json").cases if flag in case.flags]
    assert flagged
    for case in flagged:
        np.testing.assert_allclose(case.outputs[output], known(case.inputs), rtol=1e-14, atol=1e-12)
