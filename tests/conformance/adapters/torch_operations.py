"""What PyTorch adapters make of a library's answers: operations by name."""
from collections.abc import Callable, Mapping
from typing import Any

from evenflow.conformance.adapter import Operation

Inputs = Mapping[str, Any]


def both(name: str, answer: Callable[[Inputs, bool], Any]) -> dict[str, Operation]:
    """A bijection and its inverse; answer(inputs, inverse) is what comes out, and the log_det."""
    return {
        name: lambda i: dict(zip(("x", "log_det"), answer(i, False), strict=True)),
        f"{name}_inverse": lambda i: dict(zip(("z", "log_det"), answer(i, True), strict=True)),
    }


def density(name: str, of: Callable[[Inputs], Any]) -> dict[str, Operation]:
    """The log density at x."""
    return {name: lambda i: {"log_prob": of(i).log_prob(i["x"])}}


def flow(name: str, sample: Callable[[Inputs], Any], of: Callable[[Inputs], Any]) -> dict[str, Operation]:
    """Samples and their log density from given noise, and the density of the flow."""
    return {f"{name}_sample": lambda i: dict(zip(("x", "log_prob"), sample(i), strict=True)), **density(f"{name}_log_prob", of)}
