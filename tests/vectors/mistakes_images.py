"""Mistakes in convolutions and the layers of images."""
from tests.vectors.planting import Mistake

CONVOLUTION = "evenflow.reference.core.convolution"
LAYERS = "evenflow.reference.flows.convolutional"
SQUEEZE = "evenflow.reference.flows.image:squeeze"
PLACES = ("np.sum(np.reshape", "np.mean(np.reshape")
MINUS, PLUS = ("np.zeros_like(x[:, 0]) " + sign for sign in "-+")
GRID, SAEF = "evenflow.reference.saef.image", ("image_saef_inverse", "image_saef_loss")
COUPLINGS = ("conv_coupling", "conv_coupling_inverse")

MISTAKES = (
    Mistake("conv2d", f"{CONVOLUTION}:conv2d", "masked(W, mask), (-1", "np.swapaxes(masked(W, mask), 0, 1), (-1"),
    Mistake("conv2d", f"{CONVOLUTION}:conv2d", "patches(x, ", "patches(x[:, ::-1], "),
    Mistake("conv2d", f"{CONVOLUTION}:conv2d", " + b", ""),
    Mistake("masked_conv2d", f"{CONVOLUTION}:causal_mask", "(ahead == 0) & within(", "(ahead == 0) | within("),
    Mistake("masked_conv2d", f"{CONVOLUTION}:causal_mask", "(ahead < 0)", "(ahead > 0)"),
    Mistake("masked_conv2d", f"{CONVOLUTION}:causal_mask", "within(group_in[", "within(-group_in["),
    *(Mistake(operation, SQUEEZE, *change) for operation in ("squeeze", "squeeze_inverse") for change in (
        ("transpose(0, 2, 1, 3, 4)", "transpose(0, 2, 3, 1, 4)"), ("onp.argsort(squares, axis=None)", "squares.ravel()"),
        ("h // side, side, w // side, side, c", "side, h // side, side, w // side, c"),
    )),
    *(Mistake(operation, f"{LAYERS}:EachPlace.gathered", *PLACES) for operation in (
        "actnorm", "actnorm_inverse", "conv_1x1", "conv_1x1_inverse")),
    Mistake("actnorm", f"{LAYERS}:ActNorm.forward", "z * np.exp(s)", "z * np.exp(-s)"),
    Mistake("actnorm", f"{LAYERS}:ActNorm.forward", 'np.exp(s) + params["shift"]', 'np.exp(s) - params["shift"]'),
    Mistake("actnorm_inverse", f"{LAYERS}:ActNorm.inverse", "* np.exp(-s)", "* np.exp(s)"),
    Mistake("actnorm_inverse", f"{LAYERS}:ActNorm.inverse", MINUS, PLUS),
    Mistake("conv_1x1", "evenflow.reference.flows.dense:applied", "W.T", "W"),
    Mistake("conv_1x1", f"{LAYERS}:EachPlace.forward", "(params, np.reshape(z", "(params, -np.reshape(z"),
    Mistake("conv_1x1_inverse", "evenflow.reference.flows.dense:solved", "solve(W, y.T)", "solve(W.T, y.T)"),
    Mistake("conv_1x1_inverse", "evenflow.reference.flows.dense:dense_inverse", MINUS, PLUS),
    *(Mistake(operation, f"{LAYERS}:ConvCoupling.raw", *change) for operation in COUPLINGS
      for change in (("* ~m[:, None]", "* m[:, None]"), ("np.where(m, z", "np.where(~m, z"))),
    *(Mistake(operation, f"{CONVOLUTION}:gated", "u, v = np.split", "v, u = np.split") for operation in COUPLINGS),
    *(Mistake(operation, f"{CONVOLUTION}:ConvNet.masks", '["A", ', '["B", ') for operation in SAEF),
    *(Mistake(operation, f"{GRID}:OnGrid.squares", "take(x, self.order)", "take(x, range(self.d))") for operation in SAEF),
    Mistake("image_saef_inverse", f"{GRID}:OnGrid.whole", "onp.argsort(self.order).tolist()", "self.order"),
    Mistake("image_saef_loss", f"{GRID}:OnGrid.forecasts", "self.contexts(params, x", "self.contexts(params, 0 * x"),
)
