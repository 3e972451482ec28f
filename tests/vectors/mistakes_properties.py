"""Mistakes for the properties: each is planted in the definitions, and the property that it is listed under must notice.

Among them those that no round trip sees: a log_det that is wrong in both directions alike, a density that is wrong wherever it
is asked, a loss that is wrong by one factor throughout.
"""
from typing import NamedTuple

from tests.vectors.planting import Mistake

REFERENCE = "evenflow.reference"
FLOWS, NETWORKS = f"{REFERENCE}.flows", f"{REFERENCE}.core.networks"
AFFINE, COUPLING = f"{FLOWS}.affine:AffineTransformer", f"{FLOWS}.coupling:Coupling"
FLOW, NORMAL = f"{FLOWS}.flow:Flow", f"{FLOWS}.densities:Normal.log_prob"
SAEF, AQF = f"{REFERENCE}.saef.semiautoregressive", f"{REFERENCE}.saef.aqf:AQF"
ENERGY, PAIRS = f"{REFERENCE}.scores.energy", f"{REFERENCE}.scores.pairs"
SLICED, KERNELS, CRPS = f"{REFERENCE}.scores.sliced", f"{REFERENCE}.scores.kernels", f"{REFERENCE}.scores.crps"
MCMC, EBM, NORMALIZER = f"{REFERENCE}.mcmc", f"{REFERENCE}.ebm", f"{REFERENCE}.ebm.normalizer"
INDEPENDENCE, RHAT, ZONES, SPLINE = f"{MCMC}.independence", f"{MCMC}.rhat", f"{MCMC}.zones", f"{FLOWS}.spline"
UNMASKED = ('layer["W"] * beside(mask, layer["W"])', 'layer["W"]')
EACH = 'lookup("estimator", estimator, ESTIMATORS)(m)'


class Planted(NamedTuple):
    """mistakes: made together; all are of one operation. backend: of evenflow, which is to be caught."""
    name: str
    mistakes: tuple[Mistake, ...]
    backend: str = "reference"
    level: str = "properties"

    def __str__(self) -> str:
        return f"{self.name}: {', '.join(map(str, self.mistakes))}"


def one(name: str, operation: str, function: str, right: str, wrong: str, backend: str = "reference") -> Planted:
    return Planted(name, (Mistake(operation, function, right, wrong),), backend)


def law(name: str, operation: str, function: str, right: str, wrong: str) -> Planted:
    """One that level 3 must notice."""
    return Planted(name, (Mistake(operation, function, right, wrong),), level="statistics")


def conditional_made(operation: str) -> Planted:
    """As in nflows 0.14: the context enters the first layer alone, and the first output sees no unit."""
    return Planted("context", (
        Mistake(operation, f"{NETWORKS}:perceptron", "if context is not None:", "if context is not None and depth == 0:"),
        Mistake(operation, f"{NETWORKS}:made_masks", "linspace(min(degrees_out) - 1", "linspace(min(degrees_out)"),
    ))


PLANTED = (
    one("inverse", "coupling_affine_inverse", f"{AFFINE}.inverse", "affine_inverse(x", "affine(x"),
    one("inverse", "saef_inverse", f"{SAEF}:SAEF.inverse", "put(z, block, z_b)", "put(z, sorted(block), z_b)"),
    one("jacobian", "rational_quadratic_spline", f"{SPLINE}:log_derivative", "2 * np.log(s) +", "np.log(s) +"),
    one("jacobian", "saef", f"{COUPLING}.forward", "np.sum(log_slope, axis=1)", "np.sum(log_slope, axis=1) / 2"),
    one("rows", "dense", f"{FLOWS}.dense:shift", ", context)", ", np.mean(context, axis=0) + 0 * context)"),
    one("rows", "dense", f"{FLOWS}.dense:dense", "np.zeros_like(z[:, 0])", "len(z) + np.zeros_like(z[:, 0])"),
    one("autoregressive", "autoregressive_affine_inverse", f"{NETWORKS}:MaskedMLP.__call__", *UNMASKED),
    one("autoregressive", "saef_inverse", f"{NETWORKS}:MaskedMLP.__call__", *UNMASKED),
    one("autoregressive", "masked_mlp", f"{NETWORKS}:MaskedMLP.__call__", *UNMASKED),
    one("coupling", "coupling_affine", f"{COUPLING}.forward", "x_B @ B.T", "(x_B + np.sum(x_B, axis=1, keepdims=True)) @ B.T"),
    conditional_made("autoregressive_affine"), conditional_made("masked_mlp"),
    one("mass", "realnvp_log_prob", NORMAL, "+ LOG_2PI", "+ 0 * LOG_2PI"),
    one("mass", "latent_log_prob", f"{MCMC}.latent:pulled_back", "else log_det", "else 0.5 * log_det"),
    one("samples", "spline_flow_sample", f"{FLOW}.sample_and_log_prob", "- log_det", "+ log_det"),
    one("rigid", "energy_score", f"{ENERGY}:distance", "(a - b) ** 2, axis=-1)", "np.abs(a - b), axis=-1) ** 2"),
    one("scaled", "energy_score", f"{ENERGY}:Distance.__call__", "self.beta", "1.0"),
    one("order", "energy_score", f"{PAIRS}:pair_score", "cross_sums(f, draws, y) / m", "cross_sums(f, draws[:1], y)"),
    one("pairs", "energy_score", f"{PAIRS}:pair_score", "estimator, ESTIMATORS", '"V", ESTIMATORS'),
    one("estimators", "kernel_score", f"{KERNELS}:diagonal", "x.shape[0] ** 2", "x.shape[0]"),
    one("shared", "sliced_energy_score", f"{SLICED}:sliced_energy_score",
        "if draws.ndim == 3:", "if draws.ndim == 3 or draws.shape == y.shape:"),
    one("equal", "energy_distance", f"{PAIRS}:pair_distance", "weight(n)", "weight(m)"),
    one("difference", "energy_distance", f"{PAIRS}:pair_distance", "return 2 * (", "return ("),
    one("distance_kernel", "mmd", f"{KERNELS}:DistanceKernel.__call__",
        "- distance(a, b, self.beta)", "- 2 * distance(a, b, self.beta)"),
    one("one_dimension", "sliced_energy_score", f"{SLICED}:mean_over_directions", "/ array.shape[-1]", ""),
    one("all_around", "slicing_constant", f"{SLICED}:slicing_constant", "(beta + 1) / 2", "beta / 2 + 1"),
    one("unit", "random_directions", f"{SLICED}:random_directions", "axis=-1", "axis=0"),
    one("energy_score", "crps", f"{CRPS}:crps", "* weight", "* weight * 2"),
    one("pinball", "crps", f"{CRPS}:crps", "axis=0) / m", "axis=0) / (m - 1)"),
    one("pinball", "crps_normal", f"{CRPS}:crps_normal", "erf(w / math.sqrt(2))", "erf(w)"),
    one("both_sides", "quantile_score", f"{REFERENCE}.scores.quantile:pinball", "(u < 0)", "(u > 0)"),
    one("moved", "frechet_distance", f"{REFERENCE}.work.metrics:frechet_distance", "- 2 * overlap", "- overlap"),
    one("teacher_forcing", "saef_loss", f"{FLOW}.loss", "/ x.shape[0]", "/ (x.shape[0] * len(forecasts))"),
    one("crps", "aqf_loss", f"{AQF}.quantile_loss", "alpha.shape[1])", "alpha.shape[1] * alpha.shape[2])"),
    one("order", "aqf_quantiles", f"{AQF}.quantiles", "normal_quantile(alpha)", "-normal_quantile(alpha)"),
    one("balance", "mala", f"{MCMC}.langevin:log_q", "(4 * step_size)", "(2 * step_size)"),
    one("balance", "hmc", f"{MCMC}.hmc:hmc", "- kinetic(final) + kinetic(momentum)", "+ kinetic(final) - kinetic(momentum)"),
    one("balance", "independent_mh", f"{INDEPENDENCE}:independent_mh", "- (state.log_p - state.log_lambda)", "- state.log_p"),
    one("balance", "random_walk", f"{MCMC}.metropolis:random_walk",
        "proposal.log_p - state.log_p", "state.log_p - proposal.log_p"),
    one("taken", "mala", f"{MCMC}.contract:metropolis", "np.minimum(log_ratio, 0.0)", "np.minimum(np.mean(log_ratio), 0.0)"),
    one("taken", "hmc", f"{MCMC}.contract:choose", "np.where(np.reshape", "np.where(~np.reshape"),
    one("weights", "isir", f"{INDEPENDENCE}:isir", "(state.log_p - state.log_lambda)[:, None]", "state.log_p[:, None]"),
    one("chosen", "isir", f"{INDEPENDENCE}:resample", "np.exp(np.where", "np.exp(0.5 * np.where"),
    one("sweep", "flowmc", f"{MCMC}.flowmc:FlowMC.step", "kernel.init(x, log_density), draws",
        "kernel.init(state.x, log_density)._replace(x=x), draws"),
    one("proposal", "ula", f"{MCMC}.langevin:ula", "spread(step_size)", "spread(step_size / 2)"),
    one("tilt", "tilted_log_prob", NORMAL, "- math.log(self.sd)", ""),
    one("contrast", "ebm_gradient", f"{EBM}.energies:contrast", "1 / n, dtype", "1 / m, dtype"),
    one("ratio", "jarzynski", f"{EBM}.jarzynski:alpha", "h / 4", "h / 2"),
    one("counts", "systematic_resampling", f"{EBM}.jarzynski:resampled", "np.cumsum(softmax(A))", "np.cumsum(softmax(2 * A))"),
    one("shift", "effective_size", f"{EBM}.jarzynski:effective_size", "np.exp(2 *", "np.exp(1.5 *"),
    one("mirrored", "fce_objective", f"{EBM}.contrastive:V", "np.logaddexp(-G_data", "np.logaddexp(G_data"),
    one("drift", "coopflow_revision", f"{EBM}.coopflow:revised", "drift(now, step_size)", "drift(now, 2 * step_size)"),
    one("constant", "log_z_bridge", f"{NORMALIZER}:bridge", "m = math.log(len(down) / len(up))", "m = 1.0"),
    one("mass", "log_z_grid", f"{NORMALIZER}:grid", "+ math.log(lattice.cell)", ""),
    one("units", "split_rhat", f"{RHAT}:split_rhat", "check_draws(draws)", "check_draws(draws) ** 2"),
    one("apart", "split_rhat", f"{RHAT}:plain_rhat", "n = len(x)", "x = x.T; n = len(x)"),
    one("names", "mode_rhat", f"{ZONES}:mode_rhat", "range(count)", "range(count - 1)"),
    one("frequencies", "zone_weights", f"{ZONES}:zone_weights", "/ zones.size", "/ len(zones)"),
    one("gradient", "autoregressive_affine_inverse", "evenflow.accel.flows.transformers:_backward",
        "g_l.reshape(-1)", "0 * g_l.reshape(-1)",
        backend="numpy"),
    one("gradient", "energy_score", "evenflow.accel.scores.pairs:cross_each", "-dx.sum(axis=0)", "dx.sum(axis=0)",
        backend="numpy"),
    law("unbiased", "energy_score", f"{PAIRS}:pair_score", EACH, f"2 * {EACH}"),
    law("proper", "energy_score", f"{PAIRS}:pair_score", "/ m - within", "/ m + within"),
    law("proper", "quantile_score", f"{REFERENCE}.scores.quantile:pinball", "alpha * u", "(1 - alpha) * u"),
    law("sliced", "sliced_energy_score", f"{SLICED}:slicing_constant", "(d + beta) / 2", "d / 2"),
    law("invariance", "mala", f"{MCMC}.langevin:mala", "+ back - there", ""),
    law("invariance", "hmc", f"{MCMC}.hmc:hmc", "- kinetic(final) + kinetic(momentum)", ""),
    law("invariance", "isir", f"{INDEPENDENCE}:isir", "(state.log_p - state.log_lambda)[:, None]", "state.log_p[:, None]"),
    law("invariance", "flowmc", f"{INDEPENDENCE}:resample", "np.exp(np.where", "np.exp(0.5 * np.where"),
    law("its_own_law", "ula", f"{MCMC}.langevin:spread", "math.sqrt(2 * step_size)", "math.sqrt(step_size)"),
    law("unbiased", "log_z_importance", f"{NORMALIZER}:of_weights", "math.log(total / n)", "math.log(total / (n - 1))"),
    law("unbiased", "log_z_annealed", f"{NORMALIZER}:annealed", "(b[k] - b[k - 1])", "b[k]"),
    law("unbiased", "jarzynski", f"{EBM}.jarzynski:alpha", "h / 4", "h"),
    law("samples", "maf_log_prob", f"{FLOW}.log_prob", "+ log_det", "- log_det"),
)
