"""The page of latent_chains.py, from results.json: python -m evenflow.experiments.latent_chains results.json ... > NAME.md"""
from collections.abc import Sequence
from typing import Any

import numpy as np

from evenflow.experiments import judged
from evenflow.experiments.judged import having
from evenflow.experiments.latent_chains_samplers import SAMPLERS
from evenflow.experiments.pages import bullets, commands, filled, in_float32, markdown
from evenflow.experiments.planar import N
from evenflow.experiments.planar_pages import picture
from evenflow.experiments.results import Row

OWN = {
    "flowmc": "flowMC-EBM", "pcd": "PCD-ULA", "nt": "NT-EBM", "nt-longer": "NT-EBM longer", "coopflow": "CoopFlow",
    "fce": "FCE", "jarzynski": "Jarzynski",
}
PICTURED = {
    "chains": "x_1 of three chains against the step, the zones shaded",
    "weights": "what the zones weigh, by the density's mass and by the chains",
    "latent": "densities in latent space, three chains on each",
}
MIXED = 1.05  # R-hat of the mode, of every seed: below it chains are said to agree on the weights


def page(results: Sequence[Row]) -> str:
    """The Markdown; results: of one preset each."""
    pictures = [line for one in results for kind, said in PICTURED.items()
                for line in picture("latent-chains", one["preset"], kind, f": {said}")]
    return filled(
        "latent-chains", lambda one: {
            "mixing": mixing(one), "densities": densities(one), "fresh": str(N - 1), "findings": bullets(findings(one))},
        results, chains=results[0]["settings"]["chains"], versions=in_float32(results),
        steps=", ".join(f"{one['settings']['steps']:,} steps (`{one['preset']}`)" for one in results),
        commands=commands("latent-chains", "latent_chains", [("latent-chains", one) for one in results]),
        pictures="\n".join(pictures))


def whole(result: Row, sampler: str) -> list[Row]:
    """The rows of a sampler, of trainings that came to their end."""
    return having(result["rows"], sampler=sampler, stopped_at=None)


def values(result: Row, sampler: str, field: str) -> list[Any]:
    return [np.array(row[field], dtype=float) for row in whole(result, sampler) if row[field] is not None]


def cell(found: Sequence[Any], form: str = ".3g") -> str:
    """Mean and standard deviation; of lists one mean each."""
    if len(found) and np.ndim(found[0]):
        return " ".join(f"{value:{form}}" for value in np.mean(found, axis=0))
    return judged.cell(found, form)


def present(result: Row) -> list[str]:
    return [name for name in SAMPLERS if having(result["rows"], sampler=name)]


def mixing(result: Row) -> str:
    heads = ["density", "space", "sampler", "trained", "steps", "switches", "R-hat, mode", "R-hat", "tau", "evaluations",
             "effective", "accepted"]
    lines = []
    for name in present(result):
        begun, rows = having(result["rows"], sampler=name), whole(result, name)
        fields = [cell(values(result, name, field)) for field in ("tau", "tau_evaluations", "ess_per_1000")]
        took = [values(result, name, f"acceptance_{kind}") for kind in ("local", "global")]
        lines.append([
            *SAMPLERS[name], f"{len(rows)} of {len(begun)}", f"{rows[0]['steps']:,}" if rows else "-",
            cell(values(result, name, "switch_rate"), ".2g"), largest(result, name, "rhat_mode"), largest(result, name, "rhat"),
            *fields, ", ".join(f"{np.mean(found):.2f}" for found in took if found) or "-",
        ])
    return markdown(heads, lines)


def largest(result: Row, sampler: str, field: str) -> str:
    found = values(result, sampler, field)
    return f"{max(found):.3f}" if found else "-"


def densities(result: Row) -> str:
    """Of each density and space once, but for the chains' weights."""
    heads = ["density", "space", "sampler", "weights, density", "weights, chains", "error", "barriers", "KL"]
    lines = []
    for name in present(result):
        weights = [cell(values(result, name, field), ".2f") for field in ("zones_density", "zones_chains")]
        error, barriers = cell(values(result, name, "chains_density"), ".2g"), cell(values(result, name, "barriers"), ".1f")
        kl = cell([np.round(value, 9) + 0.0 for value in values(result, name, "kl")], ".2g")  # of p* to itself: no rounding
        lines.append([*SAMPLERS[name], *weights, error, barriers, kl])
    return markdown(heads, lines)


def findings(result: Row) -> list[str]:
    """What the numbers say, said from the numbers; nothing of trainings that broke off."""
    said = [who_mixes(result)]
    for needed, saying in ((("nt", "nt-exact"), of_nt), (("nt-exact", "flowmc-exact", "exact-local"), of_barriers),
                           (("nt-exact", "exact-local", "exact-flowmc"), of_samplers),
                           (("flowmc", "flowmc-local", "flowmc-latent"), of_flowmc)):
        if all(whole(result, name) for name in needed):
            said.append(saying(result))
    return said


def mean(result: Row, sampler: str, field: str) -> float:
    """Over the seeds; of barriers, of the highest of each seed."""
    return float(np.mean([np.max(value) for value in values(result, sampler, field)]))


def who_mixes(result: Row) -> str:
    """Of the models' own samplers."""
    mixed: dict[bool, list[str]] = {True: [], False: []}
    for name in (name for name in present(result) if name in OWN and whole(result, name)):
        worst = max(values(result, name, "rhat_mode"))
        mixed[bool(worst < MIXED)].append(f"{OWN[name]} ({worst:.3f})")
    return (
        f"**own samplers**, each on its own model: R-hat of the mode is below {MIXED} in every seed for "
        f"{', '.join(mixed[True]) or 'none'}; not for {', '.join(mixed[False]) or 'any other'}"
    )


def of_nt(result: Row) -> str:
    def said(name: str) -> str:
        barrier, switches = mean(result, name, "barriers"), mean(result, name, "switch_rate")
        return f"barriers up to {barrier:.2f} nats, {switches:.2g} switches a step"

    before, after = mean(result, "nt", "kl_flow"), mean(result, "nt", "kl")
    return (
        f"**NT-EBM as trained here**: its energy takes the KL of p\\* to the model from {before:.3f}, that of its flow, to "
        f"{after:.3f}; in latent space {said('nt')}. With p\\* in the place of the model: {said('nt-exact')}"
    )


def of_barriers(result: Row) -> str:
    data, nt, flowmc = (mean(result, name, "barriers") for name in ("exact-local", "nt-exact", "flowmc-exact"))
    return (
        f"**the highest barrier of p\\***: {data:.2f} nats in the data space, {nt:.2f} in NT's latent space, {flowmc:.2f} in "
        f"flowMC's: the flows take {data - nt:.2f} and {data - flowmc:.2f} of it away"
    )


def of_samplers(result: Row) -> str:
    """On p*, from the same starts."""
    told = [
        f"{label} {mean(result, name, 'switch_rate'):.2g} switches a step, R-hat of the mode up to "
        f"{max(values(result, name, 'rhat_mode')):.3g}, {mean(result, name, 'ess_per_1000'):.2g} effective states for 1,000 "
        "evaluations" for name, label in (
            ("exact-local", "MALA in the data space has"), ("nt-exact", "MALA in NT's latent space"),
            ("exact-flowmc", "flowMC with the same flow"))]
    taken = mean(result, "exact-flowmc", "acceptance_global")
    return f"**the same p\\* and starts, three samplers**: {'; '.join(told)}, {taken:.2f} of its global moves taken"


def of_flowmc(result: Row) -> str:
    shares = [mean(result, name, "switch_rate") for name in ("flowmc", "flowmc-local", "flowmc-latent")]
    barriers = [mean(result, name, "barriers") for name in ("flowmc-local", "flowmc-latent")]
    return (
        f"**flowMC's energy**: {shares[0]:.2g} switches a step with i-SIR; by MALA alone {shares[1]:.2g} in the data space and "
        f"{shares[2]:.2g} in the latent space, where the highest barriers are {barriers[0]:.2f} and {barriers[1]:.2f} nats"
    )
