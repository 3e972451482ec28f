"""Mistakes in diagnostics and in log Z."""
from tests.vectors.planting import Mistake

ESS = "evenflow.reference.mcmc.ess"
RHAT = "evenflow.reference.mcmc.rhat"
ZONES = "evenflow.reference.mcmc.zones"
NORMALIZER = "evenflow.reference.ebm.normalizer"
MIXTURES = "evenflow.reference.targets.mixtures"

MISTAKES = (
    Mistake("autocorrelation", f"{ESS}:autocovariance", "x = x - np.mean(x, axis=0)", "x = x - np.mean(x)"),
    Mistake("autocorrelation", f"{ESS}:autocovariance", "(2 * steps - 1)", "(steps - 1)"),
    Mistake(
        "autocorrelation", f"{ESS}:autocovariance",
        "[:steps] / steps", "[:steps] / np.arange(steps, 0, -1)[:, None]",
    ),
    Mistake("autocorrelation", f"{ESS}:autocorrelation", "covariance / covariance[0]", "covariance / covariance.max()"),
    Mistake("integrated_time", f"{ESS}:windowed_time", "2 * np.cumsum(rho) - 1", "2 * np.cumsum(rho)"),
    Mistake(
        "integrated_time", f"{ESS}:windowed_time",
        "np.mean(autocorrelation(x), axis=1)", "autocorrelation(x)[:, 0]",
    ),
    Mistake("integrated_time", f"{ESS}:windowed_time", ">= window * taus", ">= (window + 1) * taus"),
    Mistake("split_rhat", f"{RHAT}:plain_rhat", "B / n) / W", "B) / W"),
    Mistake("split_rhat", f"{RHAT}:plain_rhat", "(n - 1) / n * W", "W"),
    Mistake("split_rhat", f"{RHAT}:plain_rhat", "n = len(x)", "x = x.T; n = len(x)"),
    Mistake("split_rhat", f"{RHAT}:plain_rhat", "math.inf if B > 0 else 1.0", "1.0"),
    Mistake("split_rhat", f"{RHAT}:split", "x[-n:]", "x[n : 2 * n]"),
    Mistake("rhat", f"{RHAT}:ranked_rhat", "plain_rhat(normal_scores(np.abs(x - np.median(x))))", "0.0"),
    Mistake("rhat", f"{RHAT}:ranked_rhat", "x = split(x)", "pass"),
    Mistake("rhat", f"{RHAT}:normal_scores", "- 3 / 8", "- 1 / 2"),
    Mistake("rhat", f"{RHAT}:average_ranks", "- (ties - 1) / 2", ""),
    Mistake("ess", f"{RHAT}:average_ranks", "- (ties - 1) / 2", ""),
    Mistake("ess", f"{ESS}:geyer_ess", "-1 + 2 * np.sum", "1 + 2 * np.sum"),
    Mistake("ess", f"{ESS}:geyer_ess", "np.minimum.accumulate(sums[:end])", "sums[:end]"),
    Mistake("ess", f"{ESS}:geyer_ess", "1 / math.log10(x.size)", "1.0"),
    Mistake("ess", f"{ESS}:geyer_ess", "covariance[0] + np.var(np.mean(x, axis=0), ddof=1)", "W"),
    Mistake("zone_weights", f"{ZONES}:zone_weights", "/ zones.size", "/ len(zones)"),
    Mistake("zone_weights", f"{ZONES}:zone_weights", "minlength=count", "minlength=0"),
    Mistake("zone_weights", f"{ZONES}:zone_weights", "zones.ravel()", "zones[1:].ravel()"),
    Mistake("switch_rate", f"{ZONES}:switch_rate", "zones[1:] != zones[:-1]", "zones[:, 1:] != zones[:, :-1]"),
    Mistake("switch_rate", f"{ZONES}:switch_rate", "zones[1:] != zones[:-1]", "zones[1:] == zones[:-1]"),
    Mistake(
        "switch_rate", f"{ZONES}:switch_rate",
        "np.mean(zones[1:] != zones[:-1])", "np.sum(zones[1:] != zones[:-1]) / zones.size",
    ),
    Mistake("mode_rhat", f"{ZONES}:mode_rhat", "return max(", "return min("),
    Mistake("mode_rhat", f"{ZONES}:mode_rhat", "range(count)", "range(count - 1)"),
    Mistake(
        "mode_rhat", f"{ZONES}:mode_rhat",
        "split((zones == k).astype(np.float64))", "(zones == k).astype(np.float64)",
    ),
    Mistake("misassignment", f"{MIXTURES}:misassignment", "q * (2 - q)", "q"),
    Mistake("misassignment", f"{MIXTURES}:misassignment", "math.sqrt(d / 2)", "math.sqrt(d)"),
    Mistake("misassignment", f"{MIXTURES}:normal_cdf", "-u / math.sqrt(2)", "-u"),
    Mistake("log_z_importance", f"{NORMALIZER}:of_weights", "math.log(total / n)", "math.log(total)"),
    Mistake("log_z_importance", f"{NORMALIZER}:of_weights", "1 / ess - 1 / n if", "1 / ess if"),
    Mistake("log_z_importance", f"{NORMALIZER}:of_weights", "float(log_w.max()) + ", ""),
    Mistake("log_z_bridge", f"{NORMALIZER}:bridge", "len(down) / len(up)", "len(up) / len(down)"),
    Mistake("log_z_bridge", f"{NORMALIZER}:bridge", "m = math.log(len(down) / len(up))", "m = 0.0"),
    Mistake("log_z_bridge", f"{NORMALIZER}:bridge", "down - m ", "down + m "),
    Mistake("log_z_annealed", f"{NORMALIZER}:between", "(1 - b) * log_q(x) + b * log_p(x)", "log_q(x) + b * log_p(x)"),
    Mistake("log_z_annealed", f"{NORMALIZER}:annealed", "float(b[k]))", "float(b[k - 1]))"),
    Mistake("log_z_annealed", f"{NORMALIZER}:annealed", "(b[k] - b[k - 1]) *", "(1 / (len(b) - 1)) *"),
    Mistake("log_z_annealed", f"{NORMALIZER}:annealed", "log_w = log_w + (b[k]", "log_w = (b[k]"),
    Mistake("log_z_grid", f"{NORMALIZER}:lattice", "(np.arange(points) + 0.5)", "np.arange(points)"),
    Mistake("log_z_grid", f"{NORMALIZER}:grid", " + math.log(lattice.cell)", ""),
    Mistake("log_z_grid", f"{NORMALIZER}:lattice", "(b - a) / points for a, b", "(b - a) / (points - 1 or 1) for a, b"),
)
