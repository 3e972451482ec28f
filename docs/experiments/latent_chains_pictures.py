"""The pictures of latent_chains.py: x_1 along the chains, what they weigh, and chains on densities in latent space."""
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments.latent_chains_samplers import Sampler
from evenflow.reference.app.pictures import COLOURS, new_figure, write
from evenflow.reference.core import Array, fetched, placed
from evenflow.reference.ebm.normalizer import grid, lattice

SHOWN = 3             # chains
STATES = 360          # of each, along the steps
WALK = 300            # in latent space
CELLS, SDS = 150, 3.5  # of the latent space: cells along each edge, standard deviations of the base from the middle
NAMES = {
    "flowmc": "flowMC-EBM: 1 i-SIR, 24 MALA", "flowmc-local": "E of flowMC, MALA alone",
    "flowmc-latent": "E of flowMC, MALA in its latent space", "flowmc-exact": "p*, MALA in flowMC's latent space",
    "pcd": "PCD-ULA: ULA", "nt": "NT-EBM: MALA in latent space", "nt-longer": "NT-EBM, longer chains",
    "nt-exact": "p*, MALA in NT's latent space", "exact-local": "p*, MALA", "exact-flowmc": "p*, flowMC with NT's flow",
    "coopflow": "CoopFlow: Langevin without noise", "fce": "FCE: draws of its flow", "jarzynski": "Jarzynski: ULA",
}
CHAINS_IN = ("#56B4E9", "#009E73", "#FFFFFF")  # seen on dark and on light
EDGES = (-4.2, -2.0, 0.0, 2.0, 4.2)  # of the zones along x_1, and where the picture ends


def in_latent_space(sampler: Sampler, z: Array, base_sd: float) -> dict[str, Array]:
    """What latent_space() needs: some of the states z (steps, chains, 2), and log p_z on a square."""
    def log_p_z(points: Array) -> Array:
        return fetched(sampler.log_density(placed(points, np.float32))).astype(np.float64)

    edge = SDS * base_sd
    on_square = grid(log_p_z, lattice((-edge, -edge), (edge, edge), CELLS))
    log_p = (on_square.log_p - on_square.log_z).reshape(CELLS, CELLS)
    return {f"{sampler.name} z": z[:WALK, :SHOWN].astype(np.float32), f"{sampler.name} log_p_z": log_p.astype(np.float32)}


def pictures(out: Path, target: Any, rows: Sequence[Mapping[str, Any]], drawn: Mapping[str, Array], base_sd: float) -> None:
    """All three, of one seed.  drawn: what its trainings have kept."""
    names = [row["sampler"] for row in rows]
    chains(out / "chains.png", {name: drawn[f"{name} x"] for name in names if name != "nt-longer"})
    weights(out / "weights.png", target.zone_weights(), rows)
    z = {name: {kept: drawn[f"{name} {kept}"] for kept in ("z", "log_p_z")} for name in names if f"{name} z" in drawn}
    latent_space(out / "latent.png", z, SDS * base_sd)


def chains(path: Path, x: Mapping[str, Array]) -> None:
    """A panel a sampler: x_1 against the step, the zones shaded.  x: sampler -> (steps, chains, 2)."""
    lines = -(-max(len(x), 1) // 2)
    figure = new_figure(9.0, lines + 0.5)
    panels = figure.subplots(lines, 2, squeeze=False, sharex=True, sharey=True).T.ravel()
    for axes in panels[len(x) :]:
        axes.set_visible(False)
    for axes, (name, states) in zip(panels, x.items(), strict=False):
        for k, (low, high) in enumerate(pairwise(EDGES)):
            axes.axhspan(low, high, color="black", alpha=0.04 + 0.08 * (k % 2), linewidth=0)
        for colour, chain in zip(COLOURS, states[:STATES, :SHOWN, 0].T, strict=False):
            axes.plot(chain, color=colour, linewidth=0.6)
        axes.set(ylim=(EDGES[0], EDGES[-1]), yticks=(-3, -1, 1, 3))
        axes.set_title(NAMES[name], fontsize=9, loc="left", pad=2)
    write(figure, path)


def weights(path: Path, true: Array, rows: Sequence[Mapping[str, Any]]) -> None:
    """Two bars a sampler, each cut into the zones' weights: by the density that is walked on, and by the chains; on top p*."""
    figure = new_figure(7.5, 0.42 * len(rows) + 1.2)
    axes = figure.subplots()
    bars = [(0.0, true, "p*"), *(
        (1.0 + k + 0.4 * later, row[field], NAMES[row["sampler"]] if later == 0 else "its chains")
        for k, row in enumerate(rows) for later, field in enumerate(("zones_density", "zones_chains"))
    )]
    at, shares = np.array([bar[0] for bar in bars]), np.array([bar[1] for bar in bars])  # (bars,), (bars, zones)
    for zone, colour in enumerate(COLOURS[: len(true)]):
        axes.barh(at, shares[:, zone], 0.36, shares[:, :zone].sum(axis=1), color=colour, label=f"zone {zone}")
    for edge in np.cumsum(true)[:-1]:
        axes.axvline(edge, color="black", linewidth=0.8)
    axes.set_yticks(at, [bar[2] for bar in bars], fontsize=7)
    axes.set(xlim=(0, 1), ylim=(at[-1] + 0.4, -0.4), xlabel="weights of the zones; lines: those of p*")
    figure.legend(loc="outside upper center", ncols=len(true), fontsize=8)
    write(figure, path)


def latent_space(path: Path, drawn: Mapping[str, Mapping[str, Array]], edge: float) -> None:
    """A panel a density in latent space, with chains on it.  drawn: sampler -> z (steps, chains, 2), log_p_z (k, k)."""
    figure = new_figure(3.3 * max(len(drawn), 1), 3.6)
    panels = figure.subplots(1, max(len(drawn), 1), squeeze=False)[0]
    for axes, (name, kept) in zip(panels, drawn.items(), strict=False):
        p = np.exp(kept["log_p_z"].T)
        axes.imshow(p, origin="lower", extent=(-edge, edge) * 2, cmap="magma", vmin=0, vmax=np.quantile(p, 0.995))
        for colour, chain in zip(CHAINS_IN, np.swapaxes(kept["z"], 0, 1), strict=False):
            axes.plot(*chain.T, color=colour, linewidth=0.5, alpha=0.8)
        axes.set(xlim=(-edge, edge), ylim=(-edge, edge))
        axes.set_title(NAMES[name], fontsize=9)
    write(figure, path)
