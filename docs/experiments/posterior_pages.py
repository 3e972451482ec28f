"""The page of posterior.py, from results.json."""
import numpy as np

from evenflow.experiments import judged
from evenflow.experiments.judged import Row, cell, column, mean
from evenflow.experiments.posterior_measures import DRAWS, KEPT


def kinds(rows: list[Row]) -> list[tuple[int | None, str]]:
    return list(dict.fromkeys((row["blocks"], row["objective"]) for row in rows))


def of(rows: list[Row], kind: tuple[int | None, str]) -> list[Row]:
    return [row for row in rows if (row["blocks"], row["objective"]) == kind and row["stopped_at"] is None]


def name(kind: tuple[int | None, str]) -> list[str]:
    return [str(kind[0] or "-"), kind[1]]


def inversions(rows: list[Row]) -> str:
    heads = ["B", "objective", "D-loss of samples", "bits per dim", "x to z to x: largest", "median", "pixels wrong",
             "z to x to z: largest", "median"]
    fields = ("d_loss", "bits_per_dim", "round_trip_max", "round_trip_median", "pixels_wrong", "latent_round_trip_max",
              "latent_round_trip_median")
    models = [kind for kind in kinds(rows) if kind[0]]
    return judged.markdown(heads, [name(kind) + [cell(column(of(rows, kind), field)) for field in fields] for kind in models])


def latents(rows: list[Row]) -> str:
    heads = ["B", "objective", "energy distance of z to N(0, I)", "D-loss of z", "means", "mean variance", "least", "largest"]
    lines = []
    for kind in kinds(rows):
        mine = of(rows, kind)
        spread = [[float(f(row["z_variances"])) for row in mine] for f in (np.mean, np.min, np.max)]
        fields = [column(mine, field) for field in ("z_distance", "z_d_loss", "z_mean")]
        lines.append(name(kind) + [cell(values) for values in (*fields, *spread)])
    return judged.markdown(heads, lines)


def completed(rows: list[Row], kind: tuple[int | None, str], kept: int, field: str) -> list[float]:
    return column([row["completed"][str(kept)] for row in of(rows, kind)], field)


def completions(rows: list[Row]) -> str:
    fields = {"score": "score", "label_score": "label alone", "rmse": "rmse", "d_loss": "D-loss"}
    heads = ["B", "objective", *(f"{kept} kept: {what}" for kept in KEPT for what in fields.values())]
    lines = []
    for kind in kinds(rows):
        cells = [cell(completed(rows, kind, kept, field)) for kept in KEPT for field in fields]
        lines.append((name(kind) if kind[0] else ["-", "training digits"]) + cells)
    return judged.markdown(heads, lines)


PAIRS, WAYS = ("same", "other"), ("arc in z", "arc in pixels", "line in z", "line in pixels")
IMAGES = ("held out", "samples", *(f"{pair}, {way}" for pair in PAIRS for way in WAYS))


def midpoint(rows: list[Row], kind: tuple[int | None, str], image: str, field: str) -> list[float]:
    return column([row["midpoints"][image] for row in of(rows, kind)], field)


def midpoints(rows: list[Row], field: str) -> str:
    models = [kind for kind in kinds(rows) if kind[0]]
    lines = [name(kind) + [cell(midpoint(rows, kind, image, field)) for image in IMAGES] for kind in models]
    return judged.markdown(["B", "objective", *IMAGES], lines)


def findings(rows: list[Row]) -> list[str]:
    """What the numbers say, said from the numbers."""
    models = [kind for kind in kinds(rows) if kind[0] and of(rows, kind)]
    return [inverted(rows, models), *spread(rows, models), *filled(rows, models), *halfway(rows, models)]


def inverted(rows: list[Row], models: list[tuple[int | None, str]]) -> str:
    worst = max(models, key=lambda kind: max(column(of(rows, kind), "round_trip_max")))
    wrong = sum(sum(column(of(rows, kind), "pixels_wrong")) for kind in models)
    largest = max(column(of(rows, worst), "round_trip_max"))
    return (
        f"**inversion**: the largest error of all models, x to z to x, is {largest:.2g} (B = {worst[0]}, {worst[1]}), in units "
        f"in which the pixels' deviation is 1; {wrong:.0f} pixels come back as another whole number"
    )


def spread(rows: list[Row], models: list[tuple[int | None, str]]) -> list[str]:
    """Of z: each B by both objectives."""
    fresh, said = mean(column(of(rows, (None, "real")), "z_distance")), []
    for B in dict.fromkeys(B for B, _ in models):
        parts = []
        for objective in (o for b, o in models if b == B):
            mine = of(rows, (B, objective))
            variances = np.mean([row["z_variances"] for row in mine], axis=0)
            far = f"{int(np.sum(variances > 2))} of 64 above 2, {int(np.sum(variances < 0.5))} below 1/2"
            distance = mean(column(mine, "z_distance"))
            parts.append(f"{objective} {distance:.3g}, variances {np.median(variances):.2f} in the median, {far}")
        said.append(f"**z at B = {B}**, energy distance to N(0, I) (fresh normals {fresh:.2g}): {'; '.join(parts)}")
    return said


def filled(rows: list[Row], models: list[tuple[int | None, str]]) -> list[str]:
    """What the kept pixels are worth: the score of the missing ones, against the label alone and against training digits."""
    said, rival = [], {kept: mean(completed(rows, (None, "real"), kept, "score")) for kept in KEPT}
    for kind in models:
        ours = {kept: mean(completed(rows, kind, kept, "score")) for kept in KEPT if completed(rows, kind, kept, "score")}
        alone = {kept: mean(completed(rows, kind, kept, "label_score")) for kept in ours}
        parts = [f"{kept} kept {1 - ours[kept] / alone[kept]:.0%}" for kept in ours]
        better = [str(kept) for kept in ours if ours[kept] < rival[kept]]
        if ours:
            said.append(
                f"**completion, B = {kind[0]}, {kind[1]}**, energy score less than by the label alone: {', '.join(parts)}; "
                f"less than by the {DRAWS} nearest training digits with {' and '.join(better) or 'none'} kept"
            )
    return said


def halfway(rows: list[Row], models: list[tuple[int | None, str]]) -> list[str]:
    said = []
    for kind in models:
        got = {image: mean(midpoint(rows, kind, image, "d_loss")) for image in IMAGES}
        parts = [f"{pair}: " + ", ".join(f"{way} {got[f'{pair}, {way}']:.3f}" for way in WAYS) for pair in PAIRS]
        best = [max((got[f"{pair}, {way}"], way) for way in WAYS)[1] for pair in PAIRS]
        said.append(
            f"**halfway, B = {kind[0]}, {kind[1]}**, D-loss (samples {got['samples']:.3f}): {'; '.join(parts)}; best within a "
            f"class: {best[0]}, between two: {best[1]}"
        )
    return said


HEAD = f"""# Posterior: what can be done with an inverse

Si et al. 2023 (arXiv 2206.06672) want posterior inference, x to z, beside generation; so the map must be invertible. The image
models of their code end in heads that are not: those are conditional generators and have none of what is here.
`docs/experiments/posterior.py` takes models of [block-sweep](block-sweep.md), B = 1, 4 and 16 with the same spline maps,
trained by energy score and by likelihood, and does with them what needs an inverse. All inverses are one parallel pass,
whatever B; what that costs stands in block-sweep. They have no such table, so there is no column of theirs.

    cd docs/results && python -m evenflow.experiments.posterior posterior-best.json posterior-quick.json \\
        > ../experiments/posterior.md

made this page from the `results.json` of the commands below. Means over the seeds and, in brackets, standard deviations.

*Inversion*: of the 297 held-out digits, dequantised; in float32. *pixels wrong*: of 19,008, after rounding down.

*z*: of the held-out digits, under their labels. Energy distance (unbiased, beta = 1) and D-loss against normals; *means*: root
mean square of the 64 coordinates' means; then their variances. The row `real` has 297 fresh normals in the place of z.

*Completion*: the first 16, 32 or 48 pixels in Z-order (a quadrant, the upper half, one more quadrant) go to z in one pass,
their z are kept, the others drawn from N(0, I): a SAEF with a boundary between blocks there draws the missing pixels from its
conditional law, and the kept ones come back as they were. At B = 1 there is no boundary. *score*: energy score of {DRAWS} draws
of the missing pixels; *label alone*: of as many draws with no z kept; *rmse* of the mean draw, in levels of grey of 16;
*D-loss*: of whole completed digits against training digits. The row of training digits has the {DRAWS} nearest of the class by
the kept pixels in the place of draws, and for *label alone* as many of the class at random.

*Halfway*: between a held-out digit and another of its class (*same*) or of another class (*other*, under the label of the
first). *arc*: (z + z') / sqrt 2, which is N(0, I) where z and z' are independent and N(0, I), so that a right model makes true
samples of it; *line*: (z + z') / 2, as usual, of half that variance. Both *in z* and *in pixels*, which needs no model: there
the line is the mean of both, the arc that with its contrast kept. D-loss against training digits of the same classes, log 2 =
0.693 if they cannot be told apart; of *held out* and *in pixels* it does not depend on the model.
"""


PICTURED = {
    "completion": "Completions of ten digits from their upper halves, three of each model.",
    "interpolation": "Ways on the arc: above two pairs of one class, below two of two classes, where the label changes after "
    "the middle. First the line in pixels.",
    "variances": "Variance of z of the held-out digits, pixel by pixel.",
}
NOTES = """What to make of it (of `best`, one seed). The inverse is exact, in float32, for each model; from z and back less so
where a map is steep (B = 16, energy). But an exact inverse is not yet a posterior. Trained by likelihood, the z of held-out
digits are N(0, I) as far as the classifier can see, and nearly so by the energy distance. Trained by energy score they are not,
and at B = 4 and 16 far less than at B = 1: of half of the coordinates or so the variance is near 2 or above, of some 7 or 8,
and the classifier nearly always tells them from normals, although the samples at B = 16 are as good as those of likelihood. The
objective looks from z to x only. Draws are right on the whole, and held-out digits nevertheless lie far out in z, at B = 16
most of all at the right edge, where pixels are nearly always empty: there the density is too narrow. It is the poor likelihood
of [likelihood-vs-quality](likelihood-vs-quality.md), seen from the other side.

So what draws z works after either training; what takes z from data works after likelihood. *Completion* takes from z of data
only that the kept pixels come back: B = 4 and 16, energy and likelihood, are nearly equal, energy ahead by a little in the
score that it was trained on. What is kept is worth a sixth to a quarter of the score. Against the nearest training digits,
which are hard to beat where so little varies, the models win with the upper half kept; with a quadrant or three they are level
within 0.06. *Halfway* on the arc likelihood's images are as good as its samples, within a class and between two, as they must
be where z is N(0, I). Energy's at B = 4 and 16 are worse than its samples, and within a class worse than the arc in pixels,
which needs no model: single pixels at the edge turn black. The line serves them better, since it halves a variance that is too
large. At B = 1 energy's are far better than its samples: z of real digits brings along what that model has not learned. A line
costs likelihood's models some D-loss, and gives images with fewer bits per dim than real digits have.
"""


def page(all_results: list[Row]) -> str:
    """docs/experiments/posterior.md, from the results.json of one or more presets."""
    parts = [HEAD]
    for results in all_results:
        rows, preset = results["rows"], results["preset"]
        tables = {
            "Inversion": inversions(rows), "z": latents(rows), "Completion": completions(rows),
            "Halfway: D-loss": midpoints(rows, "d_loss"), "Halfway: bits per dim under the model": midpoints(rows, "bits"),
        }
        parts += [f"## {preset}\n", judged.made_by(results) + "\n"]
        parts += [f"### {title}, {preset}\n\n{table}\n" for title, table in tables.items()]
        parts += ["\n".join(f"- {line}." for line in findings(rows)) + "\n"]
        shown = PICTURED if results is all_results[0] else {}
        parts += [f"![{image}](../images/posterior-{preset}-{image}.png)\n\n{said}\n" for image, said in shown.items()]
        parts += [NOTES] if preset == "best" else []
    return "\n".join(parts)
