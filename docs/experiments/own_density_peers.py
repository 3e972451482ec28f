"""The samplers of own_density.py: ours and other people's, each on the same density from the same starts. Peers are extras."""
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import autograd.numpy as anp
import numpy as np

from evenflow.experiments.own_density_targets import Target, starts
from evenflow.reference.core import Array
from evenflow.reference.work.adaptive import sample
from evenflow.reference.work.samples import UnmixedWarning

CHAINS = 64  # of all that have chains; NUTS has 8, for its adaptation is of each by itself
NUTS_CHAINS, PARTICLES = 8, 2000


class Found(NamedTuple):
    """x (n, d), of one weight unless there is w (n,); chains (steps, chains, d) where there are any; calls of the density."""
    x: Array
    calls: float
    gradient_calls: float
    log_z: float | None = None
    log_z_error: float | None = None
    chains: Array | None = None
    w: Array | None = None
    warned: int = 0


def evenflow(target: Target, n: int, seed: int, gradient: str | None = None) -> Found:
    x0 = starts(target, CHAINS, np.random.default_rng(seed))
    bounds = None if target.low is None else [(low, np.inf) for low in target.low]
    module = np if gradient is None else anp
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UnmixedWarning)
        it = sample(lambda x: target.log_density(x, module), x0, n, gradient=gradient, bounds=bounds, seed=seed)
    return Found(it.x, it.calls, it.gradient_calls, it.log_z, it.log_z_error, it.chains, warned=len(said))


def evenflow_gradient(target: Target, n: int, seed: int) -> Found:
    return evenflow(target, n, seed, "autograd")


def emcee(target: Target, n: int, seed: int) -> Found:
    """As many calls as ours has, about; the first half is thrown away."""
    import emcee as package
    steps = 28 * n // CHAINS

    def log_density(x: Array) -> Array:
        inside = np.ones(len(x), bool) if target.low is None else (x > target.low).all(axis=1)
        return np.where(inside, target.log_density(np.where(inside[:, None], x, 1.0), np), -np.inf)

    sampler = package.EnsembleSampler(CHAINS, target.d, log_density, vectorize=True)
    sampler.random_state = np.random.RandomState(seed).get_state()
    sampler.run_mcmc(starts(target, CHAINS, np.random.default_rng(seed)), steps)
    chains = sampler.get_chain(discard=steps // 2)
    return Found(chains.reshape(-1, target.d), steps * CHAINS, 0, chains=chains)


def dynesty(target: Target, n: int, seed: int) -> Found:
    """Nested sampling on the target's box, whose volume belongs to log Z; by random walks, its default above 10 dimensions."""
    import dynesty as package
    low, high = target.box
    log_volume = float(np.sum(np.log(high - low)))
    sampler = package.NestedSampler(
        lambda x: float(target.log_density(x[None], np)[0]) + log_volume, lambda u: low + (high - low) * u, target.d,
        nlive=500, sample="rwalk", rstate=np.random.default_rng(seed))
    sampler.run_nested(print_progress=False, dlogz=0.1)
    it = sampler.results
    return Found(it.samples, float(np.sum(it.ncall)), 0, float(it.logz[-1]), float(it.logzerr[-1]), w=it.importance_weights())


def on_the_line(target: Target) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """For JAX: log density of one t, and y of it; a coordinate with a bound below is the logarithm of its distance."""
    import jax
    import jax.numpy as jnp
    jax.config.update("jax_enable_x64", True)
    bounded = np.zeros(target.d, bool) if target.low is None else np.isfinite(target.low)

    def y(t: Any) -> Any:
        return jnp.where(bounded, jnp.exp(jnp.where(bounded, t, 0.0)), t)

    return lambda t: target.log_density(y(t)[None], jnp)[0] + jnp.sum(jnp.where(bounded, t, 0.0)), y


def line_starts(target: Target, chains: int, seed: int) -> Array:
    x = starts(target, chains, np.random.default_rng(seed))
    return x if target.low is None else np.where(np.isfinite(target.low), np.log(np.abs(x)), x)


def blackjax_nuts(target: Target, n: int, seed: int) -> Found:
    """Window adaptation of 1,000 steps for each of 8 chains, then n steps in all. A leapfrog step is a call of each."""
    import blackjax
    import jax
    log_density, y = on_the_line(target)

    def chain(key: Any, t: Any) -> tuple[Any, Any, Any]:
        first, second = jax.random.split(key)
        warm = blackjax.window_adaptation(blackjax.nuts, log_density)
        (state, parameters), info = warm.run(first, t, num_steps=1000)
        kernel = blackjax.nuts(log_density, **parameters)

        def step(state: Any, key: Any) -> tuple[Any, Any]:
            state, info = kernel.step(key, state)
            return state, (state.position, info.num_integration_steps)

        _, (path, calls) = jax.lax.scan(step, state, jax.random.split(second, n // NUTS_CHAINS))
        return path, calls, info.info.num_integration_steps

    keys = jax.random.split(jax.random.PRNGKey(seed), NUTS_CHAINS)
    path, calls, before = jax.jit(jax.vmap(chain))(keys, line_starts(target, NUTS_CHAINS, seed))
    chains = np.swapaxes(np.asarray(y(path)), 0, 1)
    asked = float(np.sum(np.asarray(calls))) + float(np.sum(np.asarray(before)))
    return Found(chains.reshape(-1, target.d), asked, asked, chains=chains)


def blackjax_smc(target: Target, n: int, seed: int) -> Found:
    """Adaptive tempering from the distribution of the starts, 2,000 particles, 5 HMC moves of 10 steps at each temperature."""
    import blackjax
    import jax
    import jax.numpy as jnp
    from blackjax.smc import resampling
    log_density, y = on_the_line(target)

    def prior(t: Any) -> Any:
        return jnp.sum(-((t / target.wide) ** 2) / 2 - jnp.log(target.wide) - jnp.log(2 * jnp.pi) / 2)

    parameters = {"step_size": 0.2, "inverse_mass_matrix": jnp.ones(target.d), "num_integration_steps": 10}
    smc = blackjax.adaptive_tempered_smc(
        prior, lambda t: log_density(t) - prior(t), blackjax.hmc.build_kernel(), blackjax.hmc.init,
        blackjax.smc.extend_params(parameters), resampling.systematic, 0.5, num_mcmc_steps=5)
    key = jax.random.PRNGKey(seed)
    t = target.wide * np.random.default_rng(seed).standard_normal((PARTICLES, target.d))
    state, step, log_z, calls = smc.init(jnp.asarray(t)), jax.jit(smc.step), 0.0, PARTICLES
    while float(state.tempering_param if hasattr(state, "tempering_param") else state.lmbda) < 1:
        key, now = jax.random.split(key)
        state, info = step(now, state)
        log_z += float(info.log_likelihood_increment)
        calls += PARTICLES * (1 + 5 * 10)
    x = np.asarray(y(state.particles))
    return Found(x, calls, calls - PARTICLES, log_z, w=np.asarray(state.weights))


def flowmc(target: Target, n: int, seed: int) -> Found:
    """kazewong/flowMC, RQSpline and MALA: 20 training loops of 5 epochs, then production loops until there are n draws."""
    import jax
    from flowMC.resource_strategy_bundle.RQSpline_MALA import RQSpline_MALA_Bundle
    from flowMC.Sampler import Sampler
    log_density, y = on_the_line(target)
    local, far, training = 50, 50, 20
    production = -(-n // (CHAINS * (local + far)))
    key, other = jax.random.split(jax.random.PRNGKey(seed))
    bundle = RQSpline_MALA_Bundle(
        key, CHAINS, target.d, lambda t, data: log_density(t), local, far, training, production, 5, batch_size=1000)
    sampler = Sampler(n_dim=target.d, n_chains=CHAINS, rng_key=other, resource_strategy_bundles=bundle, checkpoint_interval=0)
    sampler.sample(line_starts(target, CHAINS, seed), {})
    path = np.asarray(sampler.resources["positions_production"].data)  # (chains, steps, d)
    path = np.swapaxes(path[:, np.isfinite(path).all(axis=(0, 2))], 0, 1)
    chains = np.asarray(y(path.reshape(-1, target.d))).reshape(path.shape)
    loops = (training + production) * CHAINS
    return Found(chains.reshape(-1, target.d), loops * (local + far), loops * local, chains=chains)


SAMPLERS: dict[str, tuple[Callable[[Target, int, int], Found], str | None]] = {  # name -> function, package
    "evenflow": (evenflow, None), "evenflow-gradient": (evenflow_gradient, None), "emcee": (emcee, "emcee"),
    "dynesty": (dynesty, "dynesty"), "blackjax-nuts": (blackjax_nuts, "blackjax"), "blackjax-smc": (blackjax_smc, "blackjax"),
    "flowmc": (flowmc, "flowMC"),
}


def installed(sampler: str) -> str | None:
    """The package's version; "" where none is needed, None where it is not installed."""
    package = SAMPLERS[sampler][1]
    try:
        return "" if package is None else version(package)
    except PackageNotFoundError:
        return None
