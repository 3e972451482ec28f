"""log Z, by draws and without. Numbers are computed in float64 and answered in the dtype of what came."""
import numpy as np

from evenflow.conformance.adapter import Operation
from evenflow.conformance.arrays import Array, Arrays
from evenflow.conformance.operations.mcmc import flow, target
from evenflow.reference.ebm import normalizer
from evenflow.reference.mcmc.langevin import MALA


def number(v: float, like: Array) -> Array:
    return np.asarray(v, like.dtype)


def importance(i: Arrays) -> Arrays:
    found = normalizer.importance(i["log_p"], i["log_q"])
    return {name: number(v, i["log_p"]) for name, v in found._asdict().items()}


def bridge(i: Arrays) -> Arrays:
    found = normalizer.bridge(i["log_p_at_p"], i["log_q_at_p"], i["log_p_at_q"], i["log_q_at_q"])
    return {"log_z": number(found.log_z, i["log_p_at_p"])}


def annealed(i: Arrays) -> Arrays:
    q, params = flow(i)
    noise = [{"normal": n, "uniform": u} for n, u in zip(i["noise"], i["uniform"], strict=True)]
    kernel = MALA(float(i["step_size"]))
    found, x, log_w = normalizer.annealed(target(i), lambda x: q.log_prob(params, x), i["x"], i["temperatures"], kernel, noise)
    return {"log_z": number(found.log_z, x), "log_weights": log_w.astype(x.dtype), "x": x}


def grid(i: Arrays) -> Arrays:
    box = normalizer.lattice(i["low"].tolist(), i["high"].tolist(), int(i["points"]))
    return {"log_z": number(normalizer.grid(target(i), box).log_z, i["low"])}


OPERATIONS: dict[str, Operation] = {
    "log_z_importance": importance, "log_z_bridge": bridge, "log_z_annealed": annealed, "log_z_grid": grid,
}
