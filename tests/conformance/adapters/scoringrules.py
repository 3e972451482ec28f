"""scoringrules: scores of ensembles and of normal forecasts. The energy score is that of beta = 1; no gradients.

Its "nrg" is the V-statistic, its "fair" the U-statistic; its Gaussian kernel has bandwidth 1, so the data are scaled.
"""
from typing import Any

import numpy as np
import scoringrules

from evenflow.conformance.adapter import NumPyFunctions, versioned
from evenflow.conformance.arrays import Array, Arrays

ESTIMATORS = {"U": "fair", "V": "nrg"}


def ensemble(i: Arrays) -> dict[str, Any]:
    """Observations (n, d), members (n, m, d), estimator. Draws (m, d) are shared by all observations."""
    y, draws = i["y"], i["draws"]
    shared = draws if draws.ndim > y.ndim else draws[:, None] + 0 * y
    return {"obs": y, "fct": np.moveaxis(shared, 0, 1), "estimator": ESTIMATORS[str(i["estimator"])]}


def energy_score(i: Arrays) -> Arrays:
    if i["beta"] != 1:
        raise NotImplementedError("beta = 1 alone")
    return {"score": scoringrules.es_ensemble(**ensemble(i))}


def kernel_score(i: Arrays) -> Arrays:
    kernel = str(i["kernel"])
    if kernel == "distance":  # its kernel score with |x|^beta + |y|^beta - |x - y|^beta is the energy score
        return energy_score(i)
    if kernel != "rbf":
        raise NotImplementedError(kernel)
    given = ensemble(i)

    def scaled(s: Array) -> Array:
        return scoringrules.gksmv_ensemble(given["obs"] / s, given["fct"] / s, estimator=given["estimator"])

    return {"score": sum(scaled(s) for s in i["bandwidths"])}


adapter = NumPyFunctions(versioned("scoringrules", "numpy"), {
    "energy_score": energy_score,
    "kernel_score": kernel_score,
    "crps": lambda i: {"score": scoringrules.crps_ensemble(**ensemble(i))},
    "crps_normal": lambda i: {"score": scoringrules.crps_normal(i["y"], i["mean"], i["sd"])},
    "quantile_score": lambda i: {"score": scoringrules.quantile_score(i["y"], i["quantile"], i["alpha"])},
})
