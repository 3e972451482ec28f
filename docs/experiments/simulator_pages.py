"""The page of simulator.py, from results.json."""
import math

from evenflow.experiments.judged import cell, column, mean
from evenflow.experiments.pages import made_by, markdown
from evenflow.experiments.results import Row
from evenflow.experiments.simulator_measures import ALPHA, BINS, DRAWS, PAIRS, PLACES, L
from evenflow.experiments.simulator_pictures import Model, models
from evenflow.experiments.simulator_tasks import TASKS


def of(rows: list[Row], task: str, model: Model) -> list[Row]:
    return [row for row in rows if (row["task"], row["method"], row["simulations"]) == (task, *model)]


def table(rows: list[Row], task: str) -> str:
    heads = ["method", "simulations", f"SBC passed, p >= {ALPHA}", "least p", "D-loss", "time"]
    lines = []
    for model in models(rows):
        mine = of(rows, task, model)
        names = [model[0], f"{model[1]:,}" if model[1] else "-"]
        if missing := {row["unavailable"] for row in mine} - {None}:
            lines.append([*names, f"unavailable: {missing.pop()} is not installed", "-", "-", "-"])
            continue
        p = column(mine, "sbc_p")
        passed = f"{sum(value >= ALPHA for value in p)} of {len(p)}"
        lines.append([*names, passed, f"{min(p):.2g}", cell(column(mine, "d_loss")), times(rows, task, model)])
    return markdown(heads, lines)


def times(rows: list[Row], task: str, model: Model) -> str:
    """As a multiple of SAEF's by energy, of as many simulations in the same run."""
    taken, basis = (mean(column(of(rows, task, (name, model[1])), "train_seconds")) for name in (model[0], "SAEF, energy"))
    return f"{taken / basis:.2g}" if taken == taken else "-"


def findings(rows: list[Row]) -> list[str]:
    said = []
    for task in TASKS:
        known = {model: mean(column(of(rows, task, model), "d_loss")) for model in models(rows) if model[1]}
        best = max((model for model in known if known[model] == known[model]), key=known.__getitem__)
        exact = mean(column([row for row in rows if row["task"] == task], "d_loss", method="exact"))
        passed = [f"{method}, {n:,}" for method, n in known
                  if all(p >= ALPHA for p in column(of(rows, task, (method, n)), "sbc_p"))]
        said.append(
            f"**{task}**: nearest to the D-loss of exact draws ({exact:.3f}) is {best[0]}, of {best[1]:,} simulations "
            f"({known[best]:.3f}); SBC is passed with all seeds by {'; '.join(passed) or 'none'}"
        )
    return said


HEAD = f"""# Posterior of a simulator, tested

Simulate pairs (theta, x), fit `FlowRegressor` to x as given and theta as y: it then draws from p(theta | x) for any x at once.
Is that right? Two standard tasks whose posteriors are known (Lueckmann et al. 2021; `simulator_tasks.py`): *two moons*, a
crescent twice in the plane, and *Gaussian linear*, N(x / 2, 0.05 I) of ten coordinates. `docs/experiments/simulator.py` fits
with all defaults SAEF by energy, SAEF and a spline flow by likelihood, and zuko's neural spline flow by likelihood (three
splines, a fifth of the simulations held out to keep the best epoch), to 1,000 and to 10,000 simulations. *exact* is the true
posterior in their place, the control. `quick` has 300 steps, 1,000 simulations, and no zuko;
`long` 12,000 steps of ours, and 10,000 simulations.

    cd docs/results && python -m evenflow.experiments.simulator simulator-best.json simulator-long.json simulator-quick.json \\
        > ../experiments/simulator.md

made this page from the `results.json` of the commands below; what is not there was not run.

*SBC*, simulation-based calibration (Talts et al. 2018): of {PAIRS:,} fresh pairs, the rank of theta among {L} draws for its x;
if the posterior is right, each rank is as likely as any other. By chi^2 over {BINS} bins, the least even coordinate counts, its
p times their number: a right posterior fails in at most {ALPHA:.0%} of all rows. *least p*: over the seeds. SBC is right on
average over x; a posterior may pass it and still be wrong, the prior itself does. So also *D-loss*: cross-entropy of a
classifier between {DRAWS:,} draws and as many exact ones, mean over {PLACES} x; log 2 = {math.log(2):.3f} if they cannot be
told apart; over the seeds the mean and, in brackets, the standard deviation. *time*: of the fit, as a multiple of that of SAEF
by energy to as many simulations, in the same run; other work ran on the same cores.
"""
PICTURED = {
    "ranks": "Ranks of the first coordinate, seed 0; grey: where 99 % of the bins of a right model lie. A hump in the middle "
    "is a posterior too wide, a U one too narrow.",
    "posteriors": f"{DRAWS} draws at one x, the first two coordinates; of 10,000 simulations.",
}
NOTES = """What to make of it. One seed. With 10,000 simulations all flows, ours and zuko's, pass SBC on Gaussian linear, and
come within 0.05 of the D-loss of exact draws; with 1,000 none of ours does, and the histograms say how: too wide. Two moons is
harder: zuko's flow alone passes, with 10,000 simulations, in four times SAEF's time. The picture shows what ours lack after
their 3,000 steps: both moons are there with their weights, but the thin crescent is thick, SAEF's nearly straight. It is the
steps: after 12,000 (`long`) SAEF and the spline flow, by likelihood, pass there too, and a classifier hardly tells them from
the truth; SAEF by energy still does not. SBC does not see everything: it passes zuko's flow on Gaussian linear with 1,000
simulations, which a classifier tells from the truth more easily than it tells SAEF's.
"""


def page(all_results: list[Row]) -> str:
    """docs/experiments/simulator.md, from the results.json of one or more presets."""
    parts = [HEAD]
    for results in all_results:
        rows, preset = results["rows"], results["preset"]
        parts += [f"## {preset}\n", made_by(results) + "\n"]
        parts += [f"### {task}, {preset}\n\n{table(rows, task)}\n" for task in TASKS]
        parts += ["\n".join(f"- {line}." for line in findings(rows)) + "\n"]
        if preset == "best":
            parts += [f"![{name}](../images/simulator-best-{name}.png)\n\n{text}\n" for name, text in PICTURED.items()]
            parts += [NOTES]
    return "\n".join(parts)
