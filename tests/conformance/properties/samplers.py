r"""What holds for every Markov kernel, by its own answers: noise that leads there and back, ratios, who moves and who stays.

A kernel that moves x to x' by the noise u, and x' back to x by the noise v, with a map of (x, u) to (x', v) that keeps volume,
is in detailed balance with p where its ratio is

$$\log \frac{p(x')\, \phi(v)}{p(x)\, \phi(u)} = \log p(x') - \log p(x) + \tfrac12 |u|^2 - \tfrac12 |v|^2,$$

phi the standard normal density. v is found from the kernel: where MALA goes by no noise and by the noise 1 says its drift and
its scale; a random walk goes back by -u; a flow x = m + s u has v = (x - m) / s; HMC goes back by its last momentum,
reversed. The targets are mixtures of two normals, log p and its gradient written out here.
"""
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from evenflow.conformance.adapter import Adapter
from evenflow.conformance.arrays import Array
from evenflow.conformance.properties.checking import Draw, Property, above, ask, named, representable, tolerance, within

CHAINS, STEP = 5, 0.25
Inputs = dict[str, Any]
Back = Callable[[Adapter, Inputs, Array], Array]  # the noise that leads from x' to inputs["x"]


def inputs(operation: str, draw: Draw) -> Inputs:
    """Chains near the target, with the noise and choices of the kernel."""
    rng, shape = draw.rng, (CHAINS, draw.d)
    given = {**target(rng, draw.d), "x": rng.standard_normal(shape), "uniform": rng.random(CHAINS)}
    given["momentum" if operation == "hmc" else "noise"] = rng.standard_normal(shape)
    if operation in ("independent_mh", "isir", "flowmc"):
        given |= {"flow/mean": 0.3 * rng.standard_normal(draw.d), "flow/sd": rng.uniform(0.8, 1.6, draw.d)}
    if operation in ("mala", "random_walk", "hmc", "flowmc", "ula"):
        given["step_size"] = STEP
    if operation == "hmc":
        given["leapfrog_steps"] = np.array(rng.integers(1, 4))
    if operation == "isir":
        given["noise"] = rng.standard_normal((CHAINS, 3, draw.d))
    return representable(given)


def target(rng: np.random.Generator, d: int, name: str = "target") -> Inputs:
    weight = rng.uniform(0.2, 0.8)
    return {
        f"{name}/weights": np.array([weight, 1 - weight]), f"{name}/means": rng.standard_normal((2, d)),
        f"{name}/sds": rng.uniform(0.6, 1.2, 2),
    }


def components(given: Inputs, x: Array, name: str = "target") -> Array:
    """log w_k N(x; m_k, s_k^2 I): (n, K)."""
    weights, means, sds = (given[f"{name}/{part}"] for part in ("weights", "means", "sds"))
    squares = np.sum((x[:, None] - means) ** 2, axis=2)
    return np.log(weights) - squares / (2 * sds**2) - x.shape[1] * np.log(sds * np.sqrt(2 * np.pi))


def log_p(given: Inputs, x: Array, name: str = "target") -> Array:
    return np.logaddexp.reduce(components(given, x, name), axis=1)


def score(given: Inputs, x: Array) -> Array:
    """The gradient of log p."""
    each = components(given, x)
    share = np.exp(each - np.logaddexp.reduce(each, axis=1, keepdims=True)) / given["target/sds"] ** 2
    return share @ given["target/means"] - np.sum(share, axis=1, keepdims=True) * x


def squares(u: Array) -> Array:
    return np.sum(u**2, axis=1)


def allowed(adapter: Adapter, *sizes: Array) -> float:
    """Squares of noise, which carries the roundings of x over a step."""
    return 10 / STEP * tolerance(adapter.dtype, np.concatenate([np.ravel(s) for s in sizes]))


# ------------------------------------------------------------------------------------------------------ detailed balance


def by_minus_u(adapter: Adapter, given: Inputs, proposal: Array) -> Array:
    return -given["noise"]


def by_its_drift(adapter: Adapter, given: Inputs, proposal: Array, operation: str = "mala") -> Array:
    none, one = (
        ask(adapter, operation, {**given, "x": proposal, "noise": np.full(proposal.shape, u)})["proposal"] for u in (0.0, 1.0)
    )
    scale = float(np.mean(one - none))
    above("the move by the noise 1", scale, 1e-3)
    return (given["x"] - none) / scale


def by_its_last_momentum(adapter: Adapter, given: Inputs, proposal: Array) -> Array:
    x, m, step = given["x"], given["momentum"], float(given["step_size"])
    for _ in range(int(given["leapfrog_steps"])):
        m = m + step / 2 * score(given, x)
        x = x + step * m
        m = m + step / 2 * score(given, x)
    return -m


def by_the_flow(adapter: Adapter, given: Inputs, proposal: Array) -> Array:
    return (given["x"] - given["flow/mean"]) / given["flow/sd"]


def balance(operation: str, back: Back, adapter: Adapter, draw: Draw) -> float:
    given, noise = inputs(operation, draw), "momentum" if operation == "hmc" else "noise"
    there = ask(adapter, operation, given)
    v = back(adapter, given, there["proposal"])
    again = ask(adapter, operation, {**given, "x": there["proposal"], noise: v})
    sides = log_p(given, there["proposal"]), log_p(given, given["x"])
    want = sides[0] - sides[1] + (squares(given[noise]) - squares(v)) / 2
    enough = allowed(adapter, *sides, squares(given[noise]), squares(v))
    return max(within("the way back", again["proposal"], given["x"], enough),
               within("log_ratio", there["log_ratio"], want, enough),
               within("log_ratio of the way back", again["log_ratio"], -want, enough))


def taken(operation: str, adapter: Adapter, draw: Draw) -> float:
    """accepted is uniform < e^log_ratio; who is refused stays to the last bit, who is not stands where it was proposed."""
    given = inputs(operation, draw)
    given["uniform"] = np.array([0.0, 0.25, 0.5, 0.75, 0.984375])
    out = ask(adapter, operation, given)
    likely = np.exp(np.minimum(out["log_ratio"], 0.0))
    sure = (np.abs(likely - given["uniform"]) > 1e-3) | (out["log_ratio"] > 1e-3)
    wrong = (out["accepted"] != (given["uniform"] < likely)) & sure
    assert not wrong.any(), f"accepted is wrong at log_ratio {out['log_ratio'][wrong]}, uniform {given['uniform'][wrong]}"
    stays = ~out["accepted"].astype(bool)
    assert np.array_equal(out["x"][stays], given["x"][stays]), "a chain that was refused has moved"
    return within("x of who was taken", out["x"][~stays], out["proposal"][~stays], tolerance(adapter.dtype, out["x"]))


# ------------------------------------------------------------------------------------------------------------------ i-SIR


def slots(given: Inputs) -> Array:
    """(chains, N, d): where the chain stands, then what the flow makes of the noise."""
    fresh = given["flow/mean"] + given["flow/sd"] * given["noise"]
    return np.concatenate([given["x"][:, None], fresh], axis=1)


def weights(adapter: Adapter, draw: Draw) -> float:
    """log p - log lambda in each slot; their order is that of the noise."""
    given = inputs("isir", draw)
    at, rng = slots(given), draw.rng
    u = (at - given["flow/mean"]) / given["flow/sd"]
    log_lambda = -0.5 * np.sum(u**2 + np.log(2 * np.pi * given["flow/sd"] ** 2), axis=2)
    want = log_p(given, at.reshape(-1, draw.d)).reshape(log_lambda.shape) - log_lambda
    places = rng.permutation(given["noise"].shape[1])
    mixed = ask(adapter, "isir", {**given, "noise": given["noise"][:, places]})["log_weights"]
    enough = allowed(adapter, want, log_lambda)
    return max(within("log_weights", ask(adapter, "isir", given)["log_weights"], want, enough),
               within("log_weights of the slots in another order", mixed, want[:, [0, *(places + 1)]], enough))


def chosen(adapter: Adapter, draw: Draw) -> float:
    """Of one chain over and over, with even uniform numbers: each slot as often as its weight says, to one in all."""
    M = 64
    given = {k: np.repeat(a[:1], M, axis=0) if k in ("x", "noise", "uniform") else a for k, a in inputs("isir", draw).items()}
    given["uniform"] = (np.arange(M) + 0.5) / M
    out, at = ask(adapter, "isir", given), slots(given)
    gaps = np.max(np.abs(out["x"][:, None] - at), axis=2)
    slot = np.argmin(gaps, axis=1)
    assert np.array_equal(out["accepted"].astype(bool), slot > 0), "accepted must mean that another slot was chosen"
    assert np.array_equal(out["x"][slot == 0], given["x"][slot == 0]), "a chain that keeps its slot has moved"
    w = np.exp(out["log_weights"][0] - np.logaddexp.reduce(out["log_weights"][0]))
    counts = np.bincount(slot, minlength=len(w))
    return max(within("how often a slot was chosen", counts, M * w, 1.001),
               within("x", np.min(gaps, axis=1), np.zeros(M), tolerance(adapter.dtype, at)))


# ------------------------------------------------------------------------------------------------------------- one by one


def sweep(adapter: Adapter, draw: Draw) -> float:
    """flowMC is its moves one after the other, each beginning where the last one ended: nothing is remembered."""
    local, rng = inputs("mala", draw), draw.rng
    rest = {k: a for k, a in inputs("flowmc", draw).items() if k not in ("x", "noise", "uniform")}
    near = representable({"noise": rng.standard_normal((4, CHAINS, draw.d)), "uniform": rng.random((4, CHAINS))})
    far = representable({"noise": rng.standard_normal((CHAINS, 3, draw.d)), "uniform": rng.random(CHAINS)})
    names = {f"{k}/{where}": a for where, those in (("local", near), ("global", far)) for k, a in those.items()}
    whole = ask(adapter, "flowmc", {**rest, "x": local["x"], **names})["x"]
    between = {k: a for k, a in rest.items() if k != "step_size"}
    steps = [("mala", {**local, "noise": n, "uniform": u}) for n, u in zip(near["noise"], near["uniform"], strict=True)]
    x = local["x"]
    for operation, given in (*steps[:2], ("isir", {**between, **far}), *steps[2:]):
        x = ask(adapter, operation, {**given, **{k: a for k, a in rest.items() if k.startswith("target/")}, "x": x})["x"]
    return within("x after all moves", whole, x, 100 * tolerance(adapter.dtype, x))


def proposes(adapter: Adapter, draw: Draw) -> float:
    """ULA goes where MALA proposes to go."""
    given = inputs("mala", draw)
    want = ask(adapter, "mala", given)["proposal"]
    got = ask(adapter, "ula", {k: a for k, a in given.items() if k != "uniform"})["x"]
    return within("x", got, want, allowed(adapter, want))


def adjusted(operation: str, back: Back) -> tuple[Property, ...]:
    return named({"balance": partial(balance, operation, back), "taken": partial(taken, operation)})


PROPERTIES: Mapping[str, tuple[Property, ...]] = {
    "random_walk": adjusted("random_walk", by_minus_u), "mala": adjusted("mala", by_its_drift),
    "hmc": adjusted("hmc", by_its_last_momentum), "independent_mh": adjusted("independent_mh", by_the_flow),
    "isir": named({"weights": weights, "chosen": chosen}), "flowmc": named({"sweep": sweep}),
    "ula": named({"proposal": proposes}),
}
