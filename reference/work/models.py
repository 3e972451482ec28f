"""From a handful of choices to a model: what the command line, the estimator and the demo share.

A `Config` is all that decides a training run apart from the data. It is plain JSON, stands in the run's folder and in its
checkpoints, and the same Config, data and machine give the same parameters again.
"""
import dataclasses
from dataclasses import dataclass
from typing import Any, Self

from evenflow.reference.core import optim
from evenflow.reference.core.checks import check_count, check_positive, lookup, unknown
from evenflow.reference.flows import AffineTransformer, SplineTransformer, Transformer
from evenflow.reference.flows.flow import dense_flow, maf, realnvp, spline_flow
from evenflow.reference.saef.aqf import aqf
from evenflow.reference.saef.objectives import OBJECTIVES, Model, Objective, objective_for
from evenflow.reference.saef.semiautoregressive import saef
from evenflow.reference.work.training import Settings

FAMILIES = {  # family -> the objective it is usually trained on
    "saef": "energy", "realnvp": "likelihood", "maf": "likelihood", "spline": "likelihood", "dense": "energy",
    "aqf": "quantile",
}
TRANSFORMERS: dict[str, Transformer] = {"affine": AffineTransformer(5.0), "spline": SplineTransformer()}
DTYPES = {"float32": 4, "float64": 8}


class Choices:
    """A dataclass of choices, there and back as plain JSON."""

    def as_json(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items()}

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Self:
        """Raises ValueError for a name that is no choice."""
        names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        for name in tree:
            if name not in names:
                raise ValueError(unknown("choice", name, sorted(names)))
        choices: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in tree.items()}
        return cls(**choices)


@dataclass(frozen=True)
class Config(Choices):
    """The choices. `layers` are couplings or layers of a flow, or of SAEF's block map; `hidden` the widths of networks."""
    family: str = "saef"
    objective: str = ""                      # "": the family's usual one
    beta: float = 1.0                        # of the energy score, in (0, 2)
    draws: int = 4                           # for each datum
    blocks: int | tuple[int, ...] = 0        # SAEF: how many equal blocks, or their sizes; 0: four, nearly equal
    block_map: str = "coupling"              # SAEF: affine, dense, coupling, spline, free_form
    transformer: str = "affine"              # MAF, AQF: affine or spline
    layers: int = 0                          # 0: the family's usual number
    hidden: tuple[int, ...] | None = None    # None: 64 for SAEF's block maps, 64, 64 for the flows
    context_hidden: tuple[int, ...] = (256, 256)  # SAEF: of the context network
    context_width: int = 64                  # SAEF: numbers in h_b
    class_conditional: bool = False
    steps: int = 3000
    batch: int = 128
    learning_rate: float = 1e-3
    schedule: str = "linear"
    clip: float = 100.0                      # the largest norm of a gradient
    average_decay: float = 0.0               # of the weight average; 0: none
    dtype: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        lookup("family", self.family, FAMILIES)
        if not self.objective:
            object.__setattr__(self, "objective", FAMILIES[self.family])
        lookup("objective", self.objective, OBJECTIVES)
        lookup("transformer", self.transformer, TRANSFORMERS)
        lookup("schedule", self.schedule, optim.SCHEDULES)
        lookup("dtype", self.dtype, DTYPES)
        for name in ("steps", "batch", "context_width"):
            check_count(name, getattr(self, name))
        check_count("layers", self.layers, least=0)
        check_count("seed", self.seed, least=0)
        check_positive("learning_rate", self.learning_rate)
        check_positive("clip", self.clip)
        optim.check_fraction("average_decay", self.average_decay)

    def settings(self) -> Settings:
        schedule = optim.SCHEDULES[self.schedule](self.learning_rate, self.steps)
        return Settings(self.steps, schedule=schedule, clip=self.clip, average_decay=self.average_decay or None)


def build(config: Config, d: int, classes: int = 0, order: tuple[int, ...] | None = None) -> tuple[Model, Objective]:
    """The model for d coordinates, and for one-hot labels of so many classes, and its objective.

    order: of the coordinates, for the families that have one (SAEF, AQF). Raises ValueError for choices that do not fit.
    """
    model = build_model(config, d, classes if config.class_conditional else 0, order)
    return model, objective_for(model, config.objective, config.beta, config.draws)


def build_model(config: Config, d: int, context_dim: int, order: tuple[int, ...] | None) -> Model:
    hidden, transformer = config.hidden, TRANSFORMERS[config.transformer]
    if hidden is None:
        hidden = (64,) if config.family == "saef" else (64, 64)
    if config.family == "saef":
        blocks, layers = config.blocks or four_blocks(d), config.layers or 2
        contexts = config.context_hidden, config.context_width
        return saef(d, blocks, order, config.block_map, *contexts, hidden, layers, context_dim)
    if config.family == "aqf":
        return aqf(d, order, hidden, context_dim, transformer)
    if config.family == "dense":
        return dense_flow(d, config.layers or 4, context_dim)
    if config.family == "maf":
        return maf(d, config.layers or 5, hidden, context_dim, transformer)
    if config.family == "spline":
        return spline_flow(d, config.layers or 4, hidden, context_dim)
    return realnvp(d, config.layers or 8, hidden, context_dim)


def four_blocks(d: int) -> tuple[int, ...]:
    """The sizes of four blocks that differ by one at most; d blocks where d < 4."""
    B = min(4, d)
    return tuple(d // B + (b < d % B) for b in range(B))
