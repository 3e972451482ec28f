"""What a device backend changes about autograd ends with the module: other tests see autograd as it comes."""
from collections.abc import Iterator

import pytest

from tests.standin_autograd import restored


@pytest.fixture(autouse=True, scope="module")
def _autograd_as_it_comes() -> Iterator[None]:
    with restored():
        yield
