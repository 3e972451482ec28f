"""The options of `evenflow`: what each is called and says, which of them go together, and what they make a run of."""
import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from evenflow.reference.core.checks import unknown
from evenflow.reference.core.optim import SCHEDULES
from evenflow.reference.saef.maps import BLOCK_MAPS
from evenflow.reference.saef.objectives import OBJECTIVES
from evenflow.reference.targets.toys import TARGETS
from evenflow.reference.work import runs
from evenflow.reference.work.ebm_models import USUAL, EBMConfig
from evenflow.reference.work.models import FAMILIES, Config

SAEF, MODEL, TRAINING, EBM = "SAEF", "The model", "The training", "Energy-based models"


def option(panel: str | None, text: str, default: str, *names: str) -> Any:
    """An option whose default is written by hand: it is the family's, or the run's when resuming."""
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=default)


KINDS = (*FAMILIES, "ebm")
JSON = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, and nothing else there.")]
Seed = Annotated[int, typer.Option(help="Of all that is random.", min=0)]
Run = Annotated[Path, typer.Argument(help="The folder of a run, as `evenflow train --out` made it.", show_default=False)]
Family = Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.", show_default=False)]
FILES = "or a file: .npy, .npz (arrays x and y), .csv (labels in a column named label)"
Data = Annotated[str | None, option(None, f"digits, {', '.join(TARGETS)}, {FILES}.", "digits; ebm: two-modes")]
Out = Annotated[Path | None, option(None, "The run's folder: config, checkpoint, log, pictures.", "runs/FAMILY-DATA-sSEED")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder, bit for bit.")]
Blocks = Annotated[str | None, option(SAEF, "How many equal blocks, or their sizes: 2,3,5.", "4, nearly equal")]
BlockMap = Annotated[str | None, option(SAEF, f"One of {', '.join(BLOCK_MAPS)}.", "coupling")]
ContextHidden = Annotated[str | None, option(SAEF, "Widths of the context network.", "256,256")]
ContextWidth = Annotated[int | None, option(SAEF, "Numbers in a block's context.", "64")]
Transformer = Annotated[str | None, option(MODEL, "affine or spline; maf and aqf only.", "affine")]
Layers = Annotated[int | None, option(MODEL, "Layers of the flow, or of SAEF's block maps.", "the family's")]
Hidden = Annotated[str | None, option(MODEL, "Widths of the networks in the layers.", "64 for saef, 64,64")]
ClassConditional = Annotated[bool | None, typer.Option(
    "--class-conditional", help="Condition on the data's labels.", rich_help_panel=MODEL)]
Objective = Annotated[str | None, option(TRAINING, f"One of {', '.join(OBJECTIVES)}.", "the family's")]
Beta = Annotated[float | None, option(TRAINING, "Exponent of the energy score, in (0, 2).", "1")]
Draws = Annotated[int | None, option(TRAINING, "Draws for each datum.", "4")]
Steps = Annotated[int | None, option(TRAINING, "Steps in all.", "3000; ebm: 2000")]
Batch = Annotated[int | None, option(TRAINING, "Rows in a step.", "128")]
LearningRate = Annotated[float | None, option(TRAINING, "Of Adam, at the start.", "0.001; ebm: the algorithm's")]
Schedule = Annotated[str | None, option(TRAINING, f"One of {', '.join(SCHEDULES)}.", "linear")]
Clip = Annotated[float | None, option(TRAINING, "The largest norm of a gradient.", "100")]
AverageDecay = Annotated[float | None, option(TRAINING, "Average the weights, 0.999 say.", "0: no")]
Dtype = Annotated[str | None, option(TRAINING, "float32 or float64.", "float32")]
TrainSeed = Annotated[int | None, option(TRAINING, "Of all that is random but the data's split.", "0")]
Count = Annotated[int, typer.Option(help="How many.")]
SampleOut = Annotated[Path | None, option(None, "A new file: .npy, .npz, .csv or .png.", "csv on standard output")]
Label = Annotated[int | None, option(None, "The class, for a class-conditional model.", "as in the data")]
OtherData = Annotated[str | None, option(None, "Another data set of the same columns.", "the run's own")]
Algorithm = Annotated[str | None, option(EBM, f"One of {', '.join(USUAL)}.", "flowmc")]
Buffer = Annotated[int | None, option(EBM, "Persistent chains; jarzynski: walkers.", "1024")]
FlowLearningRate = Annotated[float | None, option(EBM, "Of the companion flow, at the start.", "the algorithm's")]
LocalSteps = Annotated[int | None, option(EBM, "Langevin steps for each training step.", "the algorithm's")]
GlobalSteps = Annotated[int | None, option(EBM, "i-SIR steps for each training step; flowmc only.", "2")]
Slots = Annotated[int | None, option(EBM, "Slots of i-SIR; flowmc only.", "32", "--N")]
StepSize = Annotated[float | None, option(
    EBM, "Of the Langevin steps; where they are adjusted, it then follows their acceptance.", "the algorithm's")]
PretrainSteps = Annotated[int | None, option(EBM, "Of the flow on the data, before the energy; nt, coopflow.", "500")]

OF_FLOWS, OF_EBMS = ({field.name for field in dataclasses.fields(kind)} for kind in (Config, EBMConfig))
CHOICES = (OF_FLOWS | OF_EBMS) - {"family"}
ONLY = {  # options that mean something for these families only
    **dict.fromkeys(OF_FLOWS - OF_EBMS, tuple(FAMILIES)), **dict.fromkeys(OF_EBMS - OF_FLOWS, ("ebm",)),
    "blocks": ("saef",), "block_map": ("saef",), "context_hidden": ("saef",), "context_width": ("saef",),
    "transformer": ("maf", "aqf"), "hidden": tuple(family for family in KINDS if family != "dense"),
}
USES = {"beta": ("energy", "sliced"), "draws": ("energy", "sliced", "mmd", "quantile")}  # and these for these objectives


def choose(
    family: str, given: dict[str, Any], data: str | None, out: Path | None, resume: bool
) -> tuple[Config | EBMConfig, str]:
    """The choices and the data's name or path, from the command line and, to resume, from the run."""
    if family not in KINDS:
        raise ValueError(unknown("family", family, KINDS))
    for name in given:
        if family not in ONLY.get(name, (family,)):
            raise ValueError(f"--{name.replace('_', '-')} means nothing for {family}, only for {', '.join(ONLY[name])}")
    for name in ("blocks", "hidden", "context_hidden"):
        if name in given:
            numbers = whole_numbers(name, given[name])
            given[name] = numbers[0] if name == "blocks" and len(numbers) == 1 else numbers
    if not resume:
        if family == "ebm":
            return EBMConfig(**given), data or "two-modes"
        config = Config(family, **given)
        for name in set(given) & set(USES):
            if config.objective not in USES[name]:
                known = ", ".join(USES[name])
                raise ValueError(f"--{name} means nothing for the objective {config.objective}, only for {known}")
        return config, data or "digits"
    if out is None:
        raise ValueError("--resume needs --out, the folder of the run")
    begun, source = runs.load_description(out)
    asked = {"family": family, **given, **({} if data is None else {"data": data})}
    there = {**vars(begun), "data": source}
    for name, value in asked.items():
        if there[name] != value:
            said = f"{out} was begun with {name} {there[name]}, not {value}"
            raise ValueError(f"{said}: leave the option out, or begin another run")
    return begun, source


def usual_folder(config: Config | EBMConfig, source: str) -> Path:
    kind = f"ebm-{config.algorithm}" if isinstance(config, EBMConfig) else config.family
    return Path("runs") / f"{kind}-{Path(source).stem}-s{config.seed}"


def whole_numbers(name: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--{name.replace('_', '-')} must be whole numbers with commas between them, got {text!r}") from None
