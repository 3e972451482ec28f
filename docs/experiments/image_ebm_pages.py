"""The page of image_ebm.py, from results.json of one or more presets; and what a training costs, counted from its layers."""
from typing import Any

import numpy as np

from evenflow.experiments.image_ebm import NAME, NAMES, PRESETS, SWEEPS, Preset, model_of
from evenflow.experiments.judged import cell, column, having, mean, trained_of
from evenflow.experiments.pages import bullets, command, filled, markdown, versions
from evenflow.experiments.results import Row
from evenflow.reference.core import named_leaves
from evenflow.reference.ebm import ConvEnergy, FlowMCEBM
from evenflow.reference.flows.compose import Chain
from evenflow.reference.flows.convolutional import ConvCoupling, Inside

SHAPES = {"quick": (8, 8, 1), "device": (14, 14, 1), "paper": (32, 32, 3)}  # of what the costs are counted for
SPEED = 15e12  # FLOP a second, what a device is taken to make of float32 convolutions
TERA = 1e12
COLUMNS = {"acceptance_start": ".3f", "acceptance_global": ".3f", "acceptance_local": ".3f", "contrast": ".2f", "log_z": ".2f",
           "log_z_error": ".2f", "log_z_ess": ".1f", "bits": ".3f", "bits_flow": ".3f"}


def page(all_results: list[Row]) -> str:
    """docs/experiments/image-ebm.md."""
    return filled(NAME, lambda one: {
        "command": command(NAME, one), "versions": versions(one), "data": ", ".join({row["data"]: 0 for row in one["rows"]}),
        "training": training(one["rows"]), "samples": samples(one["rows"]), "findings": bullets(findings(one)),
        "walked": one["settings"]["walked"]},
        all_results, costs=costs())


def training(rows: list[Row]) -> str:
    heads = ["algorithm", "global moves, first tenth", "second half", "MALA", "contrast", "log Z", "its error",
             "effective draws", "bits per dim", "of the flow", "time"]
    lines, ours = [], column(having(rows, algorithm="flowmc"), "seconds")
    for name in ("flowmc", "pcd"):
        mine = having(rows, algorithm=name)
        cells = [cell(column(mine, field), form, ".2g") for field, form in COLUMNS.items()]
        taken = column(mine, "seconds")
        time = f"{mean(taken) / mean(ours):.2f}" if taken and ours else "-"
        lines.append([NAMES[name] + trained_of(mine), *cells, time])
    return markdown(heads, lines)


def samples(rows: list[Row]) -> str:
    """A line for each algorithm and kind of sample."""
    lines = []
    for name in NAMES:
        mine = [row for row in having(rows, algorithm=name) if row["samples"]]
        for what in dict.fromkeys(what for row in mine for what in row["samples"]):
            told = [row["samples"][what] for row in mine]
            if "d_loss" in told[0]:
                cells = [cell(column(told, field), form, ".2g") for field, form in (
                    ("d_loss", ".3f"), ("frechet", ".1f"), ("class_distance", ".3f"))]
                lines.append([NAMES[name], what, *cells])
    return markdown(["", "samples", "D-loss", "Frechet", "class distance"], lines)


def findings(results: Row) -> list[str]:
    """What the numbers say, said from the numbers."""
    rows = results["rows"]
    ours, theirs = (having(rows, algorithm=name, stopped_at=None) for name in ("flowmc", "pcd"))
    said = [f"{NAMES[name]}, seed {row['seed']}: the training broke off at step {row['stopped_at']}, it had run away"
            for name in NAMES for row in having(rows, algorithm=name) if row["stopped_at"] is not None]
    if ours:
        said += [of_moves(ours), of_log_z(results, ours)]
    said += [of_samples(name, mine) for name, mine in (("flowmc", ours), ("pcd", theirs)) if mine]
    return [*said, of_classes(ours, theirs)] if ours and ours[0]["switches"] is not None else said


def of_moves(rows: list[Row]) -> str:
    first, late = (mean(column(rows, field)) for field in ("acceptance_start", "acceptance_global"))
    return (f"**global moves**: {first:.1%} are accepted in the first tenth of the training, {late:.1%} in its second half; "
            "the paper's Fig. 8 has 5 to 10 % on CIFAR-10")


def of_log_z(results: Row, rows: list[Row]) -> str:
    draws, few = results["settings"]["draws"], [row for row in rows if row["bits"] is None]
    share = mean(column(rows, "log_z_ess")) / draws
    told = f"**log Z** through the flow: {share:.2%} of {draws:,} draws are effective"
    if few:
        told += f"; with {len(few)} of {len(rows)} seeds less than 1 %, too few to be trusted: no bits per dim"
    good = [row for row in rows if row["bits"] is not None]
    if good:
        gain = mean([row["bits_flow"] - row["bits"] for row in good])
        told += f". Its energy gains {gain:.3f} bits per dim on the flow"
    return told


def of_samples(name: str, rows: list[Row]) -> str:
    """Is it the model that is good, or its buffer?"""
    loss = {what: mean([row["samples"][what]["d_loss"] for row in rows]) for what in rows[0]["samples"]}
    listed = ", ".join(f"{what} {value:.3f}" for what, value in loss.items())
    return f"**{NAMES[name]}**, D-loss (0.693 if nothing tells them from held-out images): {listed}"


def of_classes(ours: list[Row], theirs: list[Row]) -> str:
    pairs = [(NAMES["flowmc"], ours, "switches"), ("its local moves alone", ours, "switches_local"),
             (NAMES["pcd"], theirs, "switches")]
    listed = ", ".join(f"{name} {mean(column(rows, field)):.2f}" for name, rows, field in pairs if rows)
    return f"**changes of class** per 100 moves, fresh chains: {listed}"


def costs() -> str:
    """What one training step of flowMC costs, for each preset."""
    lines = []
    for name, how in PRESETS.items():
        shape = SHAPES[name]
        model = model_of("flowmc", shape, how)
        assert isinstance(model, FlowMCEBM)
        parts = flop(model, how)
        total = sum(parts.values())
        hours = total * how.steps / SPEED / 3600
        lines.append([name, " x ".join(map(str, shape)), *(f"{parameters(net):,}" for net in (model.energy, model.flow)),
                      *(f"{part / TERA:.3g}" for part in (*parts.values(), total)), f"{how.steps:,}", f"{hours:.2f}"])
    heads = ["preset", "images", "numbers in E", "in the flow", "i-SIR", "MALA", "both updates", "a step", "steps", "hours"]
    return markdown(heads, lines)


def parameters(net: Any) -> int:
    return int(sum(leaf.size for _, leaf in named_leaves(net.init(np.random.default_rng(0)))))


def flop(model: FlowMCEBM, how: Preset) -> dict[str, float]:
    """Of a training step: two for each product of convolutions, as often again for a gradient in x, and again for one in W."""
    E, T, moved = products_of_energy(model.energy), products_of_flow(model.flow.bijection), how.batch * SWEEPS
    return {
        "isir": 2.0 * moved * how.N * (E + T), "mala": 4.0 * moved * (how.local + 1) * E,
        "updates": 6.0 * how.batch * (2 * E + T),
    }


def products_of_energy(energy: Any) -> int:
    """Of one image."""
    assert isinstance(energy, ConvEnergy)
    (h, w, c), total = energy.shape, 0
    for depth, width in enumerate(energy.widths):
        k, h, w = (4, h // 2, w // 2) if depth else (3, h, w)
        total += h * w * k * k * c * width
        c = width
    return total


def products_of_flow(bijection: Any) -> int:
    """Of one image, in either direction."""
    if isinstance(bijection, Chain):
        return sum(map(products_of_flow, bijection.layers))
    if isinstance(bijection, Inside):
        return products_of_flow(bijection.bijection)
    if not isinstance(bijection, ConvCoupling):
        return 0
    h, w, _ = bijection.shape
    return h * w * sum(k * k * fan_in * fan_out for k, fan_in, fan_out in bijection.net.sizes)
