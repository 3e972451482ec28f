"""The page of mixture-16, -32 and -64: python -m evenflow.experiments.mixture_page results.json ... > mixture.md"""
import math
from collections.abc import Iterator, Sequence

from evenflow.experiments.judged import cell, column, having
from evenflow.experiments.mixture_measures import MIXED, WITHIN
from evenflow.experiments.mixtures import PRESETS
from evenflow.experiments.pages import commands, filled, markdown, show
from evenflow.experiments.planar_pages import seeds_said
from evenflow.experiments.planar_pictures import NAMES
from evenflow.experiments.results import Row

TABLE_2 = {  # d -> algorithm -> the paper's R-hat
    16: {"coopflow": 20.52, "nt": 2.02, "pcd": 7.30, "flowmc": 1.01},
    32: {"coopflow": 44.12, "nt": 2.50, "pcd": 9.29, "flowmc": 1.01},
    64: {"coopflow": 51.66, "nt": 3.10, "pcd": 90.90, "flowmc": 1.05},
}
WORST = {"rhat": "R-hat", "rhat_mode": "of the mode"}
MEANS = {
    "switch_rate": "switches", "chains_off": "chains", "negatives_off": "negatives", "model_off": "model",
    "acceptance_global": "global acceptance", "spread": "spread", "plane_spread": "in the plane",
    "median_squared_error": "median squared error", "log_z_share": "effective",
}


def page(results: Sequence[Row]) -> str:
    """The Markdown; results: of one d and one preset each."""
    parts = []
    for d in dict.fromkeys(map(dimension, results)):
        mine = [one for one in results if dimension(one) == d]
        parts += [f"## d = {d}", "", table(mine), "", *verdicts(mine), *seen(mine), *blind(mine), "", *shown(mine)]
    return filled(
        "mixture", overlaps=overlaps(results), versions=seeds_said(results), tables="\n".join(parts).rstrip(),
        commands=commands("mixture", "mixture_page", [(one["study"], one) for one in results]), missing=missing(results))


def dimension(result: Row) -> int:
    return int(result["study"].rpartition("-")[2])


def overlaps(results: Sequence[Row]) -> str:
    """Of each d and reading: the number a, and how many draws are nearest to another centre than their own."""
    lines = []
    for d in dict.fromkeys(map(dimension, results)):
        known = next(one["settings"] for one in results if dimension(one) == d)
        lines += [[str(d), reading, f"{a:.4f}", f"{known['misassignment'][reading]:.2g}"] for reading, a in known["a"].items()]
    return markdown(["d", "a of the", "a", "misassigned"], lines)


def groups(results: Sequence[Row]) -> Iterator[tuple[str, str, str, list[Row]]]:
    """preset, reading, algorithm, and the rows of all its seeds, in the order of the rows."""
    for result in results:
        for reading, name in dict.fromkeys((row["reading"], row["algorithm"]) for row in result["rows"]):
            yield result["preset"], reading, name, having(result["rows"], reading=reading, algorithm=name)


def table(results: Sequence[Row]) -> str:
    lines, paper = [], TABLE_2[dimension(results[0])]
    for preset, reading, name, rows in groups(results):
        counted = f"{len(having(rows, stopped_at=None))} of {len(rows)}"
        worst = [largest(rows, field) for field in WORST]
        if name in paper:
            worst[0] += f" {{{paper[name]:.2f}}}"
        lines.append([preset, reading, NAMES[name], counted, *worst, *(cell(column(rows, field)) for field in MEANS)])
    return markdown(["preset", "a of the", "algorithm", "trained", *WORST.values(), *MEANS.values()], lines)


def numbers(rows: Sequence[Row], field: str) -> list[float]:
    """inf is a word there."""
    return [float(value) for value in column(rows, field)]


def largest(rows: Sequence[Row], field: str) -> str:
    values = numbers(rows, field)
    return f"{max(values):.4g}" if values else "-"


def verdicts(results: Sequence[Row]) -> list[str]:
    """What flowMC-EBM is asked for: the paper's R-hat, and what R-hat cannot show."""
    d, lines = dimension(results[0]), []
    asked = {
        "rhat": (TABLE_2[d]["flowmc"], "R-hat, the paper's"), "chains_off": (WITHIN, "zone weights of the chains within"),
        "rhat_mode": (MIXED, "R-hat of the mode at most"),
    }
    for preset, reading, name, rows in groups(results):
        if name == "flowmc":
            said = (f"{what} {most}: {verdict(numbers(rows, field), len(rows), most)}" for field, (most, what) in asked.items())
            lines.append(f"- flowMC-EBM, `{preset}`, a of the {reading}: {'; '.join(said)}")
    return lines


def verdict(values: Sequence[float], begun: int, most: float) -> str:
    """Every seed must reach it."""
    if not values:
        return f"none of {begun} came to its end, **not reached**"
    reached = "reached" if len(values) == begun and max(values) <= most else "**not reached**"
    return f"{max(values):.4f} at worst, {reached}"


def seen(results: Sequence[Row]) -> list[str]:
    """Whose chains are in the modes: the spread in the plane tells, R-hat and weights do not."""
    lines = []
    for result in results:
        for reading, truth in result["settings"]["plane_spread"].items():
            blob, preset = result["settings"]["blob_spread"][reading], result["preset"]
            spreads = {name: numbers(rows, "plane_spread") for _, r, name, rows in groups([result]) if r == reading}
            near = [NAMES[name] for name, values in spreads.items() if values and 2 * max(values) < truth + blob]
            lines.append(
                f"- spread in the plane, `{preset}`, a of the {reading}: p* has {truth:.3g}, one normal density with its "
                f"covariance {blob:.3g}; nearer to p*: {', '.join(near) or 'no one'}"
            )
    return lines


def blind(results: Sequence[Row]) -> list[str]:
    """What an energy cannot do whose first layer has fewer units than there are dimensions."""
    d, lines = dimension(results[0]), []
    for result in results:
        seen, a = result["settings"]["units"][0], result["settings"]["a"]
        if seen < d:
            least = {r: (d - seen) / 2 * (math.log(1 + a[r] ** 2) + 1 / (1 + a[r] ** 2) - 1) for r in a}
            nats = " and ".join(f"{value:.2g} nats (a of the {reading})" for reading, value in least.items())
            lines.append(
                f"- `{result['preset']}`: the energy's first layer sees {seen} directions. With the plane of the centres "
                "in their span flowMC's model is its base in the others, of variance s^2, not 1, and KL(p* to model) at least "
                f"{d - seen} / 2 (log s^2 + 1 / s^2 - 1), {nats}; an energy without a tilt is flat in the others and has no Z: "
                "its chains diffuse"
            )
    return lines


def shown(results: Sequence[Row]) -> list[str]:
    lines = []
    for one in results:
        for kind in ("chains", "numbers"):
            name = f"{one['study']}-{one['preset']}-{kind}.png"
            lines += [f"![{kind} of {one['study']}, {one['preset']}](../images/{name})", ""]
    return lines


def missing(results: Sequence[Row]) -> str:
    """What of the presets is not on the page."""
    there = {(dimension(one), one["preset"]) for one in results}
    absent = [f"`{preset}` at d = {d}" for preset in PRESETS for d in TABLE_2 if (d, preset) not in there]
    return f"Not run here: {', '.join(absent)}." if absent else ""


if __name__ == "__main__":
    show(page)
