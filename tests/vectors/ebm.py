"""Energy-based models, from their formulas: energy, tilted density, gradient of the likelihood, contrastive objective."""
from collections.abc import Mapping, Sequence

import numpy as np

from evenflow.conformance.arrays import Array
from tests.vectors.exact import exact, exp, log
from tests.vectors.making import Given, Oracle
from tests.vectors.mcmc import WITNESS
from tests.vectors.networks import random_net
from tests.vectors.perceptrons import energy, energy_back, gradient, log_normal, net
from tests.vectors.sampler_targets import Exact

NET = {"net/": "net/k/W (fan_in, fan_out) and net/k/b (fan_out,) of layer k; leaky rectifiers of slope 0.05 between layers"}
DEEP = "four hidden layers: catches a depth that counts something else (a published mistake)"


def energy_mlp(i: Exact) -> Mapping[str, Array]:
    return {"energy": energy(net(i, "net"), i["x"])}


def tilted_log_prob(i: Exact) -> Mapping[str, Array]:
    return {"log_prob": -energy(net(i, "net"), i["x"]) + log_normal(i["x"], i["sd"])}


def ebm_gradient(i: Exact) -> Mapping[str, Array]:
    """Appendix B: that of mean E(x+) - sum w E(x-)."""
    layers, n, m = net(i, "net"), len(i["positives"]), len(i["negatives"])
    w = i.get("weights", exact(np.ones(m)) / m)
    x, signed = np.concatenate([i["positives"], i["negatives"]]), np.concatenate([exact(np.ones(n)) / n, -w])
    return {"difference": np.sum(signed * energy(layers, x)), **gradient(energy_back(layers, x, signed)[1])}


def fce_objective(i: Exact) -> Mapping[str, Array]:
    G_data, G_samples = (i[f"log_p_{where}"] - i[f"log_lambda_{where}"] for where in ("data", "samples"))
    return {"value": sum(-log(1 + exp(-G_data))) / len(G_data) + sum(-log(1 + exp(G_samples))) / len(G_samples)}


def energy_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, n: int, sizes: tuple[int, ...], *flags: str, size: float = 1.0, kink: bool = False) -> Given:
        i = {"x": size * rng.standard_normal((n, sizes[0])), **random_net(rng, sizes)}
        if kink:
            i |= {"x": 0 * i["x"], "net/0/b": 0 * i["net/0/b"]}
        return Given(id, i, flags, grads=() if kink else None)

    return [
        given("plain", 5, (2, 4, 3, 1)), given("deep", 3, (2, 3, 3, 2, 2, 1), "deep"),
        given("tail", 3, (3, 4, 1), "tail", size=50), given("kink", 2, (2, 4, 1), "kink", kink=True),
        given("line", 1, (1, 3, 1), "single", "line"),
    ]


def tilted_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, n: int, sizes: tuple[int, ...], sd: float, *flags: str, size: float = 1.0) -> Given:
        x = size * rng.standard_normal((n, sizes[0]))
        return Given(id, {"x": x, "sd": np.float64(sd), **random_net(rng, sizes)}, flags)

    return [
        given("plain", 5, (2, 4, 3, 1), 1.0, "tilt"), given("wide", 4, (3, 4, 1), 2.5, "tilt", "sd"),
        given("tail", 3, (2, 3, 1), 0.5, "tilt", "sd", "tail", size=20),
        given("line", 1, (1, 3, 1), 1.5, "tilt", "single", "line"),
    ]


def gradient_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, n: int, m: int, sizes: tuple[int, ...], *flags: str, weights: Sequence[float] = ()) -> Given:
        i = {"positives": 1 + rng.standard_normal((n, sizes[0])), "negatives": rng.standard_normal((m, sizes[0]))}
        if weights:
            i["weights"] = np.array(weights)
        return Given(id, {**i, **random_net(rng, sizes)}, ("sign", *flags))

    return [
        given("plain", 4, 4, (2, 4, 3, 1)), given("fewer_data", 2, 6, (2, 4, 1), "unequal"),
        given("fewer_samples", 5, 2, (3, 3, 1), "unequal"),
        given("weights", 4, 4, (2, 4, 1), "weights", weights=(0.5, 0.25, 0.125, 0.125)),
        given("one_walker", 3, 3, (2, 3, 1), "weights", weights=(0.0, 1.0, 0.0)),
        given("line", 1, 1, (1, 3, 1), "single", "line"),
    ]


def fce_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, n: int, m: int, size: float, *flags: str) -> Given:
        i = {
            f"log_{density}_{where}": size * rng.standard_normal(count) - 2
            for where, count in (("data", n), ("samples", m)) for density in ("p", "lambda")
        }
        if "equal" in flags:
            i |= {"log_p_data": i["log_lambda_data"], "log_p_samples": i["log_lambda_samples"]}
        return Given(id, i, flags)

    return [
        given("plain", 5, 5, 1), given("unequal", 3, 6, 2, "unequal"), given("equal", 4, 4, 1, "equal"),
        given("far", 5, 4, 2000, "large_scale"), given("one", 1, 1, 1, "single"),
    ]


NOTES = {
    "deep": DEEP, "tail": "inputs far out, 20 or 50 deviations", "single": "one row", "line": "d = 1",
    "kink": "all hidden units exactly at their kink: no gradient is asked for",
}
TILTS = {
    "tilt": "catches -E alone, without log rho",
    "sd": "sd is not 1: catches a tilt by the standard normal, and sd for its square",
    "tail": NOTES["tail"], "single": "one row", "line": "d = 1",
}
SIGNS = {
    "sign": "data minus samples: catches the opposite sign (that of eq. 2 in the paper's third version)",
    "unequal": "n and m differ: catches one mean over both", "single": "one row of each", "line": "d = 1",
    "weights": "catches samples that count alike in spite of their weights, and weights divided by m again",
}
CLASSIFIER = {
    "unequal": "n and m differ: catches one mean over both", "equal": "p = lambda at every point: the value is -2 log 2",
    "large_scale": "log ratios of some thousands: catches an exp that overflows, and a logistic function that underflows",
    "single": "one row of each",
}

ORACLES = (
    Oracle(
        "energy_mlp", "E(x): a perceptron with leaky rectifiers", "Grenioux et al. 2023, published code", WITNESS,
        {"x": "(n, d)", **NET}, {"energy": "(n,)"}, energy_mlp, energy_cases, grads=("x", "net/"), notes=NOTES,
    ),
    Oracle(
        "tilted_log_prob", "log p(x) + log Z = -E(x) + log N(x; 0, sd^2 I)", "Grenioux et al. 2023, eq. 6", WITNESS,
        {"x": "(n, d)", "sd": "of the tilt", **NET}, {"log_prob": "(n,)"}, tilted_log_prob, tilted_cases,
        grads=("x", "net/"), notes=TILTS,
    ),
    Oracle(
        "ebm_gradient", "mean_i E(x+_i) - sum_j w_j E(x-_j) and its gradient: that of the negative mean log likelihood",
        "Grenioux et al. 2023, appendix B", WITNESS,
        {"positives": "(n, d) data", "negatives": "(m, d) samples", "weights": "(m,) w, where given; else 1 / m each", **NET},
        {"difference": "a number", "gradient/": "as net/"}, ebm_gradient, gradient_cases, notes=SIGNS,
    ),
    Oracle(
        "fce_objective", "mean over data of log sigma(G) + mean over samples of log sigma(-G), G = log p - log lambda",
        "Gao et al. 2020", WITNESS,
        {
            "log_p_data": "(n,)", "log_lambda_data": "(n,) the flow's", "log_p_samples": "(m,)", "log_lambda_samples": "(m,)",
        },
        {"value": "a number"}, fce_objective, fce_cases, notes=CLASSIFIER,
        grads=("log_p_data", "log_lambda_data", "log_p_samples", "log_lambda_samples"),
    ),
)
