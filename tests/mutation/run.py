"""A run: a copy of the tree, what each test runs in it, the sample, the workers, and all of it in one JSON file."""
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from evenflow.experiments.results import write_json
from tests.mutation.mutants import Mutant, candidates, sample
from tests.mutation.scope import runs_in_a_function

Row = dict[str, Any]
Key = tuple[str, str, int]

ROOT = Path(__file__).parents[2]
LEFT_OUT = {  # tests that are not asked, and why
    "tests/bench/*": "timings",
    "tests/conformance/*": "the vectors, which other implementations are judged by, prove themselves",
    "tests/vectors/*": "the same",
    "tests/mutation/*": "this tool",
    "tests/agreement/test_kernel_walks.py": "compiles CUDA for minutes",
    "tests/agreement/test_kernel_sources.py": "compiles CUDA for minutes",
    "tests/reference/test_[fhr]*.py": "face, house and rooms: read the sources or take the time, and compute nothing",
    "tests/reference/*/test_tr*.py": "trees; trainings in processes of their own, which are broken off",
    "tests/experiments/*": "the same",
    "tests/statistics/test_[mnt]*.py": "long runs of the metrics, log Z and the targets",
}
PACKAGES = ("cosmic-ray", "coverage", "pytest", "hypothesis", "numpy", "autograd")


def run(out: Path, size: int, seed: int, patience: float, jobs: int, work: Path) -> None:
    tree = copied(ROOT, work / "tree")
    mutants = sample(tree, size, seed)
    measure(tree, work / "touched", jobs)
    kept = killed_before(out, tree)
    done = kept | attempt(tree, [mutant for mutant in mutants if key(mutant) not in kept], patience, jobs, work)
    touched = [json.loads(file.read_text()) for file in (work / "touched").glob("*.json")]
    versions = {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in PACKAGES}}
    result = {
        "schema": "mutation/1", "seed": seed, "patience": patience, "candidates": len(candidates(tree)), "versions": versions,
        "left_out": LEFT_OUT, "tests": sum(len(file["tests"]) for file in touched),
        "failing": sorted(test for file in touched for test in file["failed"]),
        "sources": {file: digest((tree / file).read_text()) for file in sorted({mutant.file for mutant in mutants})},
        "mutants": [done[key(mutant)] for mutant in mutants],
    }
    write_json(out, result)
    for results in work.glob("*.jsonl"):
        results.unlink()


def killed_before(out: Path, tree: Path) -> dict[Key, Row]:
    """What an earlier run killed, of the files that are still as they were."""
    if not out.exists():
        return {}
    run = json.loads(out.read_text())
    same = {file for file, text in run["sources"].items() if digest((tree / file).read_text()) == text}
    dead = [row for row in run["mutants"] if row["status"] != "survived" and row["file"] in same]
    return {key(Mutant(*(row[name] for name in Mutant._fields))): row for row in dead}


def key(mutant: Mutant) -> Key:
    return mutant.file, mutant.operator, mutant.occurrence


def copied(source: Path, target: Path) -> Path:
    """The tree without what is made from it. The files keep their times, so that what is compiled stays good."""
    ignore = shutil.ignore_patterns(".git", ".venv", "build", "dist", "runs", ".*_cache", ".hypothesis")
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(source, target, ignore=ignore, symlinks=True))


def measure(tree: Path, folder: Path, jobs: int) -> None:
    """One JSON file for each file of tests, named by the text of both: a test that has changed is measured again."""
    folder.mkdir(parents=True, exist_ok=True)
    reference = "".join(path.read_text() for path in sorted((tree / "reference").rglob("*.py")))
    files = [path for path in sorted((tree / "tests").rglob("test_*.py")) if asked(path.relative_to(tree))]
    tests = {str(path.relative_to(tree)): path.read_text() for path in files}
    wanted = {folder / f"{test.replace('/', '-')}-{digest(text + reference)}.json": test for test, text in tests.items()}
    for old in set(folder.glob("*.json")) - set(wanted):
        old.unlink()
    commands = [["tests.mutation.touching", test, str(made)] for made, test in wanted.items() if not made.exists()]
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda command: python(tree, *command), commands))


def asked(path: Path) -> bool:
    return not any(path.match(pattern) for pattern in LEFT_OUT)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def attempt(tree: Path, mutants: list[Mutant], patience: float, jobs: int, work: Path) -> dict[Key, Row]:
    """In place where that can be; the survivors then meet the tests apart; what runs at import is imported anew."""
    inside = [mutant for mutant in mutants if runs_in_a_function((tree / mutant.file).read_text(), mutant.line)]
    found = shared("in-place", tree, inside, patience, jobs, work)
    alive = [mutant for mutant in inside if found[key(mutant)]["status"] == "survived"]
    found |= shared("apart", tree, alive, patience, jobs, work)
    left = [mutant for mutant in mutants if key(mutant) not in found or found[key(mutant)]["status"] == "unchanged"]
    return found | shared("imported", tree, left, patience, jobs, work)


def shared(how: str, tree: Path, mutants: list[Mutant], patience: float, jobs: int, work: Path) -> dict[Key, Row]:
    """The workers share the mutants out; what an earlier run that was broken off has left is not tried again."""
    results = work / f"{how}.jsonl"
    known = read(results)
    left = [mutant for mutant in mutants if key(mutant) not in known]

    def one(number: int) -> None:
        if mine := left[number::jobs]:
            copy = copied(tree, work / f"tree-{number}")
            (copy / "mutants.json").write_text(json.dumps(mine))
            python(copy, "tests.mutation.worker", how, "mutants.json", str(work / "touched"), str(results), str(patience))

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, range(jobs)))
    return read(results)


def read(results: Path) -> dict[Key, Row]:
    rows = map(json.loads, results.read_text().splitlines()) if results.exists() else ()
    return {key(Mutant(*(row[name] for name in Mutant._fields))): row for row in rows}


def python(tree: Path, *command: str) -> None:
    """A module of the tree, in the tree, with the tree's own evenflow before any that is installed."""
    environment = {
        **os.environ, "PYTHONPATH": str(tree / ".typing"), "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg",
        "PYTHONDONTWRITEBYTECODE": "1" if "worker" in command[0] else "",  # a mutant as long as another would pass for it
    }
    subprocess.run([sys.executable, "-m", *command], cwd=tree, env=environment, check=True, stdout=subprocess.DEVNULL)
