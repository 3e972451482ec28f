r"""Level 3: chains that start as exact draws of the target are draws of it after three steps.

Zone weights (which centre is nearest), means, squares and the product of the coordinates, of 10,000 chains in two dimensions
before and after: their difference has mean zero, whatever the kernel's speed. Each is held to 5 standard errors of the paired
differences, and there are 9 of them: a right kernel fails with a probability below 6e-6, were the seed not fixed. ULA is held
to its own stationary law on a normal of deviation s, the normal of variance s^2 / (1 - eta / 2 s^2).
"""
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from evenflow.conformance.adapter import Adapter
from evenflow.conformance.arrays import Array
from evenflow.conformance.properties.checking import Property, ask, representable

Z, CHAINS, STEPS = 5.0, 10_000, 3
TARGET = {
    "target/weights": np.array([0.25, 0.5, 0.25]), "target/means": np.array([[-1.5, 0.0], [1.0, 1.0], [1.0, -1.5]]),
    "target/sds": np.array([0.5, 0.75, 0.625]),
}
FLOW = {"flow/mean": np.array([1.0, 0.5]), "flow/sd": np.array([1.5, 1.25])}  # off the target's middle: its weights matter
CHOICES: dict[str, dict[str, Any]] = {
    "random_walk": {"step_size": 0.75}, "mala": {"step_size": 0.25}, "hmc": {"step_size": 0.5, "leapfrog_steps": np.array(3)},
    "independent_mh": FLOW, "isir": FLOW, "flowmc": {"step_size": 0.25, **FLOW},
}


def within_errors(what: str, samples: Array, truth: Array | float = 0.0, limit: float = Z) -> float:
    """The largest distance of the means over rows from the truth, in `limit` standard errors; AssertionError above 1."""
    samples = np.reshape(samples, (len(samples), -1))
    error = np.std(samples, axis=0, ddof=1) / np.sqrt(len(samples))
    z = np.abs(np.mean(samples, axis=0) - truth) / np.maximum(error, 1e-12)
    assert (z <= limit).all(), f"{what} is {z.max():.1f} standard errors off, allowed are {limit:g}"
    return float(z.max() / limit)


def mixture_draws(rng: np.random.Generator, n: int) -> Array:
    k = rng.choice(3, n, p=TARGET["target/weights"])
    return TARGET["target/means"][k] + TARGET["target/sds"][k, None] * rng.standard_normal((n, 2))


def statistics(x: Array) -> Array:
    """(chains, 9): the zones, and moments."""
    squares = np.sum((x[:, None] - TARGET["target/means"]) ** 2, axis=2)
    zones = np.argmin(squares, axis=1)[:, None] == np.arange(3)
    return np.concatenate([zones, x, x**2, x[:, :1] * x[:, 1:], np.abs(x[:, :1] - x[:, 1:])], axis=1)


def noise(operation: str, rng: np.random.Generator, d: int = 2) -> dict[str, Array]:
    """Of one step of every chain."""
    normal, uniform = rng.standard_normal((CHAINS, d)), rng.random(CHAINS)
    slots = rng.standard_normal((CHAINS, 3, d))
    if operation == "flowmc":
        near = {"noise/local": rng.standard_normal((2, CHAINS, d)), "uniform/local": rng.random((2, CHAINS))}
        return {**near, "noise/global": slots, "uniform/global": uniform}
    return {"momentum" if operation == "hmc" else "noise": slots if operation == "isir" else normal, "uniform": uniform}


def invariance(operation: str, adapter: Adapter) -> float:
    rng = np.random.default_rng(1)
    start = x = representable({"x": mixture_draws(rng, CHAINS)})["x"]
    for _ in range(STEPS):
        given = {**TARGET, **CHOICES[operation], **representable(noise(operation, rng))}
        x = ask(adapter, operation, {**given, "x": x})["x"]
    return within_errors("the law of the chains", statistics(x) - statistics(start))


def ula_at_its_own(adapter: Adapter) -> float:
    rng, s, eta = np.random.default_rng(2), 0.75, 0.25
    target = {"target/weights": np.ones(1), "target/means": np.zeros((1, 2)), "target/sds": np.array([s])}
    start = x = s / np.sqrt(1 - eta / (2 * s**2)) * rng.standard_normal((CHAINS, 2))
    for _ in range(STEPS):
        given = {**target, "step_size": eta, "x": x, "noise": rng.standard_normal(x.shape)}
        x = ask(adapter, "ula", representable(given))["x"]
    return within_errors("the law of the chains", statistics(x) - statistics(start))


PROPERTIES: Mapping[str, tuple[Property, ...]] = {
    **{operation: (Property("invariance", partial(invariance, operation), "statistics"),) for operation in CHOICES},
    "ula": (Property("its_own_law", ula_at_its_own, "statistics"),),
}
