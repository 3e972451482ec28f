r"""Layers of images from their formulas, in loops over places and channels.

    conv2d          y_ij = b + sum_uv x_(s i + u - p, s j + v - p) W_uv, where outside the image x is 0
    masked_conv2d   the same at s = 1, p = k // 2, without the weights of what comes later (van den Oord et al. 2016)
    squeeze         each square is one place of a smaller image (Dinh et al. 2017, section 3.6)
    actnorm         x = z e^s + t, conv_1x1 x = W z + b, of the channels at each place (Kingma & Dhariwal 2018, table 1)
    conv_coupling   x = m z + (1 - m)(z e^s + t), (s, t) = net(m z, c)
"""
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array, branch
from tests.vectors.exact import exp, log, mp, tanh, zeros
from tests.vectors.making import Given, Oracle
from tests.vectors.networks import CONTEXT

WITNESS = "the formula in loops, mpmath with 40 digits"
LINEAR = "the formula; determinant and solution of the linear system by mpmath with 40 digits"
NOTES = {
    "even": "an even kernel, which has no middle",
    "stride": "a stride that does not divide the image",
    "one": "n = 1",
    "groups": "the channels are three groups, which are read one after the other",
    "own": "kind B: a place sees its own group, too",
    "side": "squares of 3 x 3",
    "negative": "the determinant is negative",
    "checkerboard": "what passes are the places where i + j is even",
    "channels": "what passes are the first channels of every place",
    "context": "the network has a context, which enters every layer",
    "bounds": "raw log scales far beyond the limit",
}
IMAGES = {"x": "(n, h, w, c)", "W": "(k, k, c, o)", "b": "(o,)"}
SHAPE = {"shape": "(3,) h, w, c, of which d is the product"}


def convolved(x: Array, W: Array, b: Array, stride: int, padding: int) -> Array:
    (n, h, w, _), (k, _, _, o) = x.shape, W.shape
    y = zeros(n, (h + 2 * padding - k) // stride + 1, (w + 2 * padding - k) // stride + 1, o) + b
    for i, j, u, v in np.ndindex(*y.shape[1:3], k, k):
        above, left = stride * i + u - padding, stride * j + v - padding
        if 0 <= above < h and 0 <= left < w:
            y[:, i, j] = y[:, i, j] + x[:, above, left] @ W[u, v]
    return y


def conv2d(i: dict[str, Any]) -> dict[str, Array]:
    return {"y": convolved(i["x"], i["W"], i["b"], int(i["stride"]), int(i["padding"]))}


def masked(i: dict[str, Any]) -> dict[str, Array]:
    """Of the weights that count, in the order of reading: earlier places; of its own place earlier groups, or as early."""
    (k, _, c, o), many, own = i["W"].shape, int(i["groups"]), str(i["kind"]) == "B"
    W = zeros(*i["W"].shape)
    for u, v, source, target in np.ndindex(W.shape):
        before, middle = u < k // 2 or (u == k // 2 and v < k // 2), u == v == k // 2
        group, of = source // (c // many), target // (o // many)
        if before or (middle and (group < of or (own and group == of))):
            W[u, v, source, target] = i["W"][u, v, source, target]
    return {"y": convolved(i["x"], W, i["b"], 1, k // 2)}


def conv_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, x: Sequence[int], k: int, o: int, stride: int, padding: int, *flags: str) -> Given:
        W, b = rng.standard_normal((k, k, x[3], o)), rng.standard_normal(o)
        return Given(id, {"x": rng.standard_normal(x), "W": W, "b": b, "stride": stride, "padding": padding}, flags)

    return [
        given("plain", (2, 3, 4, 2), 3, 2, 1, 1), given("even", (2, 4, 3, 1), 2, 2, 1, 0, "even"),
        given("halved", (1, 5, 4, 2), 4, 1, 2, 1, "even", "stride", "one"),
        given("valid", (1, 4, 4, 1), 3, 2, 2, 0, "stride", "one"), given("place", (2, 2, 2, 3), 1, 2, 1, 0),
    ]


def masked_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, kind: str, k: int, c: int, o: int, groups: int, *flags: str) -> Given:
        W, b = rng.standard_normal((k, k, c, o)), rng.standard_normal(o)
        return Given(id, {"x": rng.standard_normal((2, 3, 3, c)), "W": W, "b": b, "kind": kind, "groups": groups}, flags)

    return [
        given("first", "A", 3, 1, 2, 1), given("later", "B", 3, 2, 1, 1, "own"), given("groups", "A", 3, 3, 3, 3, "groups"),
        given("own_groups", "B", 3, 3, 6, 3, "groups", "own"), given("wide", "A", 5, 1, 1, 1),
    ]


def squeezed(into: str) -> Callable[[dict[str, Any]], dict[str, Array]]:
    def answer(i: dict[str, Any]) -> dict[str, Array]:
        (h, w, c), s, given = i["shape"].tolist(), int(i["side"]), i[into]
        out = zeros(*given.shape)
        for row, column, channel in np.ndindex(h, w, c):
            whole = (row * w + column) * c + channel
            square = (row // s * (w // s) + column // s) * s * s * c + (row % s * s + column % s) * c + channel
            there, source = (whole, square) if into == "z" else (square, whole)
            out[:, there] = given[:, source]
        return {"x" if into == "z" else "z": out, "log_det": zeros(len(out))}

    return answer


def squeeze_cases(into: str) -> Any:
    def cases(rng: np.random.Generator) -> Sequence[Given]:
        def given(id: str, n: int, shape: Sequence[int], side: int, *flags: str) -> Given:
            return Given(id, {into: rng.standard_normal((n, math.prod(shape))), "shape": np.array(shape), "side": side}, flags)

        return [
            given("plain", 2, (4, 2, 1), 2), given("colours", 2, (2, 4, 3), 2), given("side", 1, (3, 6, 1), 3, "side", "one"),
        ]

    return cases


def each_place(into: str, W: Array, b: Array, i: dict[str, Any]) -> dict[str, Array]:
    """x = W z + b of the channels, or the way back, everywhere: h w times the log_det."""
    h, w, c = i["shape"].tolist()
    out, log_det = zeros(*i[into].shape), zeros(len(i[into])) + h * w * log(abs(mp.det(mp.matrix(W.tolist()))))
    for n, place in np.ndindex(len(out), h * w):
        at = slice(place * c, (place + 1) * c)
        if into == "z":
            out[n, at] = W @ i[into][n, at] + b
        else:
            out[n, at] = list(mp.lu_solve(mp.matrix(W.tolist()), mp.matrix(list(i[into][n, at] - b))))
    return {"x" if into == "z" else "z": out, "log_det": log_det if into == "z" else -log_det}


def actnorm(into: str) -> Callable[[dict[str, Any]], dict[str, Array]]:
    return lambda i: each_place(into, np.diag(exp(i["log_scale"])), i["shift"], i)


def one_by_one(into: str) -> Callable[[dict[str, Any]], dict[str, Array]]:
    return lambda i: each_place(into, i["W"], i["b"], i)


def place_cases(into: str, of: Callable[[np.random.Generator, int], dict[str, Array]]) -> Any:
    def cases(rng: np.random.Generator) -> Sequence[Given]:
        def given(id: str, n: int, shape: Sequence[int], *flags: str) -> Given:
            places = rng.standard_normal((n, math.prod(shape)))
            return Given(id, {into: places, "shape": np.array(shape), **of(rng, shape[2])}, flags)

        return [given("plain", 2, (2, 3, 2)), given("grey", 2, (2, 2, 1)), given("colours", 1, (1, 2, 3), "one")]

    return cases


def coupled(into: str) -> Callable[[dict[str, Any]], dict[str, Array]]:
    def answer(i: dict[str, Any]) -> dict[str, Array]:
        (h, w, c), v, m, limit = i["shape"].tolist(), i[into], i["mask"], i["limit"]
        passing = np.where(m, v, 0 * v).reshape(-1, h, w, c)
        raw = network(branch(i, "net"), passing, i.get("context")).reshape(*v.shape, 2)
        out, log_det = v.copy(), zeros(len(v))
        for n, k in np.ndindex(v.shape):
            if not m[k]:
                s, t = limit * tanh(raw[n, k, 0] / limit), raw[n, k, 1]
                out[n, k] = v[n, k] * exp(s) + t if into == "z" else (v[n, k] - t) * exp(-s)
                log_det[n] += s if into == "z" else -s
        return {"x" if into == "z" else "z": out, "log_det": log_det}

    return answer


def network(params: dict[str, Any], x: Array, context: Array | None) -> Array:
    """h = x * W_0 + p, then h + (tanh u sigmoid v) * V with (u, v) = elu(h) * W, and elu(h) * V at the end."""
    def conv(layer: dict[str, Any], h: Array) -> Array:
        y = convolved(h, layer["W"], layer["b"], 1, len(layer["W"]) // 2)
        return y if context is None else y + (context @ layer["C"])[:, None, None]

    def elu(a: Array) -> Array:
        return np.where(a > 0, a, exp(np.where(a > 0, 0 * a, a)) - 1)

    first, *between, last = params["layers"]
    h = conv(first, x) + params["places"]
    for gates, back in zip(between[::2], between[1::2], strict=True):
        u, v = np.split(conv(gates, elu(h)), 2, axis=3)
        h = h + conv(back, tanh(u) / (1 + exp(-v)))
    return conv(last, elu(h))


def coupling_cases(into: str) -> Any:
    def cases(rng: np.random.Generator) -> Sequence[Given]:
        def given(
            id: str, mask: Array, *flags: str, n: int = 2, blocks: int = 1, c: int = 0, limit: float = 3.0, scale: float = 0.5
        ) -> Given:
            (h, w, channels), width = mask.shape, 2
            sizes = [(3, channels, width), *blocks * ((3, width, 2 * width), (1, width, width)), (1, width, 2 * channels)]
            net = {"net/places": 0.3 * rng.standard_normal((h, w, width))}
            for depth, (k, fan_in, fan_out) in enumerate(sizes):
                net[f"net/layers/{depth}/W"] = scale * rng.standard_normal((k, k, fan_in, fan_out))
                net[f"net/layers/{depth}/b"] = scale * rng.standard_normal(fan_out)
                if c:
                    net[f"net/layers/{depth}/C"] = scale * rng.standard_normal((c, fan_out))
            context = {"context": rng.standard_normal((n, c))} if c else {}
            places = {into: rng.standard_normal((n, mask.size)), "shape": np.array(mask.shape), "mask": mask.ravel()}
            return Given(id, {**places, "limit": limit, **net, **context}, flags)

        board = np.indices((2, 3, 1))[:2].sum(axis=0) % 2 == 0
        half = np.indices((1, 2, 3))[2] < 1
        return [
            given("checkerboard", board, "checkerboard"), given("channels", half, "channels"),
            given("context", half[:, :, :2], "channels", "context", blocks=0, c=2),
            given("bounds", half[:, :, :2], "channels", "bounds", n=1, blocks=0, limit=1.0, scale=4.0),
        ]

    return cases


def both(
    name: str, formula: str, source: str, witness: str, parameters: dict[str, str],
    answer: Callable[[str], Any], cases: Callable[[str], Any], grads: tuple[str, ...],
) -> list[Oracle]:
    return [
        Oracle(
            f"{name}{suffix}", f"{'The inverse: ' if suffix else ''}{formula}", source, witness,
            {into: "(n, d)", **SHAPE, **parameters},
            {out: "(n, d)", "log_det": f"(n,) log |det d{out}/d{into}|"}, answer(into), cases(into), ("log_det",),
            (into, *grads), NOTES,
        )
        for suffix, into, out in (("", "z", "x"), ("_inverse", "x", "z"))
    ]


NET = {
    "net/": "layers of convolutions: W (k, k, c, o), b (o,), with a context C (c, o); places (h, w, width). h = x * W_0 + p; "
    "h + (tanh u sigmoid v) * V with (u, v) = elu(h) * W, so often; elu(h) * V: of each channel raw log scale and shift",
}
ORACLES = (
    Oracle(
        "conv2d", "y_ij = b + sum_uv x_(s i + u - p, s j + v - p) W_uv, with zeros around x", "by definition", WITNESS,
        {**IMAGES, "stride": "s", "padding": "p"}, {"y": "(n, h', w', o)"}, conv2d, conv_cases, (), ("x", "W", "b"), NOTES,
    ),
    Oracle(
        "masked_conv2d", "the convolution with zeros around that keep the size, of the weights whose place comes before; at "
        "its own place of earlier groups of channels (A), or as early (B)", "van den Oord et al. 2016, section 3.4", WITNESS,
        {**IMAGES, "kind": "A or B", "groups": "so many, one after the other, of c and of o channels"}, {"y": "(n, h, w, o)"},
        masked, masked_cases, (), ("x", "W", "b"), NOTES,
    ),
    *both(
        "squeeze", "x (h, w, c) in the places of its side x side squares, z (h / side, w / side, side^2 c); log_det = 0",
        "Dinh et al. 2017, section 3.6", "by definition", {"side": "of a square"}, squeezed, squeeze_cases, (),
    ),
    *both(
        "actnorm", "x = z e^s + t of the channels of each place, log_det = h w sum s", "Kingma & Dhariwal 2018, table 1",
        LINEAR, {"log_scale": "(c,) s", "shift": "(c,) t"}, actnorm,
        lambda into: place_cases(into, lambda rng, c: {"log_scale": rng.standard_normal(c), "shift": rng.standard_normal(c)}),
        ("log_scale", "shift"),
    ),
    *both(
        "conv_1x1", "x = W z + b of the channels of each place, log_det = h w log |det W|", "Kingma & Dhariwal 2018, eq. 9",
        LINEAR, {"W": "(c, c)", "b": "(c,)"}, one_by_one,
        lambda into: place_cases(into, lambda rng, c: {"W": rng.standard_normal((c, c)), "b": rng.standard_normal(c)}),
        ("W", "b"),
    ),
    *both(
        "conv_coupling", "x = m z + (1 - m)(z e^s + t), (raw s, t) = net(m z, c), s = limit tanh(raw s / limit), "
        "log_det = sum (1 - m) s", "Dinh et al. 2017, section 3.4", WITNESS,
        {"mask": "(d,) m: true where a number passes", **NET, "limit": "of the log scales", **CONTEXT}, coupled, coupling_cases,
        ("net/", "context"),
    ),
)
