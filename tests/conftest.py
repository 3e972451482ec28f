"""What all tests share: one Hypothesis profile, whose examples are derived from the test itself, so that every run tries the
same ones; and autograd as it comes, whatever the module before has installed."""
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.standin_autograd import restored

settings.register_profile(
    "evenflow", derandomize=True, deadline=None, max_examples=50, print_blob=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("evenflow")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What asks other people's libraries is not even imported where `-m` leaves it out: they may not be installed."""
    return True if collection_path.name == "oracles" and "not peers" in config.option.markexpr else None


@pytest.fixture(autouse=True, scope="module")
def _autograd_as_it_comes() -> Iterator[None]:
    """What a device backend changes about autograd ends with the module."""
    with restored():
        yield


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the garbage collector need not go through it again and again."""
    gc.collect()
    gc.freeze()
