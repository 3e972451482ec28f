"""A run's folder: whatever interrupts, it can be resumed, or is complete, or one line says what to do."""
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenflow.reference.core.trees import leaves
from evenflow.reference.work import folders, lock, runs
from evenflow.reference.work.data import Dataset, load
from evenflow.reference.work.folders import read_log
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import Trained, load_run, train_on


class Stop(Exception):
    pass


def small(steps: int = 6, **more: Any) -> Config:
    return Config("maf", layers=1, hidden=(4,), batch=16, steps=steps, **{"learning_rate": 0.001, **more})


def table(path: Path) -> Dataset:
    if not path.exists():
        np.save(path, np.random.default_rng(0).standard_normal((60, 2)))
    return load(path)


def same(a: Trained, b: Trained) -> bool:
    return all(np.array_equal(p, q) for p, q in zip(leaves(a.params), leaves(b.params), strict=True))


def stop_at(step: int) -> Any:
    def callback(progress: Any) -> None:
        if progress.step == step:
            raise Stop

    return callback


# -- where the data are --------------------------------------------------------------------------------------------

def test_a_run_is_resumed_from_anywhere_with_its_data_under_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(Stop):
        train_on(small(), table(Path("x.npy")), "a", callback=stop_at(3))
    for n in "bcd":
        shutil.copytree("a", n)
    assert folders.read_description("a", runs.assemble)["data"] == str(tmp_path / "x.npy")
    whole = train_on(small(), table(Path("x.npy")), "a", resume=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    for n, path in (("b", tmp_path / "x.npy"), ("c", Path("../x.npy"))):
        assert same(train_on(small(), load(path), tmp_path / n, resume=True), whole)
    shutil.move(tmp_path / "x.npy", "moved.npy")
    assert same(train_on(small(), load("moved.npy"), tmp_path / "d", resume=True), whole)
    assert load_run(tmp_path / "d").data == str(tmp_path / "elsewhere" / "moved.npy")


def test_other_data_under_the_same_path_are_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    train_on(small(), table(tmp_path / "x.npy"), tmp_path / "a")
    before = {p.name: p.read_bytes() for p in (tmp_path / "a").iterdir()}
    np.save(tmp_path / "x.npy", np.random.default_rng(1).standard_normal((60, 2)))
    for extend in (False, True):
        with pytest.raises(ValueError, match=r"a was trained on other data than .*x\.npy: .*units differ"):
            train_on(small(), load(tmp_path / "x.npy"), tmp_path / "a", resume=True, extend=extend)
    assert {p.name: p.read_bytes() for p in (tmp_path / "a").iterdir()} == before


# -- ends at any moment --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("file", ["config.json", "checkpoint.npz"])
def test_a_run_that_ended_before_its_first_checkpoint_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, resume: bool
) -> None:
    """A disk that is full when the one file or the other is renamed; then the same command again, or resume."""
    whole, replace = train_on(small(), table(tmp_path / "x.npy")), os.replace

    def full(part: Any, path: Path) -> None:
        if path.name == file:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(part, path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match=f"cannot write .*{file}: No space left on device"):
            train_on(small(), load(tmp_path / "x.npy"), tmp_path / "a")
    assert same(train_on(small(), load(tmp_path / "x.npy"), tmp_path / "a", resume=resume), whole)
    assert same(load_run(tmp_path / "a"), whole)


def test_a_run_that_never_began_takes_other_choices_and_stays_one_run(tmp_path: Path) -> None:
    """Its description is the one of the run that is in the folder now, so that it can be loaded."""
    train_on(small(), table(tmp_path / "x.npy"), tmp_path / "a")
    for left in ("checkpoint.npz", "log.jsonl"):
        (tmp_path / "a" / left).unlink()
    with pytest.raises(FileNotFoundError, match=r"holds no checkpoint: there is no .*checkpoint\.npz; resume the run"):
        load_run(tmp_path / "a")
    train_on(small(seed=1), load(tmp_path / "x.npy"), tmp_path / "a", resume=True)
    assert load_run(tmp_path / "a").config.seed == 1


def test_a_lost_checkpoint_is_not_quietly_replaced_by_a_new_run(tmp_path: Path) -> None:
    train_on(small(), table(tmp_path / "x.npy"), tmp_path / "a")
    (tmp_path / "a" / "checkpoint.npz").unlink()
    with pytest.raises(FileNotFoundError, match="put it back, or begin another run"):
        train_on(small(), load(tmp_path / "x.npy"), tmp_path / "a", resume=True)
    (tmp_path / "a" / "config.json").unlink()
    with pytest.raises(FileExistsError, match="holds a run already"):
        train_on(small(), load(tmp_path / "x.npy"), tmp_path / "a")


def test_what_a_killed_process_had_begun_to_write_is_removed_at_the_next_start(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train_on(small(), table(tmp_path / "x.npy"), tmp_path / "a", callback=stop_at(3))
    for name in (".checkpoint.npz.99999.part", ".log.jsonl.99998.part", ".loss.png.7.part"):
        (tmp_path / "a" / name).write_bytes(b"half")
    (tmp_path / "a" / "mine.part").touch()
    with pytest.raises(Stop):
        train_on(small(), load(tmp_path / "x.npy"), tmp_path / "a", resume=True, callback=stop_at(4))
    assert sorted(os.listdir(tmp_path / "a")) == ["checkpoint.npz", "config.json", "log.jsonl", "mine.part"]


@pytest.mark.parametrize("damage", [
    b'{"step": 4, "lo', b"\xff\xfe\n", b"3\n", b'{"step": 4}\n', b"[" * 100_000 + b"\n", b"1" * 5000,
    b'{"step": 4, "loss": 1, "held_out": 3, "seconds": 1}\n',
])
def test_a_log_with_a_damaged_line_counts_up_to_that_line(tmp_path: Path, damage: bytes) -> None:
    with pytest.raises(Stop):
        train_on(small(), table(tmp_path / "x.npy"), tmp_path / "a", callback=stop_at(3))
    with open(tmp_path / "a" / "log.jsonl", "ab") as file:
        file.write(damage)
    assert [line["step"] for line in read_log(tmp_path / "a" / "log.jsonl")] == [1, 2, 3]
    train_on(small(), load(tmp_path / "x.npy"), tmp_path / "a", resume=True)
    assert [line["step"] for line in read_log(tmp_path / "a" / "log.jsonl")] == [1, 2, 3, 4, 5, 6]


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(folders.Log):
        def __call__(self, progress: Any) -> None:
            self.path, self.opened = Path("/dev/full"), True
            super().__call__(progress)

    monkeypatch.setattr(folders, "Log", Full)
    with pytest.raises(OSError, match="cannot write /dev/full: No space left on device"):
        train_on(small(), table(tmp_path / "x.npy"), tmp_path / "a")
    assert load_run(tmp_path / "a").config == small()


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(NotADirectoryError, match="a is a file, not a folder: choose another name"):
        train_on(small(), table(tmp_path / "x.npy"), tmp_path / "a")
    with pytest.raises(ValueError, match="folder must name a folder, got ''"):
        train_on(small(), table(tmp_path / "x.npy"), "")


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The superuser may write anywhere: the system's refusal is put in here."""
    def refuse(*arguments: Any) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    train_on(small(), table(tmp_path / "x.npy"), tmp_path / "a")
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError, match=r"cannot write .*a/\.lock: Permission denied"):
        train_on(small(), load(tmp_path / "x.npy"), tmp_path / "a", resume=True)
    assert load_run(tmp_path / "a").config == small()  # to read it needs no leave to write


def test_a_description_nested_too_deep_is_damage(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="is not the description of a run"):
        load_run(tmp_path)


# -- two processes -------------------------------------------------------------------------------------------------

def test_a_folder_where_another_trains_is_refused_and_left_alone(tmp_path: Path) -> None:
    dataset, refused = table(tmp_path / "x.npy"), []

    def try_too(progress: Any) -> None:
        if progress.step == 3:
            for resume in (False, True):
                with pytest.raises(BlockingIOError) as error:
                    train_on(small(), dataset, tmp_path / "a", resume=resume)
                refused.append(str(error.value))

    trained = train_on(small(), dataset, tmp_path / "a", callback=try_too)
    said = f"{tmp_path / 'a'} is being trained by process {os.getpid()}: wait for its end, or choose another folder"
    assert refused == [said, said]
    assert same(load_run(tmp_path / "a"), trained)
    assert len(read_log(tmp_path / "a" / "log.jsonl")) == 6
    assert sorted(os.listdir(tmp_path / "a")) == ["checkpoint.npz", "config.json", "log.jsonl"]


def test_a_lock_is_let_go_when_its_process_is_killed(tmp_path: Path) -> None:
    code = "import os, sys; from pathlib import Path; from evenflow.reference.work.lock import alone\n"
    code += "with alone(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=False)
    assert done.returncode == -9
    assert os.listdir(tmp_path / "a") == [lock.LOCK]
    with lock.alone(tmp_path / "a"):
        assert (tmp_path / "a" / lock.LOCK).read_text() == str(os.getpid())
    assert os.listdir(tmp_path / "a") == []


def test_a_lock_file_that_its_holder_removes_meanwhile_holds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened before the holder's end and locked after it: the file is the folder's no more, another may have made a new one."""
    opened, removed = os.open, list[Any]()

    def open_and_wait(path: Any, *args: Any) -> int:
        handle = opened(path, *args)
        if not removed:
            removed.append(path)
            Path(path).unlink()
        return handle

    monkeypatch.setattr(os, "open", open_and_wait)
    with lock.alone(tmp_path), pytest.raises(BlockingIOError, match="is being trained"), lock.alone(tmp_path):
        pass
    assert len(removed) == 1


# -- more steps ----------------------------------------------------------------------------------------------------

def test_extended_along_a_constant_rate_a_run_ends_where_a_longer_one_ends(tmp_path: Path) -> None:
    dataset = table(tmp_path / "x.npy")
    six, nine = (small(steps, schedule="constant", keep="last") for steps in (6, 9))
    long = train_on(nine, dataset)
    train_on(six, dataset, tmp_path / "a")
    with pytest.raises(ValueError, match="a was begun with steps 6, not 9; to make more, extend it"):
        train_on(nine, dataset, tmp_path / "a", resume=True)
    with pytest.raises(Stop):
        train_on(nine, dataset, tmp_path / "a", extend=True, callback=stop_at(8))
    assert load_run(tmp_path / "a").config.steps == 9
    assert same(train_on(nine, dataset, tmp_path / "a", resume=True), long)
    assert [line["step"] for line in read_log(tmp_path / "a" / "log.jsonl")] == list(range(1, 10))
    with pytest.raises(ValueError, match="a was begun with steps 9, not 6"):
        train_on(six, dataset, tmp_path / "a", resume=True)


def test_extended_along_a_decaying_rate_the_rate_is_that_of_the_longer_run(tmp_path: Path) -> None:
    dataset, rates = table(tmp_path / "x.npy"), {}
    for name, steps in (("a", 6), ("long", 9)):
        train_on(small(steps, learning_rate=1e-3), dataset, tmp_path / name)
    train_on(small(9, learning_rate=1e-3), dataset, tmp_path / "a", extend=True)
    for name in ("a", "long"):
        rates[name] = [line["learning_rate"] for line in read_log(tmp_path / name / "log.jsonl")]
    np.testing.assert_allclose(rates["a"][:6], 1e-3 * (1 - np.arange(6) / 6))
    assert rates["a"][6:] == rates["long"][6:]


def test_an_extension_that_ended_before_its_first_checkpoint_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The description says 9 steps, the checkpoint is that of the run of 6."""
    dataset = table(tmp_path / "x.npy")
    train_on(small(6), dataset, tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    extended = train_on(small(9), dataset, tmp_path / "b", extend=True)
    described = json.loads((tmp_path / "a" / "config.json").read_text())
    (tmp_path / "a" / "config.json").write_text(json.dumps({**described, "steps": 9}))
    assert load_run(tmp_path / "a").config.steps == 9
    assert same(train_on(small(9), dataset, tmp_path / "a", resume=True), extended)


def test_a_checkpoint_of_a_run_of_another_length_is_another_runs(tmp_path: Path) -> None:
    dataset = table(tmp_path / "x.npy")
    for name, steps in (("a", 6), ("b", 9)):
        train_on(small(steps), dataset, tmp_path / name)
    shutil.copy(tmp_path / "a" / "checkpoint.npz", tmp_path / "b")
    with pytest.raises(ValueError, match="checkpoint of another model: config/steps is 6 there, 9 here"):
        load_run(tmp_path / "b")
