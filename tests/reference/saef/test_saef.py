"""SAEF: its two ends are the plain and the autoregressive flow, what each block sees, the loss against plain loops."""
import math
import pickle
from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.stats
from autograd import grad, jacobian
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Array, Tree, leaves, tree_map
from evenflow.reference.flows import AffineTransformer, Dense, MaskedAutoregressive
from evenflow.reference.flows.densities import Normal
from evenflow.reference.flows.flow import Flow, Score
from evenflow.reference.saef.maps import BLOCK_MAPS, FreeFormHead, block_map_of
from evenflow.reference.saef.objectives import MMD, Energy, Likelihood, Objective, Sliced
from evenflow.reference.saef.semiautoregressive import SAEF, FreeForm, saef, split
from evenflow.reference.scores import crps, energy_score
from evenflow.reference.scores.energy import EPS
from tests import tolerances
from tests.strategies import gaussian_saef, generator, randomise, seeds

INVERTIBLE = [name for name in BLOCK_MAPS if name != "free_form"]
every = pytest.mark.parametrize("name", BLOCK_MAPS)
invertible = pytest.mark.parametrize("name", INVERTIBLE)
few = settings(max_examples=8)
contexts = st.sampled_from([0, 2])


@st.composite
def layouts(draw: st.DrawFn) -> tuple[list[int], tuple[int, ...]]:
    """Block sizes, equal or not, and an order of the coordinates."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    return sizes, tuple(draw(st.permutations(range(sum(sizes)))))


class Case:
    """A model with random parameters, data, noise for m draws a datum, and a context where it takes one."""

    def __init__(
        self, name: str, seed: int, blocks: int | list[int], order: tuple[int, ...], c: int = 0, n: int = 3, m: int = 2,
        dtype: type = np.float64,
    ) -> None:
        rng, d = generator(seed), len(order)
        self.model = saef(d, blocks, order, name, (16, 12), 3, (5,), 2, c)
        self.params: Tree = placed(randomise(self.model.init(rng), rng, 0.2), dtype)
        self.x: Array = rng.standard_normal((n, d)).astype(dtype)
        self.z: Array = rng.standard_normal((n, d)).astype(dtype)
        self.noise: Array = rng.standard_normal((m, n, d)).astype(dtype)
        self.context: Array | None = rng.standard_normal((n, c)).astype(dtype) if c else None

    @property
    def flow(self) -> Flow:
        assert isinstance(self.model, Flow)
        return self.model

    @property
    def map(self) -> Any:
        """The SAEF; for free-form heads the model itself."""
        return self.model.bijection if isinstance(self.model, Flow) else self.model

    def contexts(self, x: Array | None = None) -> Array:
        return self.map.contexts(self.params, self.x if x is None else x, self.context)

    def loss(self, x: Array, noise: Array, score: Score = energy_score, context: Array | None = None) -> Array:
        """noise (m, n, d), as the tests below speak of it."""
        context = self.context if context is None else context
        return self.model.loss(self.params, x, anp.reshape(noise, (-1, noise.shape[-1])), score, context)

    def draws(self, x: Array, noise: Array) -> Array:
        """What `loss` hands to its score, put back into the order of the data: (m, n, d)."""
        seen: list[Array] = []

        def spy(draws: Array, y: Array) -> Array:
            seen.append(draws)
            return np.zeros(len(y))

        self.loss(x, noise, spy)
        coordinates = [i for block in self.map.blocks for i in block]
        columns = [anp.reshape(draws, (*noise.shape[:2], -1)) for draws in seen]
        return anp.concatenate(columns, axis=2)[:, :, np.argsort(coordinates)]

    def number(self) -> Array:
        """The number of each coordinate's block."""
        return np.array([next(b for b, block in enumerate(self.map.blocks) if i in block) for i in range(self.model.d)])


def close(said: Array, truth: Array) -> None:
    np.testing.assert_allclose(said, truth, rtol=0, atol=tolerances.value(np.float64, 10 * np.abs(truth).max()))


# ------------------------------------------------------------------------------------------------------ the two ends

@every
@few
@given(seed=seeds, order=st.permutations(range(4)).map(tuple), c=contexts)
def test_one_block_is_the_plain_energy_flow(name: str, seed: int, order: tuple[int, ...], c: int) -> None:
    """T under a context that no datum changes; and the loss is the energy score of that one map. Without a condition all draws
    are one forecast, shared by the data as in the loss of any other flow."""
    case = Case(name, seed, 1, order, c)
    h = case.contexts()[:, 0]
    assert np.array_equal(h, case.contexts(case.x + 100.0)[:, 0])
    if not c:
        close(h, np.stack([h[0]] * 3))  # rows of one product, which a library may round each in its own way
    T, p, back = case.map.maps[0], case.params["maps"][0], np.argsort(order)
    close(case.model.sample(case.params, case.z, case.context), T.forward(p, case.z[:, order], h)[0][:, back])
    draws = np.stack([T.forward(p, z[:, order], h)[0] for z in case.noise])
    loss = case.loss(case.x, case.noise)
    close(loss, energy_score((draws if c else np.concatenate(draws))[..., back], case.x).mean())
    if isinstance(T, FreeFormHead):
        return
    plain = Flow(Normal(4), T)
    of_it = p
    close(case.flow.log_prob(case.params, case.x, case.context), plain.log_prob(of_it, case.x[:, order], h))
    if c:
        close(loss, plain.loss(of_it, case.x[:, order], case.noise.reshape(-1, 4)[:, order], energy_score, h))


@few
@given(seed=seeds, d=st.integers(1, 5), c=contexts, data=st.data())
def test_as_many_blocks_as_coordinates_is_the_autoregressive_flow(seed: int, d: int, c: int, data: st.DataObject) -> None:
    """The context network and the map's linear layer, multiplied out, are the masked network of an affine MAF; and the
    loss is the sum of the CRPS of its conditionals, of the first one, where nothing conditions it, with all draws."""
    order = tuple(data.draw(st.permutations(range(d))))
    case = Case("affine", seed, d, order, c)
    maf = MaskedAutoregressive(order, AffineTransformer(5.0), (16, 12), "relu", c)
    *hidden, last = case.params["contexts"]
    head = case.params["maps"][0][0][0]

    def fold(a: Array) -> Array:  # a block's columns -> its coordinate's
        return (np.reshape(a, (-1, d, 3)) @ head["C"])[:, np.argsort(order)]

    folded = {k: fold(v).reshape(*v.shape[:-1], 2 * d) for k, v in last.items()}
    folded["b"] += np.tile(head["b"], d)
    params = [*hidden, folded]
    for said, truth in (
        (case.map.forward(case.params, case.z, case.context), maf.forward(params, case.z, case.context)),
        (case.flow.inverse(case.params, case.x, case.context), maf.inverse(params, case.x, case.context)),
    ):
        close(said[0], truth[0])
        close(said[1], truth[1])
    raw = maf.raw(params, case.x, case.context)
    draws = np.stack([maf.transformer.forward(raw, z)[0] for z in case.noise])
    pools = [draws[..., j] for j in range(d)]
    if not c:
        pools[order[0]] = np.stack([pools[order[0]].ravel()] * len(case.x), axis=1)
    by_coordinate = [crps(pool, case.x[:, j]).mean() for j, pool in enumerate(pools)]
    loss = case.loss(case.x, case.noise)
    np.testing.assert_allclose(loss, sum(by_coordinate), rtol=tolerances.SMOOTHING)


@given(seed=seeds, d=st.integers(1, 4), data=st.data())
def test_a_linear_gaussian_saef_is_a_cholesky_factor(seed: int, d: int, data: st.DataObject) -> None:
    rng = generator(seed)
    mean, A = rng.standard_normal(d), rng.standard_normal((d, d))
    cov = A @ A.T + 0.3 * np.eye(d)
    order = tuple(data.draw(st.permutations(range(d))))
    flow, params = gaussian_saef(mean, cov, order)
    z = rng.standard_normal((5, d))
    x, log_det = flow.bijection.forward(params, z)
    L = np.linalg.cholesky(cov[np.ix_(order, order)])
    size = 100 * np.linalg.cond(cov)
    np.testing.assert_allclose(x[:, order], mean[list(order)] + z[:, order] @ L.T, atol=tolerances.value(np.float64, size))
    np.testing.assert_allclose(log_det, np.linalg.slogdet(cov)[1] / 2, atol=tolerances.value(np.float64, size))
    truth = scipy.stats.multivariate_normal(mean, cov).logpdf(x)
    np.testing.assert_allclose(flow.log_prob(params, x), truth, atol=tolerances.value(np.float64, size))


@pytest.mark.parametrize("name", ["coupling", "dense"])
def test_a_block_of_one_coordinate_is_a_spline(name: str) -> None:
    """Affine couplings of one coordinate would make it normal: sweeps over B up to d would compare maps."""
    model = saef(2, 2, block_map=name)
    assert model == saef(2, 2, block_map="spline")
    params = randomise(model.init(generator(0)), generator(1), 3.0)
    x = model.sample(params, np.stack([scipy.stats.norm.ppf(np.linspace(0.001, 0.999, 999))] * 2, axis=1))[:, 0]
    assert abs(np.corrcoef(x, scipy.stats.norm.ppf(np.linspace(0.001, 0.999, 999)))[0, 1]) < 0.99


# ---------------------------------------------------------------------------------------------- density and inversion

@pytest.mark.slow
@invertible
@pytest.mark.parametrize("blocks", [1, 2])
def test_log_prob_integrates_to_one(name: str, blocks: int) -> None:
    case = Case(name, blocks, blocks, (1, 0), n=1)
    samples = case.flow.sample(case.params, generator(0).standard_normal((4000, 2)))
    room = 1.0 + 0.5 * np.ptp(samples, axis=0)
    axes = [np.linspace(a, b, 301) for a, b in zip(samples.min(0) - room, samples.max(0) + room, strict=True)]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    mass = np.exp(case.flow.log_prob(case.params, x)).sum() * math.prod(a[1] - a[0] for a in axes)
    assert abs(mass - 1) <= tolerances.QUADRATURE


@invertible
@pytest.mark.parametrize(("blocks", "c"), [(1, 0), (2, 2), (3, 0), (6, 2), ([1, 3, 2], 2), ([2, 2, 1, 1], 0)])
def test_inverse_gives_the_noise_back(name: str, blocks: int | list[int], c: int) -> None:
    case = Case(name, 7, blocks, (3, 0, 5, 1, 4, 2), c, n=2)
    x, log_det = case.map.forward(case.params, case.z, case.context)
    assert np.array_equal(x, case.flow.sample(case.params, case.z, case.context))
    z, log_det_back = case.flow.inverse(case.params, x, case.context)
    for i in range(2):
        context = None if case.context is None else case.context[i : i + 1]
        J = jacobian(lambda z, context=context: case.flow.sample(case.params, z[None], context)[0])(case.z[i])
        steep = float(np.linalg.cond(J) * max(1.0, np.linalg.norm(np.linalg.inv(J), 2)))
        allowed = tolerances.round_trip(np.float64, steep, np.abs(x[i]).max())
        assert np.abs(z[i] - case.z[i]).max() <= allowed
        assert abs(log_det[i] + log_det_back[i]) <= allowed
        truth = scipy.stats.norm.logpdf(case.z[i]).sum() - np.linalg.slogdet(J)[1]
        assert abs(case.flow.log_prob(case.params, x, case.context)[i] - truth) <= 6 * allowed


# ------------------------------------------------------------------------------------------------ what each block sees

@every
@settings(max_examples=4)
@given(seed=seeds, layout=layouts(), c=contexts)
def test_in_training_a_block_sees_earlier_data_and_its_own_noise(
    name: str, seed: int, layout: tuple[list[int], tuple[int, ...]], c: int
) -> None:
    """d(draws_b)/d(x_{>= b}) = 0 and d(draws_b)/d(noise of other blocks, draws, data) = 0, exactly."""
    case = Case(name, seed, *layout, c, n=2)
    number = case.number()
    later = number[:, None] <= number[None, :]  # [i, j]: coordinate j is not before i's block
    J = jacobian(lambda x: case.draws(x, case.noise))(case.x)  # (m, n, d, n, d)
    for r in range(2):
        assert np.all(J[:, r, :, r][:, later] == 0)
        assert np.all(J[:, r, :, 1 - r] == 0)
    J = jacobian(lambda noise: case.draws(case.x, noise))(case.noise)  # (m, n, d, m, n, d)
    own = (number[:, None] == number[None, :])[None, None, :, None, None, :]
    same = (np.eye(2)[:, None, None, :, None, None] * np.eye(2)[None, :, None, None, :, None]).astype(bool) & own
    assert np.all(J[~same] == 0)
    assert np.all(J.sum(axis=(3, 4, 5)) != 0)


@every
@few
@given(seed=seeds, layout=layouts(), c=contexts)
def test_in_sampling_a_block_sees_no_later_noise(
    name: str, seed: int, layout: tuple[list[int], tuple[int, ...]], c: int
) -> None:
    """d x_b / d z_{> b} = 0 exactly. Earlier noise acts through earlier x alone: the sample is what training's one pass
    draws from the same noise when it is itself the data, and there (above) no other block's noise is seen."""
    case = Case(name, seed, *layout, c)
    number = case.number()
    context = None if case.context is None else case.context[:1]
    J = jacobian(lambda z: case.model.sample(case.params, z[None], context)[0])(case.z[0])
    assert np.all(J[number[:, None] < number[None, :]] == 0)
    x = case.model.sample(case.params, case.z, case.context)
    close(case.draws(x, case.z[None])[0], x)


@every
def test_blocks_do_see_what_they_may(name: str) -> None:
    """Contexts that are wide enough move with every earlier coordinate, and so do the draws."""
    case = Case(name, 3, [2, 1, 2], (4, 1, 0, 3, 2), n=8)
    number = case.number()
    moves = np.zeros((5, 5), dtype=bool)
    for i in range(8):
        one = case.noise[:1, i : i + 1]
        J = jacobian(lambda x, one=one: case.draws(x[None], one)[0, 0])(case.x[i])
        moves |= J != 0
    assert np.array_equal(moves, number[:, None] > number[None, :])


@every
def test_a_class_changes_every_block(name: str) -> None:
    case = Case(name, 4, [1, 2, 2], (2, 0, 1, 4, 3), c=2, n=1)
    J = jacobian(lambda c: case.map.contexts(case.params, case.x, c)[0])(case.context)[:, :, 0]
    assert np.all(np.abs(J).max(axis=(1, 2)) > 0)
    J = jacobian(lambda c: case.model.sample(case.params, case.z, c)[0])(case.context)[:, 0]
    assert np.all(np.abs(J).max(axis=1) > 0)
    with pytest.raises(ValueError, match=r"context must have shape \(1, 2\), got None"):
        case.model.loss(case.params, case.x, case.noise.reshape(-1, 5), energy_score)
    with pytest.raises(ValueError, match=r"context must have shape \(1, 2\), got \(2, 2\)"):
        case.model.sample(case.params, case.z, np.zeros((2, 2)))


# ------------------------------------------------------------------------------------------------------------ the loss

@every
@few
@given(seed=seeds, layout=layouts(), c=contexts, beta=st.sampled_from([0.5, 1.0, 1.5]), m=st.integers(2, 4))
def test_loss_is_a_plain_loop_over_blocks_data_and_draws(
    name: str, seed: int, layout: tuple[list[int], tuple[int, ...]], c: int, beta: float, m: int
) -> None:
    case = Case(name, seed, *layout, c, n=3, m=m)
    sizes, order = layout
    h, total, start = case.contexts(), 0.0, 0
    for b, size in enumerate(sizes):
        block = list(order[start : start + size])
        start += size
        which = list(dict.fromkeys(sizes)).index(size)
        for j in range(3):
            T, p = case.map.maps[b], case.params["maps"][which]
            rows = [j] if b or c else range(3)  # the first block's draws are all data's where nothing conditions it
            draws = [T.forward(p, case.noise[i, r, block][None], h[j, b][None])[0][0] for i in range(m) for r in rows]
            M = len(draws)
            fidelity = sum(power(draw - case.x[j, block], beta) for draw in draws) / M
            spread = sum(power(draws[i] - draws[k], beta) for i in range(M) for k in range(i))
            total += fidelity - spread / (M * (M - 1))
    loss = case.loss(case.x, case.noise, lambda a, y: energy_score(a, y, beta))
    close(loss, np.array(total / 3))


def power(u: Array, beta: float) -> float:
    return math.pow(math.fsum(u**2) + EPS**2, beta / 2)


@every
def test_one_call_trains_on_every_objective(name: str) -> None:
    case = Case(name, 2, [1, 2, 1], (3, 1, 0, 2), n=5)
    objectives: list[Objective] = [Energy(0.5), Sliced(), MMD(), Likelihood()]
    for objective in objectives[: 3 if name == "free_form" else 4]:
        noise: Any = objective.noise(generator(1), case.model, 5)
        slopes = grad(objective)(case.params, case.model, case.x, noise)
        assert all(np.isfinite(g).all() for g in leaves(slopes))
        assert np.any(slopes["contexts"][0]["W"])
    assert Energy(0.5, 3).noise(generator(1), case.model, 5)["z"].shape == (15, 4)


@every
@given(seed=seeds, layout=layouts())
@few
def test_rows_are_independent(name: str, seed: int, layout: tuple[list[int], tuple[int, ...]]) -> None:
    """The loss of a batch is the mean of the losses of its rows; a sample does not know its neighbours."""
    case = Case(name, seed, *layout, c=2)
    assert case.context is not None
    loss = case.loss(case.x, case.noise)
    x = case.model.sample(case.params, case.z, case.context)
    alone = []
    for i in range(3):
        row = slice(i, i + 1)
        alone.append(case.loss(case.x[row], case.noise[:, row], context=case.context[row]))
        close(case.model.sample(case.params, case.z[row], case.context[row])[0], x[i])
    close(loss, np.mean(alone))


@every
def test_float32_is_kept_and_inputs_untouched(name: str) -> None:
    case = Case(name, 1, [1, 2, 2], (4, 1, 0, 3, 2), c=2, dtype=np.float32)
    for array in (*leaves(case.params), case.x, case.z, case.noise, case.context):
        array.flags.writeable = False
    assert case.model.sample(case.params, case.z, case.context).dtype == np.float32
    assert case.loss(case.x, case.noise).dtype == np.float32
    if name != "free_form":
        outputs = (*case.map.forward(case.params, case.z, case.context), *case.flow.inverse(case.params, case.x, case.context))
        assert {a.dtype for a in (*outputs, case.flow.log_prob(case.params, case.x, case.context))} == {np.dtype(np.float32)}


# ------------------------------------------------------------------------------------------------------ types and errors

def test_the_free_form_type_promises_no_inverse() -> None:
    model = saef(4, 2, block_map="free_form")
    assert isinstance(model, FreeForm)
    assert not any(hasattr(model, name) for name in ("inverse", "log_prob", "forward"))
    assert not any(hasattr(T, "inverse") for T in model.maps)
    for name in INVERTIBLE:
        flow = saef(4, 2, block_map=name)
        assert isinstance(flow, Flow)
        assert type(flow.bijection) is SAEF


def test_the_base_is_of_ones_choice() -> None:
    flow = saef(4, 2, block_map="affine", hidden=(4,), context_width=2, base=Normal(4, 3.0))
    assert isinstance(flow, Flow)
    params, x = flow.init(generator(0)), generator(1).standard_normal((5, 4))
    z, log_det = flow.inverse(params, x)
    close(flow.log_prob(params, x), scipy.stats.norm.logpdf(z, scale=3.0).sum(axis=1) + log_det)
    close(flow.sample(params, z / 3.0), x)


def saef_of(*args: Any, **kwargs: Any) -> SAEF:
    flow = saef(*args, **kwargs)
    assert isinstance(flow, Flow)
    assert isinstance(flow.bijection, SAEF)
    return flow.bijection


def test_maps_are_shared_by_blocks_of_one_size() -> None:
    """One T for each size, in the order in which the sizes appear; what the blocks hold."""
    model = saef_of(7, [2, 1, 2, 1, 1], (6, 5, 4, 3, 2, 1, 0))
    assert model.blocks == ((6, 5), (4,), (3, 2), (1,), (0,))
    assert [T.d for T in model.maps] == [2, 1, 2, 1, 1]
    assert [T.d for T in model.different] == [2, 1]
    assert model.maps[0] is model.maps[2] is model.different[0]
    assert split(6, 3) == ((0, 1), (2, 3), (4, 5))
    assert split(3, [1, 2], [2, 0, 1]) == ((2,), (0, 1))
    assert len(saef_of(12, 4).init(generator(0))["maps"]) == 1


def test_maps_that_are_two_objects_have_parameters_of_their_own() -> None:
    """Even where they are equal; each block goes through its own."""
    blocks, each = ((0, 1), (2, 3)), [block_map_of("affine", 2, 3, (), 1) for _ in range(2)]
    shared, apart = (Flow(Normal(4), SAEF(blocks, maps, 3, (8,))) for maps in ((each[0], each[0]), (each[0], each[1])))
    params = apart.init(generator(0))
    assert [len(flow.init(generator(0))["maps"]) for flow in (shared, apart)] == [1, 2]
    x, z = generator(1).standard_normal((2, 5, 4))
    one = {**params, "maps": params["maps"][:1]}
    twice = {**params, "maps": [params["maps"][0]] * 2}
    close(apart.log_prob(twice, x), shared.log_prob(one, x))
    changed = {**params, "maps": [params["maps"][0], tree_map(lambda p: p + 1.0, params["maps"][0])]}
    moved = apart.sample(changed, z) != apart.sample(twice, z)
    assert np.array_equal(moved, np.tile([False, False, True, True], (5, 1)))
    again = pickle.loads(pickle.dumps(shared))
    assert len(again.bijection.different) == 1
    assert np.array_equal(again.log_prob(one, x), shared.log_prob(one, x))


def test_what_is_chosen_where_nothing_is_said() -> None:
    assert saef(4, 2) == saef(4, 2, range(4), "coupling", (256, 256), 64, (64, 64), 4, 0)
    blocks, maps = ((0, 1),), (Dense(2, 4),)
    assert saef(4, 2).base == Normal(4)  # type: ignore[union-attr]
    assert SAEF(blocks, maps, 4, (8,)) == SAEF(blocks, maps, 4, (8,), 0)


def test_noise() -> None:
    assert saef(4, 2, block_map="affine").noise(generator(0), 5).shape == (5, 4)


@pytest.mark.parametrize(("act", "message"), [
    (lambda: saef(6, 4), "blocks must divide d = 6 or be a list of sizes that add up to it, got 4"),
    (lambda: saef(6, 0), "blocks must be an integer >= 1, got 0"),
    (lambda: saef(6, 7), "blocks must divide d = 6"),
    (lambda: saef(6, [2, 3]), r"blocks must add up to d = 6, got \[2, 3\] with sum 5"),
    (lambda: saef(6, [2, 5]), r"blocks must add up to d = 6, got \[2, 5\] with sum 7"),
    (lambda: saef(6, [6, 0]), "blocks must be an integer >= 1, got 0"),
    (lambda: saef(6, [7, -1]), "blocks must be an integer >= 1, got -1"),
    (lambda: saef(6, []), "blocks must add up to d = 6"),
    (lambda: saef(0, 1), "d must be an integer >= 1, got 0"),
    (lambda: saef(3, 3, (0, 1, 1)), "order must hold each of 0, ..., d - 1 exactly once"),
    (lambda: saef(3, 3, (1, 2, 3)), "order must hold each of 0, ..., d - 1 exactly once"),
    (lambda: saef(3, 3, (0, 1)), "order must hold d = 3 coordinates, got 2"),
    (lambda: saef(3, 3, (0, 1, 2, 3)), "order must hold d = 3 coordinates, got 4"),
    (lambda: saef(3, 3, block_map="cuopling"), "unknown block_map 'cuopling', did you mean 'coupling'"),
    (lambda: saef(3, 3, block_map="free-form"), "unknown block_map 'free-form', did you mean 'free_form'"),
    (lambda: saef(3, 3, map_layers=0), "map_layers must be an integer >= 1, got 0"),
    (lambda: saef(3, 3, context_width=0), "context_width must be an integer >= 1, got 0"),
    (lambda: SAEF(((0, 1),), (Dense(3, 4),), 4, ()), r"maps must be one for each block, of the sizes \(2,\), got \(3,\)"),
    (lambda: SAEF(((0,), (1,)), (Dense(1, 4),), 4, ()), r"maps must be one for each block, of the sizes \(1, 1\), got \(1,\)"),
    (lambda: SAEF(((0, 1),), (Dense(2, 3),), 4, ()), r"maps must have context_dim 4, got \[3\]"),
    (lambda: SAEF(((0, 2),), (Dense(2, 4),), 4, ()), "blocks must hold each of 0, ..., d - 1 exactly once"),
    (lambda: SAEF(((0, 1),), (FreeFormHead(2, 4),), 4, ()), "maps must be bijections, got a free-form head"),
])
def test_bad_choices(act: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        act()


@pytest.mark.parametrize("count", [1, 3])
def test_parameters_of_other_maps_are_refused(count: int) -> None:
    model = saef(3, [2, 1], block_map="affine", hidden=(4,), context_width=2, map_hidden=())
    assert isinstance(model, Flow)
    params, x = model.init(generator(0)), np.zeros((5, 3))
    other = {**params, "maps": [*params["maps"], *params["maps"]][:count]}
    acts: list[Callable[[Tree, Array], Array]] = [
        model.log_prob, lambda p, x: model.loss(p, x, np.zeros((10, 3)), energy_score), lambda p, x: model.sample(p, x),
    ]
    for act in acts:
        act(params, x)
        with pytest.raises(ValueError, match="argument 2 is"):
            act(other, x)


def test_bad_input() -> None:
    case = Case("affine", 0, 2, (0, 1, 2, 3))
    model, params = case.flow, case.params

    def loss(x: Array, noise: Array) -> Array:
        return model.loss(params, x, noise, energy_score)

    noise = case.noise.reshape(-1, 4)

    with pytest.raises(ValueError, match=r"x must have shape \(n, 4\), got \(3, 5\)"):
        loss(np.zeros((3, 5)), noise)
    with pytest.raises(ValueError, match=r"noise must have shape \(n, 4\), got \(2, 3, 4\)"):
        loss(case.x, case.noise)
    with pytest.raises(ValueError, match="noise must be for m n samples, n = 3, got noise for 4"):
        loss(case.x, noise[:4])
    with pytest.raises(ValueError, match=r"m >= 2"):
        loss(case.x, noise[:3])
    with pytest.raises(ValueError, match=r"noise must have shape \(n, 4\), got \(4,\)"):
        model.sample(params, case.z[0])
    with pytest.raises(ValueError, match=r"x must have shape \(n, 4\), got \(3, 2\)"):
        model.inverse(params, case.x[:, :2])
    bad = case.x.copy()
    bad[1, 2] = math.inf
    where = r"x must be finite, got 1 NaN or infinite values, the first at index \(1, 2\)"
    with pytest.raises(ValueError, match=where):
        loss(bad, noise)
    with pytest.raises(ValueError, match=where):
        model.log_prob(params, bad)
