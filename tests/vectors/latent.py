"""Neural transport, from its formula: a target pulled back through a flow."""
from collections.abc import Mapping, Sequence

import numpy as np

from evenflow.conformance.arrays import Array
from tests.vectors.making import Given, Oracle
from tests.vectors.mcmc import WITNESS
from tests.vectors.perceptrons import flow_forward, random_flow
from tests.vectors.sampler_targets import TARGET, Exact, log_p, target


def latent_log_prob(i: Exact) -> Mapping[str, Array]:
    x, log_det = flow_forward(i, "params", i["z"])
    return {"log_prob": i["beta"] * log_p(i, x) + log_det}


def cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, n: int, d: int, beta: float, *flags: str, size: float = 1.0) -> Given:
        z = size * rng.standard_normal((n, d))
        return Given(id, {"z": z, "beta": np.float64(beta), **target(rng, 2, d), **random_flow(rng, d)}, flags)

    return [
        given("plain", 4, 2, 1.0), given("temperature", 4, 2, 0.5, "temperature"), given("wide", 3, 3, 1.0),
        given("tail", 3, 2, 1.0, "tail", size=5.0), given("line", 1, 1, 0.25, "temperature", "single", "line"),
    ]


ORACLES = (
    Oracle(
        "latent_log_prob", "beta log p(T(z)) + log |det dT/dz|, up to the target's constant where beta is not 1",
        "Hoffman et al. 2019; Dinh et al. 2017 for T", WITNESS,
        {
            "z": "(n, d)", "beta": "the target's inverse temperature: beta log p is what is sampled", **TARGET,
            "params/": "realnvp's bijection: params/l/k/W, params/l/k/b are layer k of coupling l's network (ReLU); "
            "coordinates 1, 3, ... pass through the first coupling, 0, 2, ... through the second; in the last layer none does. "
            "The raw outputs are (n, coordinates, 2): log scale 3 tanh(raw / 3) and shift",
        },
        {"log_prob": "(n,)"}, latent_log_prob, cases, grads=("z", "params/"), notes={
            "temperature": "beta is not 1: catches one that is applied twice, or to log |det| as well (a published mistake)",
            "tail": "z of 5 deviations and more", "single": "one point", "line": "d = 1: no coordinate conditions another",
        },
    ),
)
