"""The flags of the samplers' cases say what is so."""
import numpy as np
import pytest

from evenflow.conformance.suites import FOLDER, read

OPERATIONS = ("mala", "random_walk", "hmc", "independent_mh", "isir")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_both_are_in_cases_flagged_both(operation: str) -> None:
    flagged = [case.outputs["accepted"] for case in read(FOLDER / f"{operation}.json").cases if "both" in case.flags]
    assert flagged
    assert all(accepted.any() and not accepted.all() for accepted in flagged)


@pytest.mark.parametrize("operation", ["mala", "random_walk", "hmc"])
def test_log_ratios_flagged_far_below_underflow(operation: str) -> None:
    flagged = [case for case in read(FOLDER / f"{operation}.json").cases if "far_below" in case.flags]
    assert flagged
    for case in flagged:
        assert not case.outputs["accepted"].any()
        assert np.exp(case.outputs["log_ratio"].astype(np.float32)).min() == 0
