"""SAEF on a grid of squares: what each block sees, sampling place by place against the naive way, the loss against the
general model's."""
from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad, jacobian

from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Array, Tree, leaves
from evenflow.reference.flows import Dense, Flow, Normal, Uniform
from evenflow.reference.saef.image import ImageFreeForm, ImageSAEF, OnGrid, image_saef
from evenflow.reference.saef.maps import BLOCK_MAPS, FreeFormHead
from evenflow.reference.saef.objectives import MMD, Energy, Likelihood, Objective, Sliced
from evenflow.reference.saef.semiautoregressive import FreeForm, SemiAutoregressive
from evenflow.reference.scores import energy_score
from tests import tolerances
from tests.strategies import directional_check, generator, randomise

INVERTIBLE = [name for name in BLOCK_MAPS if name != "free_form"]
every = pytest.mark.parametrize("name", BLOCK_MAPS)
conditional = pytest.mark.parametrize("c", [0, 2])
SHAPE = (4, 6, 2)  # lines and columns of blocks differ, and so do the pixels of a block and its channels


class Case:
    """A model with random parameters, data, noise and a context where it takes one."""

    def __init__(
        self, name: str, c: int = 0, shape: tuple[int, int, int] = SHAPE, patch: int = 2, n: int = 3, dtype: Any = np.float64
    ) -> None:
        rng = generator(7)
        self.model = image_saef(shape, patch, name, (6, 6), 4, (5,), 1, c)
        self.params: Tree = placed(randomise(self.model.init(rng), rng, 0.15), dtype)
        self.x, self.z = (rng.standard_normal((n, self.model.d)).astype(dtype) for _ in range(2))
        self.context: Array | None = rng.standard_normal((n, c)).astype(dtype) if c else None

    @property
    def grid(self) -> Any:
        """The ImageSAEF; for free-form heads the model itself."""
        return self.model.bijection if isinstance(self.model, Flow) else self.model

    def number(self) -> Array:
        """The number of each coordinate's block."""
        return np.array([next(b for b, block in enumerate(self.grid.blocks) if i in block) for i in range(self.model.d)])

    def draws(self, x: Array, z: Array) -> Array:
        """forecasts, each draw put back into the order of the data: (m n, d)."""
        ((draws, y),) = self.grid.forecasts(self.params, x, z, self.context)
        close(np.reshape(y, x.shape)[:, np.argsort(self.grid.order)], x)
        return anp.reshape(draws, z.shape)[:, np.argsort(self.grid.order)]


def close(said: Array, truth: Array, size: float = 1e3) -> None:
    assert np.shape(said) == np.shape(truth)
    np.testing.assert_allclose(said, truth, rtol=0, atol=tolerances.value(np.float64, size))


# ----------------------------------------------------------------------------------------------------------- the blocks

def test_blocks_are_squares_line_by_line() -> None:
    model = Case("affine").grid
    assert model.grid == (2, 3, 8)
    image = np.arange(48).reshape(SHAPE)
    for b, (i, j) in enumerate(np.ndindex(2, 3)):
        assert list(model.blocks[b]) == image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].ravel().tolist()
    rows = np.arange(96.0).reshape(2, 48)
    assert np.array_equal(model.squares(rows)[:6], [rows[0, list(block)] for block in model.blocks])
    assert np.array_equal(model.whole(model.squares(rows)), rows)
    assert len(model.different) == len(model.init(generator(0))["maps"]) == 1


# ------------------------------------------------------------------------------------------------- what each block sees

@every
@conditional
def test_in_sampling_a_block_sees_no_later_noise(name: str, c: int) -> None:
    """dx_b/dz_b' is exactly 0 for b' > b, and not for b' = b; and the noise of the block before gets through."""
    case = Case(name, c, n=1)
    J = jacobian(lambda z: case.model.sample(case.params, z[None], case.context)[0])(case.z[0])
    number = case.number()
    assert np.all(J[number[:, None] < number[None, :]] == 0)
    for b in range(6):
        assert np.all(np.abs(J[np.ix_(number == b, number == b)]).max(axis=1) > 0)
        if b % 3:
            assert np.any(J[np.ix_(number == b, number == b - 1)])
    if name != "free_form":
        log_det = case.grid.forward(case.params, case.z, case.context)[1][0]
        np.testing.assert_allclose(log_det, np.linalg.slogdet(J)[1], rtol=tolerances.JACOBIAN_RTOL * np.linalg.cond(J))


@conditional
def test_contexts_see_earlier_blocks_and_all_of_them_in_reach(c: int) -> None:
    """dh_b/dx_b' is exactly 0 for b' >= b. Three layers of 3 x 3 reach all that comes before on 2 x 3 squares but the blind
    spot, the last square of the first line from the first of the second: it is one line up and two columns to the right."""
    case = Case("affine", c, n=1)
    J = jacobian(lambda x: case.grid.contexts(case.params, x[None], case.context)[0])(case.x[0])
    number = case.number()
    moves = np.stack([np.abs(J[:, :, number == b]).max(axis=(1, 2)) > 0 for b in range(6)], axis=1)
    assert not np.triu(moves).any()
    may = np.tril(np.ones((6, 6)), -1) > 0
    may[3, 2] = False
    assert np.array_equal(moves, may)
    if c:
        of_context = jacobian(lambda v: case.grid.contexts(case.params, case.x, v)[0])(case.context)
        assert np.all(np.abs(of_context).max(axis=(1, 2, 3)) > 0)  # the first block's, too


@every
def test_in_training_a_block_sees_its_own_noise_alone(name: str) -> None:
    case = Case(name, n=1)
    number, at = case.number(), case.z
    same = number[:, None] == number[None, :]
    of_noise = jacobian(lambda z: case.draws(case.x, z[None])[0])(at[0])
    of_data = jacobian(lambda x: anp.reshape(case.grid.forecasts(case.params, x[None], at)[0][0], (-1,)))(case.x[0])
    assert np.all(of_noise[~same] == 0)
    assert np.all(np.abs(of_noise).max(axis=1) > 0)
    in_order = number[list(case.grid.order)]
    assert np.all(of_data[in_order[:, None] <= number[None, :]] == 0)
    assert np.all(np.abs(of_data[in_order > 0]).max(axis=1) > 0)


# -------------------------------------------------------------------------------------------- the naive way, and inversion

@every
@conditional
def test_place_by_place_is_the_naive_way(name: str, c: int) -> None:
    """The general generate runs the whole network in every step: the same samples, and the same log_dets, block by block."""
    case = Case(name, c)
    quick = case.grid.generate(case.params, case.z, case.context)
    naive = SemiAutoregressive.generate(case.grid, case.params, case.z, case.context)
    close(quick[0], naive[0])
    for a, b in zip(quick[1], naive[1], strict=True):
        if name == "free_form":
            assert a is b is None
        else:
            close(a, b)
    close(case.model.sample(case.params, case.z, case.context), quick[0])


@pytest.mark.parametrize("name", INVERTIBLE)
@conditional
def test_the_inverse_gives_the_noise_back(name: str, c: int) -> None:
    """In one pass, which is the general one's over the same contexts."""
    case = Case(name, c)
    x, log_det = case.grid.forward(case.params, case.z, case.context)
    z, log_det_back = case.grid.inverse(case.params, x, case.context)
    naive = super(OnGrid, case.grid).inverse(case.params, x, case.context)
    context = None if case.context is None else case.context[:1]
    J = jacobian(lambda z: case.model.sample(case.params, z[None], context)[0])(case.z[0])
    steep = float(np.linalg.cond(J) * max(1.0, np.linalg.norm(np.linalg.inv(J), 2)))
    assert steep < 1e8
    assert np.abs(z - case.z)[0].max() <= tolerances.round_trip(np.float64, steep, np.abs(x[0]).max())
    allowed = tolerances.JACOBIAN_RTOL * float(np.linalg.cond(J))
    np.testing.assert_allclose([log_det[0], -log_det_back[0]], np.linalg.slogdet(J)[1], rtol=allowed)
    close(z, naive[0])
    close(log_det_back, naive[1])


# ------------------------------------------------------------------------------------------------------------- the loss

@every
@pytest.mark.parametrize("m", [2, 3])
def test_the_loss_is_the_sum_over_the_general_models_blocks(name: str, m: int) -> None:
    """With a context: without, the general one shares the draws of block 1 among all data."""
    case = Case(name, 2)
    noise = generator(8).standard_normal((m * 3, 48))
    general = SemiAutoregressive.forecasts(case.grid, case.params, case.x, noise, case.context)
    assert len(general) == 6
    truth = sum(np.sum(energy_score(draws, y)) for draws, y in general) / 3
    loss = case.model.loss(case.params, case.x, noise, energy_score, case.context)
    np.testing.assert_allclose(loss, truth, rtol=1e-10)
    ((draws, y),) = case.grid.forecasts(case.params, case.x, noise, case.context)
    assert draws.shape == (m, 18, 8)
    assert y.shape == (18, 8)


@every
def test_without_a_context_every_datum_keeps_its_draws_of_the_first_block(name: str) -> None:
    """So the two losses differ there, and nowhere else."""
    case, noise = Case(name), generator(8).standard_normal((6, 48))
    ((draws, y),) = case.grid.forecasts(case.params, case.x, noise)
    general = SemiAutoregressive.forecasts(case.grid, case.params, case.x, noise)
    by_block = np.swapaxes(draws.reshape(2, 3, 6, 8), 0, 2)
    assert general[0][0].shape == (6, 8)
    close(by_block[0].transpose(1, 0, 2).reshape(6, 8), general[0][0])
    for b in range(1, 6):
        close(by_block[b].swapaxes(0, 1), general[b][0])
        close(y.reshape(3, 6, 8)[:, b], general[b][1])


@every
def test_gradients_of_the_loss_against_differences(name: str) -> None:
    """relu between layers of the maps: along a few directions, at parameters where no kink lies between."""
    case, noise = Case(name, 2), generator(8).standard_normal((6, 48))
    loss = lambda params: case.model.loss(params, case.x, noise, energy_score, case.context)
    for seed in range(3):
        numeric, analytic = directional_check(loss, grad(loss), case.params, generator(seed))
        np.testing.assert_allclose(analytic, numeric, rtol=tolerances.GRADIENT_RTOL, atol=tolerances.GRADIENT_ATOL)


@every
def test_one_call_trains_on_every_objective(name: str) -> None:
    case = Case(name)
    objectives: list[Objective] = [Energy(0.5), Sliced(), MMD(), Likelihood()]
    for objective in objectives[: 3 if name == "free_form" else 4]:
        slopes = grad(objective)(case.params, case.model, case.x, objective.noise(generator(1), case.model, 3))
        assert all(np.isfinite(g).all() for g in leaves(slopes))
        assert np.any(slopes["contexts"]["layers"][0]["W"])
        assert np.any(slopes["contexts"]["places"])


@every
def test_float32_is_kept_and_inputs_untouched(name: str) -> None:
    case = Case(name, 2, dtype=np.float32)
    for array in (*leaves(case.params), case.x, case.z, case.context):
        array.flags.writeable = False
    noise = np.concatenate([case.z, case.x])
    assert case.model.sample(case.params, case.z, case.context).dtype == np.float32
    assert case.model.loss(case.params, case.x, noise, energy_score, case.context).dtype == np.float32
    if name != "free_form":
        assert {a.dtype for a in case.grid.inverse(case.params, case.x, case.context)} == {np.dtype(np.float32)}


# ---------------------------------------------------------------------------------------------------- types and bad input

def test_types_and_defaults() -> None:
    model = image_saef((4, 4, 1), 2, "free_form")
    assert isinstance(model, ImageFreeForm)
    assert isinstance(model, FreeForm)
    assert not any(hasattr(model, name) for name in ("inverse", "log_prob", "forward"))
    flow = image_saef((4, 4, 1), 2)
    assert isinstance(flow, Flow)
    assert type(flow.bijection) is ImageSAEF
    assert flow.base == Normal(16)
    assert flow == image_saef((4, 4, 1), 2, "coupling", (64, 64), 64, (64, 64), 4, 0, None, 3)
    uniform = image_saef((4, 4, 1), 2, base=Uniform(16))
    assert isinstance(uniform, Flow)
    assert uniform.base == Uniform(16)
    assert flow.bijection.net.kernel == 3
    assert image_saef((4, 4, 1), 2, kernel=5).bijection.net.kernel == 5  # type: ignore[union-attr]


BLOCKS = ((0, 1), (2, 3))


@pytest.mark.parametrize(("act", "message"), [
    (lambda: image_saef((4, 6, 1), 4), r"patch must divide h and w of \(4, 6, 1\), got 4"),
    (lambda: image_saef((4, 6, 1), 0), "patch must be an integer >= 1, got 0"),
    (lambda: image_saef((4, 6), 2), r"shape must be \(h, w, c\), got \(4, 6\)"),  # type: ignore[arg-type]
    (lambda: image_saef((4, 4, 1), 2, hidden=(8, 9)), r"hidden must be one width, once for each residual block, got \(8, 9\)"),
    (lambda: image_saef((4, 4, 1), 2, hidden=()), r"hidden must be one width, once for each residual block, got \(\)"),
    (lambda: image_saef((4, 4, 1), 2, "cuopling"), "unknown block_map 'cuopling', did you mean 'coupling'"),
    (lambda: image_saef((4, 4, 1), 2, map_layers=0), "map_layers must be an integer >= 1, got 0"),
    (lambda: image_saef((4, 4, 1), 2, context_width=0), "context_width must be an integer >= 1, got 0"),
    (lambda: image_saef((4, 4, 1), 2, kernel=4).bijection.net,  # type: ignore[union-attr]
     "kernel must be odd"),
    (lambda: ImageSAEF(BLOCKS, (Dense(2, 4),) * 2, 4, (8,), grid=(2, 2, 2)),
     r"grid must be that of 2 blocks that share one map, of the sizes \(2,\), got \(2, 2, 2\)"),
    (lambda: ImageSAEF(BLOCKS, (Dense(2, 4), Dense(2, 4)), 4, (8,), grid=(2, 1, 2)),
     r"grid must be that of 2 blocks that share one map, of the sizes \(2, 2\), got \(2, 1, 2\)"),
    (lambda: ImageSAEF(BLOCKS, (Dense(2, 4),) * 2, 4, (8,)),
     r"grid must be that of 2 blocks that share one map, of the sizes \(2,\), got \(1, 1, 1\)"),
    (lambda: ImageSAEF(BLOCKS, (FreeFormHead(2, 4),) * 2, 4, (8,), grid=(2, 1, 2)),
     "maps must be bijections, got a free-form head"),
])
def test_bad_choices(act: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        act()


def test_bad_input() -> None:
    case = Case("affine", 2)
    for act in (case.grid.inverse, case.grid.forward, case.model.sample):
        with pytest.raises(ValueError, match=r"must have shape \(n, 48\), got \(3, 47\)"):
            act(case.params, case.x[:, 1:], case.context)
        with pytest.raises(ValueError, match=r"context must have shape \(3, 2\), got None"):
            act(case.params, case.x)
    with pytest.raises(ValueError, match="noise must be for m n samples, n = 3, got noise for 4"):
        case.grid.forecasts(case.params, case.x, np.zeros((4, 48)), case.context)
    with pytest.raises(ValueError, match=r"noise must have shape \(m n, 48\), got \(6, 4\)"):
        case.grid.forecasts(case.params, case.x, np.zeros((6, 4)), case.context)
