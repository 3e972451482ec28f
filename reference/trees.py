"""Parameters are trees: nested dicts and lists with arrays at the leaves.

A model never holds its parameters; it takes them as an argument. A tree is therefore all there is to save, to average, to
hand to an optimiser or to another backend. Trees are written as `.npz` files: the leaves as arrays, the nesting as JSON
with leaf numbers where the arrays were. Nothing is pickled, so a file from a stranger can be opened safely.
"""
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any  # a NumPy array, autograd's box around one, or a device array: no static type is all three
Tree: TypeAlias = Any   # dict[str, Tree] | list[Tree] | Array


def tree_map(f: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Apply f leaf by leaf to one tree, or to several of the same shape. Raises ValueError where the shapes differ."""
    if isinstance(tree, dict):
        if any(not isinstance(o, dict) or o.keys() != tree.keys() for o in others):
            raise ValueError(f"trees differ: keys {sorted(tree)} against {[describe(o) for o in others]}")
        return {k: tree_map(f, v, *(o[k] for o in others)) for k, v in tree.items()}
    if isinstance(tree, list):
        if any(not isinstance(o, list) or len(o) != len(tree) for o in others):
            raise ValueError(f"trees differ: a list of {len(tree)} against {[describe(o) for o in others]}")
        return [tree_map(f, *parts) for parts in zip(tree, *others, strict=True)]
    if any(isinstance(o, dict | list) for o in others):
        raise ValueError(f"trees differ: a leaf against {[describe(o) for o in others]}")
    return f(tree, *others)


def leaves(tree: Tree) -> Iterator[Array]:
    """The arrays of a tree, in the order in which `tree_map` visits them."""
    if isinstance(tree, dict | list):
        for branch in tree.values() if isinstance(tree, dict) else tree:
            yield from leaves(branch)
    else:
        yield tree


def size(tree: Tree) -> int:
    """How many numbers the tree holds: the number of parameters."""
    return sum(int(np.size(leaf)) for leaf in leaves(tree))


def cast(tree: Tree, dtype: Any) -> Tree:
    """The same tree with leaves of another dtype: `cast(params, np.float32)`."""
    return tree_map(lambda leaf: np.asarray(leaf, dtype=dtype), tree)


def describe(tree: Tree) -> str:
    if isinstance(tree, dict):
        return f"keys {sorted(tree)}"
    return f"a list of {len(tree)}" if isinstance(tree, list) else "a leaf"


class CorruptFileError(ValueError):
    """A file that does not hold the tree it should: truncated, altered, or something else altogether."""


def save(path: str | os.PathLike[str], tree: Tree) -> None:
    """Write a tree to `path` (.npz) so that at every instant the path holds a whole file: the old one or the new one.

    Written aside in the same folder, flushed to the disk, then renamed over `path`. On any error (a full disk, say) the
    old file is untouched, the part file is removed, and the error is raised.
    """
    path = Path(path)
    arrays: dict[str, Any] = {}

    def number(leaf: Array) -> int:
        leaf = np.asarray(leaf)
        if leaf.dtype.hasobject:
            raise ValueError(f"leaves must be plain arrays, got dtype {leaf.dtype} in leaf {len(arrays)}")
        arrays[f"leaf{len(arrays)}"] = leaf
        return len(arrays) - 1

    nesting = json.dumps(tree_map(number, tree))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, nesting=np.array(nesting), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename in it survives a power cut (not offered on Windows)."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def load(path: str | os.PathLike[str]) -> Tree:
    """Read what `save` wrote. Raises FileNotFoundError, or CorruptFileError where the file is not whole."""
    try:
        with np.load(path, allow_pickle=False) as file:
            nesting = json.loads(str(file["nesting"]))
            return tree_map(lambda i: file[f"leaf{i}"], nesting)
    except (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, TypeError, AttributeError) as error:
        raise CorruptFileError(f"{path} is not a whole evenflow file (truncated or altered?): {error}") from error
