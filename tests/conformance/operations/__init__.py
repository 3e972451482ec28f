"""What each operation is, in terms of evenflow.reference: {operation: function of the inputs by name}. One file a floor."""
from collections.abc import Mapping

from evenflow.conformance.adapter import Operation
from evenflow.conformance.operations import bijections

OPERATIONS: Mapping[str, Operation] = {**bijections.OPERATIONS}
