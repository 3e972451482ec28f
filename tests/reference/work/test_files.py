"""files.py: files that hold exactly what was saved or are refused."""
import errno
import io
import os
import pickle
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.reference.work import files
from evenflow.reference.work.files import CorruptFileError
from tests.trees import TREES, example, same

# -- round trips ---------------------------------------------------------------------------------------------------

@given(tree=TREES)
@settings(max_examples=50)
def test_save_and_load_give_the_same_tree(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    path = tmp_path_factory.mktemp("trees") / "tree.npz"
    files.save(path, tree)
    assert same(files.load(path), tree)


def test_odd_layouts_come_back_equal(tmp_path: Path) -> None:
    layouts = [np.arange(6.0).reshape(2, 3).T, np.arange(10)[::-2], np.arange(3, dtype=">f8"), np.array("text")]
    files.save(tmp_path / "a.npz", layouts)
    for kept, given_ in zip(files.load(tmp_path / "a.npz"), layouts, strict=True):
        assert kept.dtype == given_.dtype
        assert kept.shape == given_.shape
        assert np.array_equal(kept, given_)


def test_the_file_name_is_taken_as_it_is_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "no suffix"
    files.save(path, example())
    files.save(str(path), {"second": np.zeros(2)})
    assert list(files.load(path)) == ["second"]
    assert os.listdir(path.parent) == ["no suffix"]


@pytest.mark.parametrize("leaf", [None, object(), np.array([None]), np.array([{}], dtype=object), {1}])
def test_what_is_no_array_is_refused_before_a_file_is_touched(tmp_path: Path, leaf: Any) -> None:
    with pytest.raises(ValueError, match="plain arrays"):
        files.save(tmp_path / "a.npz", {"a": leaf})
    assert os.listdir(tmp_path) == []


def test_what_json_would_change_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keys of a tree must be strings, got 0"):
        files.save(tmp_path / "a.npz", [{"a": {0: np.zeros(1)}}])
    with pytest.raises(ValueError, match="got a tuple"):
        files.save(tmp_path / "a.npz", [(np.zeros(1), np.zeros(1))])
    assert os.listdir(tmp_path) == []


# -- damage --------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A saved tree. The big leaf matters: zip checks a small one in passing, a big one only when read to its end."""
    path = tmp_path_factory.mktemp("damage") / "tree.npz"
    files.save(path, example())
    return path, path.read_bytes()


def refused_or_same(path: Path, damaged: bytes) -> bool:
    """True if refused. A file that loads must hold the same tree; no other error may come."""
    path.write_bytes(damaged)
    try:
        found = files.load(path)
    except CorruptFileError:
        return True
    assert same(found, example())
    return False


def test_truncation_at_any_byte_is_found(whole: tuple[Path, bytes]) -> None:
    path, data = whole
    lengths = [n for n in range(len(data)) if n < 200 or n > len(data) - 400 or n % 97 == 0]
    assert all(refused_or_same(path, data[:n]) for n in lengths)


@pytest.mark.slow
def test_any_altered_byte_of_headers_and_directory_is_found(whole: tuple[Path, bytes]) -> None:
    """Every byte outside the big leaf's numbers, with one bit turned or another compression's code put in."""
    path, data = whole
    start = data.index(np.arange(20.0).tobytes()) + 160
    places = [i for i in range(len(data)) if not start < i < start + 4600]
    for i in places:
        assert refused_or_same(path, data[:i] + bytes([data[i] ^ (1 << i % 8 if i % 3 else 12)]) + data[i + 1:])


@given(place=st.integers(0, 10**6), values=st.binary(min_size=1, max_size=4))
def test_altered_numbers_are_found(whole: tuple[Path, bytes], place: int, values: bytes) -> None:
    """Bursts of up to 32 bits anywhere in the file."""
    path, data = whole
    place %= len(data) - len(values)
    refused_or_same(path, data[:place] + values + data[place + len(values):])


def test_a_smaller_shape_in_the_header_is_found(whole: tuple[Path, bytes]) -> None:
    """NumPy reads as many numbers as the header says and stops, short of the end where zip compares checksums."""
    path, data = whole
    assert data.count(b"(20, 30)") == 1
    assert refused_or_same(path, data.replace(b"(20, 30)", b"(10, 30)"))


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


SPRUNG: list[str] = []


class Trap:
    """Unpickling this leaves a trace."""

    def __reduce__(self) -> Any:
        return spring, ()


def spring() -> None:
    SPRUNG.append("sprung")


FOREIGN = {
    "empty": b"", "four bytes of zip": b"PK\x03\x04", "text": b"just a text\n" * 100, "pickle": pickle.dumps({"a": 1}),
    "npy": npy(np.zeros(3)), "npz of nothing": npz(), "npz of others": npz(x=np.zeros(3)),
    "half of JSON": npz(nesting=np.array("[0")), "JSON and more": npz(nesting=np.array("{}x")),
    "deep JSON": npz(nesting=np.array("[" * 100_000)), "null": npz(nesting=np.array("null")),
    "numbers for JSON": npz(nesting=np.zeros(3)), "objects for JSON": npz(nesting=np.array([None])),
    "a missing leaf": npz(nesting=np.array("[0, 1]"), leaf0=np.zeros(2)),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files_are_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.npz").write_bytes(FOREIGN[kind])
    with pytest.raises(CorruptFileError, match=r"a\.npz is not a whole evenflow file"):
        files.load(tmp_path / "a.npz")


def test_a_pickle_inside_is_refused_and_not_run(tmp_path: Path) -> None:
    pickled = np.empty(1, dtype=object)
    pickled[0] = Trap()
    for data in (npz(nesting=np.array("[0]"), leaf0=pickled), npz(nesting=pickled), npy(pickled), pickle.dumps(Trap())):
        (tmp_path / "a.npz").write_bytes(data)
        with pytest.raises(CorruptFileError):
            files.load(tmp_path / "a.npz")
    assert SPRUNG == []
    np.load(tmp_path / "a.npz", allow_pickle=True)
    assert SPRUNG == ["sprung"]  # the trap works


def test_no_file_and_a_folder_are_told_apart_from_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        files.load(tmp_path / "absent.npz")
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        files.load(tmp_path)


# -- full disks ----------------------------------------------------------------------------------------------------

def no_space(*args: Any, **kwargs: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("place", ["os.fsync", "os.replace", "numpy.savez", "pathlib.Path.mkdir"])
@pytest.mark.parametrize("before", [True, False])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, before: bool
) -> None:
    path = tmp_path / "a.npz"
    if before:
        files.save(path, example())
    monkeypatch.setattr(place, no_space)
    with pytest.raises(OSError, match=r"cannot write .*a\.npz.*No space left") as error:
        files.save(path, {"other": np.zeros(2)})
    assert error.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert os.listdir(tmp_path) == (["a.npz"] if before else [])
    if before:
        assert same(files.load(path), example())


def test_a_path_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write .*file/a\.npz"):
        files.save(tmp_path / "file" / "a.npz", example())


def test_an_error_after_the_rename_leaves_the_new_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "sync_folder", no_space)
    with pytest.raises(OSError, match="whatever file stands there is whole"):
        files.save(tmp_path / "a.npz", example())
    assert same(files.load(tmp_path / "a.npz"), example())


@pytest.mark.parametrize("limit", [0, 100, 3000])
def test_a_write_that_the_system_cuts_short(tmp_path: Path, limit: int) -> None:
    """A real refusal by the system, at several bytes of the file: no file of this process may grow beyond `limit`."""
    path = tmp_path / "a.npz"
    files.save(path, example())
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, allowed[1]))
        with pytest.raises(OSError, match=r"cannot write .*a\.npz") as error:
            files.save(path, {"big": np.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
        signal.signal(signal.SIGXFSZ, old)
    assert error.value.errno == errno.EFBIG
    assert os.listdir(tmp_path) == ["a.npz"]
    assert same(files.load(path), example())


@pytest.mark.parametrize("place", ["os.fsync", "os.replace", "numpy.savez"])
def test_ctrl_c_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    files.save(tmp_path / "a.npz", example())

    def interrupt(*args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(place, interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.save(tmp_path / "a.npz", {"other": np.zeros(2)})
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["a.npz"]
    assert same(files.load(tmp_path / "a.npz"), example())


def test_the_path_holds_a_whole_file_at_every_instant(tmp_path: Path) -> None:
    """A process that does nothing but write is killed outright; whatever it was doing, the path holds a whole tree."""
    path = tmp_path / "a.npz"
    files.save(path, {"n": np.zeros(1)})
    code = textwrap.dedent("""
        import sys, itertools, numpy as np
        from evenflow.reference.work import files
        for n in itertools.count(1):
            files.save(sys.argv[1], {"n": np.full(20_000, float(n))})
    """)
    for delay in (0, 20, 40):
        writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
        seen = -1.0
        while seen < 1 + delay:
            assert writer.poll() is None
            numbers = files.load(path)["n"]
            assert len(set(numbers.tolist())) == 1
            assert numbers[0] >= seen
            seen = numbers[0]
        writer.kill()
        writer.wait()
        assert files.load(path)["n"].tolist()[0] >= seen
        files.save(path, {"n": np.zeros(1)})
