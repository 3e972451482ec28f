"""The page of tabular.py, from results.json: python -m evenflow.experiments.tabular results.json ... > tabular.md"""
from collections.abc import Sequence
from typing import Any

from evenflow.experiments import judged
from evenflow.experiments.judged import column, deviation, having, mean
from evenflow.experiments.pages import bullets, commands, filled, made_by, markdown
from evenflow.experiments.results import Row
from evenflow.experiments.tabular import BLOCKS, MODELS, YARDSTICKS
from evenflow.experiments.tabular_pictures import FIELDS, HIGHER
from evenflow.experiments.tabular_uci import UCI

DIGITS = {"log_density": ".2f", "energy_score": ".3f", "crps": ".3f", "d_loss": ".3f"}
PUBLISHED = {  # mean test log density: Papamakarios et al. 2017, Table 1; Durkan et al. 2019, Table 1
    "MAF (5), Papamakarios et al.": (0.14, 9.07, -17.70, -11.75, 155.69),
    "RQ-NSF (AR), Durkan et al.": (0.66, 13.09, -14.01, -9.22, 157.31),
}


def page(all_results: Sequence[Row]) -> str:
    """docs/experiments/tabular.md, from the results.json of one or more presets."""
    def numbers(one: Row) -> dict[str, str]:
        told = (f"### {data}\n\n{table(one['rows'], data)}\n\n{bullets(findings(one['rows'], data))}" for data in data_of(one))
        return {"made_by": made_by(one), "verdicts": bullets(verdicts(one)), "data": "\n\n".join(told)}

    made = commands("tabular", "tabular", [("tabular", one) for one in all_results]).splitlines()[-1]
    return filled("tabular", numbers, all_results, made=made, published=published(all_results))


def data_of(results: Row) -> list[str]:
    return list(dict.fromkeys(row["data"] for row in results["rows"]))


def table(rows: Sequence[Row], data: str) -> str:
    lines = []
    for model in (*YARDSTICKS, *MODELS):
        mine = having(rows, data=data, model=model)
        counted, steps = column(mine, "parameters"), column(mine, "best_step")
        first = [model + judged.trained_of(mine), f"{counted[0]:,}" if counted else "-"]
        step = f"{mean(steps):.0f}" if steps else "last" if model in MODELS and having(mine, stopped_at=None) else "-"
        lines.append([*first, *(cell(column(mine, field), field) for field in FIELDS), step])
    return markdown(["model", "parameters", *FIELDS.values(), "step"], lines)


def cell(values: list[float], field: str) -> str:
    """Mean and, in brackets, the standard deviation over the seeds."""
    return judged.cell(values, DIGITS[field], ".1g" if deviation(values) < 10 else ".0f")


def saef(rows: Sequence[Row], data: str, B: int, objective: str, field: str) -> float:
    return mean(column(rows, field, data=data, model=f"SAEF, B = {B}, {objective}"))


def findings(rows: Sequence[Row], data: str) -> list[str]:
    """What the numbers say of one data set: who leads, and what the energy objective gains over the likelihood."""
    said = []
    for field, title in FIELDS.items():
        means = {model: mean(column(rows, field, data=data, model=model)) for model in (*YARDSTICKS, *MODELS)}
        order = sorted((m for m in MODELS if means[m] == means[m]), key=lambda m: means[m], reverse=field in HIGHER)
        form, gaps = DIGITS[field], ", ".join(gap(rows, data, B, field) for B in BLOCKS)
        said.append(
            f"**{title}**: {order[0]} is first ({means[order[0]]:{form}}), {order[-1]} last ({means[order[-1]]:{form}}), the "
            f"Gaussian has {means['Gaussian']:{form}}; SAEF by energy less SAEF by likelihood, "
            f"B = {', '.join(map(str, BLOCKS))}: {gaps}"
        )
    return said


def gap(rows: Sequence[Row], data: str, B: int, field: str) -> str:
    """By energy less by likelihood: the mean and, in brackets, seed by seed."""
    ours, theirs = (
        {row["seed"]: row[field] for row in having(rows, data=data, model=f"SAEF, B = {B}, {how}") if row[field] is not None}
        for how in ("energy", "likelihood")
    )
    gaps = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    beside = f" ({', '.join(f'{each:+{DIGITS[field]}}' for each in gaps)})" if len(gaps) > 1 else ""
    return f"{mean(gaps):+{DIGITS[field]}}{beside}" if gaps else "-"


def verdicts(results: Row) -> list[str]:
    """Over all data sets: how often energy is ahead of likelihood, and how often the Gaussian is not beaten."""
    rows, data = results["rows"], data_of(results)
    ahead = []
    for field, title in FIELDS.items():
        pairs = [[saef(rows, name, B, how, field) for how in ("energy", "likelihood")] for name in data for B in BLOCKS]
        known = [pair for pair in pairs if pair[0] == pair[0] and pair[1] == pair[1]]
        wins = sum(a > b if field in HIGHER else a < b for a, b in known)
        ahead.append(f"{wins} of {len(known)} in {title}")
    said = [
        "**energy against likelihood**, the same SAEF, data set by data set and B by B: the one trained by energy is ahead in "
        + ", ".join(ahead)
    ]
    for kind in ("energy", "likelihood"):
        names = [model for model in MODELS if model.endswith(("energy", "pinball") if kind == "energy" else "likelihood")]
        beaten = [beats(rows, name, model) for name in data for model in names]
        said.append(
            "**the Gaussian**, in log density, model by model and data set by data set: beaten by those trained by "
            f"{'energy or pinball loss' if kind == 'energy' else kind} in {sum(beaten)} of {len(beaten)}"
        )
    return said


def beats(rows: Sequence[Row], data: str, model: str) -> bool:
    """On average over the seeds."""
    ours, theirs = (mean(column(rows, "log_density", data=data, model=name)) for name in (model, "Gaussian"))
    return bool(ours > theirs)


def published(all_results: Sequence[Row]) -> str:
    """The published numbers, and ours below them where there are any."""
    lines = [[name, *(f"{value:.2f}" for value in values)] for name, values in PUBLISHED.items()]
    for model in ("Gaussian", *MODELS):
        found: dict[str, Any] = {}
        for results in all_results:
            for data in UCI:
                found[data] = column(results["rows"], "log_density", data=data, model=model) or found.get(data, [])
        lines.append([f"ours, {model}", *(cell(found[data], "log_density") if found[data] else "" for data in UCI)])
    return markdown(["", *map(str.upper, UCI)], lines)
