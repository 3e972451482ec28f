"""What regression.py compares: ours, scikit-learn's, and two of other libraries. Each is fitted and then draws y for rows of X.

    SAEF, energy            FlowRegressor("saef"); of one column y its energy score is the CRPS
    spline, likelihood      FlowRegressor("spline")
    AQF, pinball            FlowRegressor("aqf", transformer="spline")
    linear Gaussian         least squares, and the standard deviation of what is left: the floor
    boosted quantiles       HistGradientBoostingRegressor(loss="quantile") at LEVELS, sorted. Draws: between two of them by a
                            straight line, beyond the last two along the line through them
    Gaussian process        an RBF kernel with a scale for each column, and white noise; on at most SUBSAMPLE rows
    engression              as its README fits it (learning rate 0.01, 500 epochs, batches of 1,000), a fifth of the rows held
                            out to keep the best weights by
    zuko NSF                three splines, two layers of 64; Adam at 0.001, batches of 128, until a fifth of the rows, held out,
                            has not liked 50 epochs better; the best epoch is kept
    truth                   where it is known

Columns are standardised for the linear model, the Gaussian process and zuko; the others see to it themselves. None is tuned.
"""
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from evenflow.experiments.regression_data import moments
from evenflow.reference.core import Array
from evenflow.reference.work.regressor import FlowRegressor

LEVELS = np.array([0.025, *(k / 20 for k in range(1, 20)), 0.975])
SUBSAMPLE, HELD_OUT = 1000, 0.2
EPOCHS, BATCH, PATIENCE, RATE = 1000, 128, 50, 1e-3  # of zuko


class Fitted(NamedTuple):
    draw: Callable[[Array, int], Array]                           # X (n, k), m -> (m, n)
    log_density: Callable[[Array, Array], Array] | None = None    # X (n, k), y (n,) -> (n,), nats


Fit = Callable[[Array, Array, int, dict[str, Any]], Fitted]  # X, y, seed, and the preset's choices for ours


def ours(family: str, **choices: Any) -> Fit:
    def fit(X: Array, y: Array, seed: int, preset: dict[str, Any]) -> Fitted:
        model = FlowRegressor(family, random_state=seed, **choices, **preset).fit(X, y)
        return Fitted(lambda X, m: model.sample(X, m, random_state=seed).T, model.log_prob)

    return fit


def normal(moments: Callable[[Array], tuple[Array, Array]], seed: int) -> Fitted:
    """moments: X -> mean and standard deviation, (n,) each."""
    def draw(X: Array, m: int) -> Array:
        mean, sd = moments(X)
        return mean + sd * np.random.default_rng(seed).standard_normal((m, len(X)))

    def log_density(X: Array, y: Array) -> Array:
        mean, sd = moments(X)
        return -(((y - mean) / sd) ** 2) / 2 - np.log(sd) - np.log(2 * np.pi) / 2

    return Fitted(draw, log_density)


def truth(X: Array, y: Array, seed: int, preset: dict[str, Any]) -> Fitted:
    return normal(moments, seed)


def linear(X: Array, y: Array, seed: int, preset: dict[str, Any]) -> Fitted:
    seen: Callable[[Array], Array] = lambda X: np.column_stack([np.ones(len(X)), X])
    B, *_ = np.linalg.lstsq(seen(X), y, rcond=None)
    sd = float(np.sqrt(np.sum((y - seen(X) @ B) ** 2) / (len(y) - X.shape[1] - 1)))
    return normal(lambda X: (seen(X) @ B, np.full(len(X), sd)), seed)


def boosted(X: Array, y: Array, seed: int, preset: dict[str, Any]) -> Fitted:
    from sklearn.ensemble import HistGradientBoostingRegressor
    each = [HistGradientBoostingRegressor(loss="quantile", quantile=p, random_state=seed).fit(X, y) for p in LEVELS]

    def draw(X: Array, m: int) -> Array:
        q = np.sort([model.predict(X) for model in each], axis=0)  # (levels, n)
        return between(q, np.random.default_rng(seed).random((m, len(X))))

    return Fitted(draw)


def between(q: Array, u: Array) -> Array:
    """Quantiles q (levels, n) at LEVELS -> those at u (m, n), by straight lines."""
    i: Array = np.clip(np.searchsorted(LEVELS, u) - 1, 0, len(LEVELS) - 2)
    low, high = np.take_along_axis(q, i, axis=0), np.take_along_axis(q, i + 1, axis=0)
    return low + (high - low) * (u - LEVELS[i]) / (LEVELS[i + 1] - LEVELS[i])


def gaussian_process(X: Array, y: Array, seed: int, preset: dict[str, Any]) -> Fitted:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    rows = np.random.default_rng(seed).permutation(len(y))[:SUBSAMPLE]
    kernel = ConstantKernel() * RBF(np.ones(X.shape[1]), (1e-2, 1e3)) + WhiteKernel(0.5, (1e-4, 1e1))
    model = make_pipeline(StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the scale of a column that says nothing grows to its bound
        model.fit(X[rows], y[rows])
    return normal(lambda X: model.predict(X, return_std=True), seed)


def engression(X: Array, y: Array, seed: int, preset: dict[str, Any]) -> Fitted:
    import torch
    from engression import engression as fit
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    (x, x_val), (y, y_val) = (split(tensor(part), seed) for part in (X, y[:, None]))
    model = fit(x, y, lr=0.01, num_epochs=500, batch_size=min(1000, len(x)), verbose=False, x_val=x_val, y_val=y_val)

    def draw(X: Array, m: int) -> Array:
        return np.asarray(model.sample(tensor(X), sample_size=m).numpy()[:, 0], dtype=np.float64).T

    return Fitted(draw)


def zuko(X: Array, y: Array, seed: int, preset: dict[str, Any]) -> Fitted:
    from zuko.flows import NSF
    of_X, of_y = ((part.mean(axis=0), part.std(axis=0)) for part in (X, y))
    given: Callable[[Array], Any] = lambda X: tensor((X - of_X[0]) / of_X[1])
    flow = early_stopped(lambda: NSF(1, X.shape[1]), given(X), tensor((y[:, None] - of_y[0]) / of_y[1]), seed)

    def draw(X: Array, m: int) -> Array:
        return flow(given(X)).sample((m,)).numpy()[..., 0] * of_y[1] + of_y[0]

    def log_density(X: Array, y: Array) -> Array:
        return flow(given(X)).log_prob(tensor((y[:, None] - of_y[0]) / of_y[1])).numpy() - np.log(of_y[1])

    return Fitted(without_gradient(draw), without_gradient(log_density))


def early_stopped(make: Callable[[], Any], x: Any, y: Any, seed: int) -> Any:
    """zuko's flow of y given x at its best epoch."""
    import torch
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    (x, x_val), (y, y_val) = split(x, seed), split(y, seed)
    flow = make()
    adam = torch.optim.Adam(flow.parameters(), lr=RATE)
    best, kept, waited = np.inf, flow.state_dict(), 0
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH):
            adam.zero_grad()
            (-flow(x[rows]).log_prob(y[rows]).mean()).backward()
            adam.step()
        with torch.no_grad():
            value = float(-flow(x_val).log_prob(y_val).mean())
        waited += 1
        if value < best:
            best, kept, waited = value, {name: each.clone() for name, each in flow.state_dict().items()}, 0
        if waited == PATIENCE:
            break
    flow.load_state_dict(kept)
    return flow


def without_gradient(f: Callable[..., Array]) -> Callable[..., Array]:
    def g(*arguments: Any) -> Array:
        import torch
        with torch.no_grad():
            return f(*arguments)

    return g


def tensor(x: Array) -> Any:
    import torch
    return torch.tensor(x, dtype=torch.float32)


def split(x: Any, seed: int) -> tuple[Any, Any]:
    """Rows to train on, and those held out."""
    order, k = np.random.default_rng(seed).permutation(len(x)), round(HELD_OUT * len(x))
    return x[order[k:]], x[order[:k]]


OURS: dict[str, Fit] = {
    "SAEF, energy": ours("saef"), "spline, likelihood": ours("spline"), "AQF, pinball": ours("aqf", transformer="spline"),
}
SCIKIT: dict[str, Fit] = {
    "linear Gaussian": linear, "boosted quantiles": boosted, "Gaussian process": gaussian_process,
}
OTHERS: dict[str, Fit] = {"engression": engression, "zuko NSF": zuko}
METHODS: dict[str, Fit] = {**OURS, **SCIKIT, **OTHERS, "truth": truth}
NEEDS = {"engression": "engression", "zuko NSF": "zuko"}  # method -> the package that may not be there
