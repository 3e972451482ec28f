"""The page of generators.py, from results.json of one or more presets."""
import math

from evenflow.experiments import judged
from evenflow.experiments.judged import Row, cell, column, mean

QUALITY = {"d_loss": "D-loss", "frechet": "Frechet", "energy_score": "energy score", "bits_per_dim": "bits per dim"}
DIVERSITY = {"spread": "spread", "spread_over_error": "spread / error", "dimension": "dimensions"}
KIND = ("head", "blocks", "noise", "draws", "beta")
SWEPT = {"noise": "noise numbers", "draws": "draws", "beta": "beta", "blocks": "blocks"}


def with_bits(rows: list[Row]) -> list[Row]:
    return [row | {"bits_per_dim": row["nll"] / (64 * math.log(2)) if row.get("nll") is not None else None} for row in rows]


def table(rows: list[Row]) -> str:
    heads = ["head", "B", "noise", "draws", "beta", "parameters", *QUALITY.values(), *DIVERSITY.values(), "sampling"]
    lines = []
    for kind in dict.fromkeys(tuple(row[name] for name in KIND) for row in rows):
        mine = [row for row in with_bits(rows) if tuple(row[name] for name in KIND) == kind]
        counted, stopped = column(mine, "parameters"), [row for row in mine if row["stopped_at"] is not None]
        beside = f" ({len(mine) - len(stopped)} of {len(mine)} trained)" if stopped else ""
        first = [str(kind[0]) + beside, *("-" if part is None else f"{part:g}" for part in kind[1:])]
        cells = [cell(column(mine, field)) for field in (*QUALITY, *DIVERSITY, "sampling_time")]
        lines.append([*first, f"{counted[0]:,.0f}" if counted else "-", *cells])
    return judged.markdown(heads, lines)


def base(results: Row) -> Row:
    """The kind of the base point: the first row of a free-form head."""
    first = next(row for row in results["rows"] if row["head"] == "free form")
    return {name: first[name] for name in KIND}


def sizes(results: Row) -> list[int]:
    return sorted({row["blocks"] for row in results["rows"] if row["blocks"]}, reverse=True)


def findings(results: Row) -> list[str]:
    """What the numbers say, said from the numbers."""
    return [*(of_sweep(results, swept) for swept in SWEPT), *(narrow(results, B) for B in sizes(results)), *heads(results)]


def of_sweep(results: Row, swept: str) -> str:
    """All measures along one sweep; and which value is best in D-loss, which widest."""
    rows, one = results["rows"], base(results)
    mine = [row for row in rows if all(row[name] == value for name, value in one.items() if name != swept)]
    values = sorted({row[swept] for row in mine})
    fields = ("d_loss", "energy_score", *DIVERSITY)
    told = {field: {v: mean(column(mine, field, **{swept: v})) for v in values} for field in fields}
    best, least = max(values, key=lambda v: told["d_loss"][v]), min(values, key=lambda v: told["energy_score"][v])
    listed = "; ".join(f"{v:g}: {told['d_loss'][v]:.3f}, {told['spread'][v]:.2f}, {told['dimension'][v]:.2f}" for v in values)
    return (
        f"**{SWEPT[swept]}** (D-loss, spread, dimensions): {listed}. D-loss is best at {best:g}, the energy score at {least:g} "
        f"({told['energy_score'][least]:.3f}; the others to {max(told['energy_score'].values()):.3f})"
    )


def narrow(results: Row, B: int) -> str:
    """With B blocks the least noise against the most: what a block's draws fill, and whether the samples are worse for it."""
    one = base(results) | {"blocks": B}
    mine = [row for row in results["rows"] if all(row[name] == value for name, value in one.items() if name != "noise")]
    few, many = (choose(row["noise"] for row in mine) for choose in (min, max))
    told = {field: [mean(column(mine, field, noise=r)) for r in (few, many)] for field in ("d_loss", *DIVERSITY)}
    fallen = "collapse" if told["dimension"][0] < told["dimension"][1] / 2 else "do not collapse"
    worse = "worse" if told["d_loss"][0] < told["d_loss"][1] else "no worse"
    listed = ", ".join(f"{name} {told[field][0]:.3g} and {told[field][1]:.3g}" for field, name in DIVERSITY.items())
    return (
        f"**little noise at B = {B}**: from {few} in the place of {many} a block's draws {fallen}: {listed} (of at most "
        f"{64 // B}); the D-loss is {worse} for it, {told['d_loss'][0]:.3f} and {told['d_loss'][1]:.3f}"
    )


def heads(results: Row) -> list[str]:
    """The base point's head against the invertible ones, with as many blocks."""
    rows, one = results["rows"], base(results)
    said = []
    for B in sizes(results):
        mine = [row for row in rows if row["blocks"] == B and all(row[name] == one[name] for name in ("draws", "beta"))]
        mine = [row for row in mine if row["noise"] in (None, one["noise"])]
        told = {head: mean(column(mine, "d_loss", head=head)) for head in dict.fromkeys(row["head"] for row in mine)}
        order = sorted(told, key=lambda head: -told[head])
        said.append(f"**heads at B = {B}**, D-loss: " + ", ".join(f"{head} {told[head]:.3f}" for head in order))
    return said


HEAD = """# Generators: free-form heads, and how much noise they need

The published image models of Si et al. 2023 (arXiv 2206.06672) are semi-autoregressive, but their heads cannot be inverted:
conditional generators, trained on the energy score. So are the continuous autoregressive models of today in large: EAR
(2505.07812) has such a head with 64 noise numbers and 2 draws a token, CALM (2510.27688) one with 64 noise numbers, 8 draws
and beta = 1, for blocks of four tokens. `docs/experiments/generators.py` has one in small: scikit-learn's 8x8 digits,
class-conditional, in 16 or 4 square patches, each made by x_b = z_b + net(z_b, h_b), a perceptron with two hidden layers of
64, from r noise numbers z_b and the context h_b; where r is not the k numbers of a patch, the first min(r, k) are added. From
a base point one thing is changed at a time. The heads `affine` and `spline` can be inverted and have a likelihood; they are
trained on the same objective, with the same steps, batches and rates. The last weights are kept.

What differs from the sources: digits in the place of MNIST, tokens and latents; a masked perceptron makes the contexts; normal
noise (EAR's is uniform); small heads. The tables of Si et al. could not be had, those of EAR and CALM are of other data, so no
number of theirs stands here. The preset `paper` (the authors' MNIST configuration: 2 draws, beta = 0.5, Adam at a constant
1e-4, batches of 200) is not run.

    cd docs/results && python -m evenflow.experiments.generators generators-best.json generators-quick.json \\
        > ../experiments/generators.md

made this page from the `results.json` of the commands below.
"""
COLUMNS = """*noise*: numbers a block. *D-loss*: held-out cross-entropy of a classifier between 297 samples and the 297
held-out digits; larger is better, log 2 = 0.693 if it cannot tell. *Frechet* distance of classifier features, *energy score*
of 50 draws a digit at beta = 1, *bits per dim* (of a head without a way back there are none): smaller is better. *spread*: the
standard deviation of samples within their class over that of the training digits. *spread / error*: E|X - X'| / E|X - Y| of a
block's draws given the true blocks before it, on held-out digits, 1 where draws and data could change places; *dimensions*: of
these draws, (tr C)^2 / tr C^2 of their covariance C, weighted by tr C: at most the numbers in a block, 4 at B = 16 and 16 at B
= 4. *sampling*: time as a ratio to the base point's, taken in turn. The first row judges training digits in the place of
samples, and its spread is that of the held-out digits.
"""
NOTES = """What follows from the numbers, for heads and trainings of this size. One noise number collapses the draws of a block
onto a curve, as it must: their dimension is near 1, and they are the narrowest for the errors that they make (*spread /
error*). In blocks of 16 pixels the samples are worse for it in D-loss, energy score and spread, though not in Frechet
distance. In blocks of 4 they are not: 1 and 2 numbers lead in D-loss, Frechet distance and spread, and 64 come last in D-loss.
More noise numbers than a block has pixels buy nothing here at equal steps.

4 and 8 draws are close, 2 somewhat behind in D-loss; beta = 0.5 leads in D-loss and Frechet distance, 1.5 is last in both, as
with the flows of [objectives.md](objectives.md). No way back is no gain here: the spline head, with about as many parameters
at 16 blocks and a quarter more at 4, is far ahead of the free-form one at both, and takes longer to sample, most of all at 4;
the affine head is equal to it at 16 and ahead at 4. Why has not been followed up. Affine and spline heads end in a scale and a
shift that the context alone makes, which the free-form head has to find in its network.
"""
PICTURED = """![sweeps](../images/generators-PRESET-sweeps.png)

![samples](../images/generators-PRESET-samples.png)

The sweeps around the base point, and samples at 16 blocks.
"""


def page(all_results: list[Row]) -> str:
    """docs/experiments/generators.md."""
    parts = [HEAD]
    for results in all_results:
        first = results is all_results[0]
        parts += [f"## {results['preset']}\n", judged.made_by(results) + "\n", *([COLUMNS] if first else [])]
        parts += [table(results["rows"]) + "\n", "\n".join(f"- {line}." for line in findings(results)) + "\n"]
        parts += [NOTES] if first else []
        parts += [PICTURED.replace("PRESET", results["preset"])] if first else []
    return "\n".join(parts)
