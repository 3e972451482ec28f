"""Metrics of samples."""
import numpy as np

from evenflow.conformance.adapter import Operation
from evenflow.conformance.arrays import Arrays
from evenflow.reference.work import metrics


def frechet_distance(i: Arrays) -> Arrays:
    return {"distance": np.array(metrics.frechet_distance(i["a"], i["b"]), i["a"].dtype)}


OPERATIONS: dict[str, Operation] = {"frechet_distance": frechet_distance}
