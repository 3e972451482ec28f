"""The page of generators.py, from results.json of one or more presets."""
from evenflow.experiments import judged
from evenflow.experiments.judged import bits, cell, column, having, mean
from evenflow.experiments.pages import bullets, filled, made_by, markdown
from evenflow.experiments.results import Row

QUALITY = {"d_loss": "D-loss", "frechet": "Frechet", "energy_score": "energy score", "bits_per_dim": "bits per dim"}
DIVERSITY = {"spread": "spread", "spread_over_error": "spread / error", "dimension": "dimensions"}
KIND = ("head", "blocks", "noise", "draws", "beta")
SWEPT = {"noise": "noise numbers", "draws": "draws", "beta": "beta", "blocks": "blocks"}


def table(rows: list[Row]) -> str:
    heads = ["head", "B", "noise", "draws", "beta", "parameters", *QUALITY.values(), *DIVERSITY.values(), "sampling"]
    lines = []
    for kind in dict.fromkeys(tuple(row[name] for name in KIND) for row in rows):
        mine = [row | bits(row) for row in having(rows, **dict(zip(KIND, kind, strict=True)))]
        counted = column(mine, "parameters")
        first = [str(kind[0]) + judged.trained_of(mine), *("-" if part is None else f"{part:g}" for part in kind[1:])]
        cells = [cell(column(mine, field)) for field in (*QUALITY, *DIVERSITY, "sampling_time")]
        lines.append([*first, f"{counted[0]:,.0f}" if counted else "-", *cells])
    return markdown(heads, lines)


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
    mine = having(rows, **{name: value for name, value in one.items() if name != swept})
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
    mine = having(results["rows"], **{name: value for name, value in one.items() if name != "noise"})
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
        mine = having(rows, blocks=B, draws=one["draws"], beta=one["beta"])
        mine = [row for row in mine if row["noise"] in (None, one["noise"])]
        told = {head: mean(column(mine, "d_loss", head=head)) for head in dict.fromkeys(row["head"] for row in mine)}
        order = sorted(told, key=lambda head: -told[head])
        said.append(f"**heads at B = {B}**, D-loss: " + ", ".join(f"{head} {told[head]:.3f}" for head in order))
    return said


def page(all_results: list[Row]) -> str:
    """docs/experiments/generators.md."""
    return filled("generators", lambda one: {
        "made_by": made_by(one), "table": table(one["rows"]), "findings": bullets(findings(one))}, all_results)
