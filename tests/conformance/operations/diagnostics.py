"""Diagnostics of chains: draws (steps, chains), time first. Computed in float64, answered in the dtype of the draws."""
from collections.abc import Callable

import numpy as np

from evenflow.conformance.adapter import Operation
from evenflow.conformance.arrays import Array, Arrays
from evenflow.reference.mcmc import ess as effective_size
from evenflow.reference.mcmc import rhat, zones
from evenflow.reference.mcmc.ess import autocorrelation
from evenflow.reference.mcmc.ess import integrated_time as time_of
from evenflow.reference.mcmc.rhat import split_rhat
from evenflow.reference.targets.mixtures import misassignment


def of_draws(f: Callable[[Array], Array]) -> Operation:
    return lambda i: {"value": np.asarray(f(i["draws"]), i["draws"].dtype)}


def integrated_time(i: Arrays) -> Arrays:
    return of_draws(lambda draws: time_of(draws, float(i["window"]), trust=1))(i)


def zone_weights(i: Arrays) -> Arrays:
    return {"weights": zones.zone_weights(i["zones"], int(i["count"]))}


def switch_rate(i: Arrays) -> Arrays:
    return {"rate": np.asarray(zones.switch_rate(i["zones"]))}


def mode_rhat(i: Arrays) -> Arrays:
    return {"rhat": np.asarray(zones.mode_rhat(i["zones"], int(i["count"])))}


def misassigned(i: Arrays) -> Arrays:
    probability = np.asarray(misassignment(int(i["d"]), str(i["reading"])))
    return {"probability": probability, "log_probability": np.log(probability)}


OPERATIONS: dict[str, Operation] = {
    "autocorrelation": of_draws(autocorrelation), "integrated_time": integrated_time,
    "split_rhat": of_draws(split_rhat), "rhat": of_draws(rhat), "ess": of_draws(effective_size),
    "zone_weights": zone_weights, "switch_rate": switch_rate, "mode_rhat": mode_rhat, "misassignment": misassigned,
}
