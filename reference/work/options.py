"""The options of a training run, each written once: name, type, default, help, and the families it belongs to.

From this table come the Config below, the command line (app/options.py) and the estimator's signature (estimators.py). What is
not given is None, and takes the default of the family; what means nothing for a family is refused there.
"""
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from evenflow.reference.core import check_count, check_fraction, check_positive, lookup, unknown
from evenflow.reference.core.optim import SCHEDULES
from evenflow.reference.saef.maps import BLOCK_MAPS
from evenflow.reference.saef.objectives import OBJECTIVES
from evenflow.reference.scores.energy import check_beta
from evenflow.reference.work.shapes import Shape

FLOWS = ("saef", "realnvp", "maf", "spline", "dense", "aqf", "glow")
ALGORITHMS = ("flowmc", "pcd", "nt", "coopflow", "fce", "jarzynski")  # that train an energy-based model
FAMILIES = (*FLOWS, "ebm")
CHAINED, FLOWING = ("flowmc", "pcd", "jarzynski"), ("flowmc", "nt", "coopflow", "fce")
BASES, LOCAL, GLOBAL, MATRICES = ("normal", "uniform"), ("mala", "hmc", "random-walk"), ("isir", "independent"), ("free", "plu")
TRANSFORMERS, DTYPES, KEPT, NETS = ("affine", "spline"), ("float32", "float64"), ("best", "last"), ("dense", "conv")
OPTIMISERS, TILTS = ("adam", "sgd"), ("base", "none")


class Kind(NamedTuple):
    """What a value may be: what the command line reads it as, and the check that returns it as it is kept."""
    read: type
    check: Callable[[str, Any], Any]


def whole(least: int = 1) -> Kind:
    def check(name: str, value: Any) -> int:
        check_count(name, value, least)
        return operator.index(value)

    return Kind(int, check)


def real(check_number: Callable[[str, float], object]) -> Kind:
    def check(name: str, value: Any) -> float:
        check_number(name, value)
        return float(value)

    return Kind(float, check)


def one_of(known: Iterable[str]) -> Kind:
    table = {name: name for name in known}
    return Kind(str, lambda name, value: lookup(name, value, table))


def widths(name: str, value: Any) -> tuple[int, ...]:
    """64,64 on the command line; a number or several in Python."""
    try:
        parts = value.split(",") if isinstance(value, str) else value if isinstance(value, Iterable) else [value]
        numbers = tuple(int(part) if isinstance(part, str) else operator.index(part) for part in parts)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be whole numbers with commas between them, got {value!r}") from None
    for number in numbers:
        check_count(name, number)
    return numbers


def blocks(name: str, value: Any) -> int | tuple[int, ...]:
    """One number, how many; several, their sizes."""
    numbers = widths(name, value)
    if not numbers:
        raise ValueError(f"{name} must be one at least, got {value!r}")
    alone = len(numbers) == 1 and (isinstance(value, str) or not isinstance(value, Iterable))
    return numbers[0] if alone else numbers


def flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool | int | np.bool_) or value not in (True, False):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def between_0_and_1(name: str, value: float) -> None:
    check_fraction(name, value)
    check_positive(name, value)


WIDTHS, BLOCKS, FLAG, COUNT, POSITIVE = Kind(str, widths), Kind(str, blocks), Kind(bool, flag), whole(), real(check_positive)


class Option(NamedTuple):
    name: str
    kind: Kind
    help: str
    defaults: Mapping[str, Any]  # of each family, or algorithm, that it belongs to; None: none, or worked out from the data
    panel: str
    shown: str | None = None     # the default in words, where the defaults differ or are worked out
    needs: tuple[str, tuple[str, ...]] | None = None  # another option, and the values of it for which this one means something


def of(kinds: Iterable[str], default: Any) -> dict[str, Any]:
    return dict.fromkeys(kinds, default)


MODEL, SAEF, TRAINING, EBM = "The model", "SAEF", "The training", "Energy-based models"
ALL = (*FLOWS, *ALGORITHMS)
BASED = tuple(kind for kind in ALL if kind != "aqf")  # its noise is made of quantile levels
# NT and CoopFlow start their chains anew at every step: where E changes faster than so short a chain can follow, E steepens
# without end. On two-modes NT did so at 5e-4 after 500 steps, CoopFlow at 1e-4 after 300, and PCD with ULA steps of 0.01.
OPTIONS = (
    Option("blocks", BLOCKS, "How many equal blocks, or their sizes: 2,3,5.", of(["saef"], None), SAEF, "4, nearly equal"),
    Option("patch", COUNT, "Blocks are squares of so many pixels a side; of a series, stretches of so many times.",
           of(["saef"], None), SAEF, "--blocks says"),
    Option("block_map", one_of(BLOCK_MAPS), f"One of {', '.join(BLOCK_MAPS)}; of one number, dense and coupling are spline.",
           of(["saef"], "coupling"), SAEF),
    Option("contexts", one_of(NETS),
           "Of a block: dense, or conv, masked convolutions over the squares of an image.", of(["saef"], "dense"), SAEF),
    Option("context_hidden", WIDTHS, "Widths of the context network; conv: one width, once for each residual block.",
           of(["saef"], None), SAEF, "256,256; conv: 64,64"),
    Option("context_width", COUNT, "Numbers in a block's context.", of(["saef"], 64), SAEF),
    Option("transformer", one_of(TRANSFORMERS), "affine or spline.", of(["maf", "aqf"], "affine"), MODEL),
    Option("matrix", one_of(MATRICES), "Of the dense layers, or 1 x 1 convolutions: free, or plu, in factors.",
           {"dense": "free", "glow": "plu"}, MODEL, "free for dense, plu for glow"),
    Option("scales", COUNT, "How often glow halves the edges of an image.", of(["glow"], 2), MODEL),
    Option("layers", COUNT, "Layers of the flow, or of SAEF's block maps; of glow on each scale.",
           {"saef": 2, "realnvp": 8, "maf": 5, "spline": 4, "dense": 4, "glow": 4, **of(FLOWING, 4)}, MODEL, "the family's"),
    Option("hidden", WIDTHS, "Widths of the networks in the layers.",
           {**of(("saef", "glow"), (64,)),
            **of(("realnvp", "maf", "spline", "aqf", *FLOWING), (64, 64))}, MODEL, "64 for saef and glow, else 64,64"),
    Option("base", one_of(BASES), "The density that noise comes from; it tilts energies, too.", of(BASED, "normal"), MODEL),
    Option("base_scale", POSITIVE, "Its standard deviation; of the uniform one, half of each edge.", of(BASED, None), MODEL,
           "1; uniform: 6"),
    Option("class_conditional", FLAG, "Condition on the data's labels.", of(FLOWS, False), MODEL),
    Option("objective", one_of(OBJECTIVES), f"One of {', '.join(OBJECTIVES)}.",
           {"saef": "energy", "dense": "energy", "aqf": "quantile",
            **of(("realnvp", "maf", "spline", "glow"), "likelihood")}, TRAINING, "the family's"),
    Option("beta", real(lambda name, value: check_beta(value)), "Exponent of the energy score, in (0, 2).", of(FLOWS, 1.0),
           TRAINING, needs=("objective", ("energy", "sliced"))),
    Option("draws", COUNT, "Draws for each datum.", of(FLOWS, 4), TRAINING,
           needs=("objective", ("energy", "sliced", "mmd", "quantile"))),
    Option("steps", COUNT, "Steps in all.", of(ALL, None), TRAINING,
           "as many as rows, 300 to 3000, with columns given 1000 at least; ebm: to 2000"),
    Option("batch", COUNT, "Rows in a step, and chains moved.", of(ALL, 128), TRAINING),
    Option("learning_rate", POSITIVE, "Of the optimiser, at the start.",
           {**of(FLOWS, None), **of(("flowmc", "pcd", "fce", "jarzynski"), 0.003), "nt": 1e-4, "coopflow": 1e-5}, TRAINING,
           "0.001, for fewer than 2,000 rows in proportion less; ebm: the algorithm's"),
    Option("algorithm", one_of(ALGORITHMS), f"One of {', '.join(ALGORITHMS)}.", {a: a for a in ALGORITHMS}, EBM, "flowmc"),
    Option("energy_optimiser", one_of(OPTIMISERS), "adam, or sgd: plain steps, as the papers print them. The flow has adam.",
           of(ALGORITHMS, "adam"), EBM),
    Option("tilt", one_of(TILTS), "What tilts the energy: the base, or none, as in the papers of these.",
           of(["pcd", "coopflow", "fce"], "base"), EBM),
    Option("flow_learning_rate", POSITIVE, "Of the companion flow, at the start.",
           {**of(("flowmc", "fce"), 0.003), "coopflow": 3e-4}, EBM, "the algorithm's"),
    Option("schedule", one_of(SCHEDULES), f"One of {', '.join(SCHEDULES)}.", of(ALL, "linear"), TRAINING),
    Option("clip", POSITIVE, "The largest norm of a gradient.", of(FLOWS, 100.0), TRAINING),
    Option("average_decay", real(between_0_and_1), "Average the weights, 0.999 say.", of(FLOWS, None), TRAINING, "no average"),
    Option("buffer", COUNT, "Persistent chains; jarzynski: walkers.", of(CHAINED, 1024), EBM),
    Option("local_kernel", one_of(LOCAL), f"What moves a chain inside a mode: {', '.join(LOCAL)}.",
           of(["flowmc", "nt"], "mala"), EBM),
    Option("local_steps", COUNT, "Local moves for each training step.", {"flowmc": 8, "pcd": 20, "nt": 20, "coopflow": 30}, EBM,
           "the algorithm's"),
    Option("global_kernel", one_of(GLOBAL), "What carries it between modes: isir, or independent Metropolis-Hastings.",
           of(["flowmc"], "isir"), EBM),
    Option("global_steps", COUNT, "Global moves for each training step.", of(["flowmc"], 2), EBM),
    Option("N", whole(2), "Slots of i-SIR.", of(["flowmc"], 32), EBM, needs=("global_kernel", ("isir",))),
    Option("step_size", POSITIVE, "Of the local moves; where they are adjusted, it then follows their acceptance.",
           {"flowmc": 0.01, "pcd": 0.002, "nt": 0.1, "coopflow": 5e-4, "jarzynski": 0.01}, EBM, "the algorithm's"),
    Option("leapfrog_steps", COUNT, "Of hmc.", of(["flowmc", "nt"], 5), EBM, needs=("local_kernel", ("hmc",))),
    Option("pretrain_steps", COUNT, "Of the flow on the data, before the energy.", of(["nt", "coopflow"], 500), EBM),
    Option("keep", one_of(KEPT), "The weights to keep: best, on held-out rows, or last.", of(ALL, "best"), TRAINING),
    Option("patience", COUNT, "End after as many looks at the held-out rows without a better one.", of(ALL, None), TRAINING,
           "all steps"),
    Option("dtype", one_of(DTYPES), "float32 or float64.", of(ALL, "float32"), TRAINING),
    Option("seed", whole(0), "Of all that is random but the data's split.", of(ALL, 0), TRAINING),
)
# Between these as many as there are rows: few are soon learned by heart. Of what is given a flow knows nothing at the start.
STEPS = {"flow": (300, 3000), "given": (1000, 3000), "ebm": (300, 2000)}
LEARNING_RATE, FEW = 1e-3, 2000  # of a flow; for fewer rows in proportion smaller
BY_NAME = {option.name: option for option in OPTIONS}


def belongs_to(option: Option) -> list[str]:
    """The families that an option means something for; the algorithms by name where it is for some of them alone."""
    flows, algorithms = ([k for k in kinds if k in option.defaults] for kinds in (FLOWS, ALGORITHMS))
    return flows + (["ebm"] if len(algorithms) == len(ALGORITHMS) else algorithms)


def refuse_if(given: bool, name: str, what: str, known: Iterable[str]) -> None:
    if given:
        raise ValueError(f"{name} means nothing for {what}, only for {', '.join(known)}")


class Config:
    """All that decides a run apart from the data: the family, and the value of each option that belongs to it, as attributes.

    Plain JSON there and back. Raises ValueError for what is unknown, out of range, or means nothing for the family, the
    algorithm or the objective.

    >>> Config("maf", layers=2).layers, Config("maf").batch, Config("ebm", algorithm="pcd").step_size
    (2, 128, 0.002)
    """

    def __init__(self, family: str = "saef", **given: Any) -> None:
        self.family = lookup("family", family, {name: name for name in FAMILIES})
        given = {name: value for name, value in given.items() if value is not None}
        for name in given:
            if name not in BY_NAME:
                raise ValueError(unknown("choice", name, ["family", *sorted(BY_NAME)]))
        kind = BY_NAME["algorithm"].kind.check("algorithm", given.get("algorithm", "flowmc")) if family == "ebm" else family
        for option in OPTIONS:
            value = given.get(option.name)
            if kind not in option.defaults:
                what = f"the algorithm {kind}" if family == "ebm" and set(ALGORITHMS) & set(option.defaults) else family
                refuse_if(value is not None, option.name, what, belongs_to(option))
                continue
            other, known = option.needs or ("family", (family,))
            if (chosen := getattr(self, other)) not in known:
                refuse_if(value is not None, option.name, f"the {other.replace('_', ' ')} {chosen}", known)
                continue
            vars(self)[option.name] = option.defaults[kind] if value is None else option.kind.check(option.name, value)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{name} is no choice of the family {vars(self).get('family')}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).items()))

    def __repr__(self) -> str:
        return f"Config({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def for_data(self, n: int, shape: Shape | None = None, given: bool = False) -> "Config":
        """The same, with what was left to the data made out.

        n: of the rows to train on; shape: theirs; given: whether they are modelled given others.
        """
        least, most = STEPS["ebm" if self.family == "ebm" else "given" if given else "flow"]
        worked_out: dict[str, Any] = {
            "steps": min(max(n, least), most), "learning_rate": LEARNING_RATE * min(n / FEW, 1.0)}
        if patch := vars(self).get("patch"):
            if shape is None:
                raise ValueError("patch means nothing for a table: only for images (n, h, w) or (n, h, w, c), and for series")
            worked_out["blocks"] = shape.patches(patch)
            if self.blocks not in (None, worked_out["blocks"]):
                raise ValueError(f"blocks and patch must agree: patch {patch} makes {worked_out['blocks']}, got {self.blocks}")
        return Config(**{**vars(self), **{name: getattr(self, name) or value for name, value in worked_out.items()}})

    def as_json(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
