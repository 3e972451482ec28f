"""The page of draws.py, from results.json of one or more presets."""
import math

from evenflow.experiments.draws_findings import cost, data_noise, findings, full, gradients, places, sliced, trained
from evenflow.experiments.judged import cell, column
from evenflow.experiments.pages import bullets, filled, made_by, markdown
from evenflow.experiments.results import Row

SHOWN = {"d_loss": "D-loss", "energy_score": "energy score", "frechet": "Frechet", "bits_per_dim": "bits per dim"}


def noise_table(rows: list[Row]) -> str:
    heads = ["data", "step", "draws", "data's noise", "draws / data", "gradient / data", "cosine", "time", "draws' x time",
             "all x time"]
    lines = []
    for place in places(rows):
        noise, alone, cosine, time = (full(rows, place, field) for field in ("draws_noise", "data_noise", "cosine", "time"))
        data, least, signal = data_noise(rows, place), min(noise), full(rows, place, "gradient")
        for m in noise:
            each = noise[m] * time[m] / (noise[least] * time[least])
            both = (noise[m] + data) * time[m] / ((noise[least] + data) * time[least])
            numbers = (alone[m], noise[m] / data, signal[m] / data, cosine[m], time[m], each, both)
            lines.append([place[0], str(place[1]), str(m), *(f"{number:.3g}" for number in numbers)])
    return markdown(heads, lines)


def blend_table(rows: list[Row]) -> str:
    weights = sorted({row["eps"] for row in gradients(rows)})[1:]
    heads = ["data", "step", "draws", *(f"{what}, eps = {eps:g}" for what in ("bias", "noise / U's") for eps in weights)]
    lines = []
    for place in places(rows):
        noise, unit = full(rows, place, "draws_noise"), math.sqrt(data_noise(rows, place))
        biases, noises = ([full(rows, place, field, eps) for eps in weights] for field in ("bias", "draws_noise"))
        for m in (min(noise), max(noise)):
            numbers = [*(bias[m] / unit for bias in biases), *(other[m] / noise[m] for other in noises)]
            lines.append([place[0], str(place[1]), str(m), *(f"{number:.3g}" for number in numbers)])
    return markdown(heads, lines)


def sliced_table(rows: list[Row]) -> str:
    directions = list(sliced(rows, places(rows)[0]))
    heads = ["data", "step", *(f"noise, {L}" for L in directions), *(f"time, {L}" for L in directions)]
    lines = []
    for place in places(rows):
        told = sliced(rows, place).values()
        lines.append([place[0], str(place[1]), *(f"{noise:.3g}" for noise, _ in told), *(f"{time:.3g}" for _, time in told)])
    return markdown(heads, lines)


def training_table(rows: list[Row]) -> str:
    heads = ["equal", "draws", "eps", "steps", "time", *SHOWN.values(), "spread", "spread / error", "1 - eps / m"]
    kinds = dict.fromkeys((row["plan"], row["draws"], row["eps"], row["steps"]) for row in trained(rows))
    lines = []
    for plan, m, eps, steps in kinds:
        mine = trained(rows, plan=plan, draws=m, eps=eps)
        cells = [cell(column(mine, field)) for field in (*SHOWN, "spread", "spread_over_error")]
        lines.append([plan, str(m), f"{eps:g}", str(steps), f"{cost(rows, m, steps):.2g}", *cells, f"{1 - eps / m:.3g}"])
    return markdown(heads, lines)


def page(all_results: list[Row]) -> str:
    """docs/experiments/draws.md."""
    tables = {"noise": noise_table, "blends": blend_table, "slices": sliced_table, "trainings": training_table}
    return filled("draws", lambda one: {
        "made_by": made_by(one), "pairs": one["settings"]["pairs"], "findings": bullets(findings(one["rows"])),
        **{name: table(one["rows"]) for name, table in tables.items()}}, all_results)
