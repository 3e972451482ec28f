"""What is measured of a trained energy-based model of images.

    acceptance_start, acceptance_global, acceptance_local, contrast
                      along the training: global moves in its first tenth, then all in its second half. A curve has them all
    log_z, log_z_ess, log_z_error, log_z_draws
                      by importance from the companion flow; to be trusted where a share of TRUST of the draws is effective
    bits, bits_flow   bits per dim of held-out images, by the model with that log Z (None where it is not to be trusted) and by
                      the flow itself; those of dequantised pixels, an upper bound. PCD has no flow, and none of these
    samples           of the persistent chains, of fresh ones (from the flow, PCD's from N(0, I), after `walked` sweeps of the
                      model's own kernel, frozen: these are the model's samples, the others may be the buffer's memory), and
                      of the flow: D-loss and Frechet distance to held-out images, and the shares of the classes
    switches          how often a fresh chain is in another class than a sweep before, per 100 moves, in the second half of
                      the walk, and switches_local by as many local moves alone

Classes and features are those of a perceptron that learned the training images' labels (metrics.digit_classifier); images
without labels have no classes, and as features their principal components. class_distance: total variation to the held-out
images' shares, by the same classifier.
"""
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from evenflow.reference.core import Array, fetched, placed
from evenflow.reference.ebm import FlowMCEBM
from evenflow.reference.ebm.normalizer import LogZ, importance
from evenflow.reference.mcmc import MALA, ULA
from evenflow.reference.mcmc.chains import run as run_chains
from evenflow.reference.mcmc.contract import LogDensity
from evenflow.reference.mcmc.zones import switch_rate, zone_weights
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.energy_model import TRUST
from evenflow.reference.work.evaluation import footing, in_chunks
from evenflow.reference.work.metrics import components, d_loss, digit_classifier, frechet_distance, hidden
from evenflow.reference.work.sampling import flow_draws
from evenflow.reference.work.units import Units

LEARNED, SHOWN, POINTS = 3_000, 20, 60  # images that the classifier learns from; shown; of a curve
ALONG = ("acceptance_global", "acceptance_local", "contrast")
MEASURED = ("acceptance_start", *ALONG, "bits", "bits_flow", "log_z", "log_z_ess", "log_z_error", "log_z_draws", "switches",
            "switches_local", "step_size", "samples", "curve")


@dataclass(frozen=True)
class Judge:
    """Judges samples by as many held-out images, at most `count`. seed: of the noise, and of the classifiers."""
    dataset: Dataset
    units: Units  # the model's
    count: int
    seed: int

    @property
    def n(self) -> int:
        return min(self.count, len(self.dataset.held_out))

    @cached_property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, 6])

    @cached_property
    def network(self) -> Any:
        """None where there are no labels."""
        if self.dataset.train_labels is None:
            return None
        x = footing(self.dataset, self.dataset.train[:LEARNED], np.random.default_rng(self.seed))
        return digit_classifier(x, self.dataset.train_labels[:LEARNED], self.seed)

    @cached_property
    def real(self) -> Array:
        return self.footed(self.dataset.held_out[: self.n])

    def footed(self, x: Array) -> Array:
        return footing(self.dataset, x, self.rng)

    def classes(self, u: Array) -> Array:
        """Of points (..., d) in the model's units, the class of each."""
        x = self.footed(self.units.to_user(u.reshape(-1, u.shape[-1])))
        return np.asarray(self.network.predict(x)).reshape(u.shape[:-1])

    def shares(self, x: Array) -> Array:
        """Of images on a footing with the real ones (n, d)."""
        return zone_weights(self.network.predict(x).astype(np.intp), len(self.network.classes_))

    def of(self, x: Array) -> dict[str, Any]:
        """D-loss, Frechet distance and classes of images (n, d) in the user's units."""
        mine = self.footed(x[: self.n])
        real, seen = components(self.real, mine, self.seed)
        told: dict[str, Any] = dict(zip(("d_loss", "d_loss_se"), d_loss(real, seen, self.seed), strict=True))
        if self.network is None:
            return told | {"frechet": frechet_distance(real, seen), "classes": None, "class_distance": None}
        features, shares = partial(hidden, self.network), self.shares(mine)
        off = float(np.abs(shares - self.shares(self.real)).sum() / 2)
        told["frechet"] = frechet_distance(features(self.real), features(mine))
        return told | {"classes": shares.tolist(), "class_distance": off}


def of_data(judge: Judge) -> tuple[dict[str, Any], dict[str, Array]]:
    """A yardstick: as many training images in the place of samples; and the held-out ones' classes."""
    x = judge.dataset
    samples = {"training images": judge.of(x.train[: judge.n])}
    if judge.network is not None:
        samples["held-out images"] = {"classes": judge.shares(judge.real).tolist()}
    return {"samples": samples}, {"held out": x.held_out[:SHOWN]}


def measure(
    model: Any, state: Any, judge: Judge, how: Any, lines: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """The numbers of a row, and what the pictures need.  lines: of the training's log."""
    rng, log_p = np.random.default_rng([judge.seed, 7]), partial(model.log_density, state)
    row = along(lines)
    found = {"chains": fetched(state.chains)[rng.permutation(model.buffer)[: judge.n]]}
    walked = walk(model, state, log_p, judge.n, how.walked, rng)
    found["fresh chains"] = walked["own"][-1]
    if isinstance(model, FlowMCEBM):
        row |= weighed(model, state, judge, how.draws, rng) | {"step_size": step_size(state)}
        found["flow"] = fetched(model.flow.sample(state.flow, placed(model.flow.noise(rng, judge.n), np.float32)))
    if judge.network is not None:
        moves = sum(steps for _, steps in model.moves) if isinstance(model, FlowMCEBM) else model.steps
        late = {name: 100 / moves * switch_rate(judge.classes(x[len(x) // 2 - 1 :])) for name, x in walked.items()}
        row |= {"switches": late["own"], "switches_local": late.get("local")}
    images = {name: judge.units.to_user(u) for name, u in found.items()}
    row["samples"] = {name: judge.of(x) for name, x in images.items()}
    return row, {name: x[:SHOWN] for name, x in images.items()}


def along(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Acceptances and contrast of the training: in figures, and as a curve of means over equal parts of it."""
    told: dict[str, Any] = {}
    values = {name: [line["loss" if name == "contrast" else name] for line in lines if name == "contrast" or name in line]
              for name in ALONG}
    curve = {name: [float(part.mean()) for part in np.array_split(v, min(POINTS, len(v)))] for name, v in values.items() if v}
    for name, v in values.items():
        told[name] = float(np.mean(v[len(v) // 2 :])) if v else None
    if accepted := values["acceptance_global"]:
        told["acceptance_start"] = float(np.mean(accepted[: -(-len(accepted) // 10)]))
    return told | {"curve": {"steps": len(lines), **curve}}


def walk(model: Any, state: Any, log_p: Any, n: int, sweeps: int, rng: np.random.Generator) -> dict[str, Array]:
    """name -> (sweeps, n, d): n fresh chains under the model's own kernel, frozen; of flowMC also under local moves alone."""
    run = partial(run_chains, log_density=log_p, rng=rng)
    if not isinstance(model, FlowMCEBM):
        start = model.start.sample(placed(model.start.noise(rng, n), np.float32))
        return {"own": fetched(run(ULA(model.step_size), start, steps=sweeps * model.steps, every=model.steps).x)}
    start = model.flow.sample(state.flow, placed(model.flow.noise(rng, n), np.float32))
    own, local, moves = model.kernel(state.flow, state.step_size), step_size(state), sum(k for _, k in model.moves)
    return {
        "own": fetched(run(own, start, steps=sweeps).x),
        "local": fetched(run(MALA(local), start, steps=sweeps * moves, every=moves).x),
    }


def step_size(state: Any) -> float:
    """MALA's, as the training left it."""
    return float(fetched(state.step_size)[0])


def weighed(model: FlowMCEBM, state: Any, judge: Judge, draws: int, rng: np.random.Generator) -> dict[str, Any]:
    """log Z, and bits per dim."""
    log_p, d = partial(model.log_density, state), model.flow.d
    found = importance(*flow_draws(log_p, model.flow, state.flow, draws, rng, "float32"))
    told = {"log_z": found.log_z, "log_z_ess": found.ess, "log_z_error": found.standard_error, "log_z_draws": draws}
    of_flow = mean_log_density(partial(model.flow.log_prob, state.flow), judge)
    certain = LogZ(0.0, draws, 0.0)
    return told | {
        "bits": bits(mean_log_density(log_p, judge), d, found, draws), "bits_flow": bits(of_flow, d, certain, draws)}


def mean_log_density(log_density: LogDensity, judge: Judge) -> float:
    """Of the held-out images that judge, in nats an image and the user's units; not normalised if log_density is not."""
    x, parts = judge.dataset.held_out[: judge.n], []
    for (some,) in in_chunks(x):
        u, log_det = judge.units.steps(some, judge.units.uniforms(some, judge.rng))
        parts.append(fetched(log_density(placed(u, np.float32))).astype(np.float64) + log_det)
    return float(np.mean(np.concatenate(parts)))


def bits(log_p: float, d: int, log_z: LogZ, draws: int) -> float | None:
    """Per dim, from log p + log Z in nats an image; None where too few of the draws behind log Z are effective.

    >>> bits(-8 * math.log(2), 4, LogZ(0.0, 10.0, 0.1), 10)
    2.0
    """
    return None if log_z.ess < TRUST * draws else (log_z.log_z - log_p) / (d * math.log(2))
