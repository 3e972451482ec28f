"""The pages of image_saef.py and glow_objectives.py: python -m evenflow.experiments.image_saef results.json > image-saef.md"""
from collections.abc import Mapping, Sequence
from typing import Any

from evenflow.experiments import glow_objectives, image_saef, judged
from evenflow.experiments.image_data import SHIPPED
from evenflow.experiments.image_saef import FIRST
from evenflow.experiments.image_study import QUALITY, REAL, TIMED
from evenflow.experiments.judged import cell, column, having, mean
from evenflow.experiments.pages import bullets, filled, made_by, markdown
from evenflow.experiments.results import Row

PAIRS = {  # ours -> theirs, the same model otherwise
    FIRST: "coupling, likelihood", "spline, energy": "spline, likelihood", "free form, energy": FIRST,
    "coupling, energy, beta = 1": FIRST, "coupling, energy, dense contexts": FIRST,
}
PARAMETERS, STEP, SAMPLED, TAKEN = 587_026, 27, 5940, 47.1  # printed: also ms a step, images sampled, and the seconds it took


def saef_page(all_results: Sequence[Row]) -> str:
    """docs/experiments/image-saef.md, from the results.json of one or more runs."""
    def numbers(one: Row) -> dict[str, str]:
        models = image_saef.PRESETS[one["preset"]][data_of(one)].models()
        file = f"../images/image-saef-{label(one)}-sweep.png"
        picture = f"\n\n![{data_of(one)}: quality and times against the number of blocks]({file})"
        return common(one, models, blocks=True) | {"findings": bullets([*pairs(one, PAIRS), *of_blocks(one), *of_times(one)]),
                                                   "printed": printed(one), "sweep": picture if of_blocks(one) else ""}

    return filled("image-saef", numbers, all_results, not_run=not_run(all_results, image_saef.PRESETS))


def glow_page(all_results: Sequence[Row]) -> str:
    """docs/experiments/glow-objectives.md, likewise."""
    def numbers(one: Row) -> dict[str, str]:
        others = {model: "likelihood" for model in glow_objectives.OBJECTIVES if model != "likelihood"}
        told = {"findings": bullets(pairs(one, others)), "distance": f"{one['settings']['median_distance']:.1f}"}
        return common(one, glow_objectives.OBJECTIVES) | told

    return filled("glow-objectives", numbers, all_results, not_run=not_run(all_results, glow_objectives.PRESETS))


def common(one: Row, models: Mapping[str, Any], blocks: bool = False) -> dict[str, str]:
    made = made_by(one)
    if on_device(one):
        made = made.replace("; other work ran on the same cores", ", on a device")
    left = [model for model in models if not having(one["rows"], model=model)]
    return {"label": label(one), "data": data_of(one), "made_by": made, "table": table(one, models, blocks),
            "left": f"\n\nNot run: {'; '.join(left)}." if left else ""}


def data_of(one: Row) -> str:
    return str(one["settings"]["data"])


def label(one: Row) -> str:
    """In the names of its files: the preset, and the images where they are a user's."""
    return str(one["preset"]) + ("" if data_of(one) in SHIPPED else f"-{data_of(one)}")


def on_device(one: Row) -> bool:
    return bool(one["backend"] == "cupy")


def table(one: Row, models: Mapping[str, Any], blocks: bool) -> str:
    """Times as multiples; on a device also in milliseconds."""
    heads = ["model", *["B"][:blocks], "parameters", *QUALITY.values(), "sampling", "inversion"]
    heads += ["sampling 1,000, ms", "training step, ms"] if on_device(one) else []
    lines = []
    for model in (REAL, *models):
        if rows := having(one["rows"], model=model):
            counted = column(rows, "parameters")
            line = [model + judged.trained_of(rows), *[str(rows[0].get("blocks") or "-")][:blocks]]
            line += [f"{counted[0]:,}" if counted else "-", *(cell(column(rows, field)) for field in QUALITY)]
            line += [cell(column(rows, f"{part}_time"), ".2f") for part in ("sampling", "inversion")]
            lines.append(line + ([cell(sampled(rows)), cell(step(rows))] if on_device(one) else []))
    return markdown(heads, lines)


def sampled(rows: Sequence[Row]) -> list[float]:
    """Milliseconds for 1,000 images."""
    return [row["time"] * row["sampling_time"] for row in rows if row["time"] is not None]


def step(rows: Sequence[Row]) -> list[float]:
    """Milliseconds, looks at the held-out images included."""
    return [1000 * row["train_seconds"] / row["steps"] for row in rows if row["time"] is not None]


def pairs(one: Row, known: Mapping[str, str]) -> list[str]:
    """One model against another, measure by measure, means over the seeds."""
    said = []
    for pair in known.items():
        rows = [having(one["rows"], model=model) for model in pair]
        told = [f"{title} {' against '.join(f'{mean(values):.3g}' for values in both)}" for field, title in QUALITY.items()
                if all(both := [column(mine, field) for mine in rows])]
        if told:
            said.append(f"**{pair[0]}** against **{pair[1]}**: {', '.join(told)}")
    return said


def of_blocks(one: Row) -> list[str]:
    """What B does to the first model."""
    rows = [row for row in image_saef.of_the_sweep(one["rows"]) if row["time"] is not None]
    sizes = sorted({row["blocks"] for row in rows})
    told = [f"{title} {', '.join(f'{mean(column(rows, field, blocks=B)):.3g}' for B in sizes)}"
            for field, title in (QUALITY | {"sampling_time": "time of sampling"}).items()]
    return [f"**{FIRST}, B = {', '.join(map(str, sizes))}**: {'; '.join(told)}"] if len(sizes) > 1 else []


def of_times(one: Row) -> list[str]:
    rows = having(one["rows"], model=FIRST)
    naive, back = (mean(column(rows, f"{part}_time")) for part in ("naive", "inversion"))
    return [f"**times of the first model**: sampling with the whole network in every step takes {naive:.3g} times as long as "
            f"place by place, inversion {back:.3g} times"] if naive == naive else []


def printed(one: Row) -> str:
    """Theirs beside ours, of the 28 x 28 images that theirs are of."""
    rows = [row for row in having(one["rows"], model=FIRST, data="fashion") if row["time"] is not None]
    if not rows or not on_device(one) or one["preset"] != "paper":
        return ""
    seconds = mean(sampled(rows)) * SAMPLED / 1e6
    return "\n\n" + markdown(["", "printed, a GPU of Colab", "here"], [
        ["parameters", f"{PARAMETERS:,}", f"{rows[0]['parameters']:,}"],
        ["a training step", f"{STEP} ms", f"{mean(step(rows)):.3g} ms"],
        [f"sampling {SAMPLED:,} images", f"{TAKEN} s", f"{seconds:.3g} s, at the rate of {TIMED}"]])


def not_run(all_results: Sequence[Row], presets: Mapping[str, Mapping[str, Any]]) -> str:
    """The images of which there are no results."""
    there = {(one["preset"], data_of(one)) for one in all_results}
    left = [f"{name} ({preset})" for preset, how in presets.items() for name in how if (preset, name) not in there]
    return f"Not run yet: {', '.join(left)}." if left else "All was run."
