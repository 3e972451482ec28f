r"""Semi-autoregressive energy flows, from their definition (Si et al. 2023): block after block.

$$x_b = T_b(z_b;\, h_b), \qquad h_b = c_b(x_{<b}), \qquad \log |\det dx/dz| = \sum_b \log |\det dT_b/dz_b|$$

and with m draws for each datum and block, whose contexts come from the true $x_{<b}$,

$$\text{loss} = \frac1n \sum_{\text{data}} \sum_b ES_\beta\big(T_b(z_b^{(1)}; h_b), \dots, T_b(z_b^{(m)}; h_b);\; x_b\big)$$

with the unbiased energy score. Without a condition h_1 is one constant, and all draws of block 1 are one forecast, m n draws
that every datum is compared with.
"""
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array, branch
from tests.tolerances import SMOOTHING
from tests.vectors import scores
from tests.vectors.exact import exact, mp, zeros
from tests.vectors.making import Given, Oracle
from tests.vectors.networks import CONTEXT, made_masks, perceptron, random_net
from tests.vectors.saef_maps import random_map, through

WITNESS = "the formula in loops, one block after the other, mpmath with 40 digits"
MODEL = {
    "sizes": "(B,) of the blocks", "order": "(d,) coordinates in the order of generation: the first sizes[0] are block 1",
    "map": '"affine", "coupling", "dense" or "spline", see params/maps/',
    "params/contexts/": "a masked perceptron x (n, d) -> h (n, B, w), ReLU: W, b, C with a context, mask; W * mask counts",
    "params/maps/": "params/maps/s/t/: part t of the map for block size s, sizes in the order in which they first appear. "
    "Parts: affine: none; coupling: affine couplings, log scale 3 tanh(raw / 3), coordinates with j + t odd pass unchanged; "
    "spline: the same with splines of 8 bins on [-5, 5], of one alone none passes; dense: W z + b + C^T h_b, and at odd t, "
    "without parameters, 0.65 z + 0.35 (sqrt(z^2 + 1) - 1); for blocks of one coordinate coupling and dense are spline. Then "
    "in every map a last part, x = z e^s + t with s = 5 tanh(raw / 5), raw and t the two columns of b + C^T h_b as (k, 2). All "
    "networks have the context h_b",
    **CONTEXT,
}
NOTES = {
    "unequal": "blocks of unequal sizes: two maps", "order": "an order that is neither 0, 1, 2 ... nor its own inverse",
    "one_block": "B = 1: h_1 is a constant, and the weights of the context network that see x do not count",
    "autoregressive": "B = d: a block is a coordinate",
    "context": "the first block, too, is a function of the context (d out_0 / d context = 0 in nflows, PR 85, in normflows)",
    "tail": "coordinates in the spline's tails", "bounds": "raw log scales beyond the limits", "one": "n = 1",
    "noise": "block b sees z_b alone, and of z_<b what is in x_<b (a published code lets it see more): the gradient in z",
}
Cases = Callable[[np.random.Generator], Sequence[Given]]


def blocks(i: dict[str, Any]) -> list[tuple[int, list[int]]]:
    """Of each block which map it has, and its coordinates."""
    sizes, rest, found = list(map(int, i["sizes"])), list(map(int, i["order"])), []
    different = list(dict.fromkeys(sizes))
    for size in sizes:
        found.append((different.index(size), rest[:size]))
        rest = rest[size:]
    return found


def contexts(i: dict[str, Any], x: Array) -> Array:
    """h (n, B, w)."""
    return perceptron(branch(i, "params/contexts"), x, i.get("context")).reshape(len(x), len(i["sizes"]), -1)


def forward(i: dict[str, Any], name: str = "z") -> dict[str, Array]:
    z = i[name]
    x, log_det = zeros(*z.shape), zeros(len(z))
    for b, (s, block) in enumerate(blocks(i)):  # what is not yet known is 0
        x[:, block], change = through(i, s, z[:, block], contexts(i, x)[:, b], "forward")
        log_det = log_det + change
    return {"x": x, "log_det": log_det}


def inverse(i: dict[str, Any]) -> dict[str, Array]:
    x, h = i["x"], contexts(i, i["x"])
    z, log_det = zeros(*x.shape), zeros(len(x))
    for b, (s, block) in enumerate(blocks(i)):
        z[:, block], change = through(i, s, x[:, block], h[:, b], "inverse")
        log_det = log_det + change
    return {"z": z, "log_det": log_det}


def log_prob(i: dict[str, Any]) -> dict[str, Array]:
    there = inverse(i)
    return {"log_prob": np.sum(-(there["z"] ** 2) / 2 - mp.log(2 * mp.pi) / 2, axis=1) + there["log_det"]}


def forced(i: dict[str, Any]) -> Iterator[dict[str, Array]]:
    """Of each block its draws (m, n, k), with contexts from the true x_<b, and the true x_b (n, k); (m n, k) of a first block
    without a condition."""
    h = contexts(i, i["x"])
    for b, (s, block) in enumerate(blocks(i)):
        draws = [through(i, s, z[:, block], h[:, b], "forward")[0] for z in i["noise"]]
        shared = b == 0 and "context" not in i
        yield {"draws": (np.concatenate if shared else np.stack)(draws), "y": i["x"][:, block]}


def loss(i: dict[str, Any]) -> dict[str, Any]:
    how = {"beta": i["beta"], "estimator": "U"}
    return {"loss": sum(sum(scores.energy_score({**b, **how})["score"]) for b in forced(i)) / len(i["x"])}


def closest(i: dict[str, Any]) -> float:
    """The least distance that counts in the loss."""
    pairs = [combinations([*xs, y], 2) for block in forced(i) for xs, y in scores.forecasts(block)]
    return min(float(scores.length(mp.mpf(1), a, b)) for each in pairs for a, b in each)


def model(
    rng: np.random.Generator, word: str, sizes: Sequence[int], order: Sequence[int], c: int = 0, layers: int = 1,
    scale: float = 1.0,
) -> dict[str, Any]:
    """A small random one: contexts of two numbers, hidden layers of three and two units."""
    d, w = len(order), 2
    ends = np.cumsum(sizes)
    number = [int(np.searchsorted(ends, list(order).index(j), side="right")) + 1 for j in range(d)]
    made = [b for b in range(1, len(sizes) + 1) for _ in range(w)]
    params = random_net(rng, (d, 3, len(made)), c, made_masks(number, (3,), made), "params/contexts", scale)
    for s, k in enumerate(dict.fromkeys(sizes)):
        params.update(random_map(rng, word, s, k, w, (2,), layers))
    return {"sizes": np.array(sizes), "order": np.array(order), "map": word, **params}


def asked(i: dict[str, Any], *below: str) -> tuple[str, ...]:
    """The floating-point arrays whose names begin so."""
    return tuple(name for name, a in i.items() if name.startswith(below) and np.asarray(a).dtype.kind == "f" and np.ndim(a))


def cases_of(into: str, *few: str) -> Cases:
    """few: the ids of some of them; else all."""
    def cases(rng: np.random.Generator) -> Sequence[Given]:
        def given(
            id: str, built: dict[str, Any], *flags: str, n: int = 2, c: int = 0, below: Sequence[str] = ("params/",),
        ) -> Given:
            context = {"context": rng.standard_normal((n, c))} if c else {}
            i = {into: rng.standard_normal((n, len(built["order"]))), **built, **context}
            return Given(id, i, flags, grads=asked(i, into, "context", *below))

        coupling, dense = model(rng, "coupling", (2, 1), (2, 0, 1), layers=2), model(rng, "dense", (1, 1, 1), (1, 2, 0))
        tail = given("spline", model(rng, "spline", (2, 2), (1, 2, 0, 3)), "tail", n=1, below=("params/contexts/1",))
        tail.inputs[into][0, :2] = 8, -9
        found = [
            given("affine", model(rng, "affine", (1, 2), (0, 1, 2)), "unequal", "noise", n=3),
            given("coupling", coupling, "unequal", "order", "noise", below=("params/maps/0",)),
            given("dense", model(rng, "dense", (2, 2), (1, 3, 0, 2)), "order", below=("params/maps/",)),
            tail,
            given("one_block", model(rng, "coupling", (2,), (1, 0), layers=2), "one_block", below=("params/contexts/",)),
            given("autoregressive", dense, "autoregressive", "order", below=("params/contexts/1",)),
            given("context", model(rng, "coupling", (1, 1), (1, 0), c=2), "context", c=2, below=("params/contexts/",)),
            given("one_row", model(rng, "affine", (1, 1, 2), (3, 0, 2, 1), scale=12.0), "one", "bounds", "unequal", n=1),
        ]
        return [case for case in found if case.id in few] if few else found

    return cases


def loss_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(
        id: str, built: dict[str, Any], beta: float, *flags: str, m: int = 2, n: int = 2, c: int = 0,
        below: Sequence[str] = ("params/",),
    ) -> Given:
        d, context = len(built["order"]), {"context": rng.standard_normal((n, c))} if c else {}
        i = {"beta": np.float64(beta), **built, **context}
        while "x" not in i or closest({name: exact(a) for name, a in i.items()}) < 0.2:
            i.update(x=2 * rng.standard_normal((n, d)), noise=2 * rng.standard_normal((m, n, d)))
        return Given(id, i, flags, grads=asked(i, "x", "noise", "context", *below), slack=SMOOTHING)

    coupling, last_first = model(rng, "coupling", (2, 1), (2, 0, 1)), model(rng, "affine", (1, 1, 1), (1, 2, 0))
    return [
        given("affine", model(rng, "affine", (1, 2), (0, 1, 2)), 1, "unequal", "teacher", m=3, below=("params/contexts/",)),
        given("coupling", coupling, 1.5, "unequal", "order", n=3, below=("params/maps/0/0/0/",)),
        given("dense", model(rng, "dense", (2, 1), (1, 2, 0)), 0.5, "order", "unequal", below=()),
        given("spline", model(rng, "spline", (2,), (0, 1)), 1, "one_block", below=()),
        given("autoregressive", last_first, 1, "autoregressive", "order", below=("params/maps/",)),
        given("context", model(rng, "affine", (1, 1), (1, 0), c=2), 1.5, "context", c=2, below=("params/contexts/",)),
        given("free_form", model(rng, "free_form", (1, 2), (2, 0, 1)), 1, "free_form", "unequal", below=("params/maps/1",)),
    ]


def free_form_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, built: dict[str, Any], *flags: str, n: int = 2, c: int = 0) -> Given:
        context = {"context": rng.standard_normal((n, c))} if c else {}
        i = {"noise": rng.standard_normal((n, len(built["order"]))), **built, **context}
        return Given(id, i, flags, grads=asked(i, "noise", "context", "params/"))

    return [
        given("plain", model(rng, "free_form", (1, 1), (0, 1)), "noise", n=3),
        given("unequal", model(rng, "free_form", (2, 1), (1, 2, 0)), "unequal", "order", "noise"),
        given("context", model(rng, "free_form", (1, 2), (0, 2, 1), c=2), "context", "unequal", c=2),
        given("one_block", model(rng, "free_form", (2,), (1, 0)), "one_block", "one", n=1),
    ]


HEAD = {
    **MODEL, "map": '"free_form": x_b = z_b + net(z_b, h_b), a perceptron with the context h_b in every layer',
    "params/maps/": "params/maps/s/: its layers for the s-th block size, sizes in the order in which they first appear",
}
PARAMS = ("params/", "context")
SOURCE = "Si et al. 2023"
ORACLES = (
    Oracle(
        "saef", "x_b = T_b(z_b; h_b), h_b = c_b(x_<b), block after block; log_det = sum of the blocks'", SOURCE, WITNESS,
        {"z": "(n, d) noise", **MODEL}, {"x": "(n, d)", "log_det": "(n,) log |det dx/dz|"}, forward, cases_of("z"),
        ("log_det",), ("z", *PARAMS), NOTES,
    ),
    Oracle(
        "saef_inverse", "z_b = T_b^-1(x_b; h_b), h_b = c_b(x_<b), in one pass; log_det = sum of the blocks'", SOURCE, WITNESS,
        {"x": "(n, d)", **MODEL}, {"z": "(n, d)", "log_det": "(n,) log |det dz/dx|"}, inverse, cases_of("x"),
        ("log_det",), ("x", *PARAMS), NOTES,
    ),
    Oracle(
        "saef_log_prob", "log N(z; 0, I) + log |det dz/dx| at z of saef_inverse", SOURCE, WITNESS,
        {"x": "(n, d)", **MODEL}, {"log_prob": "(n,) in nats"}, log_prob,
        cases_of("x", "coupling", "spline", "context", "one_row"), (), ("x", *PARAMS), NOTES,
    ),
    Oracle(
        "saef_loss", "The mean over data of the sum over blocks of the unbiased energy score of m draws T_b(z_b; h_b) at x_b, "
        "h_b from the true x_<b; of m n draws for b = 1 without a condition, where h_1 is the same for all data. "
        f"{scores.ROOM}", SOURCE, WITNESS,
        {
            "x": "(n, d)", "noise": "(m, n, d)", "beta": "0 < beta < 2", **MODEL,
            "map": f'{MODEL["map"]}; or "free_form", see free_form_sample',
        },
        {"loss": "()"}, loss, loss_cases, (), ("x", "noise", *PARAMS),
        {
            **NOTES, "free_form": "a head without a way back",
            "teacher": "the contexts come from the true x_<b: draws of a block do not depend on the noise of another; all "
            "m draws are compared with x_b (a published code takes one)",
        },
    ),
    Oracle(
        "free_form_sample", "x_b = z_b + net(z_b; h_b), h_b = c_b(x_<b), block after block", SOURCE, WITNESS,
        {"noise": "(n, d)", **HEAD}, {"x": "(n, d)"}, lambda i: {"x": forward(i, "noise")["x"]}, free_form_cases, (),
        ("noise", *PARAMS), NOTES,
    ),
)
