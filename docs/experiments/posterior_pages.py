"""The page of posterior.py, from results.json."""
import numpy as np

from evenflow.experiments.judged import cell, column, having, mean
from evenflow.experiments.pages import bullets, filled, made_by, markdown
from evenflow.experiments.posterior_measures import DRAWS, KEPT
from evenflow.experiments.results import Row


def kinds(rows: list[Row]) -> list[tuple[int | None, str]]:
    return list(dict.fromkeys((row["blocks"], row["objective"]) for row in rows))


def of(rows: list[Row], kind: tuple[int | None, str]) -> list[Row]:
    return having(rows, blocks=kind[0], objective=kind[1], stopped_at=None)


def name(kind: tuple[int | None, str]) -> list[str]:
    return [str(kind[0] or "-"), kind[1]]


def inversions(rows: list[Row]) -> str:
    heads = ["B", "objective", "D-loss of samples", "bits per dim", "x to z to x: largest", "median", "pixels wrong",
             "z to x to z: largest", "median"]
    fields = ("d_loss", "bits_per_dim", "round_trip_max", "round_trip_median", "pixels_wrong", "latent_round_trip_max",
              "latent_round_trip_median")
    models = [kind for kind in kinds(rows) if kind[0]]
    return markdown(heads, [name(kind) + [cell(column(of(rows, kind), field)) for field in fields] for kind in models])


def latents(rows: list[Row]) -> str:
    heads = ["B", "objective", "energy distance of z to N(0, I)", "D-loss of z", "means", "mean variance", "least", "largest"]
    lines = []
    for kind in kinds(rows):
        mine = of(rows, kind)
        spread = [[float(f(row["z_variances"])) for row in mine] for f in (np.mean, np.min, np.max)]
        fields = [column(mine, field) for field in ("z_distance", "z_d_loss", "z_mean")]
        lines.append(name(kind) + [cell(values) for values in (*fields, *spread)])
    return markdown(heads, lines)


def completed(rows: list[Row], kind: tuple[int | None, str], kept: int, field: str) -> list[float]:
    return column([row["completed"][str(kept)] for row in of(rows, kind)], field)


def completions(rows: list[Row]) -> str:
    fields = {"score": "score", "label_score": "label alone", "rmse": "rmse", "d_loss": "D-loss"}
    heads = ["B", "objective", *(f"{kept} kept: {what}" for kept in KEPT for what in fields.values())]
    lines = []
    for kind in kinds(rows):
        cells = [cell(completed(rows, kind, kept, field)) for kept in KEPT for field in fields]
        lines.append((name(kind) if kind[0] else ["-", "training digits"]) + cells)
    return markdown(heads, lines)


PAIRS, WAYS = ("same", "other"), ("arc in z", "arc in pixels", "line in z", "line in pixels")
IMAGES = ("held out", "samples", *(f"{pair}, {way}" for pair in PAIRS for way in WAYS))


def midpoint(rows: list[Row], kind: tuple[int | None, str], image: str, field: str) -> list[float]:
    return column([row["midpoints"][image] for row in of(rows, kind)], field)


def midpoints(rows: list[Row], field: str) -> str:
    models = [kind for kind in kinds(rows) if kind[0]]
    lines = [name(kind) + [cell(midpoint(rows, kind, image, field)) for image in IMAGES] for kind in models]
    return markdown(["B", "objective", *IMAGES], lines)


def findings(rows: list[Row]) -> list[str]:
    """What the numbers say, said from the numbers."""
    models = [kind for kind in kinds(rows) if kind[0] and of(rows, kind)]
    return [inverted(rows, models), *spread(rows, models), *worth(rows, models), *halfway(rows, models)]


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


def worth(rows: list[Row], models: list[tuple[int | None, str]]) -> list[str]:
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


def page(all_results: list[Row]) -> str:
    """docs/experiments/posterior.md, from the results.json of one or more presets."""
    def numbers(one: Row) -> dict[str, str]:
        rows = one["rows"]
        tables = {
            "Inversion": inversions(rows), "z": latents(rows), "Completion": completions(rows),
            "Halfway: D-loss": midpoints(rows, "d_loss"), "Halfway: bits per dim under the model": midpoints(rows, "bits"),
        }
        told = "\n\n".join(f"### {title}, {one['preset']}\n\n{table}" for title, table in tables.items())
        return {"made_by": made_by(one), "tables": told, "findings": bullets(findings(rows))}

    return filled("posterior", numbers, all_results, draws=str(DRAWS))
