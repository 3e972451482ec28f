"""The page of tabular.py, from results.json: python -m evenflow.experiments.tabular results.json ... > tabular.md"""
from collections.abc import Sequence
from typing import Any

from evenflow.experiments import judged
from evenflow.experiments.judged import Row, column, deviation, mean
from evenflow.experiments.tabular import BLOCKS, MODELS, YARDSTICKS
from evenflow.experiments.tabular_pictures import FIELDS, HIGHER
from evenflow.experiments.tabular_uci import UCI

DIGITS = {"log_density": ".2f", "energy_score": ".3f", "crps": ".3f", "d_loss": ".3f"}
PUBLISHED = {  # mean test log density: Papamakarios et al. 2017, Table 1; Durkan et al. 2019, Table 1
    "MAF (5), Papamakarios et al.": (0.14, 9.07, -17.70, -11.75, 155.69),
    "RQ-NSF (AR), Durkan et al.": (0.66, 13.09, -14.01, -9.22, 157.31),
}
HEAD = """# Real tables and patches of photographs: energy and likelihood

The density benchmarks of Papamakarios et al. 2017 (NeurIPS, section 4) and of those who came after them, with the question of
Si et al. 2023: what does one get who trains the same model on the energy score and not on the likelihood? The tables of the
latter could not be had, so no column of theirs stands here. [tables.md](../tables.md) sets the defaults of all families beside
other libraries; [objectives.md](objectives.md) has more objectives, on toys and digits.

Four data sets that come with scikit-learn, so that nothing is downloaded: *diabetes* (442 rows, 9 columns: sex has two values
and is left out), *wine* (178, 13), *breast_cancer* (569, 30), each column with uniform noise as wide as its smallest step; and
*patches*, 8 x 8, of the photographs china.jpg and flower.jpg, prepared as BSDS300 is: grey values with uniform noise, divided
by 256, less the patch's mean, without the last pixel, which are 63 numbers. The photographs are cut into squares of 40 x 40
pixels that are dealt to the three parts, so that no patch shares a pixel with one of another part: 16,000 patches to train on,
2,000 to validate, 2,000 to test. Tables are split 64 : 16 : 20. The seed decides split, noise, start and batches.

On the tables the validation rows choose the step whose weights are kept, by their likelihood, whatever was trained on (the
estimators' rule); on the patches the last weights are kept, so that an objective that knows no likelihood is not judged by one.
What is measured is measured on the test rows. *log density*: mean, nats a row, in the data's units; larger is better. *energy
score* at beta = 1 of 2,000 draws as one forecast for all test rows, columns whitened as the training has them; *CRPS* of the
same draws, summed over the columns, each in its standard deviations; smaller is better. *D-loss*: held-out cross-entropy of a
classifier between draws and test rows; larger is better, log 2 = 0.693 if it cannot tell. *step*: the one whose weights are
kept. Means over the seeds and, in brackets, standard deviations. *Gaussian*: one normal distribution with all covariances.
*training rows*: those in the place of draws, what a model without fault would get.
"""
NOTES = """What to make of it. On *diabetes* and *wine*, 283 and 114 rows to train on, all models end within a nat of the
Gaussian at which they begin, and their draws can hardly be told apart. The columns of *breast_cancer* are nearly collinear:
there are nats to be found in thin directions, and the likelihood finds more of them, because the energy score hardly sees how
thin they are. On *patches* the two objectives part. With 1 and 3 blocks SAEF trained by energy is ahead of the same SAEF
trained by likelihood in energy score, CRPS and D-loss, with both seeds; with 9 blocks it is no longer ahead in energy score
and D-loss. In log density it is far behind with all of them, and with one block even far below the Gaussian, while the
classifier can hardly tell its draws: the energy score asks where draws lie, not how narrow a density is, and most patches of
sky or blur lie in a narrow place. Si et al. say so of their energy flows: a likelihood that is poor and tells nothing of the
samples. Had the validation rows chosen the step by likelihood on patches, too, that model would have kept its start (tried
with seed 0). AQF, one autoregressive layer from pixel to pixel, is behind in its draws under either objective.
"""
DIFFERS = """## What differs from the benchmarks, and why

- The tables are small, and each seed splits anew: the spread over the seeds is mostly that of the split. Compare models within
  a seed, as the differences in the lists above do, not with the literature.
- The patches are those of two photographs, not of 300; their log densities have the unit of BSDS300's, but other photographs
  have other densities: do not compare them either.
- All SAEF have the spline block map, AQF the spline transformer: with affine ones every conditional would be normal. MAF is the
  affine one of the paper. No weight decay, no batch normalisation.
- Not here: `dense`, which cannot be used on tables of this size ([tables.md](../tables.md)), and digits, which stand in
  [objectives.md](objectives.md) and [block-sweep.md](block-sweep.md).
- `images` does the same on patches of nine photographs of scikit-image as well (`pip install 'evenflow[images]'`); it was not
  run here.

## POWER, GAS, HEPMASS, MINIBOONE, BSDS300

They were not run here, because nothing could be downloaded. Who has them, `data.tar.gz` of Zenodo record 1161203
(doi 10.5281/zenodo.1161203), unpacked to a folder DIR, gets our row by

    pip install 'evenflow[demo,uci]'
    evenflow reproduce tabular --preset paper --data DIR

The readers follow the published preparation and leave 6, 8, 21, 43 and 63 columns; they are tested on generated files of those
formats. The preset trains as the published code does, as far as it goes here: batches of 100, Adam at a constant 1e-4, 30
epochs without a better one end it, five layers, two hidden layers of 100 (POWER, GAS) or 512 (the others). It has no weight
decay and no batch normalisation, and 500 of the validation rows choose the step. It is long: 30 epochs of POWER alone are
498,000 steps. With `quick` or `best` those presets run on the five. Mean test log density, nats;
the published numbers are quoted as they are known, the papers could not be opened to check them:
"""

BARS = """Gains over the Gaussian of the same seed: right is better in every panel, whichever way the measure goes; a whisker is
the standard deviation over the seeds. Blue: energy and pinball loss; orange: likelihood."""


def page(all_results: Sequence[Row]) -> str:
    """docs/experiments/tabular.md, from the results.json of one or more presets."""
    names = " ".join(f"tabular-{results['preset']}.json" for results in all_results)
    made = f"    cd docs/results && python -m evenflow.experiments.tabular {names} > ../experiments/tabular.md\n"
    parts = [HEAD, made, "made this page; the `results.json` of the commands below are in docs/results, by these names.\n"]
    for results in all_results:
        preset = results["preset"]
        parts += [f"## {preset}\n", judged.made_by(results) + "\n"]
        parts += ["\n".join(f"- {line}." for line in verdicts(results)) + "\n"]
        for data in data_of(results):
            parts += [f"### {data}\n", table(results["rows"], data) + "\n"]
            parts += ["\n".join(f"- {line}." for line in findings(results["rows"], data)) + "\n"]
        if results is all_results[0]:
            parts += [f"![what was measured, as bars](../images/tabular-{preset}-bars.png)\n\n{BARS}\n"]
            parts += [f"![patches: drawn, and real ones](../images/tabular-{preset}-patches.png)\n", NOTES]
    return "\n".join([*parts, DIFFERS, published(all_results)]) + "\n"


def data_of(results: Row) -> list[str]:
    return list(dict.fromkeys(row["data"] for row in results["rows"]))


def table(rows: Sequence[Row], data: str) -> str:
    lines = []
    for model in (*YARDSTICKS, *MODELS):
        mine = [row for row in rows if (row["data"], row["model"]) == (data, model)]
        whole = [row for row in mine if row["stopped_at"] is None]
        beside = "" if len(whole) == len(mine) else f" ({len(whole)} of {len(mine)} trained)"
        counted, steps = column(mine, "parameters"), column(mine, "best_step")
        first = [model + beside, f"{counted[0]:,}" if counted else "-"]
        step = f"{mean(steps):.0f}" if steps else "last" if model in MODELS and whole else "-"
        lines.append([*first, *(cell(column(mine, field), field) for field in FIELDS), step])
    return judged.markdown(["model", "parameters", *FIELDS.values(), "step"], lines)


def cell(values: list[float], field: str) -> str:
    """Mean and, in brackets, the standard deviation over the seeds."""
    spread = deviation(values)
    beside = f" ({spread:{'.1g' if spread < 10 else '.0f'}})" if len(values) > 1 else ""
    return f"{mean(values):{DIGITS[field]}}{beside}" if values else "-"


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
        {row["seed"]: row[field] for row in rows
         if (row["data"], row["model"]) == (data, f"SAEF, B = {B}, {objective}") and row[field] is not None}
        for objective in ("energy", "likelihood")
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
    return judged.markdown(["", *map(str.upper, UCI)], lines)
