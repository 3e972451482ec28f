"""Whole models: loss and gradient, twenty training steps, samples and densities, checkpoints that change the backend."""
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autograd.tracer import getval

from evenflow.reference import flows as bijections
from evenflow.reference.core.placement import placed, streams
from evenflow.reference.core.trees import Array, Tree, leaves, tree_map
from evenflow.reference.flows import AffineTransformer, SplineTransformer, densities
from evenflow.reference.flows import flow as flows
from evenflow.reference.saef import objectives
from evenflow.reference.saef import semiautoregressive as saef
from evenflow.reference.saef.aqf import aqf
from evenflow.reference.saef.maps import BLOCK_MAPS, block_map_of
from evenflow.reference.work import estimators, evaluation
from evenflow.reference.work.columns import Table
from evenflow.reference.work.data import Dataset, split
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import Trained, load_run, train_on
from evenflow.reference.work.tables import Reading
from evenflow.reference.work.training import Settings, train
from evenflow.reference.work.units import Units
from tests.agreement.backends import BACKENDS, backend, here, host, on_its_device
from tests.agreement.comparison import agree
from tests.strategies import generator, randomise

D, N = 3, 6
SAEFS = {f"saef, {name}": saef.saef(D, (2, 1), (1, 0, 2), name, (8,), 5, (4,), 2, context)
         for context, name in zip((0, 2, 0, 0, 2), BLOCK_MAPS, strict=True)}
MODELS: dict[str, Any] = {
    "realnvp": flows.realnvp(D, 2, (6,)), "realnvp with a context": flows.realnvp(D, 2, (6,), 2),
    "realnvp of one coordinate": flows.realnvp(1, 2, (4,)),
    "spline": flows.spline_flow(D, 2, (6,), bins=4), "spline with a context": flows.spline_flow(D, 2, (6,), 2, bins=4),
    "maf": flows.maf(D, 2, (8,), 2), "maf, splines": flows.maf(D, 2, (8,), transformer=SplineTransformer(4)),
    "dense": flows.dense_flow(D, 2), "dense with a context": flows.dense_flow(D, 2, 2),
    "aqf": aqf(D, (2, 0, 1), (8,), 2), "aqf, splines": aqf(D, None, (8,), 0, SplineTransformer(4)),
    "a wide base": flows.Flow(densities.Normal(D, 2.5), bijections.Coupling((True, False, True), hidden=(4,))),
    "a uniform base": flows.spline_flow(D, 2, (6,), bins=4, bound=6.0, base=densities.Uniform(D, -6.0, 6.0)),
    "saef, maps of their own": flows.Flow(densities.Normal(D), saef.SAEF(
        ((2,), (0,), (1,)), tuple(block_map_of("coupling", 1, 5, (4,), 2) for _ in range(D)), 5, (8,))),
    "other layers": flows.Flow(densities.Normal(D), bijections.Chain((
        bijections.PLU((2, 0, 1)), bijections.Invert(bijections.Dense(D)), bijections.reversal(D), bijections.LeakyReLU(D),
        bijections.elementwise(D, AffineTransformer()),
    ))), **SAEFS,
}
OBJECTIVES: dict[str, Any] = {
    "likelihood": objectives.Likelihood(), "energy": objectives.Energy(1.5, 3), "sliced": objectives.Sliced(1.0, 3, 5),
    "mmd": objectives.MMD(3), "quantile": objectives.Quantile(3),
}
PAIRS = [
    (name, kind) for name in MODELS for kind in OBJECTIVES
    if (kind != "quantile" or name.startswith("aqf")) and (kind != "likelihood" or "free_form" not in name)
    and (kind in ("likelihood", "energy", "quantile") or name in ("realnvp", "saef, coupling", "saef, dense"))
]
USUAL = {"aqf": "quantile", "saef": "energy", "dense": "energy"}  # of the first word of a name; else the likelihood
TRAINED = [
    (name, kind) for name, kind in PAIRS
    if name == "saef, coupling" or kind == USUAL.get(re.split("[, ]", name)[0], "likelihood")
]


def numbers(model: Any, dtype: Any = np.float64, n: int = N) -> dict[str, Tree]:
    """Parameters away from their start, data, and a context where the model takes one."""
    rng = generator(1)
    args = {"params": randomise(model.init(rng), rng, 0.2), "x": rng.standard_normal((n, model.d)),
            **({"context": np.eye(2)[rng.integers(2, size=n)]} if model.context_dim else {})}
    return tree_map(lambda leaf: leaf.astype(dtype), args)  # type: ignore[no-any-return]


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize(("name", "kind"), PAIRS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loss_and_gradient(where: str, name: str, kind: str, dtype: Any) -> None:
    """In parameters, data and context."""
    model, objective = MODELS[name], OBJECTIVES[kind]
    noise = tree_map(lambda leaf: leaf.astype(dtype), objective.noise(generator(2), model, N))

    def loss(params: Tree, x: Array, context: Array | None = None) -> Array:
        return objective(params, model, x, placed(noise, getval(x).dtype), context)

    agree(where, loss, numbers(model, dtype))


def trained(model: Any, objective: Any, steps: int = 20, **kept: Any) -> Any:
    """Twenty steps of Adam with clipping, a schedule and an average, from the numbers above."""
    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        chosen = rng.choice(len(args["x"]), size=N, replace=False)
        noise = placed(objective.noise(streams(rng, "float64"), model, N), "float64")
        return x[chosen], noise, None if c is None else c[chosen]

    def loss(params: Tree, x: Array, noise: Tree, context: Array | None) -> Array:
        return objective(params, model, x, noise, context)

    args = numbers(model, n=20)
    x, c = here(args["x"]), here(args["context"]) if "context" in args else None
    settings = Settings(steps, schedule=lambda step: 0.01 / (1 + step), clip=1.0, average_decay=0.9)
    return train(loss, draw, here(args["params"]), settings, generator(3), **kept)


def close(a: Tree, b: Tree, bound: float = 1e-8) -> None:
    tree_map(lambda a, b: np.testing.assert_allclose(host(a), b, rtol=bound, atol=bound), a, b)


def trained_and_used(name: str, kind: str) -> list[Tree]:
    """Twenty steps, a sample, densities and codes, on the backend in use."""
    model, args = MODELS[name], numbers(MODELS[name])
    state, context = trained(model, OBJECTIVES[kind]), here(args["context"]) if "context" in args else None
    params, noise = state.params, here(model.noise(generator(5), N))
    found = [params, state.optimiser_state, state.average, model.sample(params, noise, context)]
    if hasattr(model, "log_prob"):
        found += [model.log_prob(params, here(args["x"]), context), *model.inverse(params, here(args["x"]), context)]
    return found


by_the_reference = cache(trained_and_used)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize(("name", "kind"), TRAINED)
def test_twenty_training_steps_samples_and_densities(where: str, name: str, kind: str) -> None:
    """With the same noise, in float64. Adam divides a gradient that should be 0 and is one rounding by eps = 1e-8."""
    expected = by_the_reference(name, kind)
    with backend(where):
        got = trained_and_used(name, kind)
        assert on_its_device(where, [got[0], *got[2:]])
    for a, e in zip(got, expected, strict=True):
        close(a, e)


FROM = ["reference", *BACKENDS]
a_dozen = cache(lambda name: trained(MODELS[name], OBJECTIVES["energy"], 12))


@pytest.mark.parametrize("first", FROM)
@pytest.mark.parametrize("then", FROM)
@pytest.mark.parametrize("name", ["saef, coupling", "realnvp with a context"])
def test_a_checkpoint_goes_on_under_any_other_backend(first: str, then: str, name: str, tmp_path: Path) -> None:
    model, objective = MODELS[name], OBJECTIVES["energy"]
    whole = a_dozen(name)
    with backend(first):
        trained(model, objective, 5, checkpoint=tmp_path / "c.npz")
    with backend(then):
        state = trained(model, objective, 12, checkpoint=tmp_path / "c.npz", resume=True)
        assert on_its_device(then, state.params)
    for a, e in ((state.params, whole.params), (state.optimiser_state, whole.optimiser_state), (state.average, whole.average)):
        close(a, e)
    assert state.rng.bit_generator.state == whole.rng.bit_generator.state


# ------------------------------------------------------------------------------------------------ runs in a folder


def table(levels: int = 0) -> Dataset:
    """60 and 20 rows of three columns with labels 0, 1: real numbers, or whole ones."""
    rng = np.random.default_rng(0)
    x = 100 + 10 * rng.standard_normal((80, 3)) if not levels else rng.integers(levels, size=(80, 3)).astype(float)
    y = rng.integers(2, size=80)
    units = Units.whole_numbers(x[:60], levels) if levels else Units.standardised(x[:60])
    return Dataset("table", x[:60], x[60:], y[:60], y[60:], units, None)


SMALL: dict[str, Any] = {"steps": 4, "batch": 16, "hidden": (6,), "layers": 2}
RUNS: dict[str, tuple[Config, int]] = {
    "saef": (Config(context_hidden=(8,), context_width=4, class_conditional=True, average_decay=0.9, **SMALL), 0),
    "saef, whole numbers": (Config(context_hidden=(8,), context_width=4, block_map="spline", **SMALL), 5),
    "free form, mmd": (Config(context_hidden=(8,), block_map="free_form", objective="mmd", **SMALL), 0),
    "realnvp": (Config("realnvp", class_conditional=True, **SMALL), 0), "maf": (Config("maf", **SMALL), 0),
    "spline": (Config("spline", **SMALL), 0), "dense": (Config("dense", steps=4, batch=16), 0),
    "aqf": (Config("aqf", transformer="spline", steps=4, batch=16, hidden=(6,)), 0),
}


def used(run: Trained, levels: int) -> list[Array]:
    """All that a user asks of a trained model."""
    data, labels = table(levels), table(levels).held_out_labels if run.class_shares else None
    uniforms = generator(0).random(data.held_out.shape) if levels else None
    found = [run.sample(7, generator(1)), run.decode(generator(2).standard_normal((20, 3)), labels)]
    if run.can("inverse"):
        found += [run.log_density(data.held_out, labels, uniforms), run.encode(data.held_out, labels, uniforms)]
    return found


def in_float64(name: str) -> tuple[Config, Dataset, int]:
    config, levels = RUNS[name]
    return Config(**{**vars(config), "dtype": "float64"}), table(levels), levels


@cache
def used_by_the_reference(name: str) -> list[Array]:
    config, data, levels = in_float64(name)
    return used(train_on(config, data), levels)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("name", RUNS)
def test_runs(where: str, name: str, tmp_path: Path) -> None:
    """Trained in a folder, resumed and read under the reference again: the same numbers in the user's units."""
    config, data, levels = in_float64(name)
    expected = used_by_the_reference(name)
    with backend(where):
        run = train_on(config, data, tmp_path)
        assert on_its_device(where, run.params)
        found = used(run, levels)
        again = used(load_run(tmp_path), levels)
    read, resumed = load_run(tmp_path), train_on(config, data, tmp_path, True)
    for result in (found, again, used(read, levels), used(resumed, levels)):
        for a, e in zip(result, expected, strict=True):
            assert type(a) is np.ndarray
            np.testing.assert_allclose(a, e, rtol=1e-7, atol=1e-7)


def as_people_have_them() -> Dataset:
    """80 weighted rows: counts, a share between bounds, a value far from all others; given a number and a word."""
    rng = np.random.default_rng(0)
    x = np.stack([rng.poisson(3.0, 80), rng.beta(2, 2, 80), rng.standard_normal(80)], axis=1)
    x[4, 2] = 1e5
    given = np.stack([rng.standard_normal(80), rng.integers(2, size=80)], axis=1)
    words, weights = {"kind": ("no", "yes")}, 1.0 + rng.integers(3, size=80)
    rows = Table(x, None, ("n", "share", "x"), (), given, ("z", "kind"), words, weights)
    return split("table", Reading(bounds=(("share", 0.0, 1.0),)), rows, rng, 0.25)


def of_a_table(family: str) -> tuple[Trained, list[Array]]:
    """Dequantised, bounded, brought in, given, weighed."""
    few = {"context_hidden": (8,), "context_width": 4} if family == "saef" else {}
    config, data = Config(family, dtype="float64", **few, **SMALL), as_people_have_them()
    run, uniforms = train_on(config, data), generator(0).random(data.held_out.shape)
    log_p = run.log_density(data.held_out, data.held_out_given, uniforms)
    return run, [run.sample(20, generator(1), data.held_out_given), log_p]


of_a_table_by_the_reference = cache(of_a_table)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("family", ["saef", "maf"])
def test_runs_on_tables_as_people_have_them(where: str, family: str) -> None:
    _, expected = of_a_table_by_the_reference(family)
    with backend(where):
        run, found = of_a_table(family)
        assert on_its_device(where, run.params)
        for a, e in zip(found, expected, strict=True):
            assert type(a) is np.ndarray
            np.testing.assert_allclose(a, e, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("noise", ["host", "device"])
@pytest.mark.parametrize("name", ["saef", "aqf", "realnvp"])
def test_runs_in_float32_stay_there(where: str, noise: str, name: str) -> None:
    with backend(where, noise):
        run = train_on(RUNS[name][0], table())
        assert {leaf.dtype for leaf in leaves(run.params)} == {np.dtype("float32")}
        assert all(np.isfinite(a).all() for a in used(run, 0))


def evaluated(name: str) -> dict[str, Any]:
    config, data, _ = in_float64(name)
    return evaluation.evaluate(train_on(config, data), data)


evaluated_by_the_reference = cache(evaluated)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("name", ["saef", "free form, mmd"])
def test_evaluation(where: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row of numbers, but for what times took."""
    monkeypatch.setattr(evaluation, "DRAWS", 3)
    monkeypatch.setattr(evaluation, "SHARED", 50)
    monkeypatch.setattr(evaluation, "milliseconds", lambda call: 0.0 if call() is not None else 1.0)
    expected = evaluated_by_the_reference(name)
    with backend(where):
        row = evaluated(name)
    for field in ("held_out_energy_score", "d_loss", "frechet", "held_out_log_likelihood", "gaussian_log_likelihood"):
        assert row[field] == (expected[field] if expected[field] is None else pytest.approx(expected[field], rel=1e-6))
    assert row["round_trip_error"] is None or row["round_trip_error"] < 1e-9


@pytest.mark.parametrize("where", BACKENDS)
def test_estimator(where: str) -> None:
    x = table().train

    def f() -> list[Array]:
        flow = estimators.FlowEstimator("realnvp", steps=3, batch=16, dtype="float64", random_state=0).fit(x)
        z = flow.transform(x)
        return [flow.sample(5, random_state=0), flow.score_samples(x), z, flow.inverse_transform(z)]

    expected = f()
    with backend(where):
        for a, e in zip(f(), expected, strict=True):
            np.testing.assert_allclose(a, e, rtol=1e-7, atol=1e-7)
