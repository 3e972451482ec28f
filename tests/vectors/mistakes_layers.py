"""Mistakes in couplings, autoregressive layers and their networks."""
from tests.vectors.planting import Mistake

COUPLING = "evenflow.reference.flows.coupling:Coupling"
AFFINE = "evenflow.reference.flows.affine:AffineTransformer"
SPLINE = "evenflow.reference.flows.spline"
MASKED = "evenflow.reference.flows.autoregressive:MaskedAutoregressive"
NETWORKS = "evenflow.reference.core.networks"

HALVED = ("np.sum(log_slope, axis=1)", "np.sum(log_slope, axis=1) / 2")
AVERAGED = ("np.sum(log_slope, axis=1)", "np.mean(log_slope, axis=1)")
FLOAT32 = ("np.sum(log_slope, axis=1)", "np.sum(log_slope, axis=1).astype('float32')")
NO_CONTEXT = ("if context is not None", "if context is not None and depth")
UNMASKED = ('layer["W"] * beside(mask, layer["W"])', 'layer["W"]')
SWAPPED = "(x.shape[0], self.transformer.width, x.shape[1])).swapaxes(1, 2"
WRONG_ORDER = ("onp.argsort(self.order)", "self.order")

MISTAKES = (
    Mistake("coupling_affine", f"{COUPLING}.forward", *HALVED),
    Mistake("coupling_affine", f"{COUPLING}.forward", *FLOAT32),
    Mistake("coupling_affine", f"{COUPLING}.forward", "z * beside(self.mask, z)", "z"),
    Mistake("coupling_affine", f"{AFFINE}.shape", "log_scale, shift = np", "shift, log_scale = np"),
    Mistake("coupling_affine", f"{AFFINE}.shape", "bounded(np.squeeze(log_scale, -1), self.limit)", "log_scale[..., 0]"),
    Mistake("coupling_affine", f"{NETWORKS}:perceptron", *NO_CONTEXT),
    Mistake("coupling_affine_inverse", f"{COUPLING}.inverse", *AVERAGED),
    Mistake("coupling_affine_inverse", f"{COUPLING}.inverse", "x @ A, context", "x[:, ::-1] @ A, context"),
    Mistake("coupling_affine_inverse", f"{AFFINE}.inverse", "affine_inverse(x", "affine(x"),
    Mistake("coupling_spline", f"{COUPLING}.forward", *HALVED),
    Mistake("coupling_spline", f"{COUPLING}.raw", "context), shape)", "context), (shape[0], shape[2], -1)).swapaxes(1, 2)"),
    Mistake("coupling_spline", f"{NETWORKS}:perceptron", "len(params) - 1", "len(params)"),
    Mistake("coupling_spline", f"{SPLINE}:line", "np.log(slope)", "np.log(slope) + 1"),
    Mistake("coupling_spline_inverse", f"{COUPLING}.inverse", *AVERAGED),
    Mistake("coupling_spline_inverse", f"{COUPLING}.inverse", "z_B @ B.T", "z_B @ B.T[::-1]"),
    Mistake("coupling_spline_inverse", f"{SPLINE}:SplineTransformer.inverse", "_inverse(x", "(x"),
    Mistake("autoregressive_affine", f"{MASKED}.forward", "self.raw(params, x, context)", "self.raw(params, z, context)"),
    Mistake("autoregressive_affine", f"{MASKED}.forward", "range(self.d)", "range(self.d - 1)"),
    Mistake("autoregressive_affine", f"{MASKED}.net", *WRONG_ORDER),
    Mistake("autoregressive_affine", f"{NETWORKS}:perceptron", *NO_CONTEXT),
    Mistake("autoregressive_affine_inverse", f"{MASKED}.inverse", *AVERAGED),
    Mistake("autoregressive_affine_inverse", f"{MASKED}.net", *WRONG_ORDER),
    Mistake("autoregressive_affine_inverse", f"{NETWORKS}:MaskedMLP.__call__", *UNMASKED),
    Mistake("autoregressive_spline", f"{MASKED}.forward", "range(self.d)", "range(self.d - 1)"),
    Mistake("autoregressive_spline", f"{MASKED}.forward", *HALVED),
    Mistake("autoregressive_spline", f"{MASKED}.raw", "(*x.shape, self.transformer.width)", SWAPPED),
    Mistake("autoregressive_spline_inverse", f"{MASKED}.inverse", *FLOAT32),
    Mistake("autoregressive_spline_inverse", f"{MASKED}.net", *WRONG_ORDER),
    Mistake("autoregressive_spline_inverse", f"{NETWORKS}:perceptron", *NO_CONTEXT),
    Mistake("masked_mlp", f"{NETWORKS}:MaskedMLP.__call__", *UNMASKED),
    Mistake("masked_mlp", f"{NETWORKS}:MaskedMLP.__call__", "made_masks(self.degrees_in", "made_masks(self.degrees_in[::-1]"),
    Mistake("masked_mlp", f"{NETWORKS}:perceptron", *NO_CONTEXT),
    Mistake("masked_mlp", f"{NETWORKS}:perceptron", "len(params) - 1", "len(params)"),
)
