"""training.py: resuming is exact, whatever ends the loop leaves a usable checkpoint, what is not finite is named."""
import copy
import errno
import itertools
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import autograd.numpy as np
import numpy as onp
import pytest
from autograd import grad
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.reference.core import optim, trees
from evenflow.reference.work import files
from evenflow.reference.work.checkpoints import State, load_checkpoint, save_checkpoint
from evenflow.reference.work.files import CorruptFileError
from evenflow.reference.work.stretches import TrainingStopped
from evenflow.reference.work.training import Progress, Settings, train

DATA = onp.random.default_rng(5).normal(size=(40, 3))
IDENTITY = {"model": "line", "blocks": 4, "widths": (64, 32)}


def draw(rng: onp.random.Generator) -> tuple[Any, ...]:
    return DATA[rng.integers(40, size=8)], rng.standard_normal((8, 3)), rng.integers(2**31, dtype=onp.uint32)


def loss(params: Any, x: Any, noise: Any, _: Any) -> Any:
    """A power of a leaf without axes: scalars and arrays round it differently."""
    h = np.tanh(x @ params["net"][0]["W"] + params["net"][0]["b"]) + params["s"] ** 1.7 * noise
    return np.mean((h - x) ** 2)


def start(dtype: Any = onp.float64) -> Any:
    W = onp.random.default_rng(1).normal(size=(3, 3)).astype(dtype)
    return {"net": [{"W": W, "b": onp.zeros(3, dtype)}, {}], "s": onp.array(0.7, dtype)}


def how(steps: int, **kwargs: Any) -> Settings:
    schedule = optim.cosine_decay(0.03, 30)
    full: Any = {"schedule": schedule, "clip": 0.5, "average_decay": 0.9, "evaluate_every": 5, "checkpoint_every": 4}
    return Settings(steps, **(full | kwargs))


def go(steps: int, path: Any = None, resume: bool = False, settings: Settings | None = None, **kwargs: Any) -> State:
    given_ = {"loss": loss, "draw": draw, "params": start(), "rng": onp.random.default_rng(3)} | kwargs
    return train(settings=settings or how(steps), checkpoint=path, resume=resume, identity=IDENTITY, **given_)


def bits(state: State) -> Any:
    """All of a State in a form that == compares to the last bit."""
    rng = json.dumps(state.rng.bit_generator.state, default=lambda a: a.tolist())
    tree = {"p": state.params, "o": state.optimiser_state, "a": [] if state.average is None else state.average}
    return state.step, rng, [(n, str(a.dtype), a.shape, a.tobytes()) for n, a in trees.named_leaves(tree)]


WHOLE = bits(go(20))


# -- the loop ------------------------------------------------------------------------------------------------------

def test_the_loop_is_its_formula_written_out() -> None:
    params, rng = start(), onp.random.default_rng(3)
    adam, average = optim.Adam(), start()
    state, losses, norms = adam.init(params), [], []
    for step in range(7):
        args = draw(rng)
        losses.append(float(loss(params, *args)))
        grads, norm = optim.clip_by_global_norm(grad(loss)(params, *args), 0.5)
        norms.append(norm)
        params, state = adam.update(params, grads, state, optim.cosine_decay(0.03, 30)(step))
        average = optim.moving_average(average, params, 0.9, step + 1)
    seen: list[Progress] = []
    result = go(7, callback=seen.append)
    for ours, theirs in zip(trees.leaves([result.params, result.average, result.optimiser_state]),
                            trees.leaves([params, average, state]), strict=True):
        onp.testing.assert_allclose(ours, theirs, rtol=1e-13)
    onp.testing.assert_allclose([p.loss for p in seen], losses, rtol=1e-13)
    onp.testing.assert_allclose([p.gradient_norm for p in seen], norms, rtol=1e-12)
    assert any(norm > 0.5 for norm in norms)
    assert result.rng.bit_generator.state == rng.bit_generator.state


def test_what_the_callback_is_told() -> None:
    seen: list[Progress] = []
    go(12, callback=seen.append, evaluate=lambda params: {"s": float(params["s"])})
    schedule = how(12).schedule
    assert [p.step for p in seen] == list(range(1, 13))
    assert {p.steps for p in seen} == {12}
    assert [p.learning_rate for p in seen] == [schedule(t) for t in range(12)]
    assert [p.step for p in seen if p.held_out is not None] == [5, 10, 12]
    assert all(0 <= a.seconds <= b.seconds for a, b in itertools.pairwise(seen))


def test_training_brings_the_loss_down() -> None:
    seen: list[Progress] = []
    go(0, settings=Settings(300, schedule=optim.linear_decay(0.03, 300)), callback=seen.append)
    first, last = (onp.mean([p.loss for p in part]) for part in (seen[:20], seen[-20:]))
    assert last < first / 3


def test_evaluation_sees_the_average_where_there_is_one() -> None:
    seen: list[Any] = []

    def evaluate(params: Any) -> dict[str, float]:
        seen.append(params)
        return {}

    state = go(5, evaluate=evaluate)
    assert seen[-1] is state.average
    state = go(5, settings=how(5, average_decay=None), evaluate=evaluate)
    assert seen[-1] is state.params
    assert state.average is None


def test_evaluation_and_callback_cannot_touch_the_trainings_generator() -> None:
    rng = onp.random.default_rng(3)
    state = go(20, rng=rng, evaluate=lambda _: {"x": rng.normal()}, callback=lambda _: rng.shuffle(onp.arange(3)))
    assert bits(state) == WHOLE


def test_arguments_are_left_as_they_were() -> None:
    params, rng = start(), onp.random.default_rng(3)
    assert bits(go(20, params=params, rng=rng)) == WHOLE
    assert rng.bit_generator.state == onp.random.default_rng(3).bit_generator.state
    assert all((a == b).all() for a, b in zip(trees.leaves(params), trees.leaves(start()), strict=True))


def test_float32_stays_float32() -> None:
    """In parameters, optimiser and average; autograd's mean makes the gradients float64 on the way."""
    state = go(6, params=start(onp.float32))
    dtypes = {a.dtype for a in trees.leaves([state.params, state.average, state.optimiser_state])}
    assert dtypes == {onp.dtype(onp.float32), onp.dtype(onp.int64)}


def test_leaves_without_axes_are_arrays_always(tmp_path: Path) -> None:
    """NumPy cubes its scalars and its arrays with another last bit for one number in twenty."""
    state = go(3, tmp_path / "c.npz", params={**start(), "s": onp.float64(0.7)})
    for found in (state, load_checkpoint(tmp_path / "c.npz", IDENTITY, start())):
        assert {type(a) for a in trees.leaves([found.params, found.average, found.optimiser_state])} == {onp.ndarray}


@pytest.mark.parametrize(("kwargs", "message"), [
    ({"steps": 0}, "steps must be an integer >= 1, got 0"), ({"steps": 2.5}, "steps must be an integer"),
    ({"evaluate_every": 0}, "evaluate_every must be"), ({"checkpoint_every": -1}, "checkpoint_every must be"),
    ({"clip": 0.0}, "clip must be positive"), ({"average_decay": 1.0}, "average_decay must be at least 0"),
])
def test_settings_out_of_range_are_refused(kwargs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**({"steps": 3} | kwargs))


def test_a_draw_that_is_no_tuple_and_parameters_that_are_no_floats_are_refused() -> None:
    with pytest.raises(TypeError, match="draw must return the tuple of the loss's further arguments, got ndarray"):
        go(3, draw=lambda rng: rng.normal(size=3))
    with pytest.raises(ValueError, match="arrays of floats, got dtype int64 in net/0"):
        go(3, params={"net": [onp.arange(3)]})


# -- resuming ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("first", [1, 2, 11, 12, 19, 20])
def test_resuming_is_exact(tmp_path: Path, first: int) -> None:
    go(first, tmp_path / "c.npz")
    assert bits(go(20, tmp_path / "c.npz", resume=True, params=start(), rng=onp.random.default_rng(99))) == WHOLE


def test_resuming_at_every_step_in_turn_is_exact(tmp_path: Path) -> None:
    go(1, tmp_path / "c.npz")
    for steps in range(2, 21):
        state = go(steps, tmp_path / "c.npz", resume=True)
    assert bits(state) == WHOLE


def test_a_process_killed_outright_resumes_from_the_last_periodic_checkpoint(tmp_path: Path) -> None:
    """No handler runs: a copy of the file taken at step 10 holds step 8."""
    copies: dict[int, bytes] = {}
    go(20, tmp_path / "c.npz", callback=lambda p: copies.update({p.step: (tmp_path / "c.npz").read_bytes()}))
    (tmp_path / "d.npz").write_bytes(copies[10])
    assert load_checkpoint(tmp_path / "d.npz", IDENTITY, start()).step == 8
    assert bits(go(20, tmp_path / "d.npz", resume=True)) == WHOLE
    assert bits(load_checkpoint(tmp_path / "c.npz", IDENTITY, start())) == WHOLE


@pytest.mark.parametrize("optimiser", [optim.SGD(), optim.SGD(momentum=0.9), optim.Adam()], ids=repr)
@pytest.mark.parametrize("average_decay", [None, 0.99])
@pytest.mark.parametrize("dtype", [onp.float32, onp.float64])
def test_resuming_is_exact_for_every_optimiser_and_dtype(
    tmp_path: Path, optimiser: Any, average_decay: float | None, dtype: Any
) -> None:
    settings = [how(steps, optimiser=optimiser, average_decay=average_decay) for steps in (9, 5)]
    whole = go(0, settings=settings[0], params=start(dtype))
    go(0, tmp_path / "c.npz", settings=settings[1], params=start(dtype))
    assert bits(go(0, tmp_path / "c.npz", resume=True, settings=settings[0], params=start(dtype))) == bits(whole)


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_every_generator_of_numpy_goes_through_a_checkpoint(tmp_path: Path, kind: str) -> None:
    rng = onp.random.Generator(getattr(onp.random, kind)(7))
    rng.integers(2**31, size=3, dtype=onp.uint32)  # leaves half a word in some generators' hands
    save_checkpoint(tmp_path / "c.npz", State(3, start(), {}, None, copy.deepcopy(rng)), None)
    again = load_checkpoint(tmp_path / "c.npz", None, start())
    assert (again.step, again.average, again.optimiser_state) == (3, None, {})
    assert (again.rng.integers(2**31, size=9, dtype=onp.uint32) == rng.integers(2**31, size=9, dtype=onp.uint32)).all()
    assert (again.rng.normal(size=700) == rng.normal(size=700)).all()


def test_resuming_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no checkpoint to resume from: .*absent\.npz"):
        go(20, tmp_path / "absent.npz", resume=True)
    with pytest.raises(ValueError, match="resume needs the path of a checkpoint, got None"):
        go(20, resume=True)


def test_a_checkpoint_that_is_further_than_asked_is_refused(tmp_path: Path) -> None:
    go(6, tmp_path / "c.npz")
    with pytest.raises(ValueError, match=r"c\.npz has 6 steps behind it, more than the 5 to be made"):
        go(5, tmp_path / "c.npz", resume=True)


# -- checkpoints of something else ---------------------------------------------------------------------------------

@pytest.mark.parametrize(("other", "differs"), [
    ({**IDENTITY, "blocks": 16}, "blocks is 4 there, 16 here"),
    ({**IDENTITY, "widths": [64, 33]}, "widths/1 is 32 there, 33 here"),
    ({**IDENTITY, "seed": 0}, "seed is absent there, 0 here"),
    ({"model": "line", "widths": [64, 32]}, "blocks is 4 there, absent here"),
    ({**IDENTITY, "blocks": "4"}, "blocks is 4 there, 4 here"),
    (None, "model is line there, absent here"),
])
def test_another_identity_is_refused_and_named(tmp_path: Path, other: Any, differs: str) -> None:
    go(2, tmp_path / "c.npz")
    before = (tmp_path / "c.npz").read_bytes()
    with pytest.raises(ValueError, match=r"c\.npz is a checkpoint of another model: ") as error:
        train(loss, draw, start(), how(5), onp.random.default_rng(3), checkpoint=tmp_path / "c.npz", resume=True,
              identity=other)
    listed = str(error.value).split("another model: ")[1].split("; ")
    assert listed == [differs] or (other is None and differs in listed)
    assert (tmp_path / "c.npz").read_bytes() == before


@pytest.mark.parametrize(("like", "differs"), [
    ({**start(), "s": onp.zeros(1)}, "s is float64 () there, float64 (1,) here"),
    (start(onp.float32), "net/0/W is float64 (3, 3) there, float32 (3, 3) here"),
    ({"net": start()["net"]}, "s is float64 () there, absent here"),
    ({**start(), "t": onp.zeros(2)}, "t is absent there, float64 (2,) here"),
    (onp.zeros(3), "params is absent there, float64 (3,) here"),
])
def test_other_shapes_are_refused_and_named(tmp_path: Path, like: Any, differs: str) -> None:
    go(2, tmp_path / "c.npz")
    with pytest.raises(ValueError, match="another model") as error:
        load_checkpoint(tmp_path / "c.npz", IDENTITY, like)
    assert differs in str(error.value)


@pytest.mark.parametrize("settings", [how(5, optimiser=optim.SGD()), how(5, average_decay=None)])
def test_another_optimiser_or_average_is_refused(tmp_path: Path, settings: Settings) -> None:
    go(2, tmp_path / "c.npz")
    with pytest.raises(ValueError, match=r"another model: (optimiser_state|average)"):
        go(5, tmp_path / "c.npz", resume=True, settings=settings)


def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    go(2, path)
    whole = files.load(path)
    for key, wrong in [
        ("step", onp.array("x")), ("rng", onp.array("{}")), ("rng", onp.array('{"bit_generator": "seed"}')),
        ("identity", onp.array("[")), ("average", [whole["average"][0]] * 2), ("average", onp.zeros(2)),
    ]:
        files.save(path, {**whole, key: wrong})
        with pytest.raises(CorruptFileError, match=r"c\.npz is not a checkpoint of a training run"):
            load_checkpoint(path, IDENTITY, start())
    for other in [start(), [onp.zeros(2)], onp.zeros(2), {k: v for k, v in whole.items() if k != "rng"}]:
        files.save(path, other)
        with pytest.raises(CorruptFileError, match=r"c\.npz is not a checkpoint of a training run"):
            load_checkpoint(path, IDENTITY, start())
    path.write_bytes(b"PK")
    with pytest.raises(CorruptFileError, match="not a whole evenflow file"):
        go(5, path, resume=True)


# -- what is not finite --------------------------------------------------------------------------------------------

def bad_draw(step: int, what: str) -> Any:
    """A draw like `draw` that spoils the arguments of one step; which step it is, it reads off the generator."""
    rng, marks = onp.random.default_rng(3), []
    for _ in range(step):
        marks.append(rng.bit_generator.state["state"])
        draw(rng)

    def spoiled(rng: onp.random.Generator) -> tuple[Any, ...]:
        bad = rng.bit_generator.state["state"] == marks[-1]
        return (*draw(rng), what if bad else None)

    return spoiled


def spoiled_loss(params: Any, x: Any, noise: Any, seed: Any, what: str | None) -> Any:
    value = loss(params, x, noise, seed)
    if what == "loss":
        return value * math.nan
    if what == "infinite loss":
        return value + math.inf
    if what == "gradient":
        return value + np.sum(np.sqrt(params["net"][0]["b"] * 0.0))  # 0, with an infinite slope
    return value * 1e200 if what == "norm" else value


@pytest.mark.parametrize(("what", "said"), [
    ("loss", "the loss is nan"), ("infinite loss", "the loss is inf"),
    ("gradient", "the gradient of net/0/b is not finite"), ("norm", "the norm of the gradient overflows"),
])
@pytest.mark.parametrize("step", [1, 7, 12])
def test_training_stops_names_the_step_and_keeps_the_last_good_state(
    tmp_path: Path, what: str, said: str, step: int
) -> None:
    path = tmp_path / "c.npz"
    with pytest.raises(TrainingStopped) as stopped, onp.errstate(all="ignore"):
        go(20, path, draw=bad_draw(step, what), loss=spoiled_loss)
    good = f"The last good state, step {step - 1}, is in {path}."
    assert str(stopped.value) == f"training stopped at step {step}: {said}. {good}"
    assert (stopped.value.step, stopped.value.what, stopped.value.checkpoint) == (step, said, path)
    kept = load_checkpoint(path, IDENTITY, start())
    assert kept.step == step - 1
    assert bits(go(20, path, resume=True)) == WHOLE


def test_without_a_checkpoint_the_error_says_so() -> None:
    with pytest.raises(TrainingStopped, match=r"at step 3: the loss is nan\. There is no checkpoint\."):
        go(20, draw=bad_draw(3, "loss"), loss=spoiled_loss)


def test_an_update_that_overflows_is_found_at_its_own_step(tmp_path: Path) -> None:
    """A rate of 1e39 takes float32 parameters out of range; the state kept is the one before, which is finite."""
    settings = how(9, optimiser=optim.SGD(), clip=None, schedule=lambda step: 1e39 if step == 4 else 1e-3)
    with pytest.raises(TrainingStopped, match="at step 5: after the update, the parameter net/0/W is not finite"):
        go(0, tmp_path / "c.npz", settings=settings, params=start(onp.float32))
    kept = load_checkpoint(tmp_path / "c.npz", IDENTITY, start(onp.float32))
    assert kept.step == 4
    assert all(onp.isfinite(a).all() for a in trees.leaves(kept.params))


def test_squares_that_overflow_in_the_optimiser_are_found() -> None:
    """A gradient of 1e25 is finite in float32, its square in Adam is not: such a parameter would never move again."""
    with pytest.raises(TrainingStopped, match="after the update, the optimiser's state v is not finite"):
        train(lambda p, x: np.sum(p * x), lambda rng: (onp.array([1e25], onp.float32),), onp.ones(1, onp.float32),
              Settings(3), onp.random.default_rng(0))


# -- Ctrl-C and other ends -----------------------------------------------------------------------------------------

class Countdown:
    """Raises at its n-th call."""

    def __init__(self, calls: int, error: BaseException) -> None:
        self.calls, self.error = calls, error

    def __call__(self) -> None:
        self.calls -= 1
        if self.calls == 0:
            raise self.error


@given(calls=st.integers(1, 90), kind=st.sampled_from([KeyboardInterrupt, SystemExit, ZeroDivisionError]))
@settings(max_examples=25)
def test_an_end_inside_draw_loss_evaluate_or_callback_resumes_exactly(
    tmp_path_factory: pytest.TempPathFactory, calls: int, kind: type[BaseException]
) -> None:
    """Ticks before and after each draw (with the generator moved on), in the loss, the evaluation and the callback."""
    path, tick = tmp_path_factory.mktemp("end") / "c.npz", Countdown(calls, kind())

    def ticking_draw(rng: onp.random.Generator) -> tuple[Any, ...]:
        tick()
        args = draw(rng)
        tick()
        return args

    def ticking_loss(params: Any, *args: Any) -> Any:
        value = loss(params, *args)
        tick()
        return value

    def evaluate(params: Any) -> dict[str, float]:
        tick()
        return {}

    try:
        state = go(20, path, draw=ticking_draw, loss=ticking_loss, evaluate=evaluate, callback=lambda _: tick())
        assert calls > 84
        assert bits(state) == WHOLE
    except kind:
        assert calls <= 84
    kept = load_checkpoint(path, IDENTITY, start())
    assert kept.step >= (calls - 1) // 5  # at most 5 ticks a step: nothing that was completed is lost
    assert os.listdir(path.parent) == ["c.npz"]
    assert bits(go(20, path, resume=True)) == WHOLE


@pytest.mark.parametrize("line", range(1, 1100, 53))
def test_ctrl_c_between_any_two_lines_of_the_loop_resumes_exactly(tmp_path: Path, line: int) -> None:
    """A tracer raises KeyboardInterrupt at the n-th line that the loop comes to, in these three files."""
    path, count = tmp_path / "c.npz", 0
    files = ("training.py", "checkpoints.py", "trees.py", "optim.py")

    def trace(frame: Any, event: str, arg: Any) -> Any:
        nonlocal count
        if event == "line" and started and frame.f_code.co_filename.endswith(files):
            count += 1
            if count == line:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    started: list[int] = []

    def starting_draw(rng: onp.random.Generator) -> tuple[Any, ...]:
        started.append(1)
        return draw(rng)

    tracer = sys.gettrace()
    sys.settrace(trace)
    try:
        go(6, path, draw=starting_draw)
        raise AssertionError("the loop ended before the interrupt")
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(tracer)
    assert os.listdir(tmp_path) == ["c.npz"]
    assert bits(go(20, path, resume=True)) == WHOLE


def test_a_second_ctrl_c_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.npz"

    def interrupt(*args: Any) -> Any:
        raise KeyboardInterrupt

    def callback(progress: Progress) -> None:
        if progress.step == 6:
            monkeypatch.setattr(os, "fsync", interrupt)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(20, path, callback=callback)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["c.npz"]
    assert load_checkpoint(path, IDENTITY, start()).step == 4
    assert bits(go(20, path, resume=True)) == WHOLE


CHILD = """
import os, sys, time
import test_training as t
from evenflow.reference.work.training import train

done, fsync = [], os.fsync

def slow(params, *args):
    time.sleep(0.002)
    return t.loss(params, *args)

def callback(progress):
    done.append(progress.step)
    print(progress.step, flush=True)

def slow_fsync(handle):  # after the start, only Ctrl-C makes the loop write
    if done:
        print("writing", flush=True)
        time.sleep(60)
    fsync(handle)

if sys.argv[2] == "slow disk":
    os.fsync = slow_fsync
try:
    train(slow, t.draw, t.start(), t.how(100_000, checkpoint_every=50_000), t.onp.random.default_rng(3),
          checkpoint=sys.argv[1], identity=t.IDENTITY, callback=callback)
except KeyboardInterrupt:
    sys.exit(77)
"""


def child(path: Path, disk: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", CHILD, str(path), disk], env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for(process: subprocess.Popen[str], line: str) -> int:
    """Read until the line comes; how many steps had been told of by then."""
    assert process.stdout is not None
    told = 0
    for got in process.stdout:
        told = int(got) if got.strip().isdigit() else told
        if got.strip() == line:
            return told
    raise AssertionError(f"the child ended: {process.communicate()}")


@pytest.mark.slow
@pytest.mark.parametrize("at", [3, 8])
def test_a_real_ctrl_c_in_a_real_process(tmp_path: Path, at: int) -> None:
    path = tmp_path / "c.npz"
    process = child(path, "quick disk")
    wait_for(process, str(at))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (77, "")
    kept = load_checkpoint(path, IDENTITY, start()).step
    assert max([at, *map(int, out.split())]) - kept in (0, 1)  # a step may be told of and, interrupted, be made again
    assert bits(go(kept + 3, path, resume=True)) == bits(go(kept + 3))


@pytest.mark.slow
def test_a_real_second_ctrl_c_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    process = child(path, "slow disk")
    wait_for(process, "5")
    process.send_signal(signal.SIGINT)
    wait_for(process, "writing")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (77, "")
    assert os.listdir(tmp_path) == ["c.npz"]
    assert load_checkpoint(path, IDENTITY, start()).step == 0
    assert bits(go(20, path, resume=True)) == WHOLE


# -- full disks ----------------------------------------------------------------------------------------------------

def no_space(*args: Any, **kwargs: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("place", ["os.fsync", "numpy.savez", "os.replace"])
def test_a_disk_that_fills_up_while_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    path = tmp_path / "c.npz"

    def callback(progress: Progress) -> None:
        if progress.step == 6:
            monkeypatch.setattr(place, no_space)

    with pytest.raises(OSError, match=r"cannot write .*c\.npz.*No space left") as error:
        go(20, path, callback=callback)
    assert error.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["c.npz"]
    assert load_checkpoint(path, IDENTITY, start()).step == 4
    assert bits(go(20, path, resume=True)) == WHOLE


def test_a_folder_that_cannot_be_written_to_is_found_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    steps: list[Progress] = []
    with pytest.raises(OSError, match="cannot write"):
        go(20, tmp_path / "file" / "c.npz", callback=steps.append)
    assert steps == []
