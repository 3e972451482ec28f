"""One training loop for every model, with checkpoints that continue bit for bit.

    args = draw(rng)                            # a minibatch and all the noise of this step
    value, grads = value_and_gradient(loss, params, *args)
    grads, norm = clip_by_global_norm(grads, clip)
    params, optimiser_state = optimiser.update(params, grads, optimiser_state, schedule(step))
    average = moving_average(average, params, average_decay, step + 1)

A step makes a new State out of the old one and changes nothing in it; even the generator is copied before it is drawn
from. So at every instant the loop holds one whole State, that of the last completed step; whatever ends the loop
(Ctrl-C, a loss that is not finite, an error in a callback), this State is written to the checkpoint. Training 20 steps
is the same as training 12, stopping and resuming to 20: every number is equal. (`draw` must not call `rng.spawn`: how
many children a generator has is no part of its state.)

What must agree between a checkpoint and the run that resumes it is for the caller to put into `identity`. The number of
steps and the schedule are not looked at: a resumed run goes on along the schedule it is given, for as long as it is
told. With a constant rate a run may so be lengthened; with a rate that decays over a given number of steps, name the
schedule and the number in `identity`, and another one is refused.
"""
import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from evenflow.reference.core import Array, Tree, as_arrays, named_leaves, optim, placed, tree_map, value_and_gradient
from evenflow.reference.core.checks import check_count, check_fraction, check_positive
from evenflow.reference.core.looking import finite, per_step, told
from evenflow.reference.work.checkpoints import Best, PathLike, State, resumed, save_checkpoint
from evenflow.reference.work.stretches import Advance, Report, stretch, stretched

STRETCH = 100  # at most so many steps are made before somebody looks

Loss: TypeAlias = Callable[..., Array]                              # loss(params, *args) -> scalar
Draw: TypeAlias = Callable[[np.random.Generator], tuple[Any, ...]]  # the only place where randomness is made

USUAL_RATE = optim.constant(1e-3)


@dataclass(frozen=True)
class Settings:
    """How to train: everything but the model, the data and the seed."""
    steps: int
    optimiser: optim.Adam | optim.SGD = field(default_factory=optim.Adam)
    schedule: optim.Schedule = USUAL_RATE
    clip: float | None = None           # the largest norm of a gradient
    average_decay: float | None = None  # of the weight average, 0.999 say
    evaluate_every: int = 100
    checkpoint_every: int = 100
    best_by: Callable[[dict[str, float]], float] | None = None  # of what `evaluate` gave: the least marks the best weights
    patience: int | None = None         # as many evaluations without a better one end the training

    def __post_init__(self) -> None:
        for name in ("steps", "evaluate_every", "checkpoint_every"):
            check_count(name, getattr(self, name))
        if self.patience is not None:
            check_count("patience", self.patience)
            if self.best_by is None:
                raise ValueError("patience means nothing without best_by, which tells what is better")
        if self.clip is not None:
            check_positive("clip", self.clip)
        if self.average_decay is not None:
            check_fraction("average_decay", self.average_decay)


class Progress(NamedTuple):
    """What the callback gets after every step."""
    step: int
    steps: int
    loss: float
    learning_rate: float
    gradient_norm: float               # before clipping
    held_out: dict[str, float] | None  # what `evaluate` gave, at the steps when it was asked
    seconds: float                     # since this call of `train` began
    info: Mapping[str, float]          # the step's own


def train(
    loss: Loss, draw: Draw, params: Tree, settings: Settings, rng: np.random.Generator, *,
    evaluate: Callable[[Tree], dict[str, float]] | None = None, callback: Callable[[Progress], None] | None = None,
    checkpoint: PathLike | None = None, resume: bool = False, identity: Mapping[str, Any] | None = None,
) -> State:
    """Minimise loss(params, *draw(rng)) and return the last State.

    >>> loss, start = lambda theta, x: (theta - x) ** 2, np.array(0.0)
    >>> state = train(loss, lambda rng: (1.0,), start, Settings(50, schedule=optim.constant(0.1)), np.random.default_rng(0))
    >>> state.step, bool(abs(state.params - 1) < 0.3)
    (50, True)

    evaluate gets the averaged parameters where there are any. rng is left as it is; on resuming it is not used. The rest, and
    what is raised, as in `loop`.
    """
    return loop(
        begin(params, settings, rng), lambda state: advance(state, loss, draw, settings), settings,
        evaluate=evaluate and (lambda state: evaluate(weights(state))), callback=callback, checkpoint=checkpoint,
        resume=resume, identity=identity,
    )


def loop(
    state: State, advance: Advance, settings: Settings, *,
    evaluate: Callable[[State], dict[str, float]] | None = None, callback: Callable[[Progress], None] | None = None,
    checkpoint: PathLike | None = None, resume: bool = False, identity: Mapping[str, Any] | None = None,
) -> State:
    """Advance a State for settings.steps steps, by gradient descent or any other algorithm, and return the last one.

    evaluate is asked every `evaluate_every` steps and after the last; where there is a figure to judge by, before the first
    step, too, and the State keeps the best weights so far. The checkpoint is written at the start (a folder that
    refuses it is found out at once), every `checkpoint_every` steps and at the end. Raises TrainingStopped where `advance`
    raises FloatingPointError; ValueError or OSError for a checkpoint that does not fit or cannot be read or written.
    """
    if resume:
        state = placed_again(resumed(checkpoint, identity, state, settings.steps))
    began = time.perf_counter()
    try:
        if evaluate is not None and settings.best_by is not None and state.step == 0 and state.best is None:
            state = judged(state, evaluate(state), settings)
        save_checkpoint(checkpoint, state, identity)
        make = stretched(advance)
        while not ended(state, settings):
            for step, after, report in stretch(make, state, to_next_look(state.step, settings), checkpoint):
                held_out = None
                looked = step % settings.evaluate_every == 0 or step == settings.steps
                if after is not None and evaluate is not None and looked:
                    held_out = evaluate(after)
                    after = judged(after, held_out, settings)
                if callback is not None:
                    seconds = time.perf_counter() - began
                    value, rate, norm, info = report
                    callback(Progress(step, settings.steps, value, rate, norm, held_out, seconds, info))
                state = after or state  # from here on the steps are done; what was interrupted before will be made again
            if ended(state, settings) or state.step % settings.checkpoint_every == 0:
                save_checkpoint(checkpoint, state, identity)
    except BaseException:
        save_checkpoint(checkpoint, state, identity)
        raise
    return state


def to_next_look(step: int, settings: Settings) -> int:
    """Steps until somebody wants to see a State: the evaluation, the checkpoint, the end; at most STRETCH."""
    every = settings.evaluate_every, settings.checkpoint_every
    return min(STRETCH, settings.steps - step, *(look - step % look for look in every))


def judged(state: State, held_out: dict[str, float], settings: Settings) -> State:
    """The State with itself as the best one, if it is. NaN is never the best."""
    value = math.nan if settings.best_by is None else settings.best_by(held_out)
    if value < math.inf and (state.best is None or value < state.best.value):
        return state._replace(best=Best(state.step, value, weights(state)))
    return state


def ended(state: State, settings: Settings) -> bool:
    """Whether all steps are made, or patience is at its end."""
    waited = 0 if state.best is None else state.step - state.best.step
    return state.step >= settings.steps or waited >= (settings.patience or math.inf) * settings.evaluate_every


def placed_again(state: State) -> State:
    """What was read from a file, where models compute."""
    def place(tree: Tree) -> Tree:
        return tree_map(lambda leaf: placed(leaf, leaf.dtype), tree)

    average = None if state.average is None else place(state.average)
    best = None if state.best is None else state.best._replace(params=place(state.best.params))
    return State(state.step, place(state.params), place(state.optimiser_state), average, state.rng, best)


def begin(params: Tree, settings: Settings, rng: np.random.Generator) -> State:
    params = as_arrays(params)
    for path, leaf in named_leaves(params):
        if leaf.dtype.kind != "f":
            raise ValueError(f"parameters must be arrays of floats, got dtype {leaf.dtype} in {path or 'params'}")
    average = None if settings.average_decay is None else params
    return State(0, params, settings.optimiser.init(params), average, rng)


def advance(state: State, loss: Loss, draw: Draw, settings: Settings) -> tuple[State, Report]:
    """One step of gradient descent. FloatingPointError says what is not finite."""
    rng = copy.deepcopy(state.rng)
    args = draw(rng)
    if not isinstance(args, tuple):
        raise TypeError(f"draw must return the tuple of the loss's further arguments, got {type(args).__name__}")
    with np.errstate(all="ignore"):  # what overflows is looked for below, and named
        value, grads = value_and_gradient(loss, state.params, *args)
    norm, rate = optim.global_norm(grads), per_step(settings.schedule, state.step)
    if not finite(value):
        raise FloatingPointError(f"the loss is {float(value)}")
    optim.check_all_finite("the gradient of", grads)
    if not finite(norm):
        raise FloatingPointError("the norm of the gradient overflows")
    if settings.clip is not None:
        grads, _ = optim.clip_by_global_norm(grads, settings.clip)
    with np.errstate(all="ignore"):
        params, optimiser_state = settings.optimiser.update(state.params, grads, state.optimiser_state, rate)
    optim.check_all_finite("after the update, the parameter", params)
    optim.check_all_finite("after the update, the optimiser's state", optimiser_state)
    average = state.average
    if settings.average_decay is not None:
        t = per_step(lambda step: step + 1, state.step)
        average = optim.moving_average(average, params, settings.average_decay, t)
    after = State(state.step + 1, as_arrays(params), as_arrays(optimiser_state), as_arrays(average), rng, state.best)
    return after, Report(told(value), told(rate), told(norm))


def weights(state: State) -> Tree:
    """The last parameters: their average where there is one."""
    return state.params if state.average is None else state.average
