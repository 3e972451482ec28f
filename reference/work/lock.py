"""One process at a time in a folder."""
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evenflow.reference.work.files import naming

if sys.platform != "win32":
    import fcntl

LOCK = ".lock"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder, made where there is none, until the block ends. Raises BlockingIOError where another process holds it.

    It is the system's lock on the file .lock, which says whose it is: it is let go however its process ends. Windows has none.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, not a folder: choose another name")
    path = folder / LOCK
    with naming(path):
        folder.mkdir(parents=True, exist_ok=True)
        handle, mine = take(path)
    try:
        if not mine:
            holder = os.read(handle, 20).decode() or "another"
            raise BlockingIOError(f"{folder} is being trained by process {holder}: wait for its end, or choose another folder")
        yield
    finally:
        if mine:
            path.unlink(missing_ok=True)  # while it is held
        os.close(handle)


def take(path: Path) -> tuple[int, bool]:
    """The file's handle, and whether the lock is ours; if so, this process's number is in the file."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if sys.platform != "win32":
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            os.ftruncate(handle, 0)
            os.write(handle, str(os.getpid()).encode())
            return handle, True
    except BlockingIOError:
        return handle, False
    except OSError:
        os.close(handle)
        raise
    os.close(handle)  # its holder removed the file after it was opened here
    return take(path)
