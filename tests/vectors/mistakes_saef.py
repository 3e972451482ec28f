"""Mistakes in semi-autoregressive energy flows, and in the quantile flows before them."""
from tests.vectors.planting import Mistake

SAEF, HEAD = "evenflow.reference.saef.semiautoregressive", "evenflow.reference.saef.maps:FreeFormHead.forward"
GENERATE, FORECASTS, NET, CONTEXTS = (
    f"{SAEF}:SemiAutoregressive.{name}" for name in ("generate", "forecasts", "net", "contexts")
)
FORWARD, INVERSE, PUT = f"{SAEF}:SAEF.forward", f"{SAEF}:SAEF.inverse", "evenflow.reference.core.matrices:put"
LOG_PROB, LOSS = (f"evenflow.reference.flows.flow:Flow.{name}" for name in ("log_prob", "loss"))
AQF = "evenflow.reference.saef.aqf:AQF"
QUANTILES, QUANTILE_LOSS = f"{AQF}.quantiles", f"{AQF}.quantile_loss"

MISTAKES = (
    Mistake("saef", GENERATE, "put(x, block, x_b)", "put(x, block, z[:, block])"),
    Mistake("saef", GENERATE, "[:, b]", "[:, b - 1]"),
    Mistake("saef", GENERATE, "self.contexts(params, x, context)", "self.contexts(params, z, context)"),
    Mistake("saef", FORWARD, "sum(log_dets)", "log_dets[-1]"),
    Mistake("saef", PUT, "enumerate(columns)", "enumerate(sorted(columns))"),
    Mistake("saef", NET, "range(1, len(self.blocks) + 1)", "range(2, len(self.blocks) + 2)"),
    Mistake("saef", CONTEXTS, ", x, context)", ", x, context if context is None else 0 * context)"),
    Mistake("saef", FORWARD, "sum(log_dets)", "sum(log_dets).astype('float32')"),
    Mistake("saef", "evenflow.reference.saef.maps:block_map_of", "(j + i) % 2 == 1", "(j + i) % 2 == 0"),
    Mistake("saef_inverse", INVERSE, "T_b.inverse", "T_b.forward"),
    Mistake("saef_inverse", INVERSE, "log_det + change", "log_det - change"),
    Mistake("saef_inverse", INVERSE, "put(z, block, z_b)", "put(z, sorted(block), z_b)"),
    Mistake("saef_inverse", INVERSE, "h[:, b])", "h[:, b - 1])"),
    Mistake("saef_inverse", INVERSE, "h[:, b])", "0 * h[:, b])"),
    Mistake("saef_log_prob", LOG_PROB, "+ log_det", "- log_det"),
    Mistake("saef_log_prob", LOG_PROB, "+ log_det", ""),
    Mistake("saef_log_prob", LOG_PROB, "self.base.log_prob(z)", "-np.sum(z**2, axis=1) / 2"),
    Mistake("saef_loss", LOSS, "score(draws, y)", "score(np.stack([draws[0], draws[1]]), y)"),
    Mistake("saef_loss", LOSS, "/ x.shape[0]", "/ z.shape[0]"),
    Mistake("saef_loss", LOSS, "y in forecasts)", "y in forecasts[-1:])"),
    Mistake("saef_loss", LOSS, "isinstance(self.bijection, Forecaster)", "False"),
    Mistake("saef_loss", FORECASTS, "take(z, block)", "take(z[:, ::-1], block)"),
    Mistake("saef_loss", FORECASTS, "self.contexts(params, x, context)", "self.contexts(params, z[0], context)"),
    Mistake("saef_loss", f"{SAEF}:FreeForm.loss", "/ x.shape[0]", "/ noise.shape[0]"),
    Mistake("saef_loss", f"{SAEF}:draws_of", "repeated(h, m)", "np.repeat(h, m, axis=0)"),
    Mistake("free_form_sample", HEAD, "z + self.net", "self.net"),
    Mistake("free_form_sample", HEAD, "self.net(params, z, context)", "self.net(params, z, 0 * context)"),
    Mistake("free_form_sample", GENERATE, "put(x, block, x_b)", "put(x, block, z[:, block])"),
    Mistake("aqf_quantiles", QUANTILES, "normal_quantile(alpha)", "-normal_quantile(alpha)"),
    Mistake("aqf_quantiles", QUANTILES, "normal_quantile(alpha)", "alpha"),
    Mistake("aqf_quantiles", QUANTILES, "x, context)   #", "x[::-1], context)   #"),
    Mistake("aqf_loss", QUANTILE_LOSS, "/ (alpha.shape[0] * alpha.shape[1])", "/ alpha.size"),
    Mistake("aqf_loss", QUANTILE_LOSS, ", alpha)) /", ", 1 - alpha)) /"),
    Mistake("aqf_loss", "evenflow.reference.saef.aqf:images", "for z_i in z", "for z_i in z[:1].repeat(len(z), 0)"),
)
