"""Weights, data and noise of each case, the same for every peer: functions of (seed, sizes)."""
from collections.abc import Callable
from typing import Any

import numpy as np

from evenflow.reference.core.trees import Array, Tree, tree_map
from evenflow.reference.mcmc.flowmc import FlowMC
from evenflow.reference.mcmc.independence import IndependentMH
from evenflow.reference.mcmc.langevin import MALA
from evenflow.reference.scores import random_directions
from evenflow.reference.work.given import one_hot
from tests.bench import models

Rng = np.random.Generator
Sizes = dict[str, Any]


def moved(params: Tree, rng: Rng) -> Tree:
    """Away from the start, where last layers are zero and much cancels."""
    return tree_map(lambda leaf: leaf + 0.02 * rng.standard_normal(leaf.shape), params)


def under_way(params: Tree, rng: Rng) -> Tree:
    """Adam after ten steps: its first step would only see the gradient's signs."""
    return {
        "t": np.array(10), "m": tree_map(lambda leaf: 0.01 * rng.standard_normal(leaf.shape), params),
        "v": tree_map(lambda leaf: 1e-4 * (1 + rng.random(leaf.shape)), params),
    }


def training(params: Tree, rng: Rng) -> Tree:
    params = moved(params, rng)
    return {"params": params, "optimiser": under_way(params, rng)}


def flow(rng: Rng, sizes: Sizes) -> Tree:
    return {**training(models.flow(sizes).init(rng), rng), "x": rng.standard_normal((sizes["batch"], sizes["d"]))}


def sample(rng: Rng, sizes: Sizes) -> Tree:
    return {"params": moved(models.flow(sizes).init(rng), rng), "z": rng.standard_normal((sizes["batch"], sizes["d"]))}


def saef(rng: Rng, sizes: Sizes) -> Tree:
    """Normal numbers in the place of digits: the work is the same."""
    model, objective = models.saef(sizes)
    n = sizes["batch"]
    return {
        **training(model.init(rng), rng), "x": rng.standard_normal((n, models.DIGITS)),
        "context": one_hot(rng.integers(models.CLASSES, size=n), models.CLASSES), **objective.noise(rng, model, n),
    }


def image(rng: Rng, sizes: Sizes) -> Tree:
    """Likewise."""
    model, objective = models.image(sizes)
    n = sizes["batch"]
    return {
        **training(model.init(rng), rng), "x": rng.standard_normal((n, model.d)), "noise": objective.noise(rng, model, n),
    }


def places(rng: Rng, sizes: Sizes) -> Tree:
    model, _ = models.image(sizes)
    return {"params": moved(model.init(rng), rng), "z": rng.standard_normal((sizes["batch"], model.d))}


def convolution(rng: Rng, sizes: Sizes) -> Tree:
    """g: the weights of the sum of all outputs whose gradient it is."""
    n, h, c, o, k = (sizes[name] for name in ("batch", "h", "c", "o", "k"))
    return {
        "x": rng.standard_normal((n, h, h, c)), "W": rng.standard_normal((k, k, c, o)) / np.sqrt(k * k * c),
        "b": rng.standard_normal(o), "g": rng.standard_normal((n, h, h, o)),
    }


def energy(rng: Rng, sizes: Sizes) -> Tree:
    n, d = sizes["n"], sizes["d"]
    return {"draws": rng.standard_normal((n, d)), "y": 0.5 + 1.2 * rng.standard_normal((n, d))}


def sliced(rng: Rng, sizes: Sizes) -> Tree:
    return {**energy(rng, sizes), "directions": random_directions(rng.standard_normal((sizes["directions"], sizes["d"])))}


def walk(x: Array, rng: Rng, sizes: Sizes) -> Tree:
    kernel = MALA(sizes["step_size"])
    return {"x": x, "noises": [kernel.noise(rng, *x.shape) for _ in range(sizes["steps"])]}


def mala(rng: Rng, sizes: Sizes) -> Tree:
    return {"params": moved(models.energy(sizes).init(rng), rng), **walk(rng.standard_normal((sizes["chains"], 2)), rng, sizes)}


def zones(rng: Rng, sizes: Sizes) -> Tree:
    """Chains that start in their target."""
    return walk(models.TARGET.sample(models.TARGET.noise(rng, sizes["chains"])), rng, sizes)


def flowmc(rng: Rng, sizes: Sizes) -> Tree:
    """Chains that start in their target, a flow at its start, the noise of all sweeps: local moves, global moves."""
    flow, x = models.flowmc(sizes), models.TARGET.sample(models.TARGET.noise(rng, sizes["chains"]))
    local, params = MALA(sizes["step_size"]), flow.init(rng)
    kernel = FlowMC(((local, sizes["local"]), (IndependentMH(flow, params), sizes["global"])))
    return {"x": x, "params": params, "sweeps": [kernel.noise(rng, *x.shape) for _ in range(sizes["sweeps"])]}


def ensembles(rng: Rng, sizes: Sizes) -> Tree:
    y = rng.standard_normal((sizes["n"], sizes["d"]))
    return {"y": y, "draws": 0.1 + rng.standard_normal((sizes["m"], *y.shape))}


def ebm(rng: Rng, sizes: Sizes) -> Tree:
    algorithm = models.ebm(sizes)
    state = algorithm.init(rng)._asdict()
    for name in ("energy", "flow"):
        state[name] = moved(state[name], rng)
        state[f"{name}_optimiser"] = under_way(state[name], rng)
    return {"state": state, "positives": rng.standard_normal((sizes["batch"], 2)), "noise": algorithm.noise(rng)}


MAKERS: dict[str, Callable[[Rng, Sizes], Tree]] = {
    "flow": flow, "saef": saef, "sample": sample, "energy": energy, "sliced": sliced, "mala": mala, "zones": zones, "ebm": ebm,
    "flowmc": flowmc, "ensembles": ensembles, "distance": energy, "image": image, "places": places,
    "convolution": convolution,
}


def make(kind: str, sizes: Sizes) -> Tree:
    """A tree of float32 and whole numbers."""
    def rounded(leaf: Array) -> Array:
        leaf = np.asarray(leaf)
        return leaf.astype(np.float32) if leaf.dtype.kind == "f" else leaf

    return tree_map(rounded, MAKERS[kind](np.random.default_rng(0), sizes))
