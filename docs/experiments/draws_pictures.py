"""The pictures of draws.py: the gradient's noise and bias against the number of draws, and what the trainings came to."""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evenflow.experiments.judged import column, having, mean
from evenflow.experiments.results import Row
from evenflow.reference.app.pictures import COLOURS, new_figure, write

MEASURES = {"d_loss": "D-loss (larger is better)", "energy_score": "energy score", "spread": "spread in a class / the data's"}


def gradients(path: Path, rows: list[Row]) -> None:
    """For each data set the noise of U's draws, over a line for the data's, and the bias of V; a colour for each step."""
    mine = [row | {"bias_squared": row["bias"] ** 2} for row in having(rows, kind="gradient", directions=None)]
    names = list(dict.fromkeys(row["data"] for row in mine))
    figure = new_figure(11.0, 4.0 * len(names) + 0.5)
    for line, data in zip(figure.subplots(len(names), 2, squeeze=False), names, strict=True):
        of_data = having(mine, data=data)
        steps = dict.fromkeys(row["step"] for row in of_data)
        for colour, step in zip(COLOURS, steps, strict=False):
            here = having(of_data, step=step)
            curve(line[0], here, "draws_noise", 0.0, colour, f"step {step}, draws")
            level = mean(column(here, "data_noise", eps=0.0))
            line[0].axhline(level, color=colour, linestyle="--", linewidth=1, label=f"step {step}, data")
            curve(line[1], here, "bias_squared", 1.0, colour, f"step {step}, V's bias, squared")
            line[1].axhline(level, color=colour, linestyle="--", linewidth=1, label=f"step {step}, data's noise")
        line[0].set(title=f"{data}: noise of U's gradient", ylabel="trace of the covariance")
        line[1].set(title=f"{data}: bias of V's gradient", ylabel="squared length")
        for axes in line:
            axes.set_yscale("log")
            axes.grid(alpha=0.3)
            axes.legend(fontsize=8)
    write(figure, path)


def curve(axes: Any, rows: list[Row], field: str, eps: float, colour: str, label: str) -> None:
    """A field against the number of draws: the mean over the seeds."""
    mine = having(rows, eps=eps)
    values = {m: mean(column(mine, field, draws=m)) for m in sorted({row["draws"] for row in mine})}
    axes.plot(list(values), list(values.values()), "o-", color=colour, markersize=4, label=label)
    axes.set_xscale("log", base=2)
    axes.set(xlabel="draws a datum", xticks=list(values), xticklabels=list(values))


def trainings(path: Path, rows: list[Row]) -> None:
    """A panel for each measure; a colour for each eps, full lines for equal steps, broken ones for equal draws."""
    mine = having(rows, kind="training", data="digits")
    figure = new_figure(4.4 * len(MEASURES), 4.0)
    for axes, (field, name) in zip(figure.subplots(1, len(MEASURES)), MEASURES.items(), strict=True):
        for colour, eps in zip(COLOURS, sorted({row["eps"] for row in mine}), strict=False):
            for plan, line in lines(mine).items():
                values = {row["draws"]: mean(column(line, field, draws=row["draws"], eps=eps)) for row in line}
                order = sorted(values)
                style, label = "o-" if plan == "steps" else "o--", f"eps = {eps:g}, equal {plan}"
                axes.plot(order, [values[m] for m in order], style, color=colour, label=label, markersize=4)
        axes.set_xscale("log", base=2)
        ticks = sorted({row["draws"] for row in mine})
        axes.set(xlabel="draws a datum", ylabel=name, xticks=ticks, xticklabels=ticks)
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8)
    write(figure, path)


def lines(rows: list[Row]) -> Mapping[str, list[Row]]:
    """Plan -> its rows; those with as many steps as draws belong to both."""
    of_draws = having(rows, plan="draws")
    equal = {row["draws"] for row in rows} - {row["draws"] for row in of_draws}
    both = [row for row in rows if row["plan"] == "draws" or row["draws"] in equal] if of_draws else []
    return {"steps": having(rows, plan="steps")} | ({"draws": both} if both else {})
