"""From the JSON files of runs to one page in Markdown."""
from collections.abc import Sequence

from tests.bench import device_page, scale_page
from tests.bench.checking import limit
from tests.bench.processes import TF32
from tests.bench.tables import Json, about_machine, chains, comparison, error_cell, missing, ratio_cell, starts, table

HEAD = f"""# Performance

Made by the last of these commands; nothing on this page is written by hand. [device.md](device.md) has the CUDA devices.

    python -m tests.bench run --suite cpu --out docs/results/bench-cpu.json --resume
    python -m tests.bench run --suite libraries --out docs/results/bench-libraries.json --resume
    python -m tests.bench run --suite cpu --only 'image|glow|convolution' --peers numpy,reference,torch --rounds 5 \\
        --out docs/results/bench-images.json
    python -m tests.bench scale --out docs/results/bench-scale.json --picture docs/images/scale.png
    python -m tests.bench report FILES > docs/performance.md

How it is measured. Each peer is a process of its own with one thread, kept alive from case to case. All get the same
weights, data and noise, in float32, from one file. In each round every peer makes some calls, in turn, and the round counts by
the median of its calls; ratios are taken within a round, because whatever slows the machine down slows all peers down: the
median over the rounds and, in brackets, the 10th and the 90th percentile. The first call of each peer is compared with float64
before any time counts: its relative error must be below {limit(2.0**-23):.1e} (half of float32's digits; {limit(TF32):.1e}
where products are made in TF32), else the cell says `wrong`. Compilation and warm-up are in the first call, which has a table
of its own. A peer that is not there, or has no such model, is `unavailable`; rows that are lost stay.

A training step is loss, gradient and Adam, the noise given. A step of MALA is given its noise too. The energy score is that of
n draws shared by m observations, with its gradient in the draws. Digits are normal numbers here: the work is the same.
"""
KINDS = {
    "cpu": "On the CPU", "libraries": "Beside libraries that one would take instead", "tiny": "Tiny sizes, for the tests alone",
    "tiny-libraries": "Tiny sizes of the libraries' cases",
}
LIBRARIES = """Their models are built as their users build them, as near to ours as each allows; what differs is in the first
lines of tests/bench/peers/ (`torch_flows.py`, `flowjax_flows.py`, `jax_samplers.py`, `score_libraries.py`). Flows have weights
of their own, and are checked against themselves in float64; samplers draw their own noise, and are checked by the weights of
the zones, which must be right within five standard deviations; scores are checked as everywhere."""
EXPLAINED = """Ratios: the time of the peer over that of `numpy` in the same round. Above 1, `numpy` is faster. Errors:
relative, of value, gradient and step, of the points, or of the chains, of `numpy`. Peak: what NumPy allocates in a call."""


def page(found: Sequence[Json], files: Sequence[str] = ("cpu.json",)) -> str:
    """docs/performance.md; docs/device.md where the files are of a device."""
    if device_page.about(found):
        return device_page.page(found, files)
    return "\n".join([HEAD.replace("FILES", " ".join(files)), *("\n".join(section(run)) for run in found)])


def section(run: Json) -> list[str]:
    """The part of the page that one run makes."""
    if run["suite"] == "scale":
        return scale_page.section(run)
    if run["suite"].endswith("libraries"):
        head = [f"## {KINDS[run['suite']]}", "", f"{about_machine(run)}. Up to {run['rounds']} rounds.", "", LIBRARIES, ""]
        return [*head, EXPLAINED, "", *table(pairs(run)), "", *chains(run, "numpy")]
    lines = [f"## {KINDS[run['suite']]}", "", f"{about_machine(run)}. Up to {run['rounds']} rounds.", ""]
    lines += [EXPLAINED, "", *table(comparison(run, "numpy")), "", *missing(run)]
    return [*lines, *table(starts(run)), "", *chains(run, "numpy")]


def pairs(run: Json) -> list[list[str]]:
    """A row for each case and each library that has it; a library that is not there has one row, which says why."""
    rows = [["case", "library", "its time over that of `numpy`", "its errors"]]
    for row in run["rows"]:
        own = row["results"].get("numpy", {})
        for name, result in row["results"].items():
            if name != "numpy" and not result.get("unavailable", "").startswith("not written"):
                rows.append([row["case"], name, ratio_cell(result, own), error_cell(result)])
    absent = [(name, about["unavailable"]) for name, about in run["about"].items() if "unavailable" in about]
    return rows + [["all", name, "unavailable", why] for name, why in absent]
