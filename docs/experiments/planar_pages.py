"""The pages of the studies in the plane, from results.json: python -m evenflow.experiments.NAME results.json ... > NAME.md"""
from collections.abc import Sequence

from evenflow.experiments.ebm_trainings import ALGORITHMS
from evenflow.experiments.judged import cell, column, having, mean
from evenflow.experiments.pages import commands, filled, in_float32, markdown
from evenflow.experiments.planar import Study
from evenflow.experiments.planar_measures import ERRORS
from evenflow.experiments.planar_pictures import NAMES
from evenflow.experiments.results import Row

SAID = {
    "median_squared_error": "median squared error", "median_squared_error_box": "on the box", "kl": "KL(p* to model)",
    "model_true": "E vs p*", "negatives_model": "negatives vs E", "starts_model": "starts vs E",
}


def page(study: Study, results: Sequence[Row]) -> str:
    """The Markdown; results: of one preset each."""
    return filled(
        "planar", head=filled(study.name).rstrip(), table=table(study, results), versions=seeds_said(results),
        commands=commands(study.name, study.name.replace("-", "_"), [(study.name, one) for one in results]),
        verdicts="\n".join(verdicts(study, results)), pictures="\n".join(shown(study, results)))


def whole(result: Row, algorithm: str) -> list[Row]:
    """The rows of trainings that came to their end."""
    return having(result["rows"], algorithm=algorithm, stopped_at=None)


def table(study: Study, results: Sequence[Row]) -> str:
    lines = []
    for result in results:
        one = column(whole(result, "flowmc"), "seconds")
        for name in (name for name in ALGORITHMS if having(result["rows"], algorithm=name)):
            begun, rows = having(result["rows"], algorithm=name), whole(result, name)
            cells = [beside(column(rows, error), study.judged.get(error, {}).get(name)) for error in ERRORS]
            plain = "plain" if name in result["settings"]["plain"] else "Adam"
            time = f"{mean(column(rows, 'seconds')) / mean(one):.2f}" if rows and one else "-"
            lines.append([result["preset"], NAMES[name], plain, f"{len(rows)} of {len(begun)}", *cells, time])
    return markdown(["preset", "algorithm", "steps on E", "trained", *SAID.values(), "time"], lines)


def beside(values: Sequence[float], paper: float | None) -> str:
    """Mean, spread, and in braces the paper's number."""
    return cell(values, beside=".2g") + ("" if paper is None else f" {{{paper:.3g}}}")


def seeds_said(results: Sequence[Row]) -> str:
    return f"{in_float32(results)}. Seeds 0, 1, ...: each has its own data, start and noise."


def verdicts(study: Study, results: Sequence[Row]) -> list[str]:
    """One line for each number that the paper prints and each preset: reached or not, and with how many seeds."""
    return [
        f"- {SAID[error]}, {NAMES[name]}, `{result['preset']}`: "
        + verdict(column(whole(result, name), error), len(having(result["rows"], algorithm=name)), paper)
        for error, numbers in study.judged.items() for result in results for name, paper in numbers.items()
        if having(result["rows"], algorithm=name)
    ]


def verdict(values: Sequence[float], begun: int, paper: float) -> str:
    if not values:
        return f"none of {begun} trainings came to its end; the paper has {paper:.3g}: **not reached**"
    under, average = sum(value <= paper for value in values), mean(values)
    reached = "reached" if average <= paper and len(values) == begun else "**not reached**"
    return f"{average:.3g} on average, {under} of {begun} seeds at or below the paper's {paper:.3g}: {reached}"


def shown(study: Study, results: Sequence[Row]) -> list[str]:
    """The pictures of each preset's first seed."""
    lines = []
    for result in results:
        preset = result["preset"]
        whole_set = result is results[0] or (study.name, preset) == ("four-modes", "best")
        kinds = ("densities", "samples", "weights") if whole_set else ("densities",)
        for kind in kinds:
            lines += picture(study.name, preset, kind, "")
    return lines


def picture(name: str, preset: str, kind: str, said: str) -> list[str]:
    image = f"../images/{name}-{preset}-{kind}.png"
    return [f"![{kind} of {name}, {preset}]({image})", "", f"`{kind}.png` of `{preset}`, seed 0{said}.", ""]
