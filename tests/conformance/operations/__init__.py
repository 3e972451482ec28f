"""What each operation is, in terms of evenflow.reference: {operation: function of the inputs by name}. One file a floor."""
from collections.abc import Mapping

from evenflow.conformance.adapter import Operation
from evenflow.conformance.operations import bijections, diagnostics, ebm, flows, images, mcmc, metrics, normalizer, saef, scores

OPERATIONS: Mapping[str, Operation] = {
    **bijections.OPERATIONS,
    **images.OPERATIONS,
    **flows.OPERATIONS,
    **mcmc.OPERATIONS,
    **scores.OPERATIONS,
    **ebm.OPERATIONS,
    **metrics.OPERATIONS,
    **normalizer.OPERATIONS,
    **saef.OPERATIONS,
    **diagnostics.OPERATIONS,
}
