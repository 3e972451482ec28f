"""The pages of the studies in the plane, from results.json: python -m evenflow.experiments.NAME results.json ... > NAME.md"""
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments.planar import ALGORITHMS, Study
from evenflow.experiments.planar_measures import ERRORS
from evenflow.experiments.planar_pictures import NAMES

SAID = {
    "median_squared_error": "median squared error", "median_squared_error_box": "on the box", "kl": "KL(p* to model)",
    "model_true": "E vs p*", "negatives_model": "negatives vs E", "starts_model": "starts vs E",
}
COLUMNS = """*trained*: how many seeds came to the end; the others ran away (energies of data and samples more than 1e6 nats
apart, or not finite) and are left out of the means. Then means over the seeds, in brackets standard deviations, in braces the
paper's number where it has one. *median squared error*: of log p against log p*, at 10,000 draws of p*, log Z by the midpoint
rule on a box of 200 x 200 cells; *on the box*: the same at those cells, most of which neither data nor chains ever see. *KL*:
of p* to the model, by the same grid, in nats. *E vs p\\**, *negatives vs E*, *starts vs E*: mean squared errors of the
weights of the zones, one a mode or ring: of E by summing its mass on the grid, of negatives and of the chains' starts by
counting. The negatives are those that 8,192 chains leave under the trained energy. Counting 8,192 independent points alone
costs the mean of w (1 - w) / 8,192, about 1e-5 to 2e-5: a value there is no distance. Starts are the persistent chains of PCD
and flowMC as they stand, draws of the flow for NT and CoopFlow; FCE's negatives are the flow's draws themselves, Jarzynski's
its weighted walkers. *time*: of the training, one core each, as a multiple of flowMC-EBM's with the same
preset; other work ran beside it."""
DIFFERS = """## What differs from the paper, and why

The paper names no optimiser; its algorithms print plain steps. `paper` takes plain steps on every energy, at the printed
rates held constant, for 100 epochs of 60,000 points in batches of 256, 8,192 persistent chains, chains as long as printed, N
= 64 (FCE's and Jarzynski's rates, 1e-3, are ours); the flows have Adam. It is not run here. Timed over 20 steps on one core
of two (compiled, four-modes but for the second number), a step takes flowMC 0.104 s (0.011 s with the chains of
eight-gaussians and rings), PCD 0.181, NT 0.114, CoopFlow 0.036, FCE 0.005, Jarzynski 0.017; so 23,400 of them take 41 (4),
71, 44, 14, 2 and 7 minutes, a seed of all six about three hours of one core.

`quick` has 4 epochs, `best` 10, of the same points and batches, with chains 8 times shorter (of flowMC 16 moves), rates
that decay linearly to zero, and Adam on E for flowMC (5e-3), CoopFlow (1e-4), FCE and Jarzynski (1e-3); PCD and NT keep
plain steps at 0.01. `swapped` is `quick` with the optimisers of E exchanged: plain steps at 0.01 for flowMC, FCE and
Jarzynski and at 0.001 for CoopFlow, Adam at 0.005 for PCD and NT. In so few epochs plain steps hardly bend an energy from
zero; the paper has 100 epochs, [two-modes](two-modes.md) 75. Tried with seed 0 in 4 epochs on four-modes, not kept: NT with
Adam at 1e-3 (median squared error 4e8), CoopFlow with plain steps at 1e-2 and with Adam at 1e-3 (it ran away). So PCD, NT
and CoopFlow are seen here with chains an eighth as long as the paper's: where they lose, that is not shown of the printed
ones.

Ours, where the paper is silent: a RealNVP of 4 layers with 60 hidden units; its base N(0, s^2 I), s^2 the largest marginal
variance of the target, which tilts flowMC's energy; PCD's chains start uniform on the box; MALA's step follows an acceptance
of 75 %. Rates were chosen with seed 0, which is among those reported."""


def page(study: Study, head: str, paths: Sequence[str]) -> str:
    """The Markdown; paths: of results.json of one preset each."""
    results = [json.loads(Path(path).read_text()) for path in paths]
    parts = [
        head.strip(), "", *commands(study, results, paths), *table(study, results), "", COLUMNS, "", versions(results), "",
        "## The paper's numbers", "", *verdicts(study, results), "", DIFFERS, "", "## Pictures", "", *shown(study, results),
    ]
    return "\n".join(parts).rstrip() + "\n"


def commands(study: Study, results: Sequence[Mapping[str, Any]], paths: Sequence[str]) -> list[str]:
    made = [
        f"    EVENFLOW_BACKEND={one['backend']} evenflow reproduce {study.name} --preset {one['preset']} --seeds {seeds(one)}"
        for one in results
    ]
    module, names = study.name.replace("-", "_"), " ".join(Path(path).name for path in paths)
    shown = f"    cd docs/results && python -m evenflow.experiments.{module} {names} > ../experiments/{study.name}.md"
    said = "The last line made this page; the `results.json` of the others are in docs/results, by these names."
    return [*made, shown, "", said, ""]


def seeds(result: Mapping[str, Any]) -> int:
    return len({row["seed"] for row in result["rows"]})


def whole(result: Mapping[str, Any], algorithm: str) -> list[dict[str, Any]]:
    """The rows of trainings that came to their end."""
    return [row for row in result["rows"] if row["algorithm"] == algorithm and row["stopped_at"] is None]


def table(study: Study, results: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [["preset", "algorithm", "steps on E", "trained", *SAID.values(), "time"], ["---"] * (len(SAID) + 5)]
    for result in results:
        one = [row["seconds"] for row in whole(result, "flowmc")]
        for name in (name for name in ALGORITHMS if any(row["algorithm"] == name for row in result["rows"])):
            begun, rows = [row for row in result["rows"] if row["algorithm"] == name], whole(result, name)
            cells = [cell(rows, error, study.judged.get(error, {}).get(name)) for error in ERRORS]
            plain = "plain" if name in result["settings"]["plain"] else "Adam"
            time = f"{np.mean([row['seconds'] for row in rows]) / np.mean(one):.2f}" if rows and one else "-"
            lines.append([result["preset"], NAMES[name], plain, f"{len(rows)} of {len(begun)}", *cells, time])
    return ["| " + " | ".join(line) + " |" for line in lines]


def cell(rows: Sequence[Mapping[str, Any]], error: str, paper: float | None) -> str:
    theirs = "" if paper is None else f" {{{paper:.3g}}}"
    if not rows:
        return "-" + theirs
    values = np.array([row[error] for row in rows])
    spread = f" ({values.std(ddof=1):.2g})" if len(values) > 1 else ""
    return f"{values.mean():.3g}{spread}{theirs}"


def versions(results: Sequence[Mapping[str, Any]]) -> str:
    parts = sorted({f"Python {one['python']}, numpy {one['versions']['numpy']}, float32" for one in results})
    return f"{'; '.join(parts)}, seeds 0, 1, ...: each has its own data, start and noise."


def verdicts(study: Study, results: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line for each number that the paper prints and each preset: reached or not, and with how many seeds."""
    lines = []
    for error, numbers in study.judged.items():
        for result in results:
            for name, paper in numbers.items():
                rows = whole(result, name)
                begun = sum(row["algorithm"] == name for row in result["rows"])
                if begun:
                    said = verdict([row[error] for row in rows], begun, paper)
                    lines.append(f"- {SAID[error]}, {NAMES[name]}, `{result['preset']}`: {said}")
    return lines


def verdict(values: Sequence[float], begun: int, paper: float) -> str:
    if not values:
        return f"none of {begun} trainings came to its end; the paper has {paper:.3g}: **not reached**"
    under, mean = sum(value <= paper for value in values), float(np.mean(values))
    reached = "reached" if mean <= paper and len(values) == begun else "**not reached**"
    return f"{mean:.3g} on average, {under} of {begun} seeds at or below the paper's {paper:.3g}: {reached}"


def shown(study: Study, results: Sequence[Mapping[str, Any]]) -> list[str]:
    """The pictures of each preset's first seed."""
    lines = []
    for result in results:
        preset = result["preset"]
        whole_set = result is results[0] or (study.name, preset) == ("four-modes", "best")
        kinds = ("densities", "samples", "weights") if whole_set else ("densities",)
        for kind in kinds:
            image = f"../images/{study.name}-{preset}-{kind}.png"
            lines += [f"![{kind} of {study.name}, {preset}]({image})", "", f"`{kind}.png` of `{preset}`, seed 0.", ""]
    return lines
