"""docs/device.md, from what one machine with a device left: its bench, its profile, what became of each part."""
from collections.abc import Sequence

from tests.bench import scale_page
from tests.bench.tables import Json, about_machine, chains, comparison, missing, starts, table

HEAD = """# On a device

Made by `{command}`; nothing on this page is written by hand.

**All figures here are of commit `{commit}`, on the machine below, on one day. Nothing that came after that commit has been
measured on a device.**
Later code is proved on the CPU, where the same CUDA sources run and a strict stand-in takes the place of CuPy
([accel.md](accel.md)); what it gains in time is a prediction until somebody measures it. To measure it, with CuPy, torch and
JAX on a machine with a CUDA device:

    python -m tests.bench device --out DIR --budget 420
    python -m tests.bench report DIR/bench-gpu.json DIR/bench-gpu-compiled.json DIR/profiles.json \\
        DIR/scale-gpu.json DIR/summary.json > docs/device.md

The first command says which wheels are missing, does what matters most first (`--help` has the list), stops in time, and goes
on where it stopped when it is started again."""
RULES = """All peers get the same weights, data and noise, in float32 and without TF32 unless a column says so; each is compared
with float64 before its time counts; all are called in turn, round by round, the device waited for after each call
([performance.md](performance.md) has the rules)."""
NOTES = """The floor is what the arithmetic alone takes on an H100 at 67 TFLOP/s. Ratios: the time of the peer over that of
`cupy` in the same round, median and 10th to 90th percentile. Above 1, `cupy` is faster."""


def page(found: Sequence[Json], files: Sequence[str]) -> str:
    """Runs of the suite gpu, with whatever else is known of the same commit."""
    commit, runs = one_commit(found), [part for part in found if "rows" in part]
    command = f"python -m tests.bench report {' '.join(files)} > docs/device.md"
    lines = [HEAD.format(command=command, commit=commit), "", f"{about_machine(runs[0])}.", ""]
    for part in found:
        lines += checks(part.get("parts") or part.get("checks") or [])
    lines += ["## Beside other libraries", "", RULES, "", NOTES, ""]
    for run in runs:
        lines += [*table(comparison(run, "cupy")), "", *missing(run)]
        lines += [*table(starts(run)), ""] if any(run["cold"].values()) else []
        lines += chains(run, "cupy")
    for part in found:
        lines += profile(part.get("profile", [])) + recorded(part.get("recorded", []))
        lines += scale_page.section(part) if part.get("suite") == "scale" else []
    return "\n".join(lines).rstrip() + "\n"


def one_commit(found: Sequence[Json]) -> str:
    commits = list(dict.fromkeys(part.get("commit", "unknown") for part in found))
    if len(commits) != 1 or not any("rows" in part for part in found):
        raise ValueError(f"files must be of one commit, and one of them a run of the suite gpu, got {', '.join(commits)}")
    return str(commits[0])


def checks(parts: list[Json]) -> list[str]:
    if not parts:
        return []
    rows = [["what was asked", "it", "came out"], *([part["part"], part["state"], part.get("why", "")] for part in parts)]
    return ["## What was asked", "", *table(rows), ""]


def profile(rows: list[Json]) -> list[str]:
    """Where the time of one call goes."""
    if not rows:
        return []
    cells = [["case, one call", "wall, ms", "kernels", "device busy, ms", "busy / wall", "copies to the host", "longest"]]
    for row in rows:
        longest = row["longest"][0]
        name = longest["name"].split("<")[0].removeprefix("void ")[:32]
        cells.append([
            row["case"] + (f" ({row['steps']} steps)" if row["steps"] > 1 else ""), f"{1e3 * row['wall']:.3g}",
            str(row["kernels"]), f"{1e3 * row['busy']:.3g}", f"{row['busy'] / row['wall']:.0%}",
            str(row.get("copies_to_host", "-")), f"`{name}`, {longest['times']} times, {1e3 * longest['seconds']:.2g} ms",
        ])
    told = "By the driver's own trace of one call. Where busy is far below wall, the device waits for its host."
    return ["## Who waits for whom", "", told, "", *table(cells), ""]


def recorded(rows: list[Json]) -> list[str]:
    """What a sketch gave that recorded a step once and replayed it."""
    if not rows:
        return []
    cells = [["case", "eager, ms", "replayed, ms", "eager / replayed"]]
    for row in rows:
        eager, replayed = row["eager"], row["replayed"]
        cells.append([row["case"], f"{1e3 * eager:.3g}", f"{1e3 * replayed:.3g}", f"{eager / replayed:.1f}"])
    told = ("Tried with a sketch beside that commit, not with code of any commit: loss, gradient and Adam recorded once as a "
            "CUDA graph and replayed; after 20 steps the same weights to the last bit.")
    return ["## A whole step as one graph", "", told, "", *table(cells), ""]


def about(found: Sequence[Json]) -> bool:
    """Whether these files are of a device."""
    return any("cupy" in (*part.get("about", ()), part.get("backend")) or {"parts", "profile"} & set(part) for part in found)
