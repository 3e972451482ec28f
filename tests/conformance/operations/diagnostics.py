"""Diagnostics of chains: draws (steps, chains), time first. Computed in float64, answered in the dtype of the draws."""
from collections.abc import Callable

import numpy as np

from evenflow.conformance.adapter import Operation
from evenflow.conformance.arrays import Array, Arrays
from evenflow.reference.mcmc import diagnostics
from evenflow.reference.mixtures import misassignment


def of_draws(f: Callable[[Array], Array]) -> Operation:
    return lambda i: {"value": np.asarray(f(i["draws"]), i["draws"].dtype)}


def integrated_time(i: Arrays) -> Arrays:
    return of_draws(lambda draws: diagnostics.integrated_time(draws, float(i["window"]), trust=1))(i)


def zone_weights(i: Arrays) -> Arrays:
    return {"weights": diagnostics.zone_weights(i["zones"], int(i["count"]))}


def switch_rate(i: Arrays) -> Arrays:
    return {"rate": np.asarray(diagnostics.switch_rate(i["zones"]))}


def mode_rhat(i: Arrays) -> Arrays:
    return {"rhat": np.asarray(diagnostics.mode_rhat(i["zones"], int(i["count"])))}


def misassigned(i: Arrays) -> Arrays:
    probability = np.asarray(misassignment(int(i["d"]), str(i["reading"])))
    return {"probability": probability, "log_probability": np.log(probability)}


OPERATIONS: dict[str, Operation] = {
    "autocorrelation": of_draws(diagnostics.autocorrelation), "integrated_time": integrated_time,
    "split_rhat": of_draws(diagnostics.split_rhat), "rhat": of_draws(diagnostics.rhat), "ess": of_draws(diagnostics.ess),
    "zone_weights": zone_weights, "switch_rate": switch_rate, "mode_rhat": mode_rhat, "misassignment": misassigned,
}
