"""The page of latent_chains.py, from results.json: python -m evenflow.experiments.latent_chains results.json ... > NAME.md"""
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments.judged import markdown
from evenflow.experiments.latent_chains_samplers import SAMPLERS
from evenflow.experiments.planar import N

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
HEAD = """# Chains in latent space: where the samplers of four modes get stuck

Fig. 5 of Grenioux et al. 2023 (arXiv 2306.00684) and the chains of its Fig. 4. Neither figure could be had: what stands here is
rebuilt from what is known of their captions and description. Fig. 4 shows, for each trained model of the four modes on a line,
a few chains and what they weigh; Fig. 5 why NT-EBM has difficulties: pulled back through the flow to its latent space, the
density is still multimodal, with thin bridges, and local chains do not pass from mode to mode. The paper prints no numbers for
them, so there is no column of theirs.

docs/experiments/latent_chains.py trains the algorithms with the settings of [four-modes](four-modes.md) (`best`: flowMC, PCD
and NT alone), and runs each model's own sampler, {chains} chains for {steps}.
FCE has no chains: its sampler is its flow, which is drawn from anew at every step. Jarzynski's walkers are resampled by their
weights and go on with ULA under the trained energy. The other lines are controls: flowMC's energy without i-SIR, in both
spaces; and p* in the place of the model, which is what a perfectly trained one would be, so that nothing is left to blame but
flow and sampler.
"""
COLUMNS = """Means over the seeds, in brackets standard deviations; of R-hat the largest. A step is one move of all chains, of
flowMC local or global. *switches*: how often a chain's zone differs from that a step before. *R-hat*: of the zones' indicators,
and of the positions. *tau*: autocorrelation time of x_1, states for each effective one: chains that disagree count as slow, and
then it grows with their length; *evaluations*: the same in evaluations of the log density, where i-SIR's {fresh} fresh slots
count one by one, a gradient comes with its value, and a latent space costs a pass of the flow more, not counted. *effective*:
effective states for 1,000 of them; of FCE's flow none are needed. *accepted*: local moves, and global ones."""
DENSITIES = """*weights*: of the four zones, by the density's mass on a grid and by counting the chains' states; *error*: mean
squared, between the two. *barriers*: for zones 0 and 1, 1 and 2, 2 and 3 how far the log density has to fall below the lower of
the two tops, at the best path between them, in nats and in the space that is walked in; 0 where one mode reaches into the
other's zone. Both spaces are searched on the 200 x 200 cells of the data space: T keeps paths, and only the density changes, by
log |det dT/dz|. *KL*: of p* to the density."""
NOTES = """## What to make of it

The difficulty of Fig. 5 is not that of NT-EBM as these presets train it. Its energy hardly moves from zero, the model is its
flow, a smear along the line, and what is left in latent space is nearly normal: the chains mix at once, on a density that is
wrong. (Bolder steps on E made it run away: [four-modes](four-modes.md).) It is the difficulty of the model that NT-EBM is
after. With p* in its place the latent space has the four modes, in bands side by side (latent.png), with barriers nearly as
high as those of the data space. That follows from $\\log p_z = \\log p^* - \\log\\lambda + \\log\\rho$: a barrier goes away
only where the flow's density $\\lambda$ falls as p* does, and these flows lay bridges from mode to mode.

A barrier is not all. At equal height MALA passes more often in NT's latent space than in the data space, if far from often
enough: the valleys are narrow there, and a step may leap over one.

For i-SIR the same flow is good enough, since all it has to do is to cover p*: on the same p*, from the same starts, nearly all
of its global moves are taken, and the chains mix. A flow that is good enough for the one is not for the other, which needs the
gaps as well. Nor does flowMC's energy help: in either space it keeps local chains where they are.

PCD's chains and Jarzynski's walkers pass where the energy has no barrier yet, and are held by the others; CoopFlow's move too
little to reach zone 0, where its energy has all its mass. FCE's draws mix since they are independent; they are those of its
flow, not of its energy.
"""
DIFFERS = """## What differs from the paper, and why

Presets, rates and lengths of training are those of [four-modes](four-modes.md), which says what differs there; `paper` is not
run. Chains are as long as said above, the paper's are not known. MALA of the controls has a step found in 200 steps, for 75 %
of acceptance, from the same starts, then frozen. The starts of local controls are those of the sampler beside them: flowMC's
persistent chains, or draws of the flow; none of the states is thrown away as a warm-up, and chains that do not mix show their
starts. Only NT's own chains were run for longer."""


def page(paths: Sequence[str]) -> str:
    """The Markdown; paths: of results.json of one preset each."""
    results = [json.loads(Path(path).read_text()) for path in paths]
    steps = " and ".join(f"{one['settings']['steps']:,} steps (`{one['preset']}`)" for one in results)
    module, names = "evenflow.experiments.latent_chains", " ".join(Path(path).name for path in paths)
    parts = [HEAD.format(chains=results[0]["settings"]["chains"], steps=steps), *(command(one) for one in results)]
    parts += [f"    cd docs/results && python -m {module} {names} > ../experiments/latent-chains.md\n"]
    parts += [f"{versions(results)}\n"]
    for one in results:
        parts += [f"## {one['preset']}\n", mixing(one) + "\n", densities(one) + "\n"]
        if one is results[0]:
            parts += [COLUMNS.format(fresh=N - 1) + "\n", DENSITIES + "\n"]
        parts += ["\n".join(f"- {line}." for line in findings(one)) + "\n"]
    return "\n".join([*parts, NOTES, DIFFERS, "", "## Pictures", "", *shown(results)]).rstrip() + "\n"


def command(result: Mapping[str, Any]) -> str:
    seeds, backend = len({row["seed"] for row in result["rows"]}), result["backend"]
    return f"    EVENFLOW_BACKEND={backend} evenflow reproduce latent-chains --preset {result['preset']} --seeds {seeds}"


def versions(results: Sequence[Mapping[str, Any]]) -> str:
    parts = sorted({f"Python {one['python']}, numpy {one['versions']['numpy']}, float32" for one in results})
    return f"The last line made this page, from results in docs/results. {'; '.join(parts)}, seeds 0, 1, ..."


def whole(result: Mapping[str, Any], sampler: str) -> list[dict[str, Any]]:
    """The rows of a sampler, of trainings that came to their end."""
    return [row for row in result["rows"] if row["sampler"] == sampler and row["stopped_at"] is None]


def values(result: Mapping[str, Any], sampler: str, field: str) -> list[Any]:
    return [np.array(row[field], dtype=float) for row in whole(result, sampler) if row[field] is not None]


def cell(found: Sequence[Any], form: str = ".3g") -> str:
    """Mean and standard deviation; of lists one mean each."""
    if not len(found):
        return "-"
    mean = np.mean(found, axis=0)
    if np.ndim(mean):
        return " ".join(f"{value:{form}}" for value in mean)
    spread = f" ({np.std(found, ddof=1):.1g})" if len(found) > 1 else ""
    return f"{mean:{form}}{spread}"


def present(result: Mapping[str, Any]) -> list[str]:
    return [name for name in SAMPLERS if any(row["sampler"] == name for row in result["rows"])]


def mixing(result: Mapping[str, Any]) -> str:
    heads = ["density", "space", "sampler", "trained", "steps", "switches", "R-hat, mode", "R-hat", "tau", "evaluations",
             "effective", "accepted"]
    lines = []
    for name in present(result):
        begun, rows = [row for row in result["rows"] if row["sampler"] == name], whole(result, name)
        fields = [cell(values(result, name, field)) for field in ("tau", "tau_evaluations", "ess_per_1000")]
        took = [values(result, name, f"acceptance_{kind}") for kind in ("local", "global")]
        lines.append([
            *SAMPLERS[name], f"{len(rows)} of {len(begun)}", f"{rows[0]['steps']:,}" if rows else "-",
            cell(values(result, name, "switch_rate"), ".2g"), largest(result, name, "rhat_mode"), largest(result, name, "rhat"),
            *fields, ", ".join(f"{np.mean(found):.2f}" for found in took if found) or "-",
        ])
    return markdown(heads, lines)


def largest(result: Mapping[str, Any], sampler: str, field: str) -> str:
    found = values(result, sampler, field)
    return f"{max(found):.3f}" if found else "-"


def densities(result: Mapping[str, Any]) -> str:
    """Of each density and space once, but for the chains' weights."""
    heads = ["density", "space", "sampler", "weights, density", "weights, chains", "error", "barriers", "KL"]
    lines = []
    for name in present(result):
        weights = [cell(values(result, name, field), ".2f") for field in ("zones_density", "zones_chains")]
        error, barriers = cell(values(result, name, "chains_density"), ".2g"), cell(values(result, name, "barriers"), ".1f")
        kl = cell([np.round(value, 9) + 0.0 for value in values(result, name, "kl")], ".2g")  # of p* to itself: no rounding
        lines.append([*SAMPLERS[name], *weights, error, barriers, kl])
    return markdown(heads, lines)


def findings(result: Mapping[str, Any]) -> list[str]:
    """What the numbers say, said from the numbers; nothing of trainings that broke off."""
    said = [who_mixes(result)]
    for needed, saying in ((("nt", "nt-exact"), of_nt), (("nt-exact", "flowmc-exact", "exact-local"), of_barriers),
                           (("nt-exact", "exact-local", "exact-flowmc"), of_samplers),
                           (("flowmc", "flowmc-local", "flowmc-latent"), of_flowmc)):
        if all(whole(result, name) for name in needed):
            said.append(saying(result))
    return said


def mean(result: Mapping[str, Any], sampler: str, field: str) -> float:
    """Over the seeds; of barriers, of the highest of each seed."""
    return float(np.mean([np.max(value) for value in values(result, sampler, field)]))


def who_mixes(result: Mapping[str, Any]) -> str:
    """Of the models' own samplers."""
    mixed: dict[bool, list[str]] = {True: [], False: []}
    for name in (name for name in present(result) if name in OWN and whole(result, name)):
        worst = max(values(result, name, "rhat_mode"))
        mixed[bool(worst < MIXED)].append(f"{OWN[name]} ({worst:.3f})")
    return (
        f"**own samplers**, each on its own model: R-hat of the mode is below {MIXED} in every seed for "
        f"{', '.join(mixed[True]) or 'none'}; not for {', '.join(mixed[False]) or 'any other'}"
    )


def of_nt(result: Mapping[str, Any]) -> str:
    def said(name: str) -> str:
        barrier, switches = mean(result, name, "barriers"), mean(result, name, "switch_rate")
        return f"barriers up to {barrier:.2f} nats, {switches:.2g} switches a step"

    before, after = mean(result, "nt", "kl_flow"), mean(result, "nt", "kl")
    return (
        f"**NT-EBM as trained here**: its energy takes the KL of p\\* to the model from {before:.3f}, that of its flow, to "
        f"{after:.3f}; in latent space {said('nt')}. With p\\* in the place of the model: {said('nt-exact')}"
    )


def of_barriers(result: Mapping[str, Any]) -> str:
    data, nt, flowmc = (mean(result, name, "barriers") for name in ("exact-local", "nt-exact", "flowmc-exact"))
    return (
        f"**the highest barrier of p\\***: {data:.2f} nats in the data space, {nt:.2f} in NT's latent space, {flowmc:.2f} in "
        f"flowMC's: the flows take {data - nt:.2f} and {data - flowmc:.2f} of it away"
    )


def of_samplers(result: Mapping[str, Any]) -> str:
    """On p*, from the same starts."""
    told = [
        f"{label} {mean(result, name, 'switch_rate'):.2g} switches a step, R-hat of the mode up to "
        f"{max(values(result, name, 'rhat_mode')):.3g}, {mean(result, name, 'ess_per_1000'):.2g} effective states for 1,000 "
        "evaluations" for name, label in (
            ("exact-local", "MALA in the data space has"), ("nt-exact", "MALA in NT's latent space"),
            ("exact-flowmc", "flowMC with the same flow"))]
    taken = mean(result, "exact-flowmc", "acceptance_global")
    return f"**the same p\\* and starts, three samplers**: {'; '.join(told)}, {taken:.2f} of its global moves taken"


def of_flowmc(result: Mapping[str, Any]) -> str:
    shares = [mean(result, name, "switch_rate") for name in ("flowmc", "flowmc-local", "flowmc-latent")]
    barriers = [mean(result, name, "barriers") for name in ("flowmc-local", "flowmc-latent")]
    return (
        f"**flowMC's energy**: {shares[0]:.2g} switches a step with i-SIR; by MALA alone {shares[1]:.2g} in the data space and "
        f"{shares[2]:.2g} in the latent space, where the highest barriers are {barriers[0]:.2f} and {barriers[1]:.2f} nats"
    )


def shown(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """The pictures of each preset's first seed."""
    lines: list[str] = []
    for result in results:
        for kind, said in PICTURED.items():
            preset = result["preset"]
            image = f"../images/latent-chains-{preset}-{kind}.png"
            lines += [f"![{kind} of latent-chains, {preset}]({image})", "", f"`{kind}.png` of `{preset}`, seed 0: {said}.", ""]
    return lines
