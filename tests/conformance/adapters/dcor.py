"""dcor: the energy distance for any exponent, and the energy score as half of the distance to one observation.

The distance between m draws and {y} is 2 E|X - y|^beta - E|X - X'|^beta, in its V-statistic; its U-statistic would average
over the pairs of one point, of which there are none. No gradients.
"""
import dcor
import numpy as np

from evenflow.conformance.adapter import NumPyFunctions, versioned
from evenflow.conformance.arrays import Array, Arrays


def distance(x: Array, y: Array, i: Arrays) -> Array:
    return np.asarray(dcor.energy_distance(x, y, exponent=float(i["beta"]), estimation_stat=str(i["estimator"])))


def energy_score(i: Arrays) -> Arrays:
    if i["estimator"] != "V":
        raise NotImplementedError("the V-statistic alone")
    y = i["y"]
    draws = np.broadcast_to(i["draws"] if i["draws"].ndim == 3 else i["draws"][:, None], (len(i["draws"]), *y.shape))
    return {"score": np.array([distance(draws[:, k], y[k : k + 1], i) / 2 for k in range(len(y))])}


def mmd(i: Arrays) -> Arrays:
    """With the distance kernel the squared discrepancy is the energy distance."""
    if i["kernel"] != "distance":
        raise NotImplementedError(str(i["kernel"]))
    return {"distance": distance(i["x"], i["y"], i)}


adapter = NumPyFunctions(versioned("dcor", "numpy"), {
    "energy_distance": lambda i: {"distance": distance(i["x"], i["y"], i)},
    "energy_score": energy_score,
    "mmd": mmd,
})
