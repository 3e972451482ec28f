"""Checkpoints of a training run: a whole State in one file, and what must agree before another run goes on from it.

The file is written aside and renamed, so that the path never holds half a State. It holds no code: arrays and JSON alone.
"""
import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.random import MT19937, PCG64, PCG64DXSM, SFC64, Philox

from evenflow.reference.core import Tree, fetched, lookup, named_leaves, tree_map
from evenflow.reference.work.files import CorruptFileError, load, save

PathLike: TypeAlias = str | os.PathLike[str]


class Best(NamedTuple):
    """The weights that held-out data have liked best so far."""
    step: int
    value: float  # of the figure they are judged by: the smaller, the better
    params: Tree


class State(NamedTuple):
    """Training after `step` completed steps. Never changed, only replaced."""
    step: int
    params: Tree
    optimiser_state: Tree
    average: Tree | None      # of the parameters, None unless asked for
    rng: np.random.Generator  # as the last step left it
    best: Best | None = None  # None where nothing is judged


def save_checkpoint(path: PathLike | None, state: State, identity: Mapping[str, Any] | None) -> None:
    """Write a State and the identity (anything JSON can hold) of its run; path: None for nowhere. Errors as in files.save."""
    if path is None:
        return
    rng = json.dumps(state.rng.bit_generator.state, default=lambda array: array.tolist())
    average = [] if state.average is None else [state.average]
    best = [{"step": np.array(it.step), "value": np.array(it.value), "params": it.params} for it in [state.best] if it]
    save(path, {
        "identity": np.array(json.dumps(identity or {})), "rng": np.array(rng), "step": np.array(state.step),
        **fetched({"params": state.params, "optimiser_state": state.optimiser_state, "average": average, "best": best}),
    })


def load_checkpoint(path: PathLike, identity: Mapping[str, Any] | None, like: Tree) -> State:
    """Read what `save_checkpoint` wrote.  like: parameters of the model that is to be filled.

    Raises CorruptFileError for a file that is no whole checkpoint; ValueError, naming what differs, where the identity
    or the parameters' shapes or dtypes are others.
    """
    tree = load(path)
    try:
        there, rng = json.loads(str(tree["identity"])), generator(json.loads(str(tree["rng"])))
        (average,) = tree["average"] or [None]
        best = [Best(int(it["step"]), float(it["value"]), it["params"]) for it in tree["best"]]
        state = State(int(tree["step"]), tree["params"], tree["optimiser_state"], average, rng, *best)
    except (LookupError, TypeError, ValueError) as error:
        raise CorruptFileError(f"{path} is not a checkpoint of a training run: {error!r}") from error
    check_same(path, there, json.loads(json.dumps(identity or {})))
    for found in [state.params, *tree["average"], *(it.params for it in best)]:
        check_same(path, shapes(found), shapes(like))
    return state


def resumed(checkpoint: PathLike | None, identity: Mapping[str, Any] | None, start: State, steps: int) -> State:
    """The State to go on from. Raises where there is none, or none of the model, optimiser and average that start has."""
    if checkpoint is None:
        raise ValueError("resume needs the path of a checkpoint, got None")
    if not Path(checkpoint).exists():
        raise FileNotFoundError(errno.ENOENT, "no checkpoint to resume from", os.fspath(checkpoint))
    state = load_checkpoint(checkpoint, identity, start.params)
    for name in ("optimiser_state", "average"):
        there, here = getattr(state, name), getattr(start, name)
        check_same(checkpoint, {name: shapes(there)}, {name: shapes(here)})
    if state.step > steps:
        raise ValueError(f"{checkpoint} has {state.step} steps behind it, more than the {steps} to be made")
    return state


def generator(state: Any) -> np.random.Generator:
    """A NumPy generator in the given state of its bit generator."""
    kinds = {kind.__name__: kind for kind in (PCG64, PCG64DXSM, MT19937, Philox, SFC64)}
    bits = lookup("bit generator", state["bit_generator"], kinds)(0)
    bits.state = state
    return np.random.Generator(bits)


def shapes(tree: Tree) -> Tree:
    """The tree with each leaf's dtype and shape in its place."""
    return tree_map(lambda leaf: None if leaf is None else f"{leaf.dtype} {leaf.shape}", tree)


def check_same(path: PathLike, there: Tree, here: Tree) -> None:
    if there != here:
        a, b = dict(named_leaves(there)), dict(named_leaves(here))
        differ = [k for k in a | b if a.get(k) != b.get(k)]
        listed = "; ".join(f"{k or 'params'} is {a.get(k, 'absent')} there, {b.get(k, 'absent')} here" for k in differ[:5])
        listed += f"; and {len(differ) - 5} more" if len(differ) > 5 else ""
        raise ValueError(f"{path} is a checkpoint of another model: {listed}")
