"""Bijections, from their formulas."""
from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.vectors.exact import exp
from tests.vectors.making import Given, Oracle

CLOSED_FORM = "closed form, mpmath with 40 digits"


def affine(i: dict[str, Any]) -> dict[str, Any]:
    return {"x": i["z"] * exp(i["log_scale"]) + i["shift"], "log_det": i["log_scale"]}


def affine_inverse(i: dict[str, Any]) -> dict[str, Any]:
    return {"z": (i["x"] - i["shift"]) / exp(i["log_scale"]), "log_det": -i["log_scale"]}


def affine_cases(name: str) -> Any:
    def cases(rng: np.random.Generator) -> Sequence[Given]:
        def given(id: str, size: float, spread: float, *flags: str) -> Given:
            places, log_scale, shift = size * rng.standard_normal(5), spread * rng.standard_normal(5), rng.standard_normal(5)
            return Given(id, {name: places, "log_scale": log_scale, "shift": shift}, flags)

        return [given("plain", 1, 0.5), given("steep", 1, 3, "large_scale"), given("far", 1e4, 0.5, "tail")]

    return cases


ORACLES = (
    Oracle(
        "affine", "x = z e^s + t, log dx/dz = s", "Dinh et al. 2017", CLOSED_FORM,
        {"z": "(n,)", "log_scale": "(n,) s", "shift": "(n,) t"}, {"x": "(n,)", "log_det": "(n,) log dx/dz"},
        affine, affine_cases("z"), ("log_det",), ("z", "log_scale", "shift"),
        {"large_scale": "slopes from e^-6 to e^6", "tail": "inputs of 1e4"},
    ),
    Oracle(
        "affine_inverse", "z = (x - t) e^-s, log dz/dx = -s", "Dinh et al. 2017", CLOSED_FORM,
        {"x": "(n,)", "log_scale": "(n,) s", "shift": "(n,) t"}, {"z": "(n,)", "log_det": "(n,) log dz/dx"},
        affine_inverse, affine_cases("x"), ("log_det",), ("x", "log_scale", "shift"),
        {"large_scale": "slopes from e^-6 to e^6", "tail": "inputs of 1e4"},
    ),
)
