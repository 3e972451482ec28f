"""The page of regression.py, from results.json."""
import numpy as np

from evenflow.experiments.judged import column, deviation, mean
from evenflow.experiments.pages import made_by, markdown
from evenflow.experiments.regression_data import DATA
from evenflow.experiments.regression_models import METHODS, OURS, SUBSAMPLE
from evenflow.experiments.regression_pictures import pooled
from evenflow.experiments.results import Row
from evenflow.reference.work.forecasts import BINS, LEVELS

BASIS = "SAEF, energy"
MEASURED = {
    "crps": "CRPS", "log_likelihood": "log p", **{f"coverage_{level}": f"in {level} %" for level in LEVELS},
    **{f"width_{level}": f"width {level} %" for level in LEVELS},
}


def table(rows: list[Row], data: str) -> str:
    lines = []
    for method in methods(rows, data):
        mine = [row for row in rows if (row["data"], row["method"]) == (data, method)]
        if missing := {row["unavailable"] for row in mine} - {None}:
            lines.append([method, f"unavailable: {missing.pop()} is not installed", *["-"] * (len(MEASURED) + 1)])
            continue
        cells = [cell(column(mine, field)) for field in MEASURED]
        lines.append([method, *cells, f"{unevenness(rows, data, method):.2f}", times(rows, data, method)])
    return markdown(["method", *MEASURED.values(), "PIT", "time"], lines)


def cell(values: list[float]) -> str:
    """Mean and, in brackets, the standard deviation over the seeds: three digits."""
    beside = f" ({round(deviation(values), 9):.2g})" if len(values) > 1 else ""
    return f"{mean(values):.4g}{beside}" if values else "-"


def methods(rows: list[Row], data: str) -> list[str]:
    return [name for name in METHODS if any((row["data"], row["method"]) == (data, name) for row in rows)]


def unevenness(rows: list[Row], data: str, method: str) -> float:
    """Half the sum of the distances of the bins' shares to those of a right model: 0 if flat."""
    shares = pooled(rows, data, method)
    return float("nan") if shares is None else float(np.abs(shares - 1 / BINS).sum() / 2)


def times(rows: list[Row], data: str, method: str) -> str:
    """As a multiple of ours, of the same run."""
    taken, basis = (mean(column(rows, "train_seconds", data=data, method=name)) for name in (method, BASIS))
    ratio = taken / basis
    return "-" if method == "truth" else f"{ratio:.2g}" if ratio >= 0.01 else "< 0.01"


def findings(rows: list[Row]) -> list[str]:
    """What the numbers say of each data set: who leads in CRPS, and how far ours are behind or ahead, seed by seed."""
    said = []
    for data in DATA:
        known = {name: mean(column(rows, "crps", data=data, method=name)) for name in methods(rows, data) if name != "truth"}
        known = {name: value for name, value in known.items() if value == value}
        order = sorted(known, key=known.__getitem__)
        best, rival = (next(name for name in order if (name in OURS) == mine) for mine in (True, False))
        gaps = paired(rows, data, best, rival)
        spread = f", standard deviation over the seeds {100 * deviation(gaps):.1f}" if len(gaps) > 1 else ""
        said.append(
            f"**{data}**: {order[0]} has the least CRPS ({known[order[0]]:.4g}), {order[-1]} the largest "
            f"({known[order[-1]]:.4g}); {best}, the best of ours, less {rival}, the best of the others: "
            f"{100 * mean(gaps):+.1f} % of the latter{spread}"
        )
    return [*said, *calibration(rows)]


def paired(rows: list[Row], data: str, ours: str, theirs: str) -> list[float]:
    """Ours less theirs, as a share of theirs, seed by seed."""
    a, b = (
        {row["seed"]: row["crps"] for row in rows if (row["data"], row["method"]) == (data, name)} for name in (ours, theirs))
    return [(a[seed] - b[seed]) / b[seed] for seed in a if seed in b]


def calibration(rows: list[Row]) -> list[str]:
    """How far from what they promise the intervals are, of each method over all data."""
    off = {}
    for method in METHODS:
        data = [name for name in DATA if column(rows, "coverage_90", data=name, method=method)]
        if data and method != "truth":
            off[method] = mean([mean(column(rows, "coverage_90", data=name, method=method)) - 0.9 for name in data])
    each = ", ".join(f"{method} {100 * value:+.1f}" for method, value in off.items())
    return [f"**coverage of 90 % intervals**, less 90, mean over the data sets, in points: {each}"]


HEAD = f"""# Regression: all of p(y | x), side by side

`docs/experiments/regression.py` fits each method to the same rows and asks it for all of p(y | x) on others. Data
(`regression_data.py`; nothing is downloaded): *heteroscedastic*, a sine whose noise grows from one side to the other, with a
known truth; *diabetes* (442 rows), *wine* (178), *breast_cancer* (569) of scikit-learn; *pixels*, a grey value of its two
photographs given six before it. A fifth of the rows is to test (heteroscedastic and pixels: 2,000 of their own). Methods
(`regression_models.py`): three of `FlowRegressor` with all defaults; a linear Gaussian regression as the floor; scikit-learn's
quantile boosting and Gaussian process (on at most {SUBSAMPLE:,} rows); engression as its README fits it, and zuko's neural
spline flow, both with a fifth of the rows held out, as ours are, to keep the best weights by. None is tuned. `quick` has 300
steps of ours, and not the other libraries.

    cd docs/results && python -m evenflow.experiments.regression regression-best.json regression-quick.json \\
        > ../experiments/regression.md

made this page from the `results.json` of the commands below. Means over the seeds and, in brackets, standard deviations;
heteroscedastic and pixels are of the first seed alone.

*CRPS*: of 200 draws, the fair estimate, in the units of y; smaller is better. Boosted quantiles are drawn from along straight
lines between 21 of them. *log p*: mean log density of a test row, nats; larger is better; - where there is no density.
*in 50 %*: the share of y in the central interval that promises 50 %, and *width 50 %* its mean width; so 90 and 95. *PIT*: how
uneven the probability integral transform is, half the sum of the ten bins' distances to a tenth, of the mean over the seeds: 0
if flat; of a test part of 36 to 114 rows, as the tables have, chance alone makes 0.05 to 0.1. *time*: of the training, as a
multiple of that of SAEF by energy in the same run; other work ran on the same cores.
"""
PICTURED = {
    "crps": "CRPS over that of the linear Gaussian on the same split: a point a seed, the bar their mean; blue: ours.",
    "pit": "PIT, the mean over the seeds: the dashed line is a right model; a hump in the middle is one too wide, a U one too "
    "narrow.",
}
NOTES = """What to make of it. With some thousand rows (heteroscedastic, pixels) ours and zuko's flow are close together, near
the truth where it is known, and ahead of a Gaussian process, whose noise is the same everywhere. Energy score or likelihood
makes little difference to the CRPS; AQF takes a third of SAEF's time and is a little behind. Boosted quantiles have a good
CRPS on pixels, but everywhere else intervals that are far too narrow; engression's are off wherever the noise changes with x.

With a few hundred rows a Gaussian process is first on all three tables, in a fraction of the time, and its 90 % intervals are
within three points of what they promise: take it there. The networks, ours, engression's and zuko's, are of a kind: which of
them is ahead changes from table to table. SAEF's 90 % intervals are too wide on diabetes and wine, where the step that is kept
comes before the spread has been learned, and too narrow on breast cancer.
"""


def page(all_results: list[Row]) -> str:
    """docs/experiments/regression.md, from the results.json of one or more presets."""
    parts = [HEAD]
    for results in all_results:
        rows, preset = results["rows"], results["preset"]
        parts += [f"## {preset}\n", made_by(results) + "\n"]
        parts += [f"### {data}, {preset}\n\n{table(rows, data)}\n" for data in DATA]
        parts += ["\n".join(f"- {line}." for line in findings(rows)) + "\n"]
        if preset == "best":
            parts += [f"![{name}](../images/regression-best-{name}.png)\n\n{text}\n" for name, text in PICTURED.items()]
            parts += [NOTES]
    return "\n".join(parts)
