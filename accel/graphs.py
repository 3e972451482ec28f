r"""Whole training steps as CUDA graphs: a step is recorded once, and from then on the device makes it without the host.

The host's part of a stretch of K steps is then

    1.  draw what changes from step to step, K rows of it: seeds, minibatches, learning rates    (recording.py: the slots)
    2.  one upload of these rows
    3.  K times the graph:  slots <- row;  state <- step(state, slots);  report <- what the step tells;  flag
    4.  one wait: the flag and the report of all K steps

Where the flag says that something was not finite, the steps are made again from the start of the stretch, one by one as ever:
the step that fails says what it is, and the State before it is there. Steps that cannot be recorded (a user's own function with
host code in it) are made as ever, too, and a warning says why.

The state lies in memory of the graph's own; what the loop gets is a copy. All memory of a graph is from a pool of its own.
"""
import copy
import warnings
from collections.abc import Iterator
from typing import Any

from evenflow.accel.backends import module_of, on_device
from evenflow.accel.buffers import plain_leaves, rebuilt, start_of
from evenflow.accel.playback import Tape
from evenflow.reference.core import Array, Tree
from evenflow.reference.core.dispatch import definitions
from evenflow.reference.work.checkpoints import State
from evenflow.reference.work.stretches import Advance, Report, Stretch
from evenflow.reference.work.training import STRETCH

Made = tuple[State | None, Report]


class Graph:
    """One recorded step of a training, and the memory that its state lives in."""

    def __init__(self, xp: Any, advance: Advance, state: State) -> None:
        self.tape = tape = Tape(xp, state.rng, state.step, STRETCH)
        began = state._replace(rng=tape.rng, best=None)  # type: ignore[arg-type]

        def rehearse() -> list[Array]:
            after, report = advance(began)
            self.trees = [cloned(xp, tree) for tree in trees_of(after)]  # the state has the form it keeps
            for here, tree in zip(self.trees, trees_of(after), strict=True):
                overwrite(here, tree)                                      # copies are compiled, too
            self.load(state)
            return [number for number in values_of(report) if on_device(number)]

        def body() -> list[Array]:
            after, self.report = advance(with_trees(began, self.trees))
            for here, tree in zip(self.trees, trees_of(after), strict=True):
                overwrite(here, tree)
            return [number for number in values_of(self.report) if on_device(number)]

        tape.record(rehearse, body)
        self.last: State | None = state

    def load(self, state: State) -> None:
        for here, tree in zip(self.trees, trees_of(state), strict=True):
            for to, leaf in zip(plain_leaves(here), plain_leaves(tree), strict=True):
                to[...] = self.tape.xp.asarray(leaf)

    def run(self, state: State, steps: int) -> tuple[State, list[Report]] | None:
        """The State and the Reports after so many steps; None where something was not finite on the way."""
        tape, rng = self.tape, copy.deepcopy(state.rng)
        known, self.last = self.last is not None and state.params is self.last.params, None
        if not known:
            tape.xp.cuda.Stream.null.synchronize()
        with tape.stream:
            if not known:
                self.load(state)
            tape.draw(rng, state.step, steps)
            tape.play(steps)
            trees = [cloned(tape.xp, tree) for tree in self.trees]
            for to, here in zip(trees, self.trees, strict=True):
                overwrite(to, here)
            told = tape.heard(steps)
        if told is None:
            return None
        self.last = with_trees(state, trees)._replace(step=state.step + steps, rng=rng)
        return self.last, [heard(self.report, row) for row in told]

    def fits(self, step: int) -> bool:
        """Whether what is a plain 0 in this step was one when the step was recorded."""
        return all((f(step) == 0) == nought for f, nought in self.tape.recorder.zeros)


def stretched(advance: Advance) -> Stretch:
    """work.stretches.stretched: the steps of a stretch by a graph, where the parameters live on a device."""
    one_by_one: Any = definitions["work.stretches.stretched"](advance)
    graphs: list[Graph] = []
    willing = True

    def make(state: State, steps: int) -> Iterator[Made]:
        nonlocal willing
        end = state.step + steps
        while state.step < end:
            graph = graph_for(state) if willing else None
            if graph is None:
                willing = willing and not any(map(on_device, plain_leaves(state.params)))
                yield from one_by_one(state, end - state.step)
                return
            length = 1
            while state.step + length < end and graph.fits(state.step + length):
                length += 1
            done = graph.run(state, length)
            if done is None:  # the step that is not finite says what it is
                yield from one_by_one(state, end - state.step)
                return
            state, reports = done
            yield from ((None, report) for report in reports[:-1])
            yield state, reports[-1]

    def graph_for(state: State) -> Graph | None:
        found = next((graph for graph in graphs if graph.fits(state.step)), None)
        if found is None and any(map(on_device, plain_leaves(state.params))):
            found = recorded(advance, state)
            graphs.extend([found] if found else [])
        return found

    return make


def recorded(advance: Advance, state: State) -> Graph | None:
    """None, with a warning, for a step that cannot be."""
    xp = module_of(*plain_leaves(state.params))
    try:
        return Graph(xp, advance, state)
    except Exception as error:
        why = str(error).strip().split("\n")[0]
        warnings.warn(f"the training steps cannot be recorded, and are made one by one: {why}", RuntimeWarning, stacklevel=2)
        return None


def trees_of(state: State) -> list[Tree]:
    """The parts of a State that live on the device."""
    return [tree for tree in (state.params, state.optimiser_state, state.average) if tree is not None]


def with_trees(state: State, trees: list[Tree]) -> State:
    params, memory, *average = trees
    return state._replace(params=params, optimiser_state=memory, average=average[0] if average else None)


def values_of(report: Report) -> list[Any]:
    return [report.loss, report.learning_rate, report.gradient_norm, *report.info.values()]


def heard(report: Report, row: list[float]) -> Report:
    """A report whose numbers are on the device, with those of one step in their places."""
    numbers = iter(row)
    loss, rate, norm, *info = [next(numbers) if on_device(value) else value for value in values_of(report)]
    return Report(loss, rate, norm, dict(zip(report.info, info, strict=True)))


def cloned(xp: Any, tree: Tree) -> Tree:
    """New memory for a tree, its leaves behind each other where the tree's are."""
    buffers: dict[int, Array] = {}

    def cut(leaf: Array) -> Array:
        start = start_of(leaf) if on_device(leaf) and leaf.base is not None and leaf.base.dtype == leaf.dtype else None
        if start is None:
            return xp.empty(leaf.shape, leaf.dtype)
        buffer = buffers.setdefault(id(leaf.base), xp.empty(leaf.base.shape, leaf.dtype))
        return buffer[start : start + leaf.size].reshape(leaf.shape)

    return rebuilt(cut, tree)


def overwrite(to: Tree, source: Tree) -> None:
    """Copy a tree's numbers, buffer by buffer where both are cut alike."""
    copied: set[tuple[int, int]] = set()
    for a, b in zip(plain_leaves(to), plain_leaves(source), strict=True):
        if a is b:
            continue
        start = start_of(b) if on_device(b) else None
        if start is None or a.base is None or a.base.size != b.base.size or a.dtype != b.dtype or start_of(a) != start:
            a[...] = module_of(a).asarray(b)
        elif (id(a.base), id(b.base)) not in copied:
            copied.add((id(a.base), id(b.base)))
            a.base[...] = b.base


REPLACEMENTS: dict[str, Any] = {"work.stretches.stretched": stretched}
