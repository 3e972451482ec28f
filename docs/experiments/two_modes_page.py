"""The page of two modes, from results.json: python -m evenflow.experiments.two_modes results.json ... > two-modes.md"""
from collections.abc import Sequence

import numpy as np

from evenflow.experiments.judged import cell, column, having, mean
from evenflow.experiments.pages import bullets, commands, filled, in_float32, markdown
from evenflow.experiments.results import Row
from evenflow.experiments.two_modes_pictures import NAMES

ALL = ("flowmc", "flowmc-local", "pcd", "nt", "coopflow", "fce", "jarzynski")
HEADS = (
    "preset", "algorithm", "trained", "final weight", "final - data", "final - 2/3", "final - chains", "late range",
    "late sd", "global acceptance", "R-hat of the mode",
)


def page(results: Sequence[Row]) -> str:
    """The Markdown; results: of one preset each."""
    return filled(
        "two-modes", commands=commands("two-modes", "two_modes", [("two-modes", one) for one in results]),
        versions=in_float32(results), table=table(results), findings=bullets(findings(results)),
        first=results[0]["preset"], second=results[min(1, len(results) - 1)]["preset"])


def rows_of(result: Row, algorithm: str) -> tuple[list[Row], list[Row]]:
    """Of an algorithm: all, and those of trainings that came to their end."""
    rows = having(result["rows"], algorithm=algorithm)
    return rows, having(rows, stopped_at=None)


def table(results: Sequence[Row]) -> str:
    """Means over the seeds, in brackets standard deviations."""
    lines = []
    for result in results:
        algorithms = dict.fromkeys(row["algorithm"] for row in result["rows"])
        lines += [[result["preset"], NAMES[algorithm], *cells(*rows_of(result, algorithm))] for algorithm in algorithms]
    return markdown(HEADS, lines)


def cells(rows: list[Row], whole: list[Row]) -> list[str]:
    """One line of the table, from the rows of all seeds; those that broke off are counted and left out."""
    counted = f"{len(whole)} of {len(rows)}"
    if not whole:
        return [counted, *["-"] * 8]
    final, accepted, rhat = (column(whole, field) for field in ("final_weight", "acceptance_global", "rhat_mode"))
    least, most = min(column(whole, "weight_min_late")), max(column(whole, "weight_max_late"))
    return [
        counted, cell(final, ".3f", ".3f"),
        *(f"{np.abs(np.subtract(final, column(whole, field))).mean():.4f}"
          for field in ("empirical_weight", "true_weight", "chain_weight")),
        f"{least:.3f}-{most:.3f}", f"{mean(column(whole, 'weight_sd_late')):.3f}",
        f"{mean(accepted):.3f}" if accepted else "-",
        f"{max(float(value) for value in rhat):.3f}" if rhat else "-",
    ]


def findings(results: Sequence[Row]) -> list[str]:
    """What the numbers say, said from the numbers."""
    said = []
    for result in results:
        for algorithm in dict.fromkeys(row["algorithm"] for row in result["rows"]):
            rows, whole = rows_of(result, algorithm)
            stopped = ", ".join(str(row["stopped_at"]) for row in rows if row["stopped_at"] is not None)
            ran = f"{len(rows) - len(whole)} of {len(rows)} ran away (at step {stopped})" if stopped else ""
            ends = ", ".join(f"{row['final_weight']:.3f}" for row in whole)
            ended = f"the weight ends at {ends}; with {shares(whole)} of its samples in that mode" if whole else ""
            said.append(f"`{result['preset']}`, {NAMES[algorithm]}: {'; '.join(part for part in (ended, ran) if part)}")
        _, ours = rows_of(result, "flowmc")
        off = mean([abs(row["final_weight"] - row["true_weight"]) for row in ours])
        left = [NAMES[name] for name in ALL if not rows_of(result, name)[0]]
        late = f"run before {', '.join(left)} were here; the command above trains them, too"
        said += [f"`{result['preset']}`: {late}"] if left else []
        reached = "reached" if off <= 0.01 else "**not reached**"
        said.append(f"`{result['preset']}`: mean of |weight - 2/3| of flowMC-EBM {off:.4f}, 0.01 asked: {reached}")
    return said


def shares(rows: list[Row]) -> str:
    """From the smallest to the largest share of the chains in the upper-right mode."""
    low, high = (pick(row["chain_weight"] for row in rows) for pick in (min, max))
    return f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
