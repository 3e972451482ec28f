"""The options of `evenflow`: those of a run from the table in work/options.py, the others here."""
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from evenflow.reference.core import unknown
from evenflow.reference.targets.toys import TARGETS
from evenflow.reference.work.folders import read_description
from evenflow.reference.work.options import BY_NAME, FAMILIES, OPTIONS, Config, Option, belongs_to
from evenflow.reference.work.runs import assemble
from evenflow.reference.work.tables import Reading


def option(text: str, default: str, *names: str) -> Any:
    """An option whose default is worked out, and said in words."""
    return typer.Option(*names, help=text, show_default=default)


def folder(text: str) -> Path:
    if not text:  # Path("") is the folder where one stands
        raise typer.BadParameter("must name a folder, got ''")
    return Path(text)


FILES = "or a file: .csv, .tsv, either as .gz, .npy, .npz (arrays x and y), .parquet; or a folder of images, as MNIST, CIFAR-10"
JSON = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, and nothing else there.")]
Seed = Annotated[int, typer.Option(help="Of all that is random.", min=0)]
Run = Annotated[Path, typer.Argument(help="The folder of a run, as `evenflow train --out` made it.", show_default=False)]
Family = Annotated[str, typer.Argument(help=f"One of {', '.join(FAMILIES)}.", show_default=False)]
Data = Annotated[str | None, option(f"digits, {', '.join(TARGETS)}, {FILES}.", "digits; ebm: two-modes")]
Out = Annotated[Path | None, typer.Option(
    help="The run's folder: config, checkpoint, log, pictures.", show_default="runs/FAMILY-DATA-sSEED", metavar="PATH",
    parser=folder)]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder, bit for bit.")]
Extend = Annotated[bool, typer.Option(
    "--extend", help="Go on with it until so many --steps, more than it was begun with, along the schedule for so many.")]
Count = Annotated[str, typer.Option("--n", "-n", help="How many.", metavar="INTEGER")]
SampleOut = Annotated[Path | None, option("A new file: .npy, .npz, .csv or .png.", "csv on standard output")]
Label = Annotated[str | None, option("The class, for a class-conditional model.", "as in the data")]
OtherData = Annotated[str | None, option("A file with the model's columns: all of its rows.", "what the run held out")]
ScoredData = Annotated[str, typer.Option("--data", help="A file with the model's columns.", show_default=False)]
ScoreOut = Annotated[Path | None, option("A new .csv file.", "csv on standard output")]
OfGiven = Annotated[str | None, option("A file with what each sample is given: --n samples for each of its rows.", "nothing")]
GivenData = Annotated[str, typer.Option("--data", help="A file with what the model is given.", show_default=False)]
Quantiles = Annotated[str, typer.Option(help="Levels, between 0 and 1.")]
READING: dict[str, tuple[type, str, str | bool]] = {  # of how a table is read: type, help, the default in words
    "columns": (str, "Those to train on: a,b,c; by number from 1 where they have no names.", "all"),
    "drop": (str, "Columns to leave out.", "none"),
    "label_column": (str, "The column of the labels, whole numbers or words.", "label, where there is one"),
    "target": (str, "Columns to predict: p(target | given).", "none: all are modelled together"),
    "given": (str, "Columns that are given, numbers or words.", "with --target: all others"),
    "weights": (str, "The column of the rows' weights.", "none"),
    "bounds": (str, "What columns lie between: age:0:,share:0:1.", "none"),
    "levels": (int, "Pixels: all columns hold whole numbers 0 ... LEVELS - 1, in one unit.",
               "columns of whole numbers, each by itself"),
    "series": (bool, "An array of three axes is (n, t, c), series; else it is images (n, h, w).", False),
    "sep": (str, "What stands between the cells: a character, or comma, semicolon, tab, bar, space.",
            "as the file's ending says"),
    "header": (str, "Whether the first line names the columns: yes, no, auto.", "auto"),
}


def shown(name: str, text: str, default: str | bool, panel: str = "The table") -> Any:
    return typer.Option(f"--{name.replace('_', '-')}", help=text, rich_help_panel=panel, show_default=default)


Sep = Annotated[str | None, shown("sep", *READING["sep"][1:])]
Header = Annotated[str | None, shown("header", *READING["header"][1:])]


def with_choices(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each of READING and of OPTIONS in the place of its `**chosen`."""
    signature = inspect.signature(command)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    kinds: dict[str, Any] = {k: Annotated[v[0] | None, shown(k, *v[1:])] for k, v in READING.items()}
    kinds |= {choice.name: annotation(choice) for choice in OPTIONS}
    made = [inspect.Parameter(k, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=v) for k, v in kinds.items()]
    command.__signature__ = signature.replace(parameters=[*own, *made])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in (*own, *made)}
    return command


def annotation(choice: Option) -> Any:
    families = belongs_to(choice)
    only = "" if len(families) > 3 or choice.panel == "SAEF" else f" Only {', '.join(families)}."
    default: Any = choice.shown or str(next(iter(choice.defaults.values()))).strip("()").replace(", ", ",")
    told = choice.kind.read is not bool and default
    return Annotated[choice.kind.read | None, shown(choice.name, choice.help + only, told, choice.panel)]


def choose(
    family: str, chosen: dict[str, Any], data: str | None, out: Path | None, resume: bool = False, extend: bool = False
) -> tuple[Config, str, Reading]:
    """The choices, the data's name or path and how they are read; to go on with a run, what of them its folder says."""
    how = {name: chosen[name] for name in READING if chosen[name] is not None}
    given = {name: value for name, value in chosen.items() if name not in READING and value is not None}
    if family not in FAMILIES:
        raise ValueError(unknown("family", family, FAMILIES))
    if not resume and not extend:
        usual = "two-modes" if family == "ebm" else "digits"
        return Config(family, **given), usual if data is None else data, Reading(**how)
    if out is None:
        raise ValueError(f"--{'extend' if extend else 'resume'} needs --out, the folder of the run")
    run = assemble(read_description(out, assemble))
    asked = {"family": family, **{name: BY_NAME[name].kind.check(name, value) for name, value in given.items()}}
    if extend and "steps" not in asked:
        raise ValueError(f"--extend needs --steps, how many in all: more than {run.config.steps}")
    for name, value in asked.items():
        if (begun := vars(run.config).get(name)) != value and not (extend and name == "steps"):
            longer = ", make more with --extend" if name == "steps" else ""
            way = f"leave the option out{longer}, or begin another run"
            raise ValueError(f"{out} was begun with {name} {begun}, not {value}: {way}")
    if data is None and run.data not in ("digits", *TARGETS) and not Path(run.data).exists():
        raise FileNotFoundError(f"{out} was trained on {run.data}, which is not there: say with --data where it is now")
    config = Config(**{**vars(run.config), **asked})
    for name, value in how.items():
        if getattr(Reading(**{name: value}), name) != getattr(run.reading, name):
            raise ValueError(f"{out} was begun with another {name}: leave the option out, or begin another run")
    return config, run.data if data is None else data, run.reading


def usual_folder(config: Config, source: str) -> Path:
    kind = f"ebm-{config.algorithm}" if config.family == "ebm" else config.family
    return Path("runs") / f"{kind}-{Path(source.removesuffix('.gz')).stem}-s{config.seed}"
