r"""The squared Frechet distance between normals fitted to two samples (Heusel et al. 2017).

$$|\mu_1 - \mu_2|^2 + \mathrm{tr}(S_1) + \mathrm{tr}(S_2) - 2\,\mathrm{tr}\,(S_1^{1/2} S_2 S_1^{1/2})^{1/2}$$

Means and covariances (with n - 1) by loops, both roots by eigenvalues in 40 digits. For one feature it is
$(\mu_1 - \mu_2)^2 + (s_1 - s_2)^2$, and is held against that.
"""
from collections.abc import Sequence
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array
from tests.vectors.exact import mp
from tests.vectors.making import Given, Oracle
from tests.vectors.scores import NEAR, WITNESS, points


def frechet_distance(i: dict[str, Any]) -> dict[str, Any]:
    (mean_a, S_a), (mean_b, S_b) = moments(i["a"]), moments(i["b"])
    root = root_of(S_a)
    both = mp.matrix((root @ S_b @ root).tolist())
    values = mp.eigsy((both + both.T) / 2, eigvals_only=True)
    overlap = sum(mp.sqrt(max(v, 0)) for v in values)
    distance = sum((mean_a - mean_b) ** 2) + np.trace(S_a) + np.trace(S_b) - 2 * overlap
    if len(mean_a) == 1:
        assert mp.almosteq(distance, (mean_a[0] - mean_b[0]) ** 2 + (mp.sqrt(S_a[0, 0]) - mp.sqrt(S_b[0, 0])) ** 2, NEAR)
    return {"distance": distance}


def moments(a: Array) -> tuple[Array, Array]:
    """The mean (k,) and the covariance (k, k)."""
    mean = sum(a) / len(a)
    return mean, sum(np.outer(row - mean, row - mean) for row in a) / (len(a) - 1)


def root_of(S: Array) -> Array:
    """The symmetric R with R R = S."""
    values, V = mp.eigsy(mp.matrix(S.tolist()))
    roots = mp.diag([mp.sqrt(max(v, 0)) for v in values])
    return np.array((V * roots * V.T).tolist(), dtype=object)


def cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, a: Array, b: Array, *flags: str) -> Given:
        return Given(id, {"a": a, "b": b}, flags)

    tilt = points(rng, 3, 3)
    a, line = points(rng, 5, 3), points(rng, 5, 1)
    return [
        given("plain", a @ tilt, 0.5 + points(rng, 7, 3)),
        given("one_feature", points(rng, 4, 1), 3 * points(rng, 6, 1), "one_feature"),
        given("same_sample", a, a, "same"),
        given("shifted", a, a + np.array([1.0, -2.0, 0.5]), "shifted"),
        given("collinear", line * np.array([1.0, 2.0]), points(rng, 4, 2), "singular"),
        given("few_points", points(rng, 3, 4), points(rng, 2, 4), "singular"),
        given("far_out", 1e4 * points(rng, 4, 2), 1e4 * points(rng, 5, 2), "large_scale"),
    ]


ORACLES = (
    Oracle(
        "frechet_distance", "|m_a - m_b|^2 + tr(S_a + S_b) - 2 tr (S_a^1/2 S_b S_a^1/2)^1/2, S with n - 1, no gradient",
        "Heusel et al. 2017", WITNESS, {"a": "(n, k) features", "b": "(m, k) features"}, {"distance": "()"},
        frechet_distance, cases,
        notes={
            "one_feature": "k = 1: (m_a - m_b)^2 + (s_a - s_b)^2", "same": "0", "shifted": "equal covariances: |m_a - m_b|^2",
            "singular": "collinear features, or fewer points than features: the root of S_a S_b turns complex",
            "large_scale": "features of the size 1e4",
        },
    ),
)
