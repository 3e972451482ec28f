"""The page of draws.py, from results.json of one or more presets."""
import math

from evenflow.experiments import judged
from evenflow.experiments.draws_findings import cost, data_noise, findings, full, gradients, places, sliced, trained
from evenflow.experiments.judged import Row, cell, column

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
    return judged.markdown(heads, lines)


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
    return judged.markdown(heads, lines)


def sliced_table(rows: list[Row]) -> str:
    directions = list(sliced(rows, places(rows)[0]))
    heads = ["data", "step", *(f"noise, {L}" for L in directions), *(f"time, {L}" for L in directions)]
    lines = []
    for place in places(rows):
        told = sliced(rows, place).values()
        lines.append([place[0], str(place[1]), *(f"{noise:.3g}" for noise, _ in told), *(f"{time:.3g}" for _, time in told)])
    return judged.markdown(heads, lines)


def training_table(rows: list[Row]) -> str:
    heads = ["equal", "draws", "eps", "steps", "time", *SHOWN.values(), "spread", "spread / error", "1 - eps / m"]
    kinds = dict.fromkeys((row["plan"], row["draws"], row["eps"], row["steps"]) for row in trained(rows))
    lines = []
    for plan, m, eps, steps in kinds:
        mine = trained(rows, plan=plan, draws=m, eps=eps)
        cells = [cell(column(mine, field)) for field in (*SHOWN, "spread", "spread_over_error")]
        lines.append([plan, str(m), f"{eps:g}", str(steps), f"{cost(rows, m, steps):.2g}", *cells, f"{1 - eps / m:.3g}"])
    return judged.markdown(heads, lines)


HEAD = """# Draws: how noisy the energy objective is, and what more draws buy

The energy objective of Si et al. 2023 (arXiv 2206.06672, section 3) is estimated from m draws a datum: 2 in the authors' MNIST
code, 10 in their CIFAR code. What m, the estimator and slicing along random directions cost and buy, the paper does not say;
there is no number of theirs to stand here, and no preset `paper`. `docs/experiments/draws.py` measures the gradient's noise
with parameters held, at three steps of two trainings (4 draws, the fair estimator, batches of 128): the class-conditional SAEF
with B = 16 of [digits.md](../digits.md), and the SAEF of [objectives.md](objectives.md) on eight Gaussians, B = 1. There
nothing is given, so all draws of a batch are one forecast for all its data: m draws a datum are 128 m in all. Then it trains
the digits' SAEF with other m and estimators; all else is equal, and the last weights are kept.

U, the fair estimator, divides the sum over pairs of draws by m (m - 1), V by m^2; (1 - eps) U + eps V is the score with c = 1
- eps / m in front of E|X - X'| / 2. "Almost fair" scores of weather models (anemoi) have eps = 0.05. Where c < 1 the score is
not proper. On the line its least is attained by the data's law without its outer quantiles, (1 - c) / 2 on either side, the
rest unchanged: with V and 2 draws, by the middle half. Among normal forecasts of normal data it is attained at the standard
deviation c / sqrt(2 - c^2) of the data's, and there E|X - X'| / E|X - Y| = c.

    cd docs/results && python -m evenflow.experiments.draws draws-best.json draws-quick.json > ../experiments/draws.md

made this page from the `results.json` of the commands below.
"""
NOISE = """The gradient of a batch has two kinds of noise, that of its data D and that of the draws z: Var g = E_D Var_z(g | D)
+ Var_D E_z(g | D), traces of covariances. Both come from pairs of gradients with the same batch and independent draws. *data's
noise*: the second, which by theory does not depend on m; *draws / data*: the first over the mean of the second; *gradient /
data*: the squared length of the gradient over all the data (of very many draws) over the same; *cosine*: of one batch's
gradient to that one, on average; *time* of one gradient, as a ratio to 2 draws; *draws' x time*: noise at equal cost if the
data were always the same, as a ratio to 2 draws; *all x time*: the same with both kinds of noise. Smaller is better; the least
of the last column is the m to take if more time could as well be spent on more data.
"""
BLENDS = """*bias*: the length of what the blend adds to the gradient on average, over the standard deviation of the data's
noise, eps / m times the same at every m; *noise / U's*: the draws' noise of the blend over that of U. With the fewest draws,
and the most.
"""
SLICES = """The sliced score with 4 draws, divided by its constant, along 1 to 64 random directions: the draws' and directions'
noise, and the time, both over those of the full score with 4 draws.
"""
TRAINED = """Trained with other m and eps. *equal* steps, or equal draws: then 2 draws have twice the steps of 4, and 16 a
quarter. Blends at 4 draws have equal both. *time*: steps times the time of a gradient, over those of the first row. *D-loss*:
of a classifier between 297 samples and the held-out digits, larger is better; *energy score* by U at beta = 1, *Frechet*,
*bits per dim*: smaller is better. *spread*: the standard deviation of samples within their class over that of the training
digits; *spread / error*: E|X - X'| / E|X - Y| of a block's draws given the true blocks before it, on held-out digits: 1 where
draws and data could change places.
"""
NOTES = """What to make of it. After a hundred steps most of the noise of a batch is the data's, with 2 draws already; the
draws' part falls like 1 / m, the time grows with m, and so 2 or 4 draws are best at equal cost. On the digits 8 pay at the
start alone, where the gradient is so much longer than all noise that it hardly matters. The trainings agree: 16 draws in the
place of 4 change nothing that one seed could show, and twice the steps with 2 draws, in half as much time again, are worth
more than any of it.

V is hardly less noisy than U, so nothing is gained for its bias. Where every datum has draws of its own, that bias is with 2
of them longer than a batch's noise to the end of the training, and the draws come out about as narrow as theory says. On eight
Gaussians, where 256 draws or more are one forecast, it is lost in the noise. eps = 0.05 makes the samples a little narrower;
with 2 draws no measure is better for it, with more the differences are no larger than those between seeds in
[digits.md](../digits.md). U itself stays below 1 in *spread / error*, the more the longer it is trained: on held-out digits,
which a model that begins to know its 1,500 by heart expects to hit better than it does. That this is the cause has not been
shown.

Slices are no bargain in the four numbers of a patch: a few directions add far more noise than they save time. On eight
Gaussians they take about as long as the full score with its 512 draws, and nearly all are noisier.
"""
PICTURED = """![noise and bias of the gradient](../images/draws-PRESET-gradients.png)

![trainings](../images/draws-PRESET-trainings.png)

![samples by U and V](../images/draws-PRESET-samples.png)

Noise of U's draws (full lines) and of the data (broken), and V's squared bias; trainings; samples of the trainings of equal
steps.
"""


def page(all_results: list[Row]) -> str:
    """docs/experiments/draws.md."""
    parts = [HEAD]
    tables = ((NOISE, noise_table), (BLENDS, blend_table), (SLICES, sliced_table), (TRAINED, training_table))
    for results in all_results:
        rows, first, pairs = results["rows"], results is all_results[0], results["settings"]["pairs"]
        made = f"{judged.made_by(results)}\n{pairs} pairs of gradients of each kind.\n"
        parts += [f"## {results['preset']}\n", made]
        for said, table in tables:
            parts += [*([said] if first else []), table(rows) + "\n"]
        parts += ["\n".join(f"- {line}." for line in findings(rows)) + "\n", *([NOTES] if first else [])]
        parts += [PICTURED.replace("PRESET", results["preset"])] if first else []
    return "\n".join(parts)
