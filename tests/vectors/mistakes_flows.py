"""Mistakes in densities and flows."""
from tests.vectors.planting import Mistake

DENSITIES = "evenflow.reference.flows.densities"
MIXTURE = "evenflow.reference.targets.mixtures:mixture_log_prob"
LOGSUMEXP = "evenflow.reference.core.special:logsumexp"
RINGS = "evenflow.reference.targets.toys:Rings.log_prob"
FLOWS = "evenflow.reference.flows.flow"
CHAIN = "evenflow.reference.flows.compose:Chain"
SAMPLE, LOG_PROB = f"{FLOWS}:Flow.sample_and_log_prob", f"{FLOWS}:Flow.log_prob"
NORMAL, UNIFORM = f"{DENSITIES}:Normal.log_prob", f"{DENSITIES}:Uniform.log_prob"
AFFINE_INVERSE = "evenflow.reference.flows.affine:affine_inverse"

LAST_ALONE = ("log_det + change", "change")
PLUS, MINUS = (" - log_det", " + log_det"), (" + log_det", " - log_det")

MISTAKES = (
    Mistake("gaussian_mixture_log_prob", MIXTURE, "2 * sds**2", "sds**2"),
    Mistake("gaussian_mixture_log_prob", MIXTURE, "d * np.log(sds", "np.log(sds"),
    Mistake("gaussian_mixture_log_prob", MIXTURE, "np.log(weights) - d", "-d"),
    Mistake("gaussian_mixture_log_prob", LOGSUMEXP, "np.isfinite(top), top", "np.isfinite(top), 0 * top"),
    Mistake("diagonal_normal_log_prob", AFFINE_INVERSE, ", -log_scale", ", 0 * log_scale"),
    Mistake("diagonal_normal_log_prob", AFFINE_INVERSE, "(x - shift) *", "x *"),
    Mistake("diagonal_normal_log_prob", NORMAL, "(w * w + LOG_2PI)", "w * w + LOG_2PI"),
    Mistake("diagonal_normal_log_prob", NORMAL, "np.sum", "np.mean"),
    Mistake("rings_log_prob", RINGS, "[radii, -radii]", "[radii, radii]"),
    Mistake("rings_log_prob", RINGS, "2 * math.pi * distance", "2 * math.pi"),
    Mistake("rings_log_prob", RINGS, "1 / self.rings)", "1 / 2 / self.rings)"),
    Mistake("uniform_log_prob", UNIFORM, "x < self.high", "x <= self.high"),
    Mistake("uniform_log_prob", UNIFORM, "x >= self.low", "x > self.low"),
    Mistake("uniform_log_prob", UNIFORM, "self.d * math.log", "math.log"),
    Mistake("uniform_log_prob", UNIFORM, "np.all(", "np.any("),
    Mistake("realnvp_sample", SAMPLE, *PLUS),
    Mistake("realnvp_sample", f"{FLOWS}:couplings", "% 2 == 1", "% 2 == 0"),
    Mistake("realnvp_sample", f"{CHAIN}.forward", *LAST_ALONE),
    Mistake("realnvp_log_prob", LOG_PROB, *MINUS),
    Mistake("realnvp_log_prob", f"{CHAIN}.inverse", *LAST_ALONE),
    Mistake("realnvp_log_prob", NORMAL, "(w * w + LOG_2PI)", "w * w"),
    Mistake("spline_flow_sample", SAMPLE, *PLUS),
    Mistake("spline_flow_sample", SAMPLE, "log_prob(z) - log_det", "log_prob(x) - log_det"),
    Mistake("spline_flow_sample", f"{FLOWS}:spline_flow", "SplineTransformer(bins, bound)", "SplineTransformer(bins, 3.0)"),
    Mistake("spline_flow_log_prob", LOG_PROB, *MINUS),
    Mistake("spline_flow_log_prob", f"{CHAIN}.inverse", *LAST_ALONE),
    Mistake("spline_flow_log_prob", f"{FLOWS}:spline_flow", "SplineTransformer(bins, bound)", "SplineTransformer(bins, 3.0)"),
    Mistake("maf_sample", SAMPLE, *PLUS),
    Mistake("maf_sample", "evenflow.reference.flows.permutation:reversal", "reversed(range(d))", "range(d)"),
    Mistake("maf_sample", f"{CHAIN}.forward", *LAST_ALONE),
    Mistake("maf_log_prob", LOG_PROB, *MINUS),
    Mistake("maf_log_prob", "evenflow.reference.flows.permutation:reversal", "reversed(range(d))", "range(d)"),
    Mistake("maf_log_prob", NORMAL, "np.sum", "np.mean"),
    Mistake("dense_flow_sample", SAMPLE, *PLUS),
    Mistake("dense_flow_sample", f"{CHAIN}.forward", *LAST_ALONE),
    Mistake("dense_flow_sample", f"{FLOWS}:dense_flow", "SmoothLeakyReLU(d, slope)", "SmoothLeakyReLU(d, 0.5)"),
    Mistake("dense_flow_log_prob", LOG_PROB, *MINUS),
    Mistake("dense_flow_log_prob", f"{CHAIN}.inverse", *LAST_ALONE),
    Mistake("dense_flow_log_prob", NORMAL, "+ LOG_2PI", "- LOG_2PI"),
)
