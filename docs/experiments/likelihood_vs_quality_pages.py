"""The page of likelihood_vs_quality.py, from results.json: correlations, pairs that differ in one thing, and what they say."""
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from evenflow.experiments.judged import having
from evenflow.experiments.likelihood_vs_quality_pictures import MARKERS, OBJECTIVES, UNITS
from evenflow.experiments.pages import bullets, filled, made_by, markdown
from evenflow.experiments.ranks import Agreement, Correlation, correlated, kendall, spearman
from evenflow.experiments.results import Row

SIGNS = {"d_loss": 1, "frechet": -1}  # so that more is better
TITLES = {"d_loss": "D-loss", "frechet": "Frechet"}
VERDICTS = {"alike": "likelihood ranks models as it does", "opposed": "likelihood ranks models the other way round",
            "undecided": "the interval holds 0, no relation is shown"}


def models(rows: Sequence[Row], data: str) -> list[Row]:
    """Those of which all is known."""
    fields = ("likelihood", *SIGNS)
    return [row for row in rows if row["data"] == data and "training" in row and None not in [row[field] for field in fields]]


def longest(rows: Sequence[Row]) -> list[Row]:
    return having(rows, steps=max((row["steps"] for row in rows), default=0))


def groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Name -> its models: all, of each objective (of these also the longest alone), family, both, number of blocks, length."""
    found = {"all": list(rows), "all, longest": longest(rows)}
    for objective in OBJECTIVES:
        mine = having(rows, objective=objective)
        found |= {objective: mine, f"{objective}, longest": [row for row in mine if row in longest(rows)]}
    for family in MARKERS:
        mine = having(rows, family=family)
        found |= {family: mine} | {f"{family}, {o}": having(mine, objective=o) for o in OBJECTIVES}
    sizes = sorted({row["blocks"] for row in rows if row["blocks"]})
    found |= {f"SAEF, B = {B}": having(rows, blocks=B) for B in sizes}
    found |= {f"{n} steps": having(rows, steps=n) for n in sorted({row["steps"] for row in rows})[:-1]}
    return {name: mine for name, mine in found.items() if len({row["training"] for row in mine}) > 2}


def agreement(rows: Sequence[Row], field: str, correlation: Correlation = spearman) -> Agreement:
    """How far likelihood and one measure of samples rank models alike: 1 wholly, 0 not at all, -1 the other way round."""
    x, y = (np.array([row[name] for row in rows], dtype=float) for name in ("likelihood", field))
    return correlated(correlation, x, SIGNS[field] * y, [row["training"] for row in rows])


def table(rows: Sequence[Row]) -> str:
    both = [f"{title}: {kind}" for title in TITLES.values() for kind in ("Spearman", "Kendall")]
    heads = ["models", "number", "trainings", *both]
    lines = []
    for name, mine in groups(rows).items():
        cells = [str(agreement(mine, field, kind)) for field in SIGNS for kind in (spearman, kendall)]
        lines.append([name, str(len(mine)), str(len({row["training"] for row in mine})), *cells])
    return markdown(heads, lines)


def findings(rows: Sequence[Row], unit: str) -> list[str]:
    """What the numbers say, said from the numbers."""
    known = groups(rows)
    said = [overall(known["all"], known["all, longest"], title, field) for field, title in TITLES.items()]
    said += [within(known, title, field) for field, title in TITLES.items()]
    said += [matched(rows, objective, unit) for objective in ("energy", "mmd", "quantile") if pairs(rows, objective)]
    return [*said, *poorest(rows, unit), along(rows), best_samples(rows, unit)]


def overall(rows: list[Row], late: list[Row], title: str, field: str) -> str:
    one, other = agreement(rows, field), agreement(late, field)
    return (
        f"**{title}, all models**: {one}: {VERDICTS[one.verdict]}; the longest trainings alone {other}: "
        f"{VERDICTS[other.verdict]}"
    )


def within(known: dict[str, list[Row]], title: str, field: str) -> str:
    """Each objective alone beside all together, and which groups say otherwise than all."""
    told = {name: agreement(mine, field) for name, mine in known.items()}
    whole, objectives = told["all"], ", ".join(f"{name} {told[name].value:+.2f}" for name in OBJECTIVES if name in told)
    others = {name: one for name, one in told.items() if one.interval and not name.startswith("all")}
    by = {verdict: [name for name, one in others.items() if one.verdict == verdict] for verdict in VERDICTS}
    parts = [f"{verdict} in {len(names)}" + (f" ({'; '.join(names)})" if names and verdict != whole.verdict else "")
             for verdict, names in by.items()]
    return (
        f"**{title}, within groups**: {objectives}; together {whole.value:+.2f}. Of groups with an interval, where all "
        f"together are {whole.verdict}: {', '.join(parts)}"
    )


def pairs(rows: Sequence[Row], objective: str) -> list[tuple[Row, Row]]:
    """Models of this objective and of likelihood that are the same in all else."""
    same = ("family", "blocks", "size", "steps", "seed")
    of_likelihood = {tuple(row[name] for name in same): row for row in rows if row["objective"] == "likelihood"}
    found = [(row, of_likelihood.get(tuple(row[name] for name in same))) for row in rows if row["objective"] == objective]
    return [(row, other) for row, other in found if other is not None]


def matched(rows: Sequence[Row], objective: str, unit: str) -> str:
    found = pairs(rows, objective)
    worse = [a["likelihood"] < b["likelihood"] for a, b in found]
    gap = np.median([b["likelihood"] - a["likelihood"] for a, b in found])
    parts = []
    for field, title in TITLES.items():
        better = [SIGNS[field] * (a[field] - b[field]) > 0 for a, b in found]
        both = sum(x and y for x, y in zip(worse, better, strict=True))
        parts.append(f"a better {title} in {sum(better)}, in {both} of them in spite of the worse likelihood")
    return (
        f"**{objective} beside likelihood**, {len(found)} pairs equal in all but the objective: {objective} has the worse "
        f"likelihood in {sum(worse)} (median gap {gap:.2f} {unit}), {'; '.join(parts)}"
    )


def poorest(rows: Sequence[Row], unit: str) -> list[str]:
    """The pair that likelihood tells apart the most, of those whose D-loss speaks for the objective that is not likelihood."""
    every = [pair for objective in OBJECTIVES if objective != "likelihood" for pair in pairs(rows, objective)]
    found = [(a, b) for a, b in every if a["d_loss"] > b["d_loss"] > 0.8 * max(row["d_loss"] for row in rows)]
    if not found:
        return []
    a, b = max(found, key=lambda pair: pair[1]["likelihood"] - pair[0]["likelihood"])
    what = a["family"] + (f", B = {a['blocks']}, {a['size']}" if a["blocks"] else "")
    told = [f"{row['objective']} {row['d_loss']:.3f} and {-row['likelihood']:.2f}" for row in (a, b)]
    return [
        f"**good samples, poor likelihood**: of the {len(found)} pairs with 80 % of the best D-loss in which likelihood has "
        f"the lesser, furthest apart in {unit} are {what}, at {a['steps']} steps, D-loss and {unit}: {'; '.join(told)}"
    ]


def along(rows: Sequence[Row]) -> str:
    """From one length of a training to the next: what got better."""
    parts = []
    for objective in OBJECTIVES:
        mine = having(rows, objective=objective)
        trainings: dict[str, list[Row]] = {}
        for row in sorted(mine, key=lambda row: row["steps"]):
            trainings.setdefault(row["training"], []).append(row)
        steps = [step for of_one in trainings.values() for step in pairwise(of_one)]
        if steps:
            counts = [count(steps, lambda a, b, f=field, s=sign: s * (b[f] - a[f]) > 0)  # type: ignore[misc]
                      for field, sign in {"likelihood": 1, **SIGNS}.items()]
            split = count(steps, lambda a, b: b["likelihood"] < a["likelihood"] and b["d_loss"] > a["d_loss"])
            parts.append(f"{objective}: of {len(steps)}, likelihood better in {counts[0]}, D-loss in {counts[1]}, Frechet in "
                         f"{counts[2]}, D-loss better and likelihood worse in {split}")
    return f"**longer training**, from one length to the next: {'. '.join(parts)}"


def count(steps: list[tuple[Row, Row]], holds: Callable[[Row, Row], bool]) -> int:
    return sum(holds(a, b) for a, b in steps)


def best_samples(rows: Sequence[Row], unit: str) -> str:
    """How unequal in likelihood the models are that are best in D-loss."""
    top = sorted(rows, key=lambda row: -row["d_loss"])[: max(1, len(rows) // 4)]
    costs, whole = [-row["likelihood"] for row in top], [-row["likelihood"] for row in rows]
    of = {o: [-row["likelihood"] for row in having(top, objective=o)] for o in OBJECTIVES}
    spans = [f"{o} {len(mine)} from {min(mine):.2f} to {max(mine):.2f}" for o, mine in of.items() if mine]
    return (
        f"**the quarter with the best D-loss** ({top[-1]['d_loss']:.3f} to {top[0]['d_loss']:.3f}) has {min(costs):.2f} to "
        f"{max(costs):.2f} {unit}, all models {min(whole):.2f} to {max(whole):.2f}; by objective: {', '.join(spans)}. Inside "
        f"it likelihood and D-loss have {agreement(top, 'd_loss')}, likelihood and Frechet {agreement(top, 'frechet')}"
    )


def page(all_results: list[Row]) -> str:
    """docs/experiments/likelihood-vs-quality.md, from the results.json of one or more presets."""
    def of_data(one: Row, data: str, unit: str) -> str:
        mine = models(one["rows"], data)
        return f"### {data}, {one['preset']}\n\n{table(mine)}\n\n{bullets(findings(mine, unit))}"

    return filled("likelihood-vs-quality", lambda one: {
        "made_by": made_by(one), "begun": begun(one["rows"]),
        "data": "\n\n".join(of_data(one, data, unit) for data, unit in UNITS.items())}, all_results)


def begun(rows: Sequence[Row]) -> str:
    """How many models there are, which are left out, and what real data get."""
    made, reals = ([row for row in rows if (row["family"] == "real") == so] for so in (False, True))
    stopped, known = sum(row["stopped_at"] is not None for row in made), sum(len(models(rows, data)) for data in UNITS)
    told = [f"{row['data']} D-loss {row['d_loss']:.3f}, Frechet {row['frechet']:.3g}" for row in reals]
    return (
        f"{len(made)} models of {len({row['training'] for row in made})} trainings; {stopped} are missing because the training "
        f"broke off, {len(made) - stopped - known} because a measure is not finite. Real data in the place of samples: "
        f"{'; '.join(told)}."
    )
