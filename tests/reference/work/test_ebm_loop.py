"""ebm_training.py: one loop around every algorithm. A small algorithm of the test's own shows what is handed to whom."""
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from evenflow.reference.core.optim import SGD, constant
from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.ebm.contract import Info, Rates
from evenflow.reference.work.ebm_training import RUN_AWAY, train_ebm
from evenflow.reference.work.stretches import TrainingStopped
from evenflow.reference.work.training import Progress, Settings


class State(NamedTuple):
    position: Array
    count: Array


class Drift:
    """Adds noise and data; the contrast is a number of the test's choosing at each step."""

    def __init__(self, contrasts: dict[int, float] | None = None) -> None:
        self.contrasts, self.seen = contrasts or {}, list[tuple[Any, ...]]()

    def init(self, rng: np.random.Generator, *flow_params: Tree) -> State:
        return State(rng.standard_normal(3), np.array(0))

    def noise(self, rng: np.random.Generator) -> Tree:
        return {"normal": rng.standard_normal(3), "chosen": rng.integers(5, size=2)}

    def step(self, state: State, positives: Array, noise: Tree, rates: Rates) -> tuple[State, Info]:
        step = int(state.count)
        self.seen.append((step, noise["normal"].dtype, noise["chosen"].dtype, rates))
        position = state.position + rates.energy * noise["normal"] + positives.sum(axis=0)
        info = {"contrast": self.contrasts.get(step, 0.5), "gradient_norm": 2.0, "acceptance_local": 0.75}
        return State(position, np.asarray(state.count + 1)), info

    def log_density(self, state: State, x: Array) -> Array:
        return -np.sum(x**2, axis=1)


def go(steps: int, algorithm: Any = None, **kept: Any) -> State:
    start = State(np.zeros(3, np.float32), np.array(0))
    trained = train_ebm(
        algorithm or Drift(), start, lambda step, rng: np.full((2, 3), step, np.float32) * rng.random(dtype=np.float32),
        lambda step: Rates(0.1 / (step + 1), 0.2), Settings(steps, evaluate_every=2, checkpoint_every=3),
        np.random.default_rng(4), **kept,
    )
    return State(**trained.params)


def test_each_step_gets_its_own_rates_data_and_noise_in_the_datas_dtype() -> None:
    algorithm, told = Drift(), list[Progress]()
    state = go(4, algorithm, callback=told.append, evaluate=lambda state: {"at": float(state.count)})
    assert [seen[0] for seen in algorithm.seen] == [0, 1, 2, 3]
    assert all(seen[1:3] == (np.float32, np.int64) for seen in algorithm.seen)
    assert [seen[3] for seen in algorithm.seen] == [Rates(0.1 / k, 0.2) for k in (1, 2, 3, 4)]
    assert state.position.dtype == np.float32
    assert [(p.step, p.loss, p.gradient_norm, p.learning_rate) for p in told] == [(k, 0.5, 2.0, 0.1 / k) for k in (1, 2, 3, 4)]
    assert all(p.info == {"acceptance_local": 0.75} for p in told)
    assert [p.held_out for p in told] == [None, {"at": 2.0}, None, {"at": 4.0}]


@pytest.mark.parametrize(("given", "instead"), [
    ({"clip": 1.0}, "gradients are not clipped here"), ({"average_decay": 0.9}, "nor weights averaged"),
    ({"optimiser": SGD()}, "energy_optimiser and flow_optimiser are in its place"),
    ({"schedule": constant(0.1)}, "`rates` are in its place"),
])
def test_settings_that_it_cannot_follow_are_refused(given: dict[str, Any], instead: str) -> None:
    start, name = State(np.zeros(3), np.array(0)), next(iter(given))
    with pytest.raises(ValueError, match=f"{name} must be left as it is in the settings of an energy-based model.*{instead}"):
        train_ebm(Drift(), start, lambda step, rng: np.zeros((2, 3)), lambda step: Rates(0.1), Settings(1, **given),
                  np.random.default_rng(0))


def test_resuming_is_exact(tmp_path: Path) -> None:
    whole = go(7)
    go(4, checkpoint=tmp_path / "c.npz", identity={"a": 1})
    after = go(7, checkpoint=tmp_path / "c.npz", identity={"a": 1}, resume=True)
    assert np.array_equal(after.position, whole.position)
    assert after.count == whole.count == 7
    with pytest.raises(ValueError, match="a is 1 there, 2 here"):
        go(7, checkpoint=tmp_path / "c.npz", identity={"a": 2}, resume=True)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_training_that_runs_away_is_stopped_and_its_last_good_state_kept(tmp_path: Path, sign: float) -> None:
    """A contrast may grow to 1e20 without any number overflowing."""
    said = r"stopped at step 4: the energies of data and samples are -?1\.1e\+06 nats apart.*step 3, is in .*c\.npz"
    with pytest.raises(TrainingStopped, match=said):
        go(7, Drift({3: sign * 1.1 * RUN_AWAY}), checkpoint=tmp_path / "c.npz")
    assert go(3, checkpoint=tmp_path / "c.npz", resume=True).count == 3
    assert go(7, Drift({3: sign * 0.9 * RUN_AWAY})).count == 7


def test_what_is_not_finite_stops_it() -> None:
    class Broken(Drift):
        def step(self, state: State, positives: Array, noise: Tree, rates: Rates) -> tuple[State, Info]:
            after, info = super().step(state, positives, noise, rates)
            return after._replace(position=after.position * (np.nan if state.count == 2 else 1)), info

    with pytest.raises(TrainingStopped, match=r"stopped at step 3: after the update, position is not finite"):
        go(5, Broken())


def test_like_leaves_whole_numbers_alone() -> None:
    tree = placed({"a": np.zeros(2), "b": [np.zeros(3, np.int64)]}, np.float32)
    assert (tree["a"].dtype, tree["b"][0].dtype) == (np.float32, np.int64)
