"""The pictures of generators.py: each sweep around the base point, and samples."""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evenflow.experiments.judged import column, having, mean
from evenflow.experiments.results import Row
from evenflow.reference.app.pictures import COLOURS, new_figure, write

MEASURES = {
    "d_loss": "D-loss (larger is better)", "spread": "spread in a class / the data's",
    "dimension": "dimensions of a block's draws",
}
SWEEPS = {"noise": "noise numbers a block", "draws": "draws a datum", "beta": "beta"}


def sweeps(path: Path, rows: list[Row], base: Mapping[str, Any]) -> None:
    """A column for each sweep, a line for each measure; the invertible heads with as many blocks as the base point as lines."""
    figure = new_figure(4.0 * len(SWEEPS), 3.0 * len(MEASURES))
    lines = figure.subplots(len(MEASURES), len(SWEEPS), sharey="row")
    others = [row for row in rows if row["head"] not in (base["head"], "real digits") and row["blocks"] == base["blocks"]]
    heads = dict.fromkeys(row["head"] for row in others)
    for line, (field, name) in zip(lines, MEASURES.items(), strict=True):
        for axes, (swept, title) in zip(line, SWEEPS.items(), strict=True):
            mine = having(rows, **{key: value for key, value in base.items() if key != swept})
            values = sorted({row[swept] for row in mine})
            means = [mean(column(mine, field, **{swept: v})) for v in values]
            axes.plot(values, means, "-", color=COLOURS[0], label=base["head"])
            dots = [(row[swept], row[field]) for row in mine if row[field] is not None]
            axes.plot(*zip(*dots, strict=True), "o", color=COLOURS[0], markersize=4, alpha=0.6)
            for colour, head in zip(COLOURS[1:], heads, strict=False):
                axes.axhline(mean(column(others, field, head=head)), color=colour, linestyle="--", linewidth=1, label=head)
            axes.set_xscale("log", base=2)
            axes.set(xlabel=title, xticks=values, xticklabels=[f"{v:g}" for v in values])
            axes.minorticks_off()
            axes.grid(alpha=0.3)
        line[0].set_ylabel(name)
    lines[0][0].legend(fontsize=8)
    write(figure, path)
