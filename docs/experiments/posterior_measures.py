"""What posterior.py measures: the way back, the z of held-out digits, completions from some of them, midpoints between two.

All arrays of pixels are in Z-order (judged.py), in which each block is a run: x (n, 64) whole numbers, u (n, 64) dequantised
and in the model's units.
"""
import math

import numpy as np

from evenflow.experiments import judged
from evenflow.experiments.results import Row
from evenflow.reference.core import Array, fetched, placed
from evenflow.reference.scores import energy_distance, energy_score
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.evaluation import footing
from evenflow.reference.work.metrics import d_loss
from evenflow.reference.work.runs import Trained

KEPT = (16, 32, 48)  # pixels that a completion keeps, of 64: a quadrant, the upper half, and one more quadrant
DRAWS = 20           # completions of a digit
NORMALS = 2000       # that z is compared with


def held_out(dataset: Dataset) -> tuple[Array, Array]:
    """Digits and labels."""
    assert dataset.held_out_labels is not None
    return dataset.held_out, dataset.held_out_labels


def judges(dataset: Dataset, seed: int) -> Array:
    """As many training digits, of the held-out digits' classes: what images made of held-out ones are compared with."""
    rng, (_, labels) = np.random.default_rng([seed, 1]), held_out(dataset)
    return dataset.train[np.array([rng.choice(np.flatnonzero(dataset.train_labels == k)) for k in labels])]


def told_apart(dataset: Dataset, x: Array, seed: int) -> float:
    """D-loss of images x (n, 64) and training digits; log 2 if they cannot be told apart."""
    rng = np.random.default_rng([seed, 2])
    return d_loss(footing(dataset, judges(dataset, seed), rng), footing(dataset, x, rng), seed)[0]


def measure(trained: Trained, seed: int) -> Row:
    """All of one model."""
    dataset, rng = judged.dataset_of(judged.Z_ORDER), np.random.default_rng([seed, 3])
    (x, labels), model = held_out(dataset), trained.flow_model()
    uniforms, context = rng.random(x.shape), trained.context(labels, len(x))
    u, z = trained.to_model(x, uniforms), trained.encode(x, labels, uniforms)
    again = fetched(model.forward(trained.params, placed(z, trained.config.dtype), context))
    noise = placed(rng.standard_normal(z.shape), trained.config.dtype)
    there = fetched(model.inverse(trained.params, model.forward(trained.params, noise, context), context))
    row = {"pixels_wrong": int(np.sum(trained.to_user(again) != x))}
    row |= errors("round_trip", again - fetched(u)) | errors("latent_round_trip", there - fetched(noise))
    row |= latents(z.astype(np.float64), seed) | completions(trained, dataset, z, seed)
    return row | between(trained, dataset, z, seed)


def errors(name: str, difference: Array) -> Row:
    """Of all digits and coordinates together."""
    absolute = np.abs(difference)
    return {f"{name}_max": float(absolute.max()), f"{name}_median": float(np.median(absolute))}


def latents(z: Array, seed: int) -> Row:
    """How far z (n, 64) is from N(0, I): energy distance and D-loss; the coordinates' means (their root mean square) and
    variances (64,)."""
    normals = np.random.default_rng([seed, 4]).standard_normal((NORMALS, z.shape[1]))
    variances = z.var(axis=0, ddof=1)
    return {
        "z_distance": float(energy_distance(z, normals)), "z_d_loss": d_loss(normals[: len(z)], z, seed)[0],
        "z_mean": float(np.sqrt(np.mean(z.mean(axis=0) ** 2))), "z_variances": variances.tolist(),
    }


def completions(trained: Trained, dataset: Dataset, z: Array, seed: int) -> Row:
    """For each number of kept pixels that ends a block: the z of those blocks kept, the others drawn.

    completed: kept pixels -> score (of the missing ones), label_score (of the same, all z drawn), rmse of the mean draw in
    levels of grey, d_loss of whole images, kept_wrong, how many kept pixels differ from the digit's.
    """
    x, labels = held_out(dataset)
    alone, found = draws(trained, z, labels, 0, seed), {}
    for kept in KEPT:
        told: Row = {"label_score": missing_score(dataset, alone, x, kept, seed)}
        if kept * trained.config.blocks % trained.d == 0:
            drawn = draws(trained, z, labels, kept, seed)
            told |= judged_completions(dataset, drawn, x, kept, seed)
        found[str(kept)] = told
    return {"completed": found}


def judged_completions(dataset: Dataset, drawn: Array, x: Array, kept: int, seed: int) -> Row:
    """drawn (DRAWS, n, 64)."""
    error = (drawn.mean(axis=0) - x)[:, kept:]
    return {
        "score": missing_score(dataset, drawn, x, kept, seed), "rmse": float(np.sqrt(np.mean(error**2))),
        "d_loss": told_apart(dataset, drawn[0], seed), "kept_wrong": int(np.sum(drawn[0, :, :kept] != x[:, :kept])),
    }


def draws(trained: Trained, z: Array, labels: Array, kept: int, seed: int) -> Array:
    """DRAWS completions of each digit from its first `kept` z (n, 64): whole numbers (DRAWS, n, 64)."""
    fresh = np.random.default_rng([seed, 5, kept]).standard_normal((DRAWS, *z.shape)).astype(z.dtype)
    mixed = np.where(np.arange(z.shape[1]) < kept, z, fresh)
    return trained.decode(mixed.reshape(-1, z.shape[1]), np.tile(labels, DRAWS)).reshape(mixed.shape)


def missing_score(dataset: Dataset, drawn: Array, x: Array, kept: int, seed: int) -> float:
    """Mean energy score of the pixels that were not kept, in the model's units, dequantised alike."""
    rng = np.random.default_rng([seed, 6])
    shown, true = footing(dataset, drawn.reshape(-1, x.shape[1]), rng).reshape(drawn.shape), footing(dataset, x, rng)
    return float(np.mean(energy_score(shown[:, :, kept:], true[:, kept:])))


def of_training(dataset: Dataset, kept: int, nearest: bool, seed: int) -> Array:
    """DRAWS training digits of its class for each held-out one, at random or the nearest in what is kept; that part its own."""
    (x, labels), rng, chosen = held_out(dataset), np.random.default_rng([seed, 7]), []
    for digit, label in zip(x, labels, strict=True):
        mine = dataset.train[dataset.train_labels == label]
        far = np.sum((mine[:, :kept] - digit[:kept]) ** 2, axis=1) if nearest else rng.random(len(mine))
        chosen.append(np.concatenate([np.tile(digit[:kept], (DRAWS, 1)), mine[np.argsort(far)[:DRAWS], kept:]], axis=1))
    return np.stack(chosen, axis=1)


def between(trained: Trained, dataset: Dataset, z: Array, seed: int) -> Row:
    """Images halfway between two held-out digits, under the label of the first; samples beside them.

    midpoints: name -> d_loss and bits per dim under the model. On the arc, (z + z') / sqrt 2, which is N(0, I) where z and z'
    are, and on the line, (z + z') / 2, which is not; both in z and in the model's units of pixels, where no model is needed. Of
    one class (same) and of two (other).
    """
    (x, labels), rng = held_out(dataset), np.random.default_rng([seed, 8])
    images, u = {"held out": x, "samples": trained.sample(len(x), rng, labels)}, footing(dataset, x, rng)
    for name, partner in partners(labels, seed).items():
        for way, divisor in {"arc": math.sqrt(2), "line": 2.0}.items():
            images[f"{name}, {way} in z"] = trained.decode((z + z[partner]) / z.dtype.type(divisor), labels)
            images[f"{name}, {way} in pixels"] = trained.to_user((u + u[partner]) / divisor)
    told = {}
    for name, drawn in images.items():
        log_p = trained.log_density(drawn, labels, np.random.default_rng([seed, 9]).random(drawn.shape))
        bits = -float(np.mean(log_p.astype(np.float64))) / (drawn.shape[1] * math.log(2))
        told[name] = {"d_loss": told_apart(dataset, drawn, seed), "bits": bits if math.isfinite(bits) else None}
    return {"midpoints": told}


def partners(labels: Array, seed: int) -> dict[str, Array]:
    """For each digit another: of its class, and of another class; nobody twice."""
    rng, (same, other) = np.random.default_rng([seed, 11]), np.zeros((2, len(labels)), dtype=int)
    for label in np.unique(labels):
        mine = rng.permutation(np.flatnonzero(labels == label))
        same[mine] = np.roll(mine, 1)
    ordered = np.argsort(labels, kind="stable")
    other[ordered] = np.roll(ordered, len(labels) // 2)  # no class has half of the digits
    return {"same": same, "other": other}


def real(seed: int) -> Row:
    """The same of what is known: fresh normals in the place of z, training digits in that of completions."""
    dataset, rng = judged.dataset_of(judged.Z_ORDER), np.random.default_rng([seed, 12])
    x, _ = held_out(dataset)
    found = {}
    for kept in KEPT:
        near, any_of_class = (of_training(dataset, kept, nearest, seed) for nearest in (True, False))
        found[str(kept)] = judged_completions(dataset, near, x, kept, seed) | {
            "label_score": missing_score(dataset, any_of_class, x, kept, seed)}
    known = {"blocks": None, "objective": "real", "seed": seed, "train_seconds": None, "stopped_at": None}
    return known | latents(rng.standard_normal(x.shape), seed) | {"completed": found}
