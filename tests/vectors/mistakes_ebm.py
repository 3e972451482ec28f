"""Mistakes in energy-based models and what trains them."""
from tests.vectors.planting import Mistake

ENERGIES = "evenflow.reference.ebm.energies"
NETWORKS = "evenflow.reference.core.networks"
JARZYNSKI = "evenflow.reference.ebm.jarzynski"
CONTRAST = f"{ENERGIES}:contrast"
V = "evenflow.reference.ebm.contrastive:V"
REVISED = "evenflow.reference.ebm.coopflow:revised"
ADAM = "evenflow.reference.core.optim:Adam.update"
PCD_STEP, FLOWMC_STEP = "evenflow.reference.ebm.pcd:PCD.step", "evenflow.reference.ebm.flowmc:FlowMCEBM.step"

MISTAKES = (
    Mistake("energy_mlp", f"{NETWORKS}:perceptron", "depth < len(params) - 1", "depth < 1"),
    Mistake("energy_mlp", f"{NETWORKS}:perceptron", "depth < len(params) - 1", "True"),
    Mistake("energy_mlp", f"{NETWORKS}:perceptron", '+ layer["b"]', '- layer["b"]'),
    Mistake(
        "energy_mlp", f"{ENERGIES}:MLPEnergy.__call__",
        "self.net(params, x)[:, 0]", "self.net(params, x[:1])[:, 0] + 0 * x[:, 0]",
    ),
    Mistake(
        "tilted_log_prob", f"{ENERGIES}:EBM.log_density",
        "-self.energy(params, x) + (0.0", "-self.energy(params, x) + 0 * (0.0",
    ),
    Mistake("tilted_log_prob", f"{ENERGIES}:EBM.log_density", "-self.energy", "self.energy"),
    Mistake("tilted_log_prob", "evenflow.reference.flows.densities:Normal.log_prob", "- math.log(self.sd)", ""),
    Mistake(
        "tilted_log_prob", "evenflow.reference.flows.densities:Normal.log_prob",
        "x / float(self.sd)", "x / float(self.sd) ** 0.5",
    ),
    Mistake("ebm_gradient", CONTRAST, "dtype=positives.dtype), positives), -w]", "dtype=positives.dtype), positives), w]"),
    Mistake("ebm_gradient", CONTRAST, "penalised(signed, ", "penalised(-signed, "),
    Mistake("ebm_gradient", CONTRAST, "onp.full(m, 1 / m,", "onp.full(m, 1 / n,"),
    Mistake("ebm_gradient", CONTRAST, "if weights is None else weights", ""),
    Mistake("ebm_gradient", CONTRAST, "if weights is None else weights", "if weights is None else weights / m"),
    Mistake("fce_objective", V, "np.logaddexp(-G_data, 0.0)", "np.logaddexp(G_data, 0.0)"),
    Mistake("fce_objective", V, "len(G_samples)", "len(G_data)"),
    Mistake("fce_objective", V, "np.logaddexp(-G_data, 0.0)", "np.log(1 + np.exp(-G_data))"),
    Mistake("coopflow_revision", REVISED, "drift(now, step_size)", "drift(now, step_size / 2)"),
    Mistake("coopflow_revision", REVISED, "range(steps)", "range(steps - 1)"),
    Mistake("coopflow_revision", REVISED, "drift(now, step_size)", "2 * x - drift(now, step_size)"),
    Mistake("jarzynski", f"{JARZYNSKI}:carried", "alpha(there, here.x, h)", "alpha(there, there.x, h)"),
    Mistake("jarzynski", f"{JARZYNSKI}:carried", "alpha(here, there.x, h)", "alpha(here, here.x, h)"),
    Mistake("jarzynski", f"{JARZYNSKI}:carried", "A - alpha", "A + alpha"),
    Mistake("jarzynski", f"{JARZYNSKI}:carried", "evaluate(X, log_density)", "evaluate(X, log_density_next)"),
    Mistake("jarzynski", f"{JARZYNSKI}:alpha", "h / 4", "h / 2"),
    Mistake("systematic_resampling", f"{JARZYNSKI}:resampled", "np.cumsum(softmax(A))", "np.cumsum(A)"),
    Mistake("systematic_resampling", f"{JARZYNSKI}:resampled", "uniform + beside", "0.5 + beside"),
    Mistake("systematic_resampling", f"{JARZYNSKI}:resampled", "np.cumsum(softmax(A))", "np.cumsum(softmax(A)) + softmax(A)"),
    Mistake("systematic_resampling", f"{JARZYNSKI}:resampled", 'side="right"', 'side="left"'),
    Mistake("effective_size", f"{JARZYNSKI}:effective_size", "2 * whole", "whole"),
    Mistake("effective_size", f"{JARZYNSKI}:effective_size", "for k in (1, 2)", "for k in (1, 1)"),
    Mistake("effective_size", f"{JARZYNSKI}:effective_size", "np.exp(", "len(A) / np.exp("),
    Mistake("adam", ADAM, "(1 - beta1**t)", "1"),
    Mistake("adam", ADAM, "(1 - beta2**t)", "1"),
    Mistake("adam", ADAM, 'int(state["t"]) + 1', 'int(state["t"]) + 2'),
    Mistake("adam", ADAM, "np.sqrt(v / (1 - beta2**t)) + self.eps", "np.sqrt(v / (1 - beta2**t) + self.eps)"),
    Mistake("adam", ADAM, "theta - rate", "theta + rate"),
    Mistake("pcd_step", PCD_STEP, "written(state.chains, chosen, negatives)", "state.chains"),
    Mistake("pcd_step", PCD_STEP, "positives, negatives, rates", "negatives, positives, rates"),
    Mistake("pcd_step", PCD_STEP, "positives, negatives, rates", "positives, state.chains[chosen], rates"),
    Mistake("flowmc_ebm_step", FLOWMC_STEP, "written(state.chains, chosen, after.x)", "state.chains"),
    Mistake("flowmc_ebm_step", FLOWMC_STEP, "positives, negatives, rates", "negatives, positives, rates"),
    Mistake("flowmc_ebm_step", FLOWMC_STEP, "state, negatives, rates.flow", "state, positives, rates.flow"),
    Mistake("flowmc_ebm_step", "evenflow.reference.ebm.flowmc:FlowMCEBM.ebm", "tilt=self.flow.base", ""),
    Mistake("flowmc_ebm_step", "evenflow.reference.ebm.updates:flow_step", "return -np.sum", "return np.sum"),
    Mistake("flowmc_ebm_step", "evenflow.reference.ebm.updates:written", "chains[chosen] = x", "chains[: len(x)] = x"),
)
