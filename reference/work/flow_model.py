"""A flow, or a model with free-form heads, as a run sees it: built from a Config, trained, sampled from, asked for densities.

energy_model.py is the same for energy-based models; runs.py knows both by what they can do.
"""
from dataclasses import dataclass
from typing import Any

import numpy as np

from evenflow.reference.core import Array, Tree, fetched, placed, replayed, streams
from evenflow.reference.core.convolution import one_width
from evenflow.reference.core.optim import SCHEDULES
from evenflow.reference.flows import AffineTransformer, Density, Flow, Normal, SplineTransformer, Transformer, Uniform
from evenflow.reference.flows.flow import dense_flow, maf, realnvp, spline_flow
from evenflow.reference.flows.image import glow, started
from evenflow.reference.saef import FreeForm, aqf, saef
from evenflow.reference.saef.image import image_saef
from evenflow.reference.saef.objectives import Objective, objective_for
from evenflow.reference.work.checkpoints import Best, State
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.given import Given
from evenflow.reference.work.options import Config
from evenflow.reference.work.rows import Rows, contexts_of, judges, rows_of
from evenflow.reference.work.shapes import Shape, patch_order, square_for
from evenflow.reference.work.training import Settings, train, weights
from evenflow.reference.work.units import Units

ROWS = 4096         # samples at a time: a network's activations then stay small
START = 512         # rows that glow's actnorm is started at
LOG_SCALE = 5.0     # of all layers together: no row is taken for more than e^5 times as far out as it is
ACTIVATIONS = "tanh", "relu"  # of the networks: for real numbers bounded, so that a row far out in one coordinate does not
                              # distort the others without end; whole numbers are never far out
BASE_SCALE = {"normal": 1.0, "uniform": 6.0}
CONTEXTS = {"dense": (256, 256), "conv": (64, 64)}  # widths of the context network


def looks(n: int) -> int:
    """Steps between two looks at the held-out rows, where n are trained on."""
    return min(max(n // 20, 10), 100)


def base_of(config: Config, d: int) -> Density:
    scale = config.base_scale or BASE_SCALE[config.base]
    return Normal(d, scale) if config.base == "normal" else Uniform(d, -scale, scale)


def build_flow(config: Config, d: int, context_dim: int, activation: str, shape: Shape | None) -> Flow | FreeForm:
    """The model for d coordinates. SAEF and AQF take an image square by square, all other coordinates as they come."""
    edge = square_edge(config, shape)
    order = None if edge is None or shape is None else patch_order(shape, edge)
    transformer: Transformer = AffineTransformer(LOG_SCALE / vars(config).get("layers", 1))
    if vars(config).get("transformer") == "spline":
        transformer = SplineTransformer()
    if config.family == "aqf":
        return aqf(d, order, config.hidden, context_dim, transformer)
    base = base_of(config, d)
    if config.family == "saef":
        contexts = config.context_hidden or CONTEXTS[config.contexts], config.context_width
        if config.contexts == "conv":
            one_width("context_hidden", contexts[0])
            of_image = image("contexts conv", shape)
            if edge is None:
                got = f"got blocks {config.blocks or 4} for {shape}"
                raise ValueError(f"contexts conv needs blocks that are equal squares: give patch; {got}")
            return image_saef(of_image, edge, config.block_map, *contexts, config.hidden, config.layers, context_dim, base)
        sizes = config.blocks or four_blocks(d)
        return saef(d, sizes, order, config.block_map, *contexts, config.hidden, config.layers, context_dim, base, activation)
    if config.family == "glow":
        width, blocks = one_width("hidden", config.hidden)
        return glow(image("glow", shape), config.scales, config.layers, width, blocks, config.matrix, context_dim, base)
    if config.family == "dense":
        return dense_flow(d, config.layers, context_dim, base=base, matrix=config.matrix)
    if config.family == "realnvp":
        return realnvp(d, config.layers, config.hidden, context_dim, transformer, base=base, activation=activation)
    if config.family == "spline":
        bound = base.high if isinstance(base, Uniform) else 5.0
        return spline_flow(d, config.layers, config.hidden, context_dim, bound=bound, base=base, activation=activation)
    return maf(d, config.layers, config.hidden, context_dim, transformer, base, activation)


def four_blocks(d: int) -> tuple[int, ...]:
    """The sizes of four blocks that differ by one at most; d blocks where d < 4."""
    B = min(4, d)
    return tuple(d // B + (b < d % B) for b in range(B))


def square_edge(config: Config, shape: Shape | None) -> int | None:
    """Of the patches that an image is cut into, where equal squares make the blocks; None where they do not."""
    how = vars(config)
    blocks = how.get("blocks") or 4
    return None if shape is None or isinstance(blocks, tuple) else how.get("patch") or square_for(shape, blocks)


def image(what: str, shape: Shape | None) -> tuple[int, int, int]:
    """h, w, c. Raises ValueError for rows that are no images."""
    if shape is None or shape.series:
        raise ValueError(f"{what} is for images, (n, h, w) or (n, h, w, c), got {shape or 'a table'}")
    return (*shape.axes[:2], shape.channels)  # type: ignore[return-value]


@dataclass(frozen=True)
class FlowModel:
    """u (n, d) are points in the model's units, context (n, c) what they are given (given.py)."""
    config: Config
    flow: Flow | FreeForm
    objective: Objective

    @classmethod
    def of(
        cls, config: Config, d: int, context_dim: int, whole: bool = False, shape: Shape | None = None
    ) -> "FlowModel":
        """Raises ValueError for choices that do not fit the data or each other."""
        flow, how = build_flow(config, d, context_dim, ACTIVATIONS[whole], shape), vars(config)
        return cls(config, flow, objective_for(flow, config.objective, how.get("beta", 1.0), how.get("draws", 4)))

    @property
    def abilities(self) -> tuple[str, ...]:
        return ("density", "inverse") if isinstance(self.flow, Flow) else ()

    def init(self, rng: np.random.Generator) -> Tree:
        return placed(self.flow.init(rng), self.config.dtype)

    def read(self, state: State) -> tuple[Tree, Best | None]:
        """The parameters to use, and what they were chosen by, if they were."""
        best = state.best if self.config.keep == "best" else None
        return placed(weights(state) if best is None else best.params, self.config.dtype), best

    def like(self) -> Tree:
        """What the parameters in a checkpoint must look like."""
        return fetched(self.init(np.random.default_rng(0)))

    def sample(self, params: Tree, n: int, rng: np.random.Generator, context: Array | None = None) -> Array:
        dtype = self.config.dtype

        def some(rng: np.random.Generator, context: Array | None, rows: int = ROWS) -> Array:
            return self.flow.sample(params, placed(self.flow.noise(streams(rng, dtype), rows), dtype), context)

        chunk, parts = replayed(some), []
        for done in range(0, n, ROWS):
            of_these = None if context is None else context[done : done + ROWS]
            parts.append(chunk(rng, of_these) if n - done >= ROWS else some(rng, of_these, n - done))
        return np.concatenate(parts)

    def log_density(self, params: Tree, u: Array, context: Array | None = None) -> Array:
        return self.invertible().log_prob(params, u, context)

    def inverse(self, params: Tree, u: Array, context: Array | None = None) -> Array:
        return self.invertible().inverse(params, u, context)[0]

    def forward(self, params: Tree, z: Array, context: Array | None = None) -> Array:
        """z (n, d), distributed as the flow's base -> u (n, d)."""
        if isinstance(self.flow, Flow):
            return self.flow.bijection.forward(params, z, context)[0]
        return self.flow.sample(params, z, context)

    def invertible(self) -> Flow:
        if isinstance(self.flow, Flow):
            return self.flow
        raise ValueError("a model with a free-form head has no inverse and no density, only samples")

    def fit(self, units: Units, dataset: Dataset, given: Given | None, **kept: Any) -> tuple[Tree, Best | None]:
        """As `read`, after training. kept: callback, checkpoint, resume, identity, as in `training.train`."""
        config, n, rng = self.config, len(dataset.train), np.random.default_rng(self.config.seed)
        start, dtype = self.init(rng), config.dtype

        context, judged = contexts_of(dataset, given)
        rows = rows_of(dataset.train, units, dtype, context, dataset.train_weights)
        held_out = rows_of(dataset.held_out, units, dtype, judged, dataset.held_out_weights)

        def arguments(rng: np.random.Generator, rows: Rows, chosen: Any) -> tuple[Any, ...]:
            """What the loss takes: rows in the model's units, freshly dequantised; the objective's noise; one-hot labels."""
            u, context = rows.at(chosen, rng)
            return u, placed(self.objective.noise(streams(rng, dtype), self.flow, len(u)), dtype), context

        def draw(rng: np.random.Generator) -> tuple[Any, ...]:
            return arguments(rng, rows, rows.some(config.batch, rng))

        if config.family == "glow":
            some = rows.at(np.arange(min(n, START)), np.random.default_rng(config.seed))
            start = started(self.invertible().bijection, start, *some)[0]
        fixed = arguments(np.random.default_rng(config.seed), held_out, judges(dataset.held_out_weights))
        schedule = SCHEDULES[config.schedule](config.learning_rate, config.steps)
        settings = Settings(
            config.steps, schedule=schedule, clip=config.clip, average_decay=config.average_decay, patience=config.patience,
            evaluate_every=looks(n), best_by=lambda told: told[self.judged_by(units)],
        )
        evaluate = lambda params: self.judge(params, *fixed)
        return self.read(train(self.loss, draw, start, settings, rng, evaluate=evaluate, **kept))

    def judged_by(self, units: Units) -> str:
        """What of `judge` tells the best weights: the likelihood, which knows a run that has gone astray the soonest.

        Without a density the loss; so it is of pixels, whose likelihood is one of uniform noise as well.
        """
        return "nll" if "density" in self.abilities and units.levels is None else "loss"

    def loss(self, params: Tree, u: Array, noise: Tree, context: Array | None) -> Array:
        return self.objective(params, self.flow, u, noise, context)

    def judge(self, params: Tree, u: Array, noise: Tree, context: Array | None) -> dict[str, float]:
        """The loss, and of a model with a density the mean negative log-likelihood: nats, in the model's units."""
        with np.errstate(all="ignore"):  # what overflows is never the best
            told = {"loss": float(self.loss(params, u, noise, context))}
            if "density" in self.abilities:
                told["nll"] = -float(np.mean(fetched(self.log_density(params, u, context))))
        return told
