"""Mistakes in the elementwise and the linear bijections."""
from tests.vectors.planting import Mistake

AFFINE = "evenflow.reference.flows.affine"
LEAKY = "evenflow.reference.flows.activation:leaky"
SMOOTH = "evenflow.reference.flows.activation:smooth_leaky"
DENSE = "evenflow.reference.flows.dense"
ORDER = "evenflow.reference.flows.permutation:Permutation"

MISTAKES = (
    Mistake("affine", f"{AFFINE}:affine", "+ shift", "- shift"),
    Mistake("affine", f"{AFFINE}:affine", ", log_scale\n", ", -log_scale\n"),
    Mistake("affine", f"{AFFINE}:affine", ", log_scale\n", ", log_scale.astype('float32')\n"),
    Mistake("affine_inverse", f"{AFFINE}:affine_inverse", "(x - shift)", "(x + shift)"),
    Mistake("affine_inverse", f"{AFFINE}:affine_inverse", ", -log_scale\n", ", log_scale\n"),
    Mistake("affine_inverse", f"{AFFINE}:affine_inverse", "np.exp(-log_scale)", "np.exp(log_scale)"),
    Mistake("leaky", LEAKY, "slope * z", "z / slope"),
    Mistake("leaky", LEAKY, "flat + math", "flat - math"),
    Mistake("leaky", LEAKY, "z >= 0", "z > 0"),
    Mistake("leaky_inverse", LEAKY, "slope * z", "z"),
    Mistake("leaky_inverse", LEAKY, "flat + math", "flat - math"),
    Mistake("leaky_inverse", LEAKY, "z >= 0", "z > 0"),
    Mistake("smooth_leaky", SMOOTH, "(root - 1)", "root"),
    Mistake("smooth_leaky", SMOOTH, "q * z / root)", "q * z)"),
    Mistake("smooth_leaky", SMOOTH, "(1 + slope) / 2", "(1 - slope) / 2"),
    Mistake("smooth_leaky_inverse", f"{SMOOTH}_inverse", "- q * hypotenuse", "+ q * hypotenuse"),
    Mistake("smooth_leaky_inverse", f"{SMOOTH}_inverse", "z, -np.log", "z, np.log"),
    Mistake("smooth_leaky_inverse", f"{SMOOTH}_inverse", "math.sqrt(slope)", "slope"),
    Mistake("dense", f"{DENSE}:applied", "z @ W.T", "z @ W"),
    Mistake("dense", f"{DENSE}:log_abs_det", "np.linalg.slogdet(W)[1]", "np.log(np.linalg.det(W))"),
    Mistake("dense", f"{DENSE}:shift", "b + applied(", "b + 0 * applied("),
    Mistake("dense_inverse", f"{DENSE}:solved", "solve(W,", "solve(W.T,"),
    Mistake("dense_inverse", f"{DENSE}:dense_inverse", "- log_abs_det", "+ log_abs_det"),
    Mistake("dense_inverse", f"{DENSE}:dense_inverse", "x - shift)", "x + shift)"),
    Mistake("dense_inverse", f"{DENSE}:shift", "b + applied(", "b - applied("),
    Mistake("plu", f"{DENSE}:PLU.forward", ", self.order)", ", onp.argsort(self.order).tolist())"),
    Mistake("plu", f"{DENSE}:PLU.forward", "applied(L, applied(U, z))", "applied(U, applied(L, z))"),
    Mistake("plu", f"{DENSE}:factors", "-1) + one", ") + one"),
    Mistake("plu", f"{DENSE}:factors", 'bounded(params["log_diagonal"])', 'params["log_diagonal"]'),
    Mistake("plu_inverse", f"{DENSE}:PLU.inverse", "onp.argsort(self.order).tolist()", "list(self.order)"),
    Mistake("plu_inverse", f"{DENSE}:PLU.inverse", "- np.sum", "+ np.sum"),
    Mistake("plu_inverse", f"{DENSE}:factors", 'bounded(params["log_diagonal"])', 'params["log_diagonal"]'),
    Mistake("permutation", f"{ORDER}.forward", "self.order)", "onp.argsort(self.order).tolist())"),
    Mistake("permutation", f"{ORDER}.forward", "np.zeros_like(z[:, 0])", "np.zeros_like(z)"),
    Mistake("permutation", f"{ORDER}.forward", "np.zeros_like(z[:, 0])", "np.zeros_like(z[:, 0], dtype='float32')"),
    Mistake("permutation_inverse", f"{ORDER}.inverse", "self.back", "self.order"),
    Mistake("permutation_inverse", f"{ORDER}.inverse", "np.zeros_like(x[:, 0])", "np.zeros_like(x[0])"),
    Mistake("permutation_inverse", f"{ORDER}.inverse", "np.zeros_like(x[:, 0])", "np.ones_like(x[:, 0])"),
)
