"""What the rows of draws.py say: means over the seeds by data set and step, and sentences made of them."""
import math

import numpy as np

from evenflow.experiments.draws_measures import least_spread
from evenflow.experiments.judged import bits, column, having, mean
from evenflow.experiments.results import Row


def gradients(rows: list[Row]) -> list[Row]:
    return having(rows, kind="gradient")


def places(rows: list[Row]) -> list[tuple[str, int]]:
    """Data set and step of every look."""
    return list(dict.fromkeys((row["data"], row["step"]) for row in gradients(rows)))


def full(rows: list[Row], place: tuple[str, int], field: str, eps: float = 0.0) -> dict[int, float]:
    """Draws a datum -> the mean over the seeds, of the full score."""
    mine = having(gradients(rows), data=place[0], step=place[1], directions=None)
    return {m: mean(column(mine, field, draws=m, eps=eps)) for m in sorted({row["draws"] for row in mine})}


def data_noise(rows: list[Row], place: tuple[str, int]) -> float:
    """U's does not depend on the draws: the mean over all of them."""
    return mean(list(full(rows, place, "data_noise").values()))


def sliced(rows: list[Row], place: tuple[str, int]) -> dict[int, tuple[float, float]]:
    """Directions -> draws' noise and time, as multiples of the full score's with as many draws."""
    mine = [row for row in having(gradients(rows), data=place[0], step=place[1]) if row["directions"] is not None]
    told = {}
    for L in sorted({row["directions"] for row in mine}):
        here, m = having(mine, directions=L), mine[0]["draws"]
        noise, time = mean(column(here, "draws_noise")), mean(column(here, "time"))
        told[L] = noise / full(rows, place, "draws_noise")[m], time / full(rows, place, "time")[m]
    return told


def trained(rows: list[Row], **where: object) -> list[Row]:
    return [row | bits(row) for row in having(rows, kind="training", data="digits") if having([row], **where)]


def cost(rows: list[Row], m: int, steps: int) -> float:
    """Steps times the time of a gradient, over those of the first training; times by the last look at the digits."""
    first, last = trained(rows)[0], [place for place in places(rows) if place[0] == "digits"][-1]
    time = full(rows, last, "time")
    return float(steps * time[m] / (first["steps"] * time[first["draws"]]))


def slope(values: dict[int, float]) -> float:
    """Of log value against log m."""
    return float(np.polyfit(np.log(list(values)), np.log(list(values.values())), 1)[0])


def findings(rows: list[Row]) -> list[str]:
    """What the numbers say, said from the numbers."""
    return [checked(rows), unbiased(rows), *(of_noise(rows, place) for place in places(rows)), answer(rows), of_bias(rows),
            of_slices(rows), *of_trainings(rows)]


def extremes(values: list[float], sign: str = "") -> str:
    return f"{min(values):{sign}.3g} to {max(values):{sign}.3g}"


def checked(rows: list[Row]) -> str:
    known = having(rows, kind="check")
    told = [f"{what} {extremes(column(known, field))}" for what, field in (
        ("by the mean", "mean_ratio"), ("by the scale", "scale_ratio"), ("V's bias by the scale", "bias_ratio"))]
    return f"**normal forecast**: measured over closed form, of the variance of U's gradient {', '.join(told)}"


def unbiased(rows: list[Row]) -> str:
    off = {
        eps: [v / data_noise(rows, place) for place in places(rows) for v in full(rows, place, "off_reference", eps).values()]
        for eps in (0.0, 1.0)
    }
    return (
        "**U is unbiased, V is not**: the squared distance from the mean over the batches to the gradient over all the data, "
        "in units of the data's noise and with what the noise of both adds taken off (so it can be negative), is for U "
        f"{extremes(off[0.0], '+')}, for V {extremes(off[1.0], '+')}"
    )


def of_noise(rows: list[Row], place: tuple[str, int]) -> str:
    noise, data, cost = full(rows, place, "draws_noise"), data_noise(rows, place), by_cost(rows, place)
    under = [m for m in noise if noise[m] < data]
    first = f"below the data's from {under[0]} draws on" if under else "never below the data's"
    best = min(cost, key=lambda m: cost[m])
    return (
        f"**{place[0]}, step {place[1]}**: the draws' noise falls like m^{slope(noise):.2f}; it is {first} "
        f"({noise[min(noise)] / data:.2g} times that at {min(noise)}); noise times time is least at {best} draws"
    )


def by_cost(rows: list[Row], place: tuple[str, int]) -> dict[int, float]:
    """Draws a datum -> both kinds of noise, times the time, over the least."""
    noise, time, data = full(rows, place, "draws_noise"), full(rows, place, "time"), data_noise(rows, place)
    cost = {m: (noise[m] + data) * time[m] for m in noise}
    return {m: value / min(cost.values()) for m, value in cost.items()}


def answer(rows: list[Row]) -> str:
    """Over all looks: which numbers of draws are the best at equal cost, and what the others lose."""
    costs = [by_cost(rows, place) for place in places(rows)]
    best = sorted({min(cost, key=lambda m: cost[m]) for cost in costs})
    lost = "; ".join(f"{m} draws {extremes([cost[m] for cost in costs])}" for m in costs[0])
    return (
        f"**the practical answer**: at equal cost the best number of draws a datum is {' or '.join(map(str, best))}; noise "
        f"times time over the least, in all {len(costs)} looks: {lost}"
    )


def of_bias(rows: list[Row]) -> str:
    told = []
    for place in places(rows):
        bias, unit = full(rows, place, "bias", 1.0), math.sqrt(data_noise(rows, place))
        told.append(f"{place[0]}, step {place[1]}: {bias[min(bias)] / unit:.2g} at {min(bias)} draws, like m^{slope(bias):.2f}")
    return f"**V's bias**, its length over the standard deviation of the data's noise: {'; '.join(told)}"


def of_slices(rows: list[Row]) -> str:
    told = []
    for place in places(rows):
        each = sliced(rows, place)
        best = min(each, key=lambda L: each[L][0] * each[L][1])
        told.append(f"{place[0]}, step {place[1]}: {math.prod(each[best]):.3g} at {best} directions")
    return f"**slices**: the least noise times time, over the full score's, of the draws alone: {'; '.join(told)}"


def of_trainings(rows: list[Row]) -> list[str]:
    """For each plan and number of draws: V and the blend against U; then the number of draws."""
    said = []
    for plan in dict.fromkeys(row["plan"] for row in trained(rows)):
        told = []
        for m in sorted({row["draws"] for row in trained(rows, plan=plan)}):
            each = []
            for eps in sorted({row["eps"] for row in trained(rows)}):
                mine = trained(rows, plan=plan, draws=m, eps=eps)
                numbers = [mean(column(mine, field)) for field in ("d_loss", "energy_score", "spread")]
                each.append(f"eps = {eps:g} " + " / ".join(f"{number:.3f}" for number in numbers))
            told.append(f"{m} draws: {', '.join(each)}")
        said.append(f"**trained on equal {plan}**, D-loss / energy score / spread: {'; '.join(told)}")
    told = []
    for m in sorted({row["draws"] for row in trained(rows)}):
        c, ratios = 1 - 1 / m, []
        for field in ("spread_over_error", "spread"):
            fair, biased = (mean(column(trained(rows, eps=eps, plan="steps", draws=m), field)) for eps in (0.0, 1.0))
            ratios.append(biased / fair)
        told.append(f"{m} draws {ratios[0]:.3f} for {c:.3f}, spread {ratios[1]:.2f} for {least_spread(c):.2f}")
    listed = "; ".join(told)
    return [*said, f"**V is too narrow**: E|X - X'| / E|X - Y| and spread over U's, for what a normal law would have: {listed}"]
