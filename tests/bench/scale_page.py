"""The part of a page about scale, and its picture: slopes and ratios alone, for seconds of a shared machine say nothing."""
import math
from pathlib import Path
from typing import Any

from tests.bench.scale import FITTED, SWEEPS, line
from tests.bench.tables import Json, about_machine, table

PICTURE = "docs/images/scale.png"
TOLD = f"""Each row is one kind of work at growing sizes ([scale.py](../tests/bench/scale.py)). The slope is fitted to the last
{FITTED} sizes in log-log; before them, what does not grow is part of the time. Time is that of the processor; on a device, from
call to result. The peak is what a call at the largest size holds at most, its inputs not counted. No n x m array is ever made:
at n = m = 100,000 it would hold 40 GB in float32."""


def section(run: Json) -> list[str]:
    """As lines of Markdown."""
    command = f"python -m tests.bench scale --out FILE --backend {run['backend']}"
    lines = [f"## Scale: how time grows, backend `{run['backend']}`", "", f"`{command}`: {about_machine(run)}.", "", TOLD, ""]
    rows = [["work", "grows", "from", "to", "time there over time here", "slope", "expected", "peak, MB"]]
    for sweep in SWEEPS:
        points = run["points"].get(sweep.name, {})
        if len(points) < FITTED:
            continue
        sizes = sorted(points, key=int)
        first, last = points[sizes[0]], points[sizes[-1]]
        rows.append([
            sweep.name, sweep.axis, f"{int(sizes[0]):,}", f"{int(sizes[-1]):,}", f"{last['seconds'] / first['seconds']:,.0f}",
            f"{line(points)[0]:.2f}", sweep.expected, f"{last['peak'] / 1e6:,.0f}",
        ])
    lines += [*table(rows), ""]
    return lines + ([f"![time against size, log-log](images/{Path(PICTURE).name})", ""] if run["backend"] == "numpy" else [])


def draw(run: Json, path: Path) -> None:
    """A panel for each thing that grows; time relative to the smallest size of each sweep, and the fitted line's slope."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    axes = list(dict.fromkeys(sweep.axis for sweep in SWEEPS))
    figure, panels = pyplot.subplots(2, 2, figsize=(11, 8), constrained_layout=True)
    for axis, panel in zip(axes, panels.flat, strict=True):
        for sweep in (sweep for sweep in SWEEPS if sweep.axis == axis):
            curve(panel, sweep.name, run["points"].get(sweep.name, {}))
        panel.set(xscale="log", yscale="log", xlabel=axis, ylabel="time over that of the smallest size")
        panel.grid(alpha=0.3)
        if panel.has_data():
            panel.set_ylim(top=30 * panel.get_ylim()[1])  # room for the legend
            panel.legend(fontsize=8, loc="upper left")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def curve(panel: Any, name: str, points: dict[str, dict[str, float]]) -> None:
    if len(points) < FITTED:
        return
    sizes = sorted(map(int, points))
    first, (b, a) = points[str(sizes[0])]["seconds"], line(points)
    dots, = panel.plot(sizes, [points[str(size)]["seconds"] / first for size in sizes], "o", label=f"{name}: {b:.2f}")
    panel.plot(sizes[-FITTED:], [math.exp(a) * size**b / first for size in sizes[-FITTED:]], color=dots.get_color())
