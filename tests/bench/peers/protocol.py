"""How a peer talks to the runner: one line of JSON a request on stdin, one line a reply on stdout.

    {"do": "about"}                                                          versions and device
    {"do": "first", "kind", "sizes", "inputs", "outputs", "dtype"}           get ready, call once, write what came out
    {"do": "time", "calls": k}                                               seconds a unit in each of k more calls, and how
                                                                             many units a call is
    {"do": "memory"}                                                         peak bytes of one more call, null if not known

Inputs and outputs are .npz files: inputs a tree as evenflow writes it, outputs plain arrays by name. A peer lives in any
virtual environment with NumPy; it gets arrays and sizes, never evenflow's objects. What a library prints goes to stderr.
"""
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

RATE = 1e-3  # the learning rate of Adam in every training step


class Work(NamedTuple):
    """A case, ready to run."""
    call: Callable[[], Any]                # one unit of work; returns when the device is done
    outputs: Callable[[Any], dict[str, Any]]  # what the first call returned -> NumPy arrays to check
    steps: int = 1                         # how many units each later call makes: its time is divided by it


class Peer(NamedTuple):
    """What a peer can do."""
    about: Callable[[], dict[str, str]]
    prepare: Callable[[str, dict[str, Any], Any], Work]  # kind, sizes, inputs; NotImplementedError for a kind it lacks
    memory: Callable[[Callable[[], Any]], int | None]


def serve(peer: Peer) -> None:
    """Answer requests until stdin ends."""
    with os.fdopen(os.dup(1), "w") as replies:
        os.dup2(2, 1)
        work: Work | None = None
        for line in sys.stdin:
            request = json.loads(line)
            try:
                work, reply = answer(peer, work, request)
            except NotImplementedError as error:
                work, reply = None, {"unavailable": str(error)}
            except Exception as error:  # whatever it is, the other peers go on
                work, reply = None, {"unavailable": f"{type(error).__name__}: {error}".split("\n")[0]}
            print(json.dumps(reply), file=replies, flush=True)


def answer(peer: Peer, work: Work | None, request: dict[str, Any]) -> tuple[Work | None, dict[str, Any]]:
    if request["do"] == "about":
        return work, peer.about()
    if request["do"] == "first":
        del work
        work = peer.prepare(request["kind"], request["sizes"], load(request["inputs"], request["dtype"]))
        start = time.perf_counter()
        result = work.call()
        seconds = time.perf_counter() - start
        np.savez(request["outputs"], **work.outputs(result))
        return work, {"first": seconds}
    assert work is not None
    if request["do"] == "memory":
        return work, {"peak": peer.memory(work.call)}
    samples = [seconds_of(work.call) / work.steps for _ in range(request["calls"])]
    return work, {"seconds": samples, "units": work.steps}


def seconds_of(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def load(path: str, dtype: str) -> Any:
    """The tree in an .npz file (reference/core/trees.py), its floats in this dtype."""
    with np.load(path, allow_pickle=False) as file:
        def filled(tree: Any) -> Any:
            if isinstance(tree, dict):
                return {name: filled(branch) for name, branch in tree.items()}
            if isinstance(tree, list):
                return [filled(branch) for branch in tree]
            leaf = file[f"leaf{tree}"]
            return leaf.astype(dtype) if leaf.dtype.kind == "f" else leaf

        return filled(json.loads(str(file["nesting"])))


def leaves(tree: Any) -> list[Any]:
    """In an order that does not depend on how a dict was filled."""
    if isinstance(tree, dict):
        return [leaf for name in sorted(tree) for leaf in leaves(tree[name])]
    return [leaf for branch in tree for leaf in leaves(branch)] if isinstance(tree, list) else [tree]


def flat(arrays: list[Any]) -> Any:
    """NumPy arrays behind each other, in float64."""
    return np.concatenate([np.asarray(array, np.float64).ravel() for array in arrays] or [np.zeros(0)])


def stepped(value: Any, gradient: list[Any], before: list[Any], after: list[Any]) -> dict[str, Any]:
    """What is checked of a training step."""
    return {"value": np.asarray(value), "gradient": flat(gradient), "step": flat(after) - flat(before)}


def lacking(kind: str) -> NotImplementedError:
    return NotImplementedError(f"not written for this peer: {kind}")


def no_memory(call: Callable[[], Any]) -> int | None:
    """For a peer whose memory Python cannot see."""
    return None
