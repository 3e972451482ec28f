"""One step of Adam, and whole training steps made of what the other files prove piece by piece."""
from collections.abc import Mapping, Sequence
from typing import Any

import mpmath
import numpy as np

from evenflow.conformance.arrays import Array
from tests.vectors.ebm import NET
from tests.vectors.exact import exact, exp, gradients, sqrt
from tests.vectors.making import Given, Oracle
from tests.vectors.mcmc import WITNESS
from tests.vectors.networks import random_net
from tests.vectors.perceptrons import (
    Layers,
    energy,
    energy_back,
    flow_forward,
    flow_log_prob,
    gradient,
    log_normal,
    net,
    random_flow,
)
from tests.vectors.sampler_targets import Exact, mala_step, metropolis, slot

BETA1, BETA2, EPS = mpmath.mpf("0.9"), mpmath.mpf("0.999"), mpmath.mpf("1e-8")


def moved(theta: Array, g: Array, m: Array, v: Array, t: int, rate: Any) -> tuple[Array, Array, Array]:
    """Kingma & Ba 2015, Algorithm 1."""
    m, v = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * g**2
    return theta - rate * (m / (1 - BETA1**t)) / (sqrt(v / (1 - BETA2**t)) + EPS), m, v


def adam(i: Exact) -> Mapping[str, Array]:
    return dict(zip(
        ("params", "m", "v"), moved(i["params"], i["gradient"], i["m"], i["v"], int(i["t"]), i["rate"]), strict=True
    ))


def all_moved(i: Exact, name: str, grads: Mapping[str, Array], rate: Any) -> dict[str, Array]:
    """Every array below `name` after a step of Adam."""
    return {
        key: moved(i[key], g, i[f"m/{key}"], i[f"v/{key}"], int(i["t"]), rate)[0]
        for key, g in ((f"{name}/{part}", g) for part, g in grads.items())
    }


def energy_moved(i: Exact, negatives: Array, rate: Any) -> dict[str, Array]:
    x = np.concatenate([i["positives"], negatives])
    n, m = len(i["positives"]), len(negatives)
    signed = np.concatenate([exact(np.ones(n)) / n, -exact(np.ones(m)) / m])
    grads = gradient(energy_back(net(i, "energy"), x, signed)[1])
    return all_moved(i, "energy", {key.removeprefix("gradient/"): g for key, g in grads.items()}, rate)


def slope(layers: Layers, x: Array) -> Array:
    """The gradient of E in x."""
    return energy_back(layers, x, exact(np.ones(len(x))))[0]


def pcd_step(i: Exact) -> Mapping[str, Array]:
    """Grenioux et al. 2023, Algorithm 3: ULA on log p = -E."""
    layers, eta, chains = net(i, "energy"), i["step_size"], i["chains"].copy()
    x = chains[i["chosen"]]
    for noise in i["noise"]:
        x = x - eta * slope(layers, x) + sqrt(2 * eta) * noise
    chains[i["chosen"]] = x
    return {**energy_moved(i, x, i["rate"]), "chains": chains}


def flowmc_ebm_step(i: Exact) -> Mapping[str, Array]:
    """Algorithm 1: log p = -E + log rho, moved by k MALA, one i-SIR, k MALA; then both networks."""
    layers, chains = net(i, "energy"), i["chains"].copy()
    log_p = lambda x: log_normal(x) - energy(layers, x)
    score = lambda x: -x - slope(layers, x)
    x, k = chains[i["chosen"]], len(i["noise/local"]) // 2
    for step, (noise, uniform) in enumerate(zip(i["noise/local"], i["uniform/local"], strict=True)):
        if step == k:
            x = np.stack([resampled(i, log_p, *each) for each in zip(x, i["noise/global"], i["uniform/global"], strict=True)])
        x = metropolis({"x": x, "uniform": uniform}, *mala_step(x, noise, i["step_size"], log_p, score))["x"]
    chains[i["chosen"]] = x
    loss = lambda moved: -sum(flow_log_prob(moved, "flow", x)) / len(x)
    grads = gradients(loss, i, tuple(name for name in i if name.startswith("flow/")))
    flow = all_moved(i, "flow", {name.removeprefix("flow/"): g for name, g in grads.items()}, i["rate/flow"])
    return {**energy_moved(i, x, i["rate/energy"]), **flow, "chains": chains}


def resampled(i: Exact, log_p: Any, place: Array, noise: Array, uniform: Any) -> Array:
    """i-SIR of one chain."""
    slots = np.concatenate([place[None], flow_forward(i, "flow", noise)[0]])
    return slots[slot(exp(log_p(slots) - flow_log_prob(i, "flow", slots)), uniform)]


def moments(rng: np.random.Generator, params: Mapping[str, Array]) -> dict[str, Array]:
    """Adam's, of the size that some steps leave."""
    first = {f"m/{key}": 0.3 * rng.standard_normal(leaf.shape) for key, leaf in params.items()}
    return {**first, **{f"v/{key}": rng.uniform(0.01, 0.1, leaf.shape) for key, leaf in params.items()}}


def adam_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, t: int, rate: float, *flags: str, size: float = 1.0) -> Given:
        params, gradient, m = rng.standard_normal(5), size * rng.standard_normal(5), 0.3 * rng.standard_normal(5)
        v = rng.uniform(0.01, 0.1, 5)
        if t == 1:
            m, v = 0 * m, 0 * v
        if "still" in flags:
            gradient[::2] = 0
        choices = {"t": np.int64(t), "rate": np.float64(rate)}
        return Given(id, {"params": params, "gradient": gradient, "m": m, "v": v, **choices}, flags)

    return [
        given("first", 1, 0.1, "bias"), given("tenth", 10, 0.01, "bias"), given("late", 5000, 0.01),
        given("tiny_gradient", 1, 0.1, "eps", size=1e-8), given("still", 1, 0.1, "still"), given("steep", 3, 0.01, size=1e4),
    ]


def pcd_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, L: int, n: int, buffer: int, chosen: Sequence[int], t: int, step_size: float) -> Given:
        params = random_net(rng, (2, 4, 3, 1), name="energy")
        return Given(id, {
            "positives": 1 + rng.standard_normal((n, 2)), "chains": rng.standard_normal((buffer, 2)),
            "chosen": np.array(chosen), "noise": rng.standard_normal((L, len(chosen), 2)), **params, **moments(rng, params),
            "t": np.int64(t), "rate": np.float64(0.01), "step_size": np.float64(step_size),
        })

    return [
        given("plain", 3, 4, 5, (3, 0, 4), 5, 0.0625), given("one_step", 1, 3, 3, (0, 2, 1), 2, 0.2),
        given("fewer_chains", 4, 6, 4, (2,), 40, 0.01),
    ]


def flowmc_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, k: int, N: int, n: int, buffer: int, chosen: Sequence[int], t: int, step_size: float) -> Given:
        params = {**random_net(rng, (2, 4, 3, 1), name="energy"), **random_flow(rng, 2, name="flow")}
        m = len(chosen)
        noise = {
            "noise/local": rng.standard_normal((2 * k, m, 2)), "uniform/local": 0.5 * rng.random((2 * k, m)),
            "noise/global": rng.standard_normal((m, N - 1, 2)), "uniform/global": rng.uniform(0.3, 0.9, m),
        }
        rates = {"rate/energy": np.float64(0.01), "rate/flow": np.float64(0.003), "step_size": np.float64(step_size)}
        return Given(id, {
            "positives": 1 + rng.standard_normal((n, 2)), "chains": rng.standard_normal((buffer, 2)),
            "chosen": np.array(chosen), **noise, **params, **moments(rng, params), "t": np.int64(t), **rates,
        })

    return [given("plain", 1, 4, 3, 5, (3, 0, 4), 5, 0.0625), given("long", 2, 3, 4, 3, (2, 0), 20, 0.2)]


COMMON = {
    "positives": "(n, d) data", "chains": "(buffer, d) all persistent chains",
    "chosen": "(m,) which of them are moved, in order",
    "energy/": NET["net/"].replace("net/", "energy/"), "m/": "Adam's first moments, as energy/ (and flow/)",
    "v/": "Adam's second moments", "t": "the number of this step, from 1",
}

ORACLES = (
    Oracle(
        "adam", "Adam with beta1 = 0.9, beta2 = 0.999, eps = 1e-8", "Kingma & Ba 2015, Algorithm 1", WITNESS,
        {
            "params": "(k,)", "gradient": "(k,)", "m": "(k,) first moments", "v": "(k,) second moments",
            "t": "the number of this step, from 1", "rate": "the learning rate",
        },
        {"params": "(k,)", "m": "(k,)", "v": "(k,)"}, adam, adam_cases, notes={
            "bias": "an early step: catches moments without 1 / (1 - beta^t), and a t that is off by one",
            "eps": "gradients of 1e-8: catches eps under the root", "still": "0 / (0 + eps) is 0",
        },
    ),
    Oracle(
        "pcd_step", "L steps of ULA on log p = -E for some of the persistent chains; Adam on mean E(x+) - mean E(x-)",
        "Grenioux et al. 2023, Algorithm 3", WITNESS,
        {**COMMON, "noise": "(L, m, d) of ULA", "step_size": "eta of ULA", "rate": "of the energy"},
        {"energy/": "after the step", "chains": "(buffer, d) after the step"}, pcd_step, pcd_cases,
    ),
    Oracle(
        "flowmc_ebm_step", "k MALA, one i-SIR, k MALA on log p = -E + log N(0, I) for some of the persistent chains; "
        "Adam on mean E(x+) - mean E(x-), and on -mean log lambda(x-), with x- the chains where they now stand",
        "Grenioux et al. 2023, Algorithm 1", WITNESS,
        {
            **COMMON, "flow/": "realnvp's bijection, as params/ of latent_log_prob; its base is N(0, I)",
            "noise/local": "(2 k, m, d)", "uniform/local": "(2 k, m)", "noise/global": "(m, N - 1, d) of the flow",
            "uniform/global": "(m,) as in isir", "step_size": "eta of MALA", "rate/energy": "of the energy",
            "rate/flow": "of the flow",
        },
        {"energy/": "after the step", "flow/": "after the step", "chains": "(buffer, d) after the step"},
        flowmc_ebm_step, flowmc_cases,
    ),
)
