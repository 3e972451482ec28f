"""Bijections: forward is noise to data, and each direction has its own log_det."""
from evenflow.conformance.adapter import Operation
from evenflow.conformance.arrays import Arrays
from evenflow.reference.bijections import affine, affine_inverse


def forward_affine(i: Arrays) -> Arrays:
    x, log_det = affine(i["z"], i["log_scale"], i["shift"])
    return {"x": x, "log_det": log_det}


def inverse_affine(i: Arrays) -> Arrays:
    z, log_det = affine_inverse(i["x"], i["log_scale"], i["shift"])
    return {"z": z, "log_det": log_det}


OPERATIONS: dict[str, Operation] = {"affine": forward_affine, "affine_inverse": inverse_affine}
