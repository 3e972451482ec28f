"""Metrics: closed forms, invariances, the named features, bad input. What they catch is in tests/statistics."""
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.reference.work.data import load
from evenflow.reference.work.metrics import d_loss, digit_classifier, digit_features, frechet_distance


def root(S: Any) -> Any:
    values, V = np.linalg.eigh(S)
    return (V * np.sqrt(np.maximum(values, 0))) @ V.T


@given(k=st.integers(1, 5), seed=st.integers(0, 99))
def test_frechet_distance_is_the_formula(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((40, k)) @ rng.standard_normal((k, k)), rng.standard_normal((30, k)) + rng.standard_normal(k)
    A, B = np.cov(a.T).reshape(k, k), np.cov(b.T).reshape(k, k)
    cross = root(root(A) @ B @ root(A))
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(A) + np.trace(B) - 2 * np.trace(cross)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a))


def test_frechet_distance_in_closed_form() -> None:
    """One dimension: (difference of means)^2 + (difference of deviations)^2; a shift by v costs |v|^2."""
    a = np.array([[-1.0], [0.0], [1.0]])
    assert frechet_distance(a, 3 * a + 5) == pytest.approx(25 + 4)
    x = np.random.default_rng(0).standard_normal((50, 4))
    assert frechet_distance(x, x + np.array([1.0, 2, 0, -1])) == pytest.approx(6)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_frechet_distance_of_rank_deficient_features(scale: float) -> None:
    """Collinear and dead features, more features than points: 0 against itself, never NaN, and unchanged by padding."""
    rng = np.random.default_rng(0)
    narrow, other = scale * rng.standard_normal((6, 3)), scale * rng.standard_normal((5, 3))
    pad = rng.standard_normal((3, 20))
    pad = np.linalg.qr(pad.T)[0].T  # an isometry into 20 dimensions
    assert frechet_distance(narrow @ pad, narrow @ pad) <= 1e-12 * scale**2
    assert frechet_distance(narrow @ pad, other @ pad) == pytest.approx(frechet_distance(narrow, other), rel=1e-9)
    assert frechet_distance(np.ones((4, 3)), np.ones((9, 3))) == 0


def test_inputs_are_untouched_and_the_seed_decides_alone() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((40, 2)), rng.standard_normal((50, 2)) + 1
    before = a.copy(), b.copy()
    np.random.seed(0)  # noqa: NPY002, the global generator must not matter
    first = d_loss(a, b, seed=1)
    np.random.seed(1)  # noqa: NPY002
    assert d_loss(a, b, seed=1) == first
    assert (a == before[0]).all()
    assert (b == before[1]).all()


def test_d_loss_is_0_for_samples_in_another_place_and_takes_float32() -> None:
    x = np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)
    assert d_loss(x, x + 100)[0] < 0.02


def test_the_classifier_knows_the_digits_and_the_features_are_its_last_hidden_layer() -> None:
    """At least 95 % of the held-out digits are named (0.983 here), also when its last layer is put on the features."""
    data, rng = load("digits"), np.random.default_rng(0)
    train, held_out = (data.units.to_model(x, rng.random(x.shape)) for x in (data.train, data.held_out))
    network = digit_classifier(train, data.train_labels)
    h = digit_features(train, data.train_labels)(held_out)
    assert h.shape == (297, 32)
    assert (h >= 0).all()
    guess = np.argmax(h @ network.coefs_[-1] + network.intercepts_[-1], axis=1)
    assert (guess == network.predict(held_out)).all()
    assert np.mean(guess == data.held_out_labels) >= 0.95


@pytest.mark.parametrize(("call", "message"), [
    (lambda: frechet_distance(np.zeros((3, 2)), np.zeros((3, 3))), r"second sample must have shape \(m, 2\), got \(3, 3\)"),
    (lambda: frechet_distance(np.zeros((1, 2)), np.zeros((3, 2))), "first sample must have at least 2 points, got 1"),
    (lambda: frechet_distance(np.full((3, 2), np.nan), np.zeros((3, 2))), "first sample must be finite"),
    (lambda: d_loss(np.zeros((30, 2)), np.ones((30, 2))), "real must vary"),
    (lambda: d_loss(np.eye(30), np.eye(30)[:19]), "second sample must have at least 20 points, got 19"),
    (lambda: d_loss(np.eye(30), np.full((30, 30), np.inf)), "second sample must be finite"),
    (lambda: digit_features(np.eye(3), np.arange(4)), r"labels must have shape \(3,\), got \(4,\)"),
    (lambda: digit_features(np.full((3, 2), np.nan), np.arange(3)), "images must be finite"),
])
def test_bad_input_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
