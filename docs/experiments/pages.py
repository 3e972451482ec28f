"""Pages, made of results: the text of prose/NAME.md, and numbers in it.

A text has a part that stands once, and parts behind comments: what follows <!-- each --> is repeated for each preset, what
follows <!-- first --> is there for the first one, <!-- best --> for that preset alone; <!-- last --> ends the page.
"""
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from evenflow.experiments.image_data import IN_A_FOLDER
from evenflow.experiments.results import Row

Numbers = Callable[[Row], dict[str, Any]]


def filled(name: str, numbers: Numbers = lambda one: {}, results: Sequence[Row] = (), **whole: Any) -> str:
    """The page: `whole` in what stands once, numbers(one) and the preset in what stands for each of the results."""
    text = (Path(__file__).parent / "prose" / f"{name}.md").read_text()
    head, *rest = (part.strip() for part in re.split(r"<!-- (\w+) -->", text))
    parts = list(zip(rest[::2], rest[1::2], strict=True))
    page = [head.format(**whole)]
    for one in results:
        known = {"preset": one["preset"], **numbers(one)}
        now = ("each", known["preset"], "first" if one is results[0] else "")
        page += [part.format(**known) for when, part in parts if when in now]
    page += [part.format(**whole) for when, part in parts if when == "last"]
    return "\n\n".join(page).rstrip() + "\n"


def show(page: Callable[[list[Row]], str]) -> None:
    """The page of the results.json that the command line names."""
    print(page([json.loads(Path(path).read_text()) for path in sys.argv[1:]]), end="")


def command(name: str, results: Row) -> str:
    """That which made them: a line of code."""
    run = f"evenflow reproduce {name} --preset {results['preset']} --seeds {len({row['seed'] for row in results['rows']})}"
    run += " --data DIR" if {row.get("data") for row in results["rows"]} & set(IN_A_FOLDER) else ""
    return f"    EVENFLOW_BACKEND={results['backend']} {run}"


def commands(page: str, module: str, named: Sequence[tuple[str, Row]]) -> str:
    """Those that made the results, under the names that they have in docs/results, and that which makes the page of them."""
    files = " ".join(f"{name}-{one['preset']}.json" for name, one in named)
    made = f"    cd docs/results && python -m evenflow.experiments.{module} {files} > ../experiments/{page}.md"
    return "\n".join([*(command(name, one) for name, one in named), made])


def versions(results: Row) -> str:
    packages = [f"{name} {number}" for name, number in results["versions"].items()]
    return ", ".join([f"Python {results['python']}", *packages, *results.get("blas", [])])


def in_float32(results: Sequence[Row]) -> str:
    """The same of several; each with its presets, where it was not the same for all."""
    told = [(versions(one), one["preset"]) for one in results]
    parts = [f"{known} (`{'`, `'.join(dict.fromkeys(preset for same, preset in told if same == known))}`)"
             for known in dict(told)]
    return f"{'; '.join(parts) if len(parts) > 1 else told[0][0]}; float32"


def made_by(results: Row) -> str:
    """The command and what it ran with, where rows have their seconds of training."""
    minutes = sum(row["train_seconds"] or 0 for row in results["rows"]) / 60
    return (
        f"{command(results['experiment'], results)}\n\n{versions(results)}.\n"
        f"Models in float32; {minutes:.0f} minutes of training, summed over the rows; other work ran on the same cores."
    )


def bullets(said: Iterable[str]) -> str:
    return "\n".join(f"- {line}." for line in said)


def markdown(heads: Sequence[str], lines: Sequence[Sequence[str]], rule: str = "---") -> str:
    """A table; rule: below all heads but the first."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---", *[rule] * (len(heads) - 1)], *lines])
