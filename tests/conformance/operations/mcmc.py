"""Samplers, step by step: all noise is given, and the target is a mixture of round normals (for `latent_log_prob`, too).

A kernel that accepts or refuses is asked twice, the second time with the uniform number -1, which lies below every
probability: where it then stands is what it had proposed.
"""
from collections.abc import Callable
from typing import Any

import numpy as np

from evenflow.conformance.adapter import Operation
from evenflow.conformance.arrays import Array, Arrays, branch
from evenflow.reference.core.looking import value
from evenflow.reference.core.trees import Tree
from evenflow.reference.flows import Dense
from evenflow.reference.flows.densities import Normal
from evenflow.reference.flows.flow import Flow, realnvp
from evenflow.reference.mcmc import adaptation, hmc, independence, langevin, latent, metropolis
from evenflow.reference.mcmc.contract import Info, LogDensity
from evenflow.reference.mcmc.flowmc import FlowMC
from evenflow.reference.targets.mixtures import mixture_log_prob

TakeStep = Callable[[Array], tuple[Any, Info]]  # uniform (chains,) -> state, info


def target(i: Arrays, name: str = "target") -> LogDensity:
    weights, means, sds = (value(i[f"{name}/{part}"]) for part in ("weights", "means", "sds"))
    return lambda x: mixture_log_prob(x, means, weights, sds)


def flow(i: Arrays) -> tuple[Flow, Tree]:
    """x = mean + sd noise."""
    d = len(i["flow/mean"])
    return Flow(Normal(d), Dense(d)), {"W": np.diag(i["flow/sd"]), "b": i["flow/mean"]}


def coupling_flow(tree: Tree, d: int) -> tuple[Flow, Tree]:
    """The RealNVP whose bijection has these parameters."""
    hidden = tuple(len(layer["b"]) for layer in tree[0][:-1])
    return realnvp(d, len(tree) - 1, hidden), tree


def adjusted(take: TakeStep, uniform: Array) -> Arrays:
    """The outputs of a step that may be refused."""
    after, info = take(uniform)
    proposed, _ = take(0 * uniform - 1)
    return {"proposal": proposed.x, "log_ratio": info.log_ratio, "accepted": info.accepted, "x": after.x}


def ula(i: Arrays) -> Arrays:
    log_p = target(i)
    return {"x": langevin.ula(langevin.start(i["x"], log_p), i["noise"], float(i["step_size"]), log_p).x}


def mala(i: Arrays) -> Arrays:
    log_p = target(i)
    state = langevin.start(i["x"], log_p)
    return adjusted(lambda u: langevin.mala(state, i["noise"], u, float(i["step_size"]), log_p), i["uniform"])


def random_walk(i: Arrays) -> Arrays:
    log_p = target(i)
    state = metropolis.start(i["x"], log_p)
    return adjusted(lambda u: metropolis.random_walk(state, i["noise"], u, float(i["step_size"]), log_p), i["uniform"])


def hamiltonian(i: Arrays) -> Arrays:
    log_p, L = target(i), int(i["leapfrog_steps"])
    state = langevin.start(i["x"], log_p)
    return adjusted(lambda u: hmc.hmc(state, i["momentum"], u, float(i["step_size"]), L, log_p), i["uniform"])


def independent_mh(i: Arrays) -> Arrays:
    log_p = target(i)
    state = independence.start(i["x"], log_p, *flow(i))
    return adjusted(lambda u: independence.independent_mh(state, i["noise"], u, log_p, *flow(i)), i["uniform"])


def isir(i: Arrays) -> Arrays:
    log_p, d = target(i), i["x"].shape[1]
    state = independence.start(i["x"], log_p, *flow(i))
    after, choice = independence.isir(state, i["noise"].reshape(-1, d), i["uniform"], log_p, *flow(i))
    return {"log_weights": choice.log_weights, "accepted": choice.accepted, "x": after.x}


def flowmc(i: Arrays) -> Arrays:
    log_p, k, d = target(i), len(i["uniform/local"]) // 2, i["x"].shape[1]
    local = langevin.MALA(float(i["step_size"]))
    moves = FlowMC(((local, k), (independence.ISIR(*flow(i), i["noise/global"].shape[1] + 1), 1), (local, k)))
    near = [{"normal": n, "uniform": u} for n, u in zip(i["noise/local"], i["uniform/local"], strict=True)]
    far = {"flow": i["noise/global"].reshape(-1, d), "uniform": i["uniform/global"]}
    after, _ = moves.step(moves.init(i["x"], log_p), [near[:k], [far], near[k:]], log_p)
    return {"x": after.x}


def latent_log_prob(i: Arrays) -> Arrays:
    log_p, beta = target(i), float(i["beta"])
    on_z = latent.pullback(lambda x: beta * log_p(x), *coupling_flow(branch(i, "params"), i["z"].shape[1]))
    return {"log_prob": on_z(i["z"])}


def adapted_step_size(i: Arrays) -> Arrays:
    step_size = adaptation.adapted(float(i["step_size"]), float(i["acceptance"]))
    return {"step_size": np.array(step_size, i["step_size"].dtype)}


OPERATIONS: dict[str, Operation] = {
    "ula": ula, "mala": mala, "random_walk": random_walk, "hmc": hamiltonian, "independent_mh": independent_mh, "isir": isir,
    "flowmc": flowmc, "latent_log_prob": latent_log_prob, "adapted_step_size": adapted_step_size,
}
