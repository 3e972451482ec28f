"""The page of two modes, from results.json: python -m evenflow.experiments.two_modes results.json ... > two-modes.md"""
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments.two_modes_pictures import NAMES

Rows = list[dict[str, Any]]
ALL = ("flowmc", "flowmc-local", "pcd", "nt", "coopflow", "fce", "jarzynski")
HEADS = (
    "preset", "algorithm", "trained", "final weight", "final - data", "final - 2/3", "final - chains", "late range",
    "late sd", "global acceptance", "R-hat of the mode",
)
HEAD = """# Two modes: who keeps their weights

Fig. 1 of Grenioux et al. 2023 (arXiv 2306.00684). An energy-based model learns a mixture of two Gaussians in the plane, one
twice as heavy as the other, too far apart for a Langevin chain to cross over: p* = 1/3 N(-1.5 (1, 1), 0.05 I) + 2/3 N(1.5 (1,
1), 0.1 I). 16,384 points, batches of 64, 1,024 persistent chains, Langevin steps of 0.01. `docs/experiments/two_modes.py`
trains

- **flowMC-EBM**: 4 steps of MALA, 2 of i-SIR with 32 slots, 4 of MALA; a RealNVP of 4 layers, 972 numbers; an energy of 10,592
  numbers, tilted by the flow's base N(0, I);
- **without global moves**: the same with 10 steps of MALA and no i-SIR;
- **PCD-ULA**: 10 steps of ULA, no tilt, as in the paper;
- **NT-EBM**, **CoopFlow**, **FCE**, **Jarzynski**, which are not in the paper's figure: with the same networks and as much
  walking, 10 MALA in latent space, 10 Langevin steps without noise, none, and one ULA step for each of 1,024 walkers.

The paper names neither its optimiser nor the base nor where PCD's chains start. Its algorithms print plain steps, `theta <-
theta - gamma grad`: `paper` does so on the energy, for 75 epochs at the constant 0.01 of the paper. The flow has Adam at the
same rate: with plain steps on it as well it diverges within a few hundred steps. N(0, I), and again N(0, I), are our choice.
`best` has Adam on the energy, too, and 20 epochs with the rates decaying linearly to zero, from 0.01, for CoopFlow from 1e-4,
for FCE and Jarzynski from 1e-3; `quick` is the same in 8 epochs. What is watched is the weight of the upper-right mode: the
mass of the model where x_1 + x_2 > 0, by a grid of 160 x 160 points on [-4, 4]^2, every 64 steps.
"""
COLUMNS = """*trained*: how many of the seeds came to the end; the others ran away (energies of data and samples more than 1e6
nats apart, or not finite) and are left out. *final weight*: mean over the seeds, in brackets their standard deviation. *final -
data*, *- 2/3*, *- chains*: means of the absolute differences to the share of the training data in that mode, to the truth, and
to the share of the model's own chains in it (64 chains, 200 training steps' worth of moves after the end; of CoopFlow and FCE
1,024 samples, of Jarzynski the weighted walkers). *late range*, *late sd*: the smallest and the largest weight in the second
half of the training over all seeds, and the mean of the seeds' standard deviations. *global acceptance*: of i-SIR in the second
half; 31/32 = 0.969 if the flow were the model. *R-hat of the mode*: of the indicator which mode a chain is in, for those 64
chains, the worst seed; inf: some chains never left one mode, the others never the other. Sums in float32 round differently
from processor to processor, and a training of thousands of steps makes another course out of that."""
CAUSES = """## Why

**Plain steps, as printed.** Nothing of the first three runs away, and the figure of the paper is what comes out. That the gap
is the sampler's is what the second line of the table shows: same energy, tilt, start, optimisers and rates as flowMC-EBM, and
i-SIR taken out. Local chains know nothing of the model's weight: the training sees to it that the *chains* have the data's
share, and then rests content; the *model's* weight goes wherever the energies of the two modes drift.

**Adam on the energy.** Adam divides each gradient by its usual size. What seems to happen: once the chains match the data
inside each mode, the gradient of E is noise; Adam makes full steps of it, and E changes faster than local chains can follow.
MALA refuses all and stands still, ULA overshoots; E then grows without end until the training is stopped. i-SIR puts its
chains wherever the model's mass goes, and the flow follows. With decaying rates Adam comes to rest in fewer epochs.

**Those that the figure has not.** FCE keeps the weights as well: its negatives are fresh draws of a flow that reaches both
modes, though not in the model's proportions (*final - chains*). NT's chains walk in a latent space that its flow has made of
the data; its energy runs away like that of other local chains. CoopFlow's revised samples stay in the mode that they were drawn
in, and its energy knows nothing of weights. Jarzynski's walkers cannot cross either: the ratio of the modes is in their
weights, which add up what every step of the training errs.

**Three errors that are not the same.** *Sampling error of the data*: a share of 2/3 in 16,384 points has a standard deviation
of 0.0037; no algorithm can do anything about it. *Fluctuation of the optimiser*: at a constant rate the weight never comes to
rest, not even flowMC-EBM's (*late sd*), and where it ends is a matter of when one stops; with rates that decay to zero it does.
*Bias of the sampler*: whether the chains are in the two modes in the model's own proportions (*final - chains*).

`results.json` has more than the table: log Z by importance sampling from the flow with its effective sample size (without a
flow by annealing from N(0, I)) beside that of the grid, switch rates, the acceptance of MALA, where a training was stopped, and
the weight at every look."""
PICTURES = """![weight of the upper-right mode along the training](../images/two-modes-weights.png)

`weights.png` of `{first}`, all seeds, seed 0 drawn thick. In the figure of the paper ULA swings between 0 and 1 and ends near
0.90; flowMC stays within 0.68-0.80 and ends near 0.72 (read off the figure; one run).

![chains of the samplers, coloured by mode](../images/two-modes-chains.png)

`chains.png` of `{first}`, seed 0. Above, the states look the same: it is in time, below, that the chains differ.

![weights of all algorithms](../images/two-modes-{second}-weights.png)

`weights.png` of `{second}`; a line that ends is a training that ran away.

![densities](../images/two-modes-{second}-densities.png)

`densities.png` of `{second}`, seed 0, of the trainings that came to their end. The companion flow, a RealNVP of 972 numbers,
cannot tear its base in two and leaves a bridge between the modes; as a proposal that is good enough."""


def page(paths: Sequence[str]) -> str:
    """The Markdown; paths: of results.json of one preset each."""
    results = [json.loads(Path(path).read_text()) for path in paths]
    commands = [
        f"    EVENFLOW_BACKEND={one['backend']} evenflow reproduce two-modes --preset {one['preset']} "
        f"--seeds {len({row['seed'] for row in one['rows']})}" for one in results
    ]
    names = " ".join(Path(path).name for path in paths)
    made = f"    cd docs/results && python -m evenflow.experiments.two_modes {names} > ../experiments/two-modes.md"
    numpy = ", ".join(sorted({one["versions"]["numpy"] for one in results}))
    python = ", ".join(sorted({one["python"] for one in results}))
    said = f"The last line made this page of the `results.json` that the others wrote. Python {python}, numpy {numpy}, float32."
    shown = PICTURES.format(first=results[0]["preset"], second=results[min(1, len(results) - 1)]["preset"])
    parts = [HEAD, *commands, made, "", said, "", table(results), "", COLUMNS, "", "## What the numbers say", "",
             *(f"- {line}." for line in findings(results)), "", shown, "", CAUSES]
    return "\n".join(parts).rstrip() + "\n"


def rows_of(result: Mapping[str, Any], algorithm: str) -> tuple[Rows, Rows]:
    """Of an algorithm: all, and those of trainings that came to their end."""
    rows = [row for row in result["rows"] if row["algorithm"] == algorithm]
    return rows, [row for row in rows if row["stopped_at"] is None]


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """Means over the seeds, in brackets standard deviations."""
    lines: list[list[str]] = [list(HEADS), ["---"] * len(HEADS)]
    for result in results:
        algorithms = dict.fromkeys(row["algorithm"] for row in result["rows"])
        lines += [[result["preset"], NAMES[algorithm], *cells(*rows_of(result, algorithm))] for algorithm in algorithms]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cells(rows: Rows, whole: Rows) -> list[str]:
    """One line of the table, from the rows of all seeds; those that broke off are counted and left out."""
    counted = f"{len(whole)} of {len(rows)}"
    if not whole:
        return [counted, *["-"] * 8]
    column = {name: np.array([row[name] for row in whole]) for name in whole[0]}
    final, least, most = (column[name].astype(float) for name in ("final_weight", "weight_min_late", "weight_max_late"))
    accepted, rhat = ([value for value in column[name] if value is not None] for name in ("acceptance_global", "rhat_mode"))
    return [
        counted, f"{final.mean():.3f} ({final.std(ddof=1):.3f})" if len(final) > 1 else f"{final[0]:.3f}",
        *(f"{np.abs(final - column[other]).mean():.4f}" for other in ("empirical_weight", "true_weight", "chain_weight")),
        f"{least.min():.3f}-{most.max():.3f}", f"{column['weight_sd_late'].mean():.3f}",
        f"{np.mean(accepted):.3f}" if accepted else "-",
        f"{max(float(value) for value in rhat):.3f}" if rhat else "-",
    ]


def findings(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the numbers say, said from the numbers."""
    said = []
    for result in results:
        for algorithm in dict.fromkeys(row["algorithm"] for row in result["rows"]):
            rows, whole = rows_of(result, algorithm)
            stopped = ", ".join(str(row["stopped_at"]) for row in rows if row["stopped_at"] is not None)
            ran = f"{len(rows) - len(whole)} of {len(rows)} ran away (at step {stopped})" if stopped else ""
            ends = ", ".join(f"{row['final_weight']:.3f}" for row in whole)
            ended = f"the weight ends at {ends}; with {shares(whole)} of its samples in that mode" if whole else ""
            said.append(f"`{result['preset']}`, {NAMES[algorithm]}: {'; '.join(part for part in (ended, ran) if part)}")
        _, ours = rows_of(result, "flowmc")
        off = float(np.mean([abs(row["final_weight"] - row["true_weight"]) for row in ours]))
        left = [NAMES[name] for name in ALL if not rows_of(result, name)[0]]
        late = f"run before {', '.join(left)} were here; the command above trains them, too"
        said += [f"`{result['preset']}`: {late}"] if left else []
        reached = "reached" if off <= 0.01 else "**not reached**"
        said.append(f"`{result['preset']}`: mean of |weight - 2/3| of flowMC-EBM {off:.4f}, 0.01 asked: {reached}")
    return said


def shares(rows: Rows) -> str:
    """From the smallest to the largest share of the chains in the upper-right mode."""
    low, high = (pick(row["chain_weight"] for row in rows) for pick in (min, max))
    return f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
