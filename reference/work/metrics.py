r"""How good are samples? Two answers that need no density: can they be told apart from data, and do features agree.

D-loss. A classifier learns to tell real from generated; its cross-entropy on points it has not seen,

$$-\tfrac{1}{2n} \sum_i \log q(\mathrm{label}_i \mid x_i),$$

is log 2 = 0.693 where nothing tells them apart and falls to 0 where everything does. Si et al. 2023 report one and do
not say which classifier they use: ours is `discriminator`.

Frechet distance of two samples, between the normal distributions with their means and covariances (Heusel et al. 2017):

$$|\mu_1 - \mu_2|^2 + \mathrm{tr}(S_1) + \mathrm{tr}(S_2) - 2\,\mathrm{tr}\,(S_1^{1/2} S_2 S_1^{1/2})^{1/2}.$$

It means nothing without the name of the features. Ours are those of `digit_features` for digits, and where there are no
labels the coordinates themselves, standardised. It is biased upwards, in proportion to 1/n: compare values at equal n
only, or with the values of random splits of the pooled points. Energy distance and MMD are in scores/.

Both take data and samples in the model's units and on one footing (evaluation.py).
"""
import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from evenflow.reference.core import Array, arrays, check_finite, check_shape, fetched

FOLDS, LEAST = 5, 20  # of the classifier; points of each kind that it needs
LANDMARKS = 100
COMPONENTS = 128  # of more columns the classifier would take hours
HIDDEN = (64, 32)


@arrays("real", "generated")
def d_loss(real: Array, generated: Array, seed: int = 0) -> tuple[float, float]:
    """Held-out cross-entropy in nats of a classifier between the two, and its standard error.

    real (n, d), generated (m, d), at least 20 of each. The larger sample is cut to the size of the smaller; each fifth
    of the points is judged by a classifier trained on the other four. seed: of the cut, the folds and the landmarks.
    The standard error is that of a mean of independent terms; it leaves out that the five classifiers differ. Equal
    distributions give log 2 plus a little, never less on average: at n = 297 plus 0.001 on average, plus 0.015 at most
    in 120 trials. Values above log 2 mean no more than log 2.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    real, generated = fetched([real, generated])
    check_pair(real, generated, LEAST)
    if (np.ptp(real, axis=0) == 0).all():
        raise ValueError("real must vary, got one point over and over")
    rng, n = np.random.default_rng(seed), min(len(real), len(generated))
    x = np.concatenate([rng.permutation(real)[:n], rng.permutation(generated)[:n]]).astype(np.float64)
    y = np.repeat([0, 1], n)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    classifier = discriminator(2 / np.sum(np.var(x[:n], axis=0)), min(LANDMARKS, n), seed)
    q = cross_val_predict(classifier, x, y, cv=folds, method="predict_proba")[np.arange(2 * n), y]
    losses = -np.log(np.maximum(q, 1e-300))
    return float(losses.mean()), float(losses.std(ddof=1) / math.sqrt(2 * n))


def discriminator(gamma: float, landmarks: int, seed: int) -> Any:
    """Logistic regression on the coordinates and on Nystroem features of exp(-gamma |x - x'|^2), standardised.

    gamma = 2 / (sum of the real coordinates' variances), 100 landmarks. The ridge penalty 1 / (2C) is chosen for each
    fit by cross-entropy in three inner folds, from C = 1e-5 (which answers 1/2 to all) to 1.
    """
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.preprocessing import FunctionTransformer, StandardScaler
    kernel = Nystroem(kernel="rbf", gamma=gamma, n_components=landmarks, random_state=seed)
    ridge = {"C": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]}
    regression = GridSearchCV(LogisticRegression(solver="newton-cholesky"), ridge, scoring="neg_log_loss", cv=3)
    return make_pipeline(make_union(FunctionTransformer(), kernel), StandardScaler(), regression)


def components(real: Array, generated: Array, seed: int = 0) -> tuple[Array, Array]:
    """The first 128 principal components of both together, where they have more columns; d_loss and frechet_distance see them.

    real (n, d), generated (m, d), float64. What lies beyond them is not seen: a distance is then no larger than of all columns.
    """
    if real.shape[1] <= COMPONENTS or min(len(real), len(generated)) < LEAST:
        return real, generated
    from sklearn.decomposition import PCA
    both = np.concatenate([real, generated])
    seen = PCA(min(COMPONENTS, len(both) // 2), svd_solver="randomized", random_state=seed).fit_transform(both)
    return seen[: len(real)], seen[len(real) :]


@arrays("a", "b")
def frechet_distance(a: Array, b: Array) -> float:
    """Squared Frechet (2-Wasserstein) distance between normals fitted to features a (n, k) and b (m, k).

    Covariances with n - 1. The last trace is the sum of the singular values of S_1^{1/2} S_2^{1/2}, and the roots come
    from singular values of the data, so that no root of a rounding error is taken: collinear features do no harm.
    """
    check_pair(a, b, least=2)
    a, b = (x.astype(np.float64) for x in fetched([a, b]))
    (root_a, means), (root_b, others) = covariance_root(a), covariance_root(b)
    overlap = np.sum(np.linalg.svd(root_a @ root_b.T, compute_uv=False))
    distance = np.sum((means - others) ** 2) + np.sum(root_a**2) + np.sum(root_b**2) - 2 * overlap
    return max(float(distance), 0.0)


def covariance_root(a: Array) -> tuple[Array, Array]:
    """R with R^T R = the covariance of a (n, k), from a - mean = U R sqrt(n - 1), and the mean (k,)."""
    mean = a.mean(axis=0)
    _, values, V = np.linalg.svd((a - mean) / math.sqrt(len(a) - 1), full_matrices=False)
    return values[:, None] * V, mean


@arrays("images")
def digit_classifier(images: Array, labels: Array, seed: int = 0) -> Any:
    """scikit-learn's MLPClassifier d -> 64 -> 32 -> classes, learned from images (n, d) in the model's units.

    Rectifiers, Adam at its defaults, until the training loss has stood still for ten epochs. Learned from 1,500 of the
    digits it names more than 95 % of the other 297 (tested). seed: of its start and its batches.
    """
    from sklearn.neural_network import MLPClassifier
    check_shape("images", images, "n", "d")
    check_shape("labels", labels, len(images))
    check_finite("images", images)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Training interrupted by user")  # said by fit, which would go on with half a network
        try:
            return MLPClassifier(HIDDEN, max_iter=1000, random_state=seed).fit(images, labels)
        except UserWarning as warning:
            raise KeyboardInterrupt if "interrupted" in str(warning) else warning from None


def digit_features(images: Array, labels: Array) -> Callable[[Array], Array]:
    """The last hidden layer of `digit_classifier`, as a function of images (n, d) -> (n, 32).

    Compare samples with held-out images: those it has learned from have features a little sharper than others. It has
    learned to overlook what does not matter to the digit (brightness, a little noise): the D-loss has not.
    """
    return partial(hidden, digit_classifier(images, labels))


def hidden(network: Any, images: Array) -> Array:
    """The last hidden layer of such a classifier."""
    check_shape("images", images, "n", network.n_features_in_)
    check_finite("images", images)
    h = images
    for W, b in zip(network.coefs_[:-1], network.intercepts_[:-1], strict=True):
        h = np.maximum(h @ W + b, 0)
    return h


def check_pair(a: Array, b: Array, least: int) -> None:
    check_shape("the first sample", a, "n", "d")
    check_shape("the second sample", b, "m", a.shape[1])
    for name, sample in (("the first sample", a), ("the second sample", b)):
        check_finite(name, sample)
        if len(sample) < least:
            raise ValueError(f"{name} must have at least {least} points, got {len(sample)}")
