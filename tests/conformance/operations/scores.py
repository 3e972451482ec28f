"""Scores: a forecast's draws against observations; distances: two samples against each other. Smaller is better."""
import numpy as np

from evenflow.conformance.adapter import Operation
from evenflow.conformance.arrays import Array, Arrays
from evenflow.reference import scores
from evenflow.reference.core.looking import value
from evenflow.reference.core.special import normal_quantile
from evenflow.reference.scores.pairs import PairFunction


def energy_score(i: Arrays) -> Arrays:
    return {"score": scores.energy_score(i["draws"], i["y"], float(i["beta"]), str(i["estimator"]))}


def energy_distance(i: Arrays) -> Arrays:
    return {"distance": scores.energy_distance(i["x"], i["y"], float(i["beta"]), str(i["estimator"]))}


def random_directions(i: Arrays) -> Arrays:
    return {"directions": scores.random_directions(i["noise"])}


def slicing_constant(i: Arrays) -> Arrays:
    return {"constant": np.array(scores.slicing_constant(int(i["d"]), float(i["beta"])), i["beta"].dtype)}


def sliced_energy_score(i: Arrays) -> Arrays:
    v, beta, estimator = directions(i), float(i["beta"]), str(i["estimator"])
    return {"score": scores.sliced_energy_score(i["draws"], i["y"], v, beta, estimator)}


def sliced_energy_distance(i: Arrays) -> Arrays:
    v, beta, estimator = directions(i), float(i["beta"]), str(i["estimator"])
    return {"distance": scores.sliced_energy_distance(i["x"], i["y"], v, beta, estimator)}


def directions(i: Arrays) -> Array:
    return value(i["directions"])


def crps(i: Arrays) -> Arrays:
    return {"score": scores.crps(i["draws"], i["y"], str(i["estimator"]))}


def crps_normal(i: Arrays) -> Arrays:
    return {"score": scores.crps_normal(i["mean"], i["sd"], i["y"])}


def quantile_score(i: Arrays) -> Arrays:
    return {"score": scores.quantile_score(i["quantile"], i["y"], i["alpha"])}


def quantile_of_normal(i: Arrays) -> Arrays:
    return {"z": normal_quantile(i["alpha"])}


def kernel_score(i: Arrays) -> Arrays:
    return {"score": scores.kernel_score(i["draws"], i["y"], kernel(i), str(i["estimator"]))}


def mmd(i: Arrays) -> Arrays:
    return {"distance": scores.mmd(i["x"], i["y"], kernel(i), str(i["estimator"]))}


def kernel(i: Arrays) -> PairFunction:
    if i["kernel"] == "rbf":
        return scores.rbf_kernel(value(i["bandwidths"]).tolist())
    return scores.distance_kernel(float(i["beta"])) if i["kernel"] == "distance" else scores.linear_kernel()


OPERATIONS: dict[str, Operation] = {
    "energy_score": energy_score, "energy_distance": energy_distance, "random_directions": random_directions,
    "slicing_constant": slicing_constant, "sliced_energy_score": sliced_energy_score,
    "sliced_energy_distance": sliced_energy_distance, "crps": crps, "crps_normal": crps_normal,
    "quantile_score": quantile_score, "normal_quantile": quantile_of_normal, "kernel_score": kernel_score, "mmd": mmd,
}
