"""Trees as files, and how any file is written: whole or not at all.

A tree is an `.npz` file: the leaves as arrays, the nesting as JSON with leaf numbers where the arrays were. Nothing is pickled,
so a file from a stranger can be opened safely. Behind it stands the SHA-256 of all its bytes: a bit turned anywhere is noticed.
"""
import glob
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from evenflow.reference.core import Array, Tree, tree_map

DIGEST = 32  # bytes of a SHA-256


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

    def write(file: BinaryIO) -> None:
        stream = io.BytesIO()
        np.savez(stream, nesting=nesting, **arrays)
        file.write(stream.getvalue() + sha256(stream.getvalue()).digest())

    write_aside(Path(path), write)


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
    """Write in the same folder, flush to the disk, rename over `path`; on any error remove the part file.

    Part files of the same name, left by a process that was killed, go first. An OSError says which file could not be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with naming(path, "; whatever file stands there is whole"):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_parts(path.parent, path.name)
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


@contextmanager
def naming(path: Path, more: str = "") -> Iterator[None]:
    """An OSError of the block comes out with the path of the file that was being written."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"cannot write {path}: {error.strerror or error}{more}") from error


def remove_parts(folder: Path, name: str | None = None) -> None:
    """Remove what `write_aside` had begun to write, of one name or of all, when its process was killed."""
    for part in folder.glob(f".{'*' if name is None else glob.escape(name)}.*.part"):
        part.unlink(missing_ok=True)


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
    content = Path(path).read_bytes()
    whole, told = content[:-DIGEST], content[-DIGEST:]
    try:
        if sha256(whole).digest() != told:
            raise ValueError("wrong checksum")
        with np.load(io.BytesIO(whole), allow_pickle=False) as file:
            return tree_map(lambda i: file[f"leaf{i}"], json.loads(str(file["nesting"])))
    except Exception as error:  # what another program wrote shows as any: of zip, zlib, JSON
        wrong = "is not a whole evenflow file (truncated or altered? put back a copy)"
        raise CorruptFileError(f"{path} {wrong}: {error}") from error
