"""Mistakes in semi-autoregressive energy flows, and in the quantile flows before them."""
from tests.vectors.planting import Mistake

SAEF, HEAD = "evenflow.reference.saef.semiautoregressive", "evenflow.reference.saef.maps:FreeFormHead.forward"
GENERATE, LOSS = f"{SAEF}:SemiAutoregressive.generate", f"{SAEF}:SemiAutoregressive.loss"
NET, CONTEXTS, GROUPS, RESTORE = (f"{SAEF}:SemiAutoregressive.{name}" for name in ("net", "contexts", "groups", "restore"))
FORWARD, INVERSE, LOG_PROB = (f"{SAEF}:SAEF.{name}" for name in ("forward", "inverse", "log_prob"))
AQF = "evenflow.reference.saef.aqf:AQF"
QUANTILES, QUANTILE_LOSS = f"{AQF}.quantiles", f"{AQF}.quantile_loss"

MISTAKES = (
    Mistake("saef", GENERATE, "[done, x_b]", "[done, z[:, list(block)]]"),
    Mistake("saef", GENERATE, "[:, b]", "[:, b - 1]"),
    Mistake("saef", GENERATE, "self.restore(done, waiting)", "z"),
    Mistake("saef", FORWARD, "sum(log_dets)", "log_dets[-1]"),
    Mistake("saef", RESTORE, "onp.argsort(self.order).tolist()", "list(self.order)"),
    Mistake("saef", NET, "range(1, len(self.blocks) + 1)", "range(2, len(self.blocks) + 2)"),
    Mistake("saef", CONTEXTS, ", x, context)", ", x, context if context is None else 0 * context)"),
    Mistake("saef", FORWARD, "sum(log_dets)", "sum(log_dets).astype('float32')"),
    Mistake("saef", "evenflow.reference.saef.maps:block_map_of", "(j + i) % 2 == 1", "(j + i) % 2 == 0"),
    Mistake("saef_inverse", INVERSE, "T.inverse", "T.forward"),
    Mistake("saef_inverse", INVERSE, "log_det + np.sum", "log_det - np.sum"),
    Mistake("saef_inverse", INVERSE, "onp.argsort(coordinates).tolist()", "coordinates"),
    Mistake("saef_inverse", GROUPS, "h if len(which) == len(self.blocks) else h[:, which]", "h[:, : len(which)]"),
    Mistake("saef_inverse", INVERSE, "np.reshape(h, (rows", "0 * np.reshape(h, (rows"),
    Mistake("saef_log_prob", LOG_PROB, "+ log_det", "- log_det"),
    Mistake("saef_log_prob", LOG_PROB, "+ log_det", ""),
    Mistake("saef_log_prob", LOG_PROB, "StandardNormal(self.d).log_prob({}, z)", "-np.sum(z**2, axis=1) / 2"),
    Mistake("saef_loss", LOSS, "score(draws, x_b)", "score(np.stack([draws[0], draws[1]]), x_b)"),
    Mistake("saef_loss", LOSS, "total / n", "total / rows"),
    Mistake("saef_loss", LOSS, "noise[:, :, members]", "noise[:, ::-1][:, :, members]"),
    Mistake("saef_loss", LOSS, "total + np.sum", "np.sum"),
    Mistake("saef_loss", f"{SAEF}:draws_of", "np.concatenate([h] * m)", "np.repeat(h, m, axis=0)"),
    Mistake("free_form_sample", HEAD, "z + self.net", "self.net"),
    Mistake("free_form_sample", HEAD, "self.net(params, z, context)", "self.net(params, z, 0 * context)"),
    Mistake("free_form_sample", GENERATE, "[done, x_b]", "[done, z[:, list(block)]]"),
    Mistake("aqf_quantiles", QUANTILES, "normal_quantile(alpha)", "-normal_quantile(alpha)"),
    Mistake("aqf_quantiles", QUANTILES, "normal_quantile(alpha)", "alpha"),
    Mistake("aqf_quantiles", QUANTILES, "x, context)   #", "x[::-1], context)   #"),
    Mistake("aqf_loss", QUANTILE_LOSS, "/ (alpha.shape[0] * alpha.shape[1])", "/ alpha.size"),
    Mistake("aqf_loss", QUANTILE_LOSS, ", alpha)) /", ", 1 - alpha)) /"),
    Mistake("aqf_loss", QUANTILES, "for z_i in z", "for z_i in z[:1].repeat(len(z), 0)"),
)
