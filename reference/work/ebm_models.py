r"""From a handful of choices to an energy-based model and the algorithm that trains it.

An `EBMConfig` is to energy-based models what models.Config is to flows: all that decides a run apart from the data, as plain
JSON. An algorithm gets only the choices that mean something for it; USUAL says which, and what each is where nothing is said.

The energy E is a perceptron (energies.py), its layers no narrower than 2 d, and the model $e^{-E}\, \rho$ with $\rho$ the base
of the flow, N(0, I); NT has the flow's own density in its place. The papers of PCD, CoopFlow and FCE have no $\rho$: but with a
perceptron alone Z need not be finite, and where it is, the weights of a flow's draws need not have a finite variance.
"""
from dataclasses import dataclass
from typing import Any

from evenflow.reference.core import optim
from evenflow.reference.core.checks import check_count, check_positive, lookup
from evenflow.reference.ebm import FCE, NTEBM, PCD, CoopFlow, FlowMCEBM, Jarzynski
from evenflow.reference.ebm.contract import Algorithm
from evenflow.reference.ebm.energies import MLPEnergy, Tilted
from evenflow.reference.ebm.flowmc import GLOBAL, LOCAL
from evenflow.reference.flows.densities import StandardNormal
from evenflow.reference.flows.flow import Flow, realnvp
from evenflow.reference.mcmc.langevin import MALA
from evenflow.reference.work.models import DTYPES, Choices

FLOW = {"layers": 4, "hidden": (64, 64), "flow_learning_rate": 0.003}
# NT and CoopFlow start their chains anew at every step: where E changes faster than so short a chain can follow, E steepens
# without end. On two-modes NT did so at 5e-4 after 500 steps, CoopFlow at 1e-4 after 300, and PCD with ULA steps of 0.01.
USUAL: dict[str, dict[str, Any]] = {
    "flowmc": {**FLOW, "learning_rate": 0.003, "buffer": 1024, "local_steps": 8, "global_steps": 2, "N": 32, "step_size": 0.01},
    "pcd": {"learning_rate": 0.003, "buffer": 1024, "local_steps": 20, "step_size": 0.002},
    "nt": {**FLOW, "learning_rate": 1e-4, "local_steps": 20, "step_size": 0.1, "pretrain_steps": 500},
    "coopflow": {
        **FLOW, "learning_rate": 1e-5, "flow_learning_rate": 3e-4, "local_steps": 30, "step_size": 5e-4, "pretrain_steps": 500,
    },
    "fce": {**FLOW, "learning_rate": 0.003},
    "jarzynski": {"learning_rate": 0.003, "buffer": 1024, "step_size": 0.01},
}
PRETRAINED = tuple(name for name, usual in USUAL.items() if "pretrain_steps" in usual)


@dataclass(frozen=True)
class EBMConfig(Choices):
    """The choices. 0 and None stand for the algorithm's usual, which takes their place at once (USUAL)."""
    family: str = "ebm"
    algorithm: str = "flowmc"
    steps: int = 2000
    batch: int = 128                         # data rows in a step, and chains moved
    buffer: int = 0                          # persistent chains; Jarzynski: walkers
    learning_rate: float = 0.0               # of the energy, at the start
    flow_learning_rate: float = 0.0          # of the flow
    schedule: str = "linear"                 # of both
    local_steps: int = 0                     # Langevin steps for each training step
    global_steps: int = 0                    # i-SIR steps for each training step, in the middle of the local ones
    N: int = 0                               # slots of i-SIR
    step_size: float = 0.0                   # of the Langevin steps; flowMC's and NT's then follow the acceptance
    layers: int = 0                          # couplings of the flow
    hidden: tuple[int, ...] | None = None    # widths of the networks in them
    pretrain_steps: int = 0                  # of the flow, by maximum likelihood, before the first step
    dtype: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.family != "ebm":
            raise ValueError(f"family must be 'ebm', got {self.family!r}")
        usual = lookup("algorithm", self.algorithm, USUAL)
        for name in dict.fromkeys(name for choices in USUAL.values() for name in choices):
            if getattr(self, name):
                if name not in usual:
                    known = ", ".join(algorithm for algorithm, choices in USUAL.items() if name in choices)
                    raise ValueError(f"{name} means nothing for the algorithm {self.algorithm}, only for {known}")
            elif name in usual:
                object.__setattr__(self, name, usual[name])
        self.check()

    def check(self) -> None:
        usual = USUAL[self.algorithm]
        lookup("schedule", self.schedule, optim.SCHEDULES)
        lookup("dtype", self.dtype, DTYPES)
        for name in ("steps", "batch", *(name for name, choice in usual.items() if isinstance(choice, int))):
            check_count(name, getattr(self, name), least=2 if name == "N" else 1)
        for name in (name for name, choice in usual.items() if isinstance(choice, float)):
            check_positive(name, getattr(self, name))
        for width in self.hidden or ():
            check_count("hidden", width)
        check_count("seed", self.seed, least=0)


def build_flow(config: EBMConfig, d: int) -> Flow:
    """The flow; for an algorithm without one the identity on N(0, I), which its `init` makes of whatever layers."""
    return realnvp(d, config.layers or 1, config.hidden or (8,), final_scale=0.0)


def build_energy(d: int) -> MLPEnergy:
    """At d <= 16 that of the papers. A layer narrower than the data would be blind to what it leaves out."""
    return MLPEnergy(d, tuple(max(width, 2 * d) for width in MLPEnergy(d).hidden))


def build_algorithm(config: EBMConfig, d: int) -> Algorithm:
    """The algorithm for data of d coordinates. Raises ValueError for choices that do not fit together."""
    energy, flow, rho = build_energy(d), build_flow(config, d), StandardNormal(d)
    tilted, steps, step_size, batch = Tilted(energy, rho), config.local_steps, config.step_size, config.batch
    if config.algorithm == "pcd":
        return PCD(tilted, rho, steps, step_size, batch, config.buffer)
    if config.algorithm == "nt":
        return NTEBM(energy, flow, MALA(step_size), steps, batch)
    if config.algorithm == "coopflow":
        return CoopFlow(tilted, flow, steps, step_size, batch)
    if config.algorithm == "fce":
        return FCE(tilted, flow, batch)
    if config.algorithm == "jarzynski":
        return Jarzynski(energy, rho, step_size, config.buffer)
    half = steps // 2
    moves = tuple((kind, k) for kind, k in ((LOCAL, half), (GLOBAL, config.global_steps), (LOCAL, steps - half)) if k)
    return FlowMCEBM(energy, flow, moves, config.N, step_size, batch, config.buffer, adapt=True)
