"""Cells and tables that the pages share: ratios round by round, errors, what is missing, starts, what chains are worth."""
from statistics import median
from typing import Any

import numpy as np

Json = dict[str, Any]

MANY = 6  # cases that share a reason: more of them are counted, not listed


def about_machine(run: Json) -> str:
    """The machine that a run was made on, and the versions of all peers."""
    machine = run["machine"]
    versions = dict.fromkeys(about["versions"] for about in run["about"].values() if "versions" in about)
    return f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, one thread; {'; '.join(versions)}"


def comparison(run: Json, baseline: str) -> list[list[str]]:
    gpu, others = run["suite"] == "gpu", [name for name in run["about"] if name != baseline]
    heads = ["case", *(["H100 floor, ms", f"{baseline}, ms"] if gpu else []), *others, "errors", "peak, MB"]
    rows = [heads]
    for row in run["rows"]:
        own = row["results"].get(baseline, {})
        cells = [row["case"]]
        if gpu:
            cells += ["-" if row["floor"] is None else f"{1e3 * row['floor']:.3g}", milliseconds(own, row["steps"])]
        cells += [ratio_cell(row["results"].get(name, {}), own) for name in others]
        rows.append([*cells, error_cell(own), megabytes(own)])
    return rows


def ratio_cell(other: Json, own: Json) -> str:
    """The ratio round by round, or why there is none."""
    if not other or "unavailable" in other:
        return "unavailable"
    if "wrong" in other:
        return f"wrong: {other['wrong']} is off by {other['errors'][other['wrong']]:.1e}"
    if not own.get("samples"):
        return "-"
    ratios = [b / a for a, b in zip(own["samples"], other["samples"], strict=False)]
    low, high = np.percentile(ratios, [10, 90])
    spread = f"({rounded(low)}-{rounded(high)})" if len(ratios) > 1 else "(one round)"
    return f"{rounded(median(ratios))} {spread}"


def rounded(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio >= 0.05 else f"{ratio:.2g}"


def milliseconds(own: Json, steps: int) -> str:
    return f"{1e3 * median(own['samples']) / steps:.3g}" if own.get("samples") else why(own)


def why(result: Json) -> str:
    return f"wrong: {result['wrong']}" if "wrong" in result else "unavailable"


def error_cell(own: Json) -> str:
    found = own.get("errors")
    return ", ".join(f"{error:.0e}" for error in found.values()) if found else why(own)


def megabytes(own: Json) -> str:
    return f"{own['peak_bytes'] / 1e6:.0f}" if own.get("peak_bytes") else "-"


def missing(run: Json) -> list[str]:
    """Each reason once."""
    reasons: dict[str, list[str]] = {}
    for name, about in run["about"].items():
        if "unavailable" in about:
            reasons.setdefault(f"`{name}` {about['unavailable']}", [])
    for row in run["rows"]:
        for name, result in row["results"].items():
            if "unavailable" in result:
                reasons.setdefault(f"`{name}` {result['unavailable']}", []).append(row["case"])
    told = {reason: "; ".join(cases) if len(cases) <= MANY else f"{len(cases)} cases" for reason, cases in reasons.items()}
    lines = [f"- {reason}" + (f": {cases}" if cases else "") for reason, cases in told.items()]
    return ["Unavailable:", "", *lines, ""] if lines else []


def starts(run: Json) -> list[list[str]]:
    """Before the first step is done: a new process, and a new case in a process that is warm."""
    case = run["rows"][0]["case"] if run["rows"] else "-"
    rows = [["peer", f"cold start, s: {case}", "first call of a case over a later one, median of cases"]]
    for name, seconds in run["cold"].items():
        done = [row["results"][name] for row in run["rows"] if row["results"].get(name, {}).get("calls")]
        later = [result["first"] / median(result["samples"]) for result in done]
        rows.append([name, f"{median(seconds):.1f}" if seconds else "-", f"{median(later):.1f}" if later else "-"])
    return rows


def chains(run: Json, baseline: str) -> list[str]:
    """What the samplers' steps are worth; speed without mixing means nothing."""
    lines = []
    for row in run["rows"]:
        found = {name: result for name, result in row["results"].items() if "ess_a_step" in result and result.get("samples")}
        if baseline in found:
            rows = [["peer", "effective samples a step", "error of the zones' weights", f"a second, over {baseline}"]]
            for name, result in found.items():
                speed = [a / b for a, b in zip(found[baseline]["samples"], result["samples"], strict=False)]
                gain = median(speed) * result["ess_a_step"] / found[baseline]["ess_a_step"]
                rows.append([name, f"{result['ess_a_step']:.3g}", f"{result['zone_error']:.3f}", f"{gain:.2f}"])
            lines += [f"{row['case']}: what the chains are worth.", "", *table(rows), ""]
    return lines


def table(rows: list[list[str]]) -> list[str]:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return ["| " + " | ".join(line) + " |" for line in lines]
