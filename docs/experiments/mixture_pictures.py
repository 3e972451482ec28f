"""The pictures of the mixtures in many dimensions: chains in the plane of mu_1 and mu_2 as in Fig. 6, and what they show."""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments.mixture_measures import MIXED, WITHIN, in_plane
from evenflow.experiments.planar_pictures import NAMES
from evenflow.reference.app.pictures import COLOURS, new_figure, write
from evenflow.reference.core import Array

SHOWN = 1_000  # draws of the truth
FIELDS = {"rhat": "R-hat - 1", "rhat_mode": "R-hat of the mode - 1", "chains_off": "largest error of a zone's weight"}
ASKED = {"rhat_mode": MIXED - 1, "chains_off": WITHIN}
FLOOR = 1e-4   # of what is shown on a logarithmic scale


def chains(path: Path, targets: Mapping[str, Any], drawn: Mapping[str, Mapping[str, Mapping[str, Array]]]) -> None:
    """A line of panels for each reading: draws of the truth, then the chains.  drawn: reading -> algorithm -> what was kept."""
    names = list(dict.fromkeys(name for mine in drawn.values() for name in mine))
    figure = new_figure(2.1 * (1 + len(names)), 2.3 * len(targets))
    lines = figure.subplots(len(targets), 1 + len(names), squeeze=False)
    for panels, (reading, target) in zip(lines, targets.items(), strict=True):
        truth = in_plane(target, target.sample(target.noise(np.random.default_rng(0), SHOWN)))
        reach = 1.15 * float(np.abs(truth).max())
        shown = {"truth": truth, **{name: mine["plane"] for name, mine in drawn[reading].items()}}
        for axes, name in zip(panels, ("truth", *names), strict=True):
            if name in shown:
                axes.plot(*shown[name].T, ".", color=COLOURS[name != "truth"], markersize=2, alpha=0.4, markeredgewidth=0)
            axes.set(title=NAMES[name], xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
        panels[0].set_ylabel(f"a of the {reading}")
    write(figure, path)


def numbers(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A panel a number, a place on the axis an algorithm, a colour a reading, a dot a seed; infinite at the upper edge. A line
    for what is asked for."""
    names, readings = (list(dict.fromkeys(row[field] for row in rows)) for field in ("algorithm", "reading"))
    figure = new_figure(4.2 * len(FIELDS), 3.4)
    for axes, (field, label) in zip(figure.subplots(1, len(FIELDS)), FIELDS.items(), strict=True):
        known = [row for row in rows if row[field] is not None]
        values = np.array([float(row[field]) - (field != "chains_off") for row in known])
        most = 2 * max([1.0, *values[np.isfinite(values)]])
        for k, reading in enumerate(readings):
            mine = np.array([row["reading"] == reading for row in known], dtype=bool)
            at = np.array([names.index(row["algorithm"]) for row in known])[mine] + 0.2 * (k - 0.5)
            axes.plot(at, np.clip(values[mine], FLOOR, most), "o", color=COLOURS[k], markersize=5, label=f"a of the {reading}")
        if field in ASKED:
            axes.axhline(ASKED[field], color="black", linewidth=1)
        axes.set(yscale="log", ylabel=label, xticks=range(len(names)), ylim=(FLOOR / 2, 2 * most))
        axes.set_xticklabels([NAMES[name] for name in names], rotation=40, ha="right")
        axes.grid(alpha=0.3, axis="y")
    axes.legend()
    write(figure, path)
