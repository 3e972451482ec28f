"""The page of own_density.py, from results.json."""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evenflow.experiments.own_density_targets import TARGETS
from evenflow.experiments.pages import commands
from evenflow.experiments.results import Row

HEAD = """# One's own density: evenflow.sample beside emcee, dynesty, blackjax and flowMC

Five densities of which log Z, the weights of the modes, means and deviations are known: four by construction, eight schools by
quadrature in tau, all else being normal (docs/experiments/own_density_targets.py). Each sampler gets the same starts and is
asked for the same number of draws, with its own defaults where it has any; what it was told is in
docs/experiments/own_density_peers.py. None was tuned to these densities but ours: its defaults were chosen on them, with
seed 0 and other starts, so its rows are the most favourable that can be had."""
COLUMNS = """Means of the absolute values over the seeds; dynesty and flowMC, which take minutes a row, have one. *weights*:
largest error of a mode's weight. *log Z*: error in nats; *told*: the standard error that the sampler states. *mean*, *sd*:
largest error of a coordinate's mean, in deviations, and of its deviation, relative; of the funnel v alone. *effective*:
effective draws of the worst coordinate; of chains by their autocorrelation and agreement, of nested sampling by its
weights; of SMC's particles nobody knows. *a call*: effective draws for each call of the density or its gradient (a gradient
counts as one more), adaptation and all, as a multiple of `evenflow`'s without a gradient; *a second*: likewise, compilation
and all, for densities that cost next to nothing; two rows at a time on two cores, on which other work came and went.
*warned*: seeds in which `sample` said that something was wrong."""
FOUND = """## What to make of it

Where modes are apart, chains that walk alone keep the weights that their starts gave them: those of emcee and of NUTS. Where
their chains disagree their effective draws are few; where all sit in one mode they seem many, and the mean tells. i-SIR through
a flow that knows the modes carries weight from one to the other, and log Z comes with it at no further call.

The funnel is where `sample` falls short: its chains do not reach the ends of v, log Z comes out too low by more than its stated
error, and in most seeds a warning says that the chains do not agree. The stated error of log Z covers what chains and flow have
seen, no more. A density whose scale changes by orders of magnitude is better written in other coordinates: the eight schools
above are a funnel written so.

In the mixture one seed without a gradient has lost the lightest of four modes. log Z is so much less, and no warning is given:
without a chain there nothing tells. More chains, or a second run from other starts, would have shown it.

Nested sampling (dynesty, one seed) is off in log Z by 0.02 to 0.63, at most 2.2 times the error that it states: more than
`sample` but in the funnel, where both are off by about as much and only the nested one's stated error covers it. There it
is ahead of all others, in effective draws for each call and in a second. flowMC, with its own flow and defaults and one
seed, takes two to seven times as long as `sample` for 178 to 1,044 effective draws, and errs by 0.70 in a weight of the
mixture. On one mode that is close to normal a gradient sampler such as NUTS needs no flow: of eight schools it has the best
means, and the most effective draws a second."""
NAMES = {
    "evenflow": "evenflow, no gradient", "evenflow-gradient": "evenflow, gradient", "emcee": "emcee", "dynesty": "dynesty",
    "blackjax-nuts": "blackjax, NUTS", "blackjax-smc": "blackjax, tempered SMC", "flowmc": "flowMC, RQSpline and MALA",
}


def page(results: Sequence[Row]) -> str:
    """docs/experiments/own-density.md, from the results.json of one or more presets."""
    made = commands("own-density", "own_density", [("own-density", one) for one in results])
    lines = [HEAD, "", made, "", "The last line made this page."]
    for result in results:
        lines += ["", f"## {result['preset']}: {result['n']:,} draws, {seeds(result)} seeds at most", ""]
        for target in TARGETS:
            lines += [f"### {target}", "", *table(result, target), "", *verdicts(result, target), ""]
        lines += [COLUMNS, "", versions(result)]
    lines += ["", FOUND, "", "## Picture", "",
              "![draws of evenflow.sample on the five densities](../images/own-density.png)", "",
              "Draws without a gradient, `quick`, seed 0; the crosses are the exact means and deviations."]
    return "\n".join(lines) + "\n"


def seeds(result: Mapping[str, Any]) -> int:
    return len({row["seed"] for row in result["rows"]})


def versions(result: Mapping[str, Any]) -> str:
    peers = {"emcee": "emcee", "dynesty": "dynesty", "blackjax-nuts": "blackjax", "flowmc": "flowMC"}
    told = [f"{name} {result['samplers'].get(sampler) or 'not installed'}" for sampler, name in peers.items()]
    return f"Python {result['python']}, numpy {result['versions']['numpy']}, {', '.join(told)}."


def table(result: Mapping[str, Any], target: str) -> list[str]:
    heads = ["sampler", "seeds", "weights", "log Z", "told", "mean", "sd", "effective", "a call", "a second", "warned"]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for sampler, name in NAMES.items():
        rows = those(result, target, sampler)
        if not rows:
            lines.append([name, why(result, target, sampler), *[""] * (len(heads) - 2)])
            continue
        ours = those(result, target, "evenflow")
        rates = [ratio(mean(rows, what), mean(ours, what)) for what in ("per_call", "per_second")]
        warned = str(sum(row["warned"] > 0 for row in rows)) if sampler.startswith("evenflow") else ""
        cells = [shown(mean(rows, what)) for what in ("weights", "log_z", "told", "mean", "sd")]
        worth = mean(rows, "ess")
        lines.append([name, str(len(rows)), *cells, "-" if worth is None else f"{worth:,.0f}", *rates, warned])
    return ["| " + " | ".join(line) + " |" for line in lines]


def those(result: Mapping[str, Any], target: str, sampler: str) -> list[Mapping[str, Any]]:
    return [row for row in result["rows"] if (row["target"], row["sampler"]) == (target, sampler) and "raised" not in row]


def why(result: Mapping[str, Any], target: str, sampler: str) -> str:
    """Why there is no row."""
    raised = [row["raised"] for row in result["rows"]
              if (row["target"], row["sampler"]) == (target, sampler) and "raised" in row]
    if raised:
        return f"raised {raised[0]}".replace("|", "/")
    return "unavailable" if result["samplers"].get(sampler) is None else "not run"


def mean(rows: Sequence[Mapping[str, Any]], what: str) -> float | None:
    """Of absolute values; None where one is missing."""
    values = [row[what] for row in rows]
    return None if not values or any(value is None for value in values) else float(np.mean(np.abs(values)))


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def ratio(value: float | None, ours: float | None) -> str:
    return "-" if value is None or not ours else f"{value / ours:.2g}"


def verdicts(result: Mapping[str, Any], target: str) -> list[str]:
    """Who is nearest, measure by measure."""
    told = []
    for what, said in (("weights", "weights"), ("log_z", "log Z"), ("mean", "mean"), ("per_call", "effective draws a call"),
                       ("per_second", "effective draws a second")):
        found = {name: mean(those(result, target, name), what) for name in NAMES}
        known = {name: value for name, value in found.items() if value is not None}
        if known:
            best = (max if what.startswith("per_") else min)(known, key=lambda name: known[name])
            told.append(f"{said}: {NAMES[best]}")
    return [f"Best: {'; '.join(told)}."] if told else []
