"""Mistakes in samplers."""
from tests.vectors.planting import Mistake

MCMC = "evenflow.reference.mcmc"
LANGEVIN = f"{MCMC}.langevin"
INDEPENDENCE = f"{MCMC}.independence"
BLOCK = "kernel.init(x, log_density), draws"
STALE = "kernel.init(state.x, log_density)._replace(x=x)"  # what was known before this sweep

MISTAKES = (
    Mistake("ula", f"{LANGEVIN}:ula", "spread(step_size)", "step_size"),
    Mistake("ula", f"{LANGEVIN}:spread", "math.sqrt(2 * step_size)", "math.sqrt(step_size)"),
    Mistake("ula", f"{LANGEVIN}:drift", "state.x + ", "state.x - "),
    Mistake("ula", f"{LANGEVIN}:drift", "step_size * state.score", "step_size**2 / 2 * state.score"),
    Mistake("mala", f"{LANGEVIN}:mala", "+ back - there", ""),
    Mistake("mala", f"{LANGEVIN}:mala", "+ back - there", "+ there - back"),
    Mistake("mala", f"{LANGEVIN}:mala", "log_q(state, proposal, step_size)", "log_q(state, state, step_size)"),
    Mistake("mala", f"{LANGEVIN}:log_q", "(4 * step_size)", "(2 * step_size)"),
    Mistake("mala", f"{LANGEVIN}:log_q", "drift(start, step_size)", "start.x"),
    Mistake("mala", f"{MCMC}.contract:metropolis", "np.minimum(log_ratio, 0.0)", "np.minimum(np.mean(log_ratio), 0.0)"),
    Mistake("mala", f"{MCMC}.contract:metropolis", "uniform < ", "uniform > "),
    Mistake("mala", f"{MCMC}.contract:choose", "np.where(np.reshape", "np.where(~np.reshape"),
    Mistake("random_walk", f"{MCMC}.metropolis:random_walk", "step_size * noise", "step_size**0.5 * noise"),
    Mistake("random_walk", f"{MCMC}.metropolis:random_walk", "proposal.log_p - state.log_p", "state.log_p - proposal.log_p"),
    Mistake("random_walk", f"{MCMC}.metropolis:random_walk", "proposal.log_p - state.log_p", "proposal.log_p"),
    Mistake("hmc", f"{MCMC}.hmc:hmc", "- kinetic(final) + kinetic(momentum)", "+ kinetic(final) - kinetic(momentum)"),
    Mistake("hmc", f"{MCMC}.hmc:hmc", "- kinetic(final) + kinetic(momentum)", ""),
    Mistake("hmc", f"{MCMC}.hmc:leapfrog", "range(leapfrog_steps)", "range(1)"),
    Mistake("hmc", f"{MCMC}.hmc:leapfrog", "state.x + step_size * momentum", "state.x + step_size / 2 * momentum"),
    Mistake("hmc", f"{MCMC}.hmc:kinetic", " / 2", ""),
    Mistake("independent_mh", f"{INDEPENDENCE}:independent_mh", "- (state.log_p - state.log_lambda)", "- state.log_p"),
    Mistake(
        "independent_mh", f"{INDEPENDENCE}:independent_mh", "(proposal.log_p - proposal.log_lambda)",
        "(proposal.log_p + proposal.log_lambda)",
    ),
    Mistake(
        "independent_mh", f"{INDEPENDENCE}:independent_mh", "proposal.log_lambda) - (state.log_p - state.log_lambda)",
        "state.log_lambda) - (state.log_p - proposal.log_lambda)",
    ),
    Mistake("isir", f"{INDEPENDENCE}:isir", "(state.log_p - state.log_lambda)[:, None]", "state.log_p[:, None]"),
    Mistake("isir", f"{INDEPENDENCE}:isir", "np.maximum(chosen - 1, 0)", "np.minimum(chosen, log_w.shape[1] - 2)"),
    Mistake("isir", f"{INDEPENDENCE}:isir", "(fresh.log_p - fresh.log_lambda, (chains, -1))",
            "((fresh.log_p - fresh.log_lambda).reshape(-1, chains).T, (chains, -1))"),
    Mistake("isir", f"{INDEPENDENCE}:resample", "uniform[:, None] * total >= reached", "uniform[:, None] * total < reached"),
    Mistake("isir", f"{INDEPENDENCE}:resample", "np.exp(np.where", "np.abs(np.where"),
    Mistake("flowmc", f"{MCMC}.flowmc:FlowMC.step", BLOCK, f"{STALE} if steps == 1 else {BLOCK}"),
    Mistake("flowmc", f"{MCMC}.flowmc:FlowMC.step", BLOCK, f"{STALE} if trace[1:] else {BLOCK}"),
    Mistake("flowmc", f"{MCMC}.flowmc:FlowMC.step", "x = path[-1]", "x = path[0]"),
    Mistake("flowmc", f"{MCMC}.flowmc:FlowMC.step", BLOCK, "kernel.init(state.x, log_density), draws"),
    Mistake("flowmc", f"{MCMC}.contract:walk", "state, info = kernel.step(state,", "_, info = kernel.step(state,"),
    Mistake("flowmc", f"{LANGEVIN}:mala", "+ back - there", ""),
    Mistake("adapted_step_size", f"{MCMC}.adaptation:adapted", "step_size * factor", "step_size / factor"),
    Mistake("adapted_step_size", f"{MCMC}.adaptation:adapted", "target - margin", "target + margin"),
    Mistake("adapted_step_size", f"{MCMC}.adaptation:adapted", "target + margin", "target"),
    Mistake("adapted_step_size", f"{MCMC}.adaptation:adapted", "/ factor **", "* (2 - factor) **"),
    Mistake("latent_log_prob", f"{MCMC}.latent:pulled_back", "else log_det", "else -log_det"),
    Mistake("latent_log_prob", f"{MCMC}.latent:pulled_back", "else log_det", "else 0 * log_det"),
    Mistake("latent_log_prob", f"{MCMC}.latent:pulled_back", "else log_det", "else 0.5 * log_det"),
    Mistake("latent_log_prob", f"{MCMC}.latent:pulled_back", "else log_det", "else log_det + flow.base.log_prob(z)"),
    Mistake("latent_log_prob", "evenflow.conformance.operations.mcmc:latent_log_prob", "beta * log_p(x)", "beta**2 * log_p(x)"),
)
