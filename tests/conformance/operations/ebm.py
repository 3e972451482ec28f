"""Energy-based models: a perceptron for an energy, what their training is made of, and two whole training steps."""
from functools import partial
from typing import Any

import numpy as np

from evenflow.conformance.adapter import Operation
from evenflow.conformance.arrays import Array, Arrays, branch, flat
from evenflow.conformance.operations.mcmc import coupling_flow, target
from evenflow.reference.core.optim import Adam
from evenflow.reference.core.trees import Tree
from evenflow.reference.ebm import PCD, FlowMCEBM, Rates, contrastive, coopflow, flowmc, jarzynski, pcd
from evenflow.reference.ebm.energies import EBM, MLPEnergy, contrast
from evenflow.reference.flows.densities import Normal
from evenflow.reference.mcmc.independence import ISIR
from evenflow.reference.mcmc.langevin import MALA


def energy_of(tree: Tree) -> MLPEnergy:
    """The energy that has these parameters."""
    return MLPEnergy(len(tree[0]["W"]), tuple(len(layer["b"]) for layer in tree[:-1]))


def number(v: float, like: Array) -> Array:
    """A number that was computed in float64, in the dtype of the arrays it comes from."""
    return np.asarray(v, like.dtype)


def energy_mlp(i: Arrays) -> Arrays:
    net = branch(i, "net")
    return {"energy": energy_of(net)(net, i["x"])}


def tilted_log_prob(i: Arrays) -> Arrays:
    net, tilt = branch(i, "net"), Normal(i["x"].shape[1], float(i["sd"]))
    return {"log_prob": EBM(energy_of(net), tilt).log_density(net, i["x"])}


def ebm_gradient(i: Arrays) -> Arrays:
    net = branch(i, "net")
    difference, gradient = contrast(energy_of(net), net, i["positives"], i["negatives"], i.get("weights"))
    return {"difference": number(difference, i["positives"]), **flat("gradient", gradient)}


def fce_objective(i: Arrays) -> Arrays:
    G_data, G_samples = (i[f"log_p_{where}"] - i[f"log_lambda_{where}"] for where in ("data", "samples"))
    return {"value": contrastive.V(G_data, G_samples)}


def coopflow_revision(i: Arrays) -> Arrays:
    return {"x": coopflow.revised(i["x"], int(i["steps"]), float(i["step_size"]), target(i))}


def reweighted(i: Arrays) -> Arrays:
    walkers, log_weights = jarzynski.carried(
        i["walkers"], i["log_weights"], i["noise"], float(i["step_size"]), target(i), target(i, "next")
    )
    return {"walkers": walkers, "log_weights": log_weights}


def systematic_resampling(i: Arrays) -> Arrays:
    return {"walkers": jarzynski.resampled(i["walkers"], i["log_weights"], float(i["uniform"]))}


def effective_size(i: Arrays) -> Arrays:
    return {"ess": number(float(jarzynski.effective_size(i["log_weights"])), i["log_weights"])}


def adam(i: Arrays) -> Arrays:
    before = {"t": np.array(int(i["t"]) - 1), "m": i["m"], "v": i["v"]}
    params, after = Adam().update(i["params"], i["gradient"], before, float(i["rate"]))
    return {"params": params, "m": after["m"], "v": after["v"]}


def memory(i: Arrays, name: str) -> Tree:
    """Adam's state before the step t."""
    return {"t": np.array(int(i["t"]) - 1), "m": branch(i, f"m/{name}"), "v": branch(i, f"v/{name}")}


def pcd_step(i: Arrays) -> Arrays:
    net, d = branch(i, "energy"), i["chains"].shape[1]
    L, batch, _ = i["noise"].shape
    sizes = {"batch": batch, "buffer": len(i["chains"])}
    algorithm = PCD(energy_of(net), Normal(d), L, float(i["step_size"]), **sizes, energy_optimiser=Adam())
    state = pcd.State(net, memory(i, "energy"), i["chains"])
    noise = {"chosen": i["chosen"], "moves": [{"normal": normal} for normal in i["noise"]]}
    after, _ = algorithm.step(state, i["positives"], noise, Rates(float(i["rate"])))
    return {**flat("energy", after.energy), "chains": after.chains}


def flowmc_ebm_step(i: Arrays) -> Arrays:
    net, d, k = branch(i, "energy"), i["chains"].shape[1], len(i["uniform/local"]) // 2
    flow, params = coupling_flow(branch(i, "flow"), d)
    local, far_away = MALA(float(i["step_size"])), partial(ISIR, N=i["noise/global"].shape[1] + 1)
    algorithm = FlowMCEBM(
        energy_of(net), flow, ((local, k), (far_away, 1), (local, k)), len(i["chosen"]), len(i["chains"]),
        energy_optimiser=Adam(),
    )
    state = flowmc.State(net, params, memory(i, "energy"), memory(i, "flow"), i["chains"], algorithm.step_sizes)
    moves: list[Any] = [{"normal": n, "uniform": u} for n, u in zip(i["noise/local"], i["uniform/local"], strict=True)]
    far = {"flow": i["noise/global"].reshape(-1, d), "uniform": i["uniform/global"]}
    noise = {"chosen": i["chosen"], "moves": [moves[:k], [far], moves[k:]]}
    after, _ = algorithm.step(state, i["positives"], noise, Rates(float(i["rate/energy"]), float(i["rate/flow"])))
    return {**flat("energy", after.energy), **flat("flow", after.flow), "chains": after.chains}


OPERATIONS: dict[str, Operation] = {
    "energy_mlp": energy_mlp, "tilted_log_prob": tilted_log_prob, "ebm_gradient": ebm_gradient,
    "fce_objective": fce_objective, "coopflow_revision": coopflow_revision, "jarzynski": reweighted,
    "systematic_resampling": systematic_resampling, "effective_size": effective_size, "adam": adam, "pcd_step": pcd_step,
    "flowmc_ebm_step": flowmc_ebm_step,
}
