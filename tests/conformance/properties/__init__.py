"""What must hold whatever the numbers: no vector and no oracle is needed, the adapter bears witness against itself.

    PROPERTIES   {operation: its properties}
    Property     name, level, check(adapter) -> the largest error / tolerance that was met, from 0 to 1

level is "properties" (level 2: some 25 examples, which Hypothesis draws, the same in every run) or "statistics" (level 3: one
large sample from a fixed seed; the docstrings state the error rates). check raises AssertionError where a property does not
hold (what is off, by how much, at which example), NotImplementedError where the adapter lacks an operation that is needed,
and lets through what the adapter raises. It prints nothing.
"""
from collections.abc import Mapping

from evenflow.conformance.properties import (
    bijections,
    densities,
    diagnostics,
    ebm,
    estimates,
    gradients,
    invariance,
    line,
    models,
    networks,
    samplers,
    scores,
)
from evenflow.conformance.properties.checking import Property

PARTS = (networks, bijections, densities, scores, line, models, samplers, ebm, diagnostics, gradients, invariance, estimates)
PROPERTIES: Mapping[str, tuple[Property, ...]] = {
    operation: tuple(each for part in PARTS for each in part.PROPERTIES.get(operation, ()))
    for operation in sorted({operation for part in PARTS for operation in part.PROPERTIES})
}
__all__ = ["PROPERTIES", "Property"]
