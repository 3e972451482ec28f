"""The page of a run: the score, by folder and by operator, and every survivor with its reason."""
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.mutation.survivors import ADDED, REASONS, SAME_PROGRAM

HEAD = """# Mutation testing

Small mistakes are planted in the mathematics of the reference, one at a time, and the tests have to notice.
They are those of [cosmic-ray](https://cosmic-ray.readthedocs.io)'s operators (another arithmetic operator, another comparison,
a number one more or less, a `not`, a decorator removed, ...) in `reference/flows`, `scores`, `mcmc` and
`saef/semiautoregressive.py`.

    pip install -e '.[test-all,mutation]'
    python -m tests.mutation run --sample {sample} --seed {seed}{patience} --out docs/results/mutation.json
    python -m tests.mutation report docs/results/mutation.json > docs/mutation.md
"""
METHOD = """
## How it was done

- There are {candidates} places for a mutation; {sample} were drawn with the seed {seed}. Not drawn from: type annotations,
  which nothing runs; changes that do not compile or give the same program; an arithmetic operator made a bit operator
  (`a + b` to `a << b`), a TypeError on the first float which any test kills and which would flatter the score.
- A mutant meets the tests that run its line, as coverage measures it for each test, until one fails. A line that runs at
  import (a constant, a default, a decorator) meets every test that runs a line of its module. {met}
- Killed also means: the tests cannot be imported any more, or one of them takes more than ten times its processor time, and a
  minute.
- Killed mutants are kept from run to run while their file stays as it is; survivors then meet the tests as they are, with
  those that were added for them (at the end).
- Hypothesis tries the examples that it always tries here, and does not shrink those that fail.
- A test that fails without any mutant proves nothing and is not asked{failing}. The tests that killed were run once more
  without a mutant: they pass.
- Not asked either, so that the score is a lower bound:
"""
ALL_MET = "A survivor has met all of them."
SOME_MET = """A survivor has met as
  many as take `--patience` seconds in each of three groups: those that killed other mutants of its file, the other quick
  ones, the rest."""


def page(file: Path) -> str:
    run = json.loads(file.read_text())
    mutants, failing = run["mutants"], run["failing"]
    facts = {"seed": run["seed"], "candidates": run["candidates"], "sample": len(mutants)}
    facts["failing"] = f" ({len(failing)} of {run['tests']}: {', '.join(f'`{test}`' for test in failing)})" if failing else ""
    everything = run["patience"] == math.inf
    facts |= {"patience": "" if everything else f" --patience {run['patience']:g}", "met": ALL_MET if everything else SOME_MET}
    return "\n".join([
        HEAD.format(**facts), *score(mutants), "",
        ", ".join(f"{name} {version}" for name, version in run["versions"].items()) + ".",
        METHOD.format(**facts) + "\n".join(f"  - `{tests}`: {reason}." for tests, reason in run["left_out"].items()),
        "\n## By file and by operator\n", *table("file", mutants, lambda row: row["file"]), "",
        *table("operator", mutants, lambda row: family(row["operator"])),
        "\n## Survivors\n", *survivors(mutants), "\n## Tests that were added for survivors\n",
        *(f"- `{test}`: {what}." for test, what in ADDED.items()), "",
    ])


def score(mutants: list[dict[str, Any]]) -> list[str]:
    count = Counter(row["status"] for row in mutants)
    survived = count["survived"]
    killed, equal = len(mutants) - survived, sum(reason(row)[0] == SAME_PROGRAM for row in mutants if alive(row))
    return [
        f"**{killed} of {len(mutants)} killed: {killed / len(mutants):.1%}.**",
        f"Of the {survived} survivors {equal} are equivalent: no test can tell them from the original.",
        f"Without those, {killed / (len(mutants) - equal):.1%}.",
        f"Of the killed, {count['killed']} failed a test, {count['import']} broke the import of the tests, "
        f"{count['timeout']} ran out of time, {count['crash']} crashed.",
    ]


def alive(row: dict[str, Any]) -> bool:
    return bool(row["status"] == "survived")


def family(operator: str) -> str:
    return operator.removeprefix("core/").split("_")[0]


def table(name: str, mutants: list[dict[str, Any]], group: Callable[[dict[str, Any]], str]) -> list[str]:
    groups = defaultdict(list)
    for row in mutants:
        groups[group(row)].append(alive(row))
    counts = {one: (len(rows), len(rows) - sum(rows)) for one, rows in sorted(groups.items())}
    lines = [f"| {one} | {made} | {killed} | {killed / made:.0%} |" for one, (made, killed) in counts.items()]
    return [f"| {name} | mutants | killed | |", "|---|---:|---:|---:|", *lines]


def survivors(mutants: list[dict[str, Any]]) -> list[str]:
    lines = []
    for row in sorted(filter(alive, mutants), key=lambda row: (row["file"], row["line"])):
        kind, why = reason(row)
        lines.append(f"- `{row['file']}:{row['line']}`, {kind}. {why}\n")
        lines += [f"      - {inline(row['before'])}", f"      + {inline(row['after'])}\n"]
    return lines


def inline(lines: str) -> str:
    return lines.replace("\n", "\n        ")


def reason(row: dict[str, Any]) -> tuple[str, str]:
    """KeyError: a survivor without a reason. Look at it, then write a test or the reason."""
    return REASONS[row["file"], row["after"]]
