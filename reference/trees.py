"""Parameters are trees: nested dicts and lists with arrays at the leaves.

A model never holds its parameters; it takes them as an argument. A tree is therefore all there is to save, to average,
to hand to an optimiser or to another backend. Trees are written as `.npz` files: the leaves as arrays, the nesting as
JSON with leaf numbers where the arrays were. Nothing is pickled, so a file from a stranger can be opened safely.
"""
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from autograd.builtins import isinstance  # also true of the boxes around dicts and lists inside a gradient

Array: TypeAlias = Any  # a NumPy array, autograd's box around one, or a device array: no static type is all three
Tree: TypeAlias = Any   # dict[str, Tree] | list[Tree] | Array


def tree_map(f: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Apply f leaf by leaf to one tree, or to several of the same shape. Raises ValueError where the shapes differ."""
    if isinstance(tree, dict):
        if any(not isinstance(o, dict) or set(o) != set(tree) for o in others):
            raise ValueError(f"trees differ: {describe(tree)} against {[describe(o) for o in others]}")
        return {k: tree_map(f, v, *(o[k] for o in others)) for k, v in tree.items()}
    if isinstance(tree, list):
        if any(not isinstance(o, list) or len(o) != len(tree) for o in others):
            raise ValueError(f"trees differ: {describe(tree)} against {[describe(o) for o in others]}")
        return [tree_map(f, *parts) for parts in zip(tree, *others, strict=True)]
    if any(isinstance(o, dict | list) for o in others):
        raise ValueError(f"trees differ: a leaf against {[describe(o) for o in others]}")
    return f(tree, *others)


def leaves(tree: Tree) -> Iterator[Array]:
    """The arrays of a tree, in the order in which `tree_map` visits them."""
    return (leaf for _, leaf in named_leaves(tree))


def named_leaves(tree: Tree, name: str = "") -> Iterator[tuple[str, Array]]:
    """The arrays with the path to each, for messages: ("bijection/0/W", array). A lone array has the path ""."""
    if isinstance(tree, dict | list):
        for key, branch in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from named_leaves(branch, f"{name}/{key}" if name else str(key))
    else:
        yield name, tree


def size(tree: Tree) -> int:
    """How many numbers the tree holds: the number of parameters."""
    return sum(int(np.size(leaf)) for leaf in leaves(tree))


def cast(tree: Tree, dtype: Any) -> Tree:
    """The same tree with leaves of another dtype: `cast(params, np.float32)`."""
    return tree_map(lambda leaf: np.asarray(leaf, dtype=dtype), tree)


def describe(tree: Tree) -> str:
    if isinstance(tree, dict):
        return f"keys {sorted(tree, key=str)}"
    return f"a list of {len(tree)}" if isinstance(tree, list) else "a leaf"


class CorruptFileError(ValueError):
    """A file that does not hold the tree it should: truncated, altered, or something else altogether."""


def save(path: str | os.PathLike[str], tree: Tree) -> None:
    """Write a tree to `path` (.npz) so that at every instant the path holds a whole file: the old one or the new one.

    Raises ValueError for what is no tree of plain arrays under strings, OSError (naming the path) where the file
    cannot be written, on a full disk say: then the old file stands and no part file is left.
    """
    arrays: dict[str, Any] = {}

    def number(leaf: Array) -> int:
        leaf = np.asarray(leaf)
        if leaf.dtype.hasobject:
            raise ValueError(f"leaves must be plain arrays, got dtype {leaf.dtype} in leaf {len(arrays)}")
        arrays[f"leaf{len(arrays)}"] = leaf
        return len(arrays) - 1

    check_nesting(tree)
    nesting = np.array(json.dumps(tree_map(number, tree)))
    try:
        write_aside(Path(path), lambda file: np.savez(file, nesting=nesting, **arrays))
    except OSError as error:
        raise OSError(error.errno, f"cannot write {path}: {error}; whatever file stands there is whole") from error


def check_nesting(tree: Tree) -> None:
    """Raise ValueError for what would come back as something else: a tuple, a key that is no string."""
    if isinstance(tree, tuple):
        raise ValueError("a tree is made of dicts, lists and arrays, got a tuple")
    if isinstance(tree, dict):
        for key in tree:
            if not isinstance(key, str):
                raise ValueError(f"keys of a tree must be strings, got {key!r}")
    if isinstance(tree, dict | list):
        for branch in tree.values() if isinstance(tree, dict) else tree:
            check_nesting(branch)


def write_aside(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write in the same folder, flush to the disk, rename over `path`; on any error remove the part file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
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
    """Read what `save` wrote. Raises OSError where there is no file to read, CorruptFileError where it is not whole."""
    with open(path, "rb") as stream:
        try:
            with np.load(stream, allow_pickle=False) as file:
                if (member := file.zip.testzip()) is not None:  # NumPy reads a smaller altered shape unchecked
                    raise ValueError(f"wrong checksum of {member}")
                return tree_map(lambda i: file[f"leaf{i}"], json.loads(str(file["nesting"])))
        except Exception as error:  # damage shows as any: of zip, zlib, bz2, lzma, tokenize, JSON
            raise CorruptFileError(f"{path} is not a whole evenflow file (truncated or altered?): {error}") from error
