"""What holds for diagnostics of chains: units and the names of chains and zones do not matter, but time is not a chain."""
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from evenflow.conformance.adapter import Adapter
from evenflow.conformance.arrays import Array
from evenflow.conformance.properties.checking import Draw, Property, above, ask, named, representable, tolerance, within

STEPS, CHAINS, ZONES = 40, 3, 3
FEW = 0.4  # of the examples: their shapes are all the same
CHOICES: dict[str, dict[str, Any]] = {"integrated_time": {"window": 5.0}}


def correlated(rng: np.random.Generator) -> Array:
    """(steps, chains), each step 0.6 of the one before and fresh noise."""
    draws = rng.standard_normal((STEPS, CHAINS))
    for t in range(1, STEPS):
        draws[t] += 0.6 * draws[t - 1]
    return representable({"draws": draws})["draws"]


def units(operation: str, adapter: Adapter, draw: Draw) -> float:
    """draws, a - 2 draws, and the chains in another order."""
    rng = draw.rng
    draws = correlated(rng)

    def value(draws: Array) -> Array:
        return ask(adapter, operation, {"draws": draws, **CHOICES.get(operation, {})})["value"]

    here, order = value(draws), rng.permutation(CHAINS)
    allowed = 100 * tolerance(adapter.dtype, here)
    reordered = here[:, order] if here.ndim == 2 else here  # the autocorrelation is of each chain
    return max(within("the value in other units", value(0.5 - 2 * draws), here, allowed),
               within("the value with the chains in another order", value(draws[:, order]), reordered, allowed))


def apart(operation: str, adapter: Adapter, draw: Draw) -> float:
    """R-hat is near 1 for chains of one law, and far above where one chain stands elsewhere: of chains, not of steps."""
    draws = correlated(draw.rng)
    moved = representable({"draws": draws + np.array([0.0, 0.0, 20.0])})["draws"]
    return above("R-hat of chains that stand apart", float(ask(adapter, operation, {"draws": moved})["value"]), 1.3)


def zones(draw: Draw) -> Array:
    return draw.rng.integers(0, ZONES, (STEPS, CHAINS))


def named_anew(operation: str, output: str, adapter: Adapter, draw: Draw) -> float:
    """Zones under other names."""
    at, names = zones(draw), draw.rng.permutation(ZONES)
    count = {} if operation == "switch_rate" else {"count": np.array(ZONES)}
    here, there = (ask(adapter, operation, {"zones": z, **count})[output] for z in (at, names[at]))
    if operation == "zone_weights":
        there = there[names]
    return within(f"{output} of zones under other names", there, here, 1e-6)


def frequencies(adapter: Adapter, draw: Draw) -> float:
    at = zones(draw)
    got = ask(adapter, "zone_weights", {"zones": at, "count": np.array(ZONES)})["weights"]
    return within("weights", got, np.bincount(at.ravel(), minlength=ZONES) / at.size, 1e-6)


def about(operation: str) -> tuple[Property, ...]:
    more = {"apart": partial(apart, operation)} if "rhat" in operation else {}
    return named({"units": partial(units, operation), **more}, FEW)


PROPERTIES: Mapping[str, tuple[Property, ...]] = {
    **{operation: about(operation) for operation in ("autocorrelation", "integrated_time", "ess", "split_rhat", "rhat")},
    "zone_weights": named({"names": partial(named_anew, "zone_weights", "weights"), "frequencies": frequencies}, FEW),
    "switch_rate": named({"names": partial(named_anew, "switch_rate", "rate")}, FEW),
    "mode_rhat": named({"names": partial(named_anew, "mode_rhat", "rhat")}, FEW),
}
