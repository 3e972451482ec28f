"""Mistakes in bijections."""
from tests.vectors.planting import Mistake

AFFINE = "evenflow.reference.bijections.affine"

MISTAKES = (
    Mistake("affine", f"{AFFINE}:affine", "+ shift", "- shift"),
    Mistake("affine", f"{AFFINE}:affine", ", log_scale\n", ", -log_scale\n"),
    Mistake("affine", f"{AFFINE}:affine", ", log_scale\n", ", log_scale.astype('float32')\n"),
    Mistake("affine_inverse", f"{AFFINE}:affine_inverse", "(x - shift)", "(x + shift)"),
    Mistake("affine_inverse", f"{AFFINE}:affine_inverse", ", -log_scale\n", ", log_scale\n"),
    Mistake("affine_inverse", f"{AFFINE}:affine_inverse", "np.exp(-log_scale)", "np.exp(log_scale)"),
)
