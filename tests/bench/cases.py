r"""What is timed: the cases of both suites, and how fast a device could be at best.

The floor of a case is its arithmetic at PEAK operations a second, nothing else: with w weights, n rows, K steps

    training step of a flow     $6 w n$        two for each weight and row forth, four back
    MALA                        $4 w n K$      two forth, two back: the gradient in x alone
    energy score, gradient      $2 n^2 (4 d + 10)$    for each pair (x, y) and (x, x): distance, gradient, a root
    convolution, gradients      $6 w n h^2$       two for each weight and place forth, four back
"""
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

PEAK = 67e12  # float32 operations a second of an H100 SXM, by its data sheet
TARGET = {"centres": ((-1.2, 0.0), (1.5, 0.0)), "weights": (0.35, 0.65), "sds": (0.5, 0.7)}  # MALA crosses between its zones


@dataclass(frozen=True, eq=False)
class Case:
    """kind and sizes say what the peers do; steps: how many steps one call makes.

    once: peers so slow here that their first call is their only sample; without: peers left out, and why;
    oracle: the backend that computes what is right, in float64.
    """
    name: str
    kind: str
    sizes: dict[str, Any]
    once: tuple[str, ...] = ()
    without: tuple[tuple[str, str], ...] = ()
    oracle: str = "reference"

    @property
    def steps(self) -> int:
        return int(self.sizes.get("steps", 1))

    def floor(self) -> float | None:
        """Seconds a step at PEAK, where there is a formula."""
        s, operations = self.sizes, 0
        if self.kind == "flow" and not s.get("bins"):
            half = s["d"] // 2
            operations = 6 * s["layers"] * weights(half, *s["hidden"], 2 * half) * s["batch"]
        elif self.kind == "mala":
            operations = 4 * weights(2, *s["hidden"], 1) * s["chains"]
        elif self.kind == "energy":
            operations = 2 * s["n"] ** 2 * (4 * s["d"] + 10)
        elif self.kind == "convolution":
            operations = 6 * s["k"] ** 2 * s["c"] * s["o"] * s["batch"] * s["h"] ** 2
        return operations / PEAK if operations else None


def weights(*widths: int) -> int:
    return sum(a * b for a, b in pairwise(widths))


def flow(batch: int, d: int = 2, layers: int = 8, hidden: int = 64) -> Case:
    sizes = {"d": d, "layers": layers, "hidden": [hidden, hidden], "batch": batch}
    return Case(f"flow step, d = {d}, {layers} layers of {hidden}, batch {batch:,}", "flow", sizes)


def saef(blocks: int, batch: int = 128) -> Case:
    return Case(f"SAEF digits step, B = {blocks}, batch {batch}", "saef", {"blocks": blocks, "batch": batch})


def spline(batch: int = 1024) -> Case:
    sizes = {"d": 6, "layers": 4, "hidden": [64, 64], "batch": batch, "bins": 8}
    return Case(f"spline flow step, d = 6, 4 layers of 64, batch {batch:,}", "flow", sizes)


def sampling(n: int = 10_000) -> Case:
    sizes = {"d": 2, "layers": 8, "hidden": [64, 64], "batch": n}
    return Case(f"sampling {n:,} points, d = 2, 8 layers of 64", "sample", sizes)


def mala(name: str, hidden: list[int], activation: str, chains: int, steps: int) -> Case:
    sizes = {"hidden": hidden, "activation": activation, "chains": chains, "steps": steps, "step_size": 0.01}
    return Case(f"MALA, {name}, {chains:,} chains, a step", "mala", sizes)


def papers(chains: int, steps: int) -> Case:
    return mala("the papers' energy", [32, 64, 64, 64], "leaky_relu", chains, steps)


def tanh(chains: int, steps: int) -> Case:
    return mala("tanh 64 x 64", [64, 64], "tanh", chains, steps)


def energy(n: int, d: int) -> Case:
    return Case(f"energy score and gradient, n = m = {n:,}, d = {d}", "energy", {"n": n, "d": d}, oracle="numpy")


def sliced(n: int, d: int, directions: int = 100) -> Case:
    sizes = {"n": n, "d": d, "directions": directions}
    return Case(f"sliced energy score and gradient, {directions} directions, n = m = {n:,}, d = {d}", "sliced", sizes)


def zones(chains: int = 64, steps: int = 500) -> Case:
    sizes = {"chains": chains, "steps": steps, "step_size": 0.3, "target": TARGET}
    return Case(f"MALA on a mixture of two, {chains} chains, a step", "zones", sizes)


def flowmc(chains: int = 64, sweeps: int = 25) -> Case:
    """Ten local moves and ten global ones, from a flow that is still its base, in turn."""
    sizes = {"chains": chains, "sweeps": sweeps, "local": 10, "global": 10, "steps": 20 * sweeps, "step_size": 0.3,
             "layers": 4, "hidden": [64], "target": TARGET}
    return Case(f"flowMC on a mixture of two, {chains} chains, a step", "flowmc", sizes)


def ensembles(n: int = 4096, m: int = 32, d: int = 4) -> Case:
    sizes = {"n": n, "m": m, "d": d}
    return Case(f"energy scores of {m} draws for each of {n:,} observations, d = {d}", "ensembles", sizes)


def distance(n: int = 4096, d: int = 2) -> Case:
    return Case(f"energy distance and gradient, n = m = {n:,}, d = {d}", "distance", {"n": n, "d": d}, oracle="numpy")


def ebm(batch: int = 64, buffer: int = 1024) -> Case:
    return Case(f"flowMC-EBM training step, {batch} chains", "ebm", {"batch": batch, "buffer": buffer})


def convolution(batch: int = 200, h: int = 7, c: int = 64, o: int = 128, k: int = 3) -> Case:
    sizes = {"batch": batch, "h": h, "c": c, "o": o, "k": k}
    return Case(f"convolution {k} x {k}, {c} to {o} channels, {h} x {h}, batch {batch:,}, and gradients", "convolution", sizes)


def image_saef(batch: int = 200, edge: int = 28, patch: int = 4, hidden: int = 64) -> Case:
    sizes = {"model": "saef", "shape": [edge, edge, 1], "patch": patch, "hidden": [hidden, hidden], "batch": batch, "draws": 2}
    return Case(f"image SAEF step, {edge} x {edge} in squares of {patch}, batch {batch:,}", "image", sizes)


def glow(batch: int = 32, edge: int = 28, c: int = 1, depth: int = 4, width: int = 64) -> Case:
    sizes = {"model": "glow", "shape": [edge, edge, c], "depth": depth, "width": width, "batch": batch}
    return Case(f"glow step, {edge} x {edge} x {c}, two scales of {depth}, batch {batch:,}", "image", sizes)


def places(n: int = 100, whole: bool = False, edge: int = 28, hidden: int = 64) -> Case:
    """whole: the whole network in every step, as without `ConvNet.walker`."""
    how = "the whole network a square" if whole else "place by place"
    return Case(f"sampling {n:,} images of image SAEF, {edge} x {edge}, {how}", "places", {
        **image_saef(n, edge, hidden=hidden).sizes, "whole": whole})


CPU = (
    flow(256), flow(1024), flow(8192), flow(1024, 64, 10, 256), saef(1), saef(4), saef(16), spline(), sampling(),
    papers(1_000, 20), papers(10_000, 4), tanh(1_000, 20), tanh(10_000, 4), zones(), ebm(),
    convolution(), image_saef(), glow(), glow(16, 32, 3), places(), replace(places(whole=True), once=("reference",)),
    energy(4096, 2), replace(energy(4096, 64), once=("reference",)),
    replace(energy(4096, 784), without=(("reference", "takes minutes"),)), sliced(4096, 64),
)
GPU = (  # time on a device is short: first what is compared most
    flow(1024), flow(256), energy(16_384, 2), energy(16_384, 64), papers(10_000, 100), papers(1_000, 100), ebm(), saef(16),
    image_saef(), glow(), convolution(), places(), glow(16, 32, 3),
    spline(), sampling(), sliced(4096, 64), energy(4096, 64), flow(65_536), saef(1), saef(4), tanh(10_000, 100),
    tanh(1_000, 100), papers(100_000, 20), tanh(100_000, 20), energy(4096, 784), flow(8192), zones(), flow(16_384, 64, 10, 512),
)
TINY = (
    flow(16, hidden=8), saef(4, 4), spline(8), sampling(20), papers(8, 3), tanh(8, 3), zones(8, 20), ebm(4, 8),
    replace(energy(16, 2), once=("reference",)), replace(energy(16, 5), without=(("reference", "takes minutes"),)),
    sliced(16, 3, 5), convolution(2, 4, 2, 3), image_saef(3, 8, 4, 4), glow(2, 4, 1, 1, 4), places(2, False, 8, 4),
    places(2, True, 8, 4),
)
LIBRARIES = (flow(256), flow(1024), spline(), sampling(), zones(), flowmc(), ensembles(), distance())
TINY_LIBRARIES = (
    flow(16, hidden=8), spline(8), sampling(20), zones(64, 100), flowmc(64, 5), ensembles(6, 3), distance(16),
)
SUITES = {"cpu": CPU, "gpu": GPU, "libraries": LIBRARIES, "tiny": TINY, "tiny-libraries": TINY_LIBRARIES}
