"""The options of `evenflow`: those of a run from the table in work/options.py, the others here."""
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from evenflow.reference.core import unknown
from evenflow.reference.targets.toys import TARGETS
from evenflow.reference.work import runs
from evenflow.reference.work.options import BY_NAME, FAMILIES, OPTIONS, Config, Option, belongs_to
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
TABLE = "The table"
Columns = Annotated[str | None, typer.Option(
    help="Those to train on: a,b,c; by number from 1 where they have no names.", rich_help_panel=TABLE, show_default="all")]
Drop = Annotated[str | None, typer.Option(help="Columns to leave out.", rich_help_panel=TABLE, show_default="none")]
LabelColumn = Annotated[str | None, typer.Option(
    help="The column of the labels, whole numbers or words.", rich_help_panel=TABLE, show_default="label, where there is one")]
Target = Annotated[str | None, typer.Option(
    help="Columns to predict: p(target | given).", rich_help_panel=TABLE, show_default="none: all are modelled together")]
GivenColumns = Annotated[str | None, typer.Option(
    "--given", help="Columns that are given, numbers or words.", rich_help_panel=TABLE,
    show_default="with --target: all others")]
Weights = Annotated[str | None, typer.Option(
    help="The column of the rows' weights.", rich_help_panel=TABLE, show_default="none")]
Bounds = Annotated[str | None, typer.Option(
    help="What columns lie between: age:0:,share:0:1.", rich_help_panel=TABLE, show_default="none")]
Levels = Annotated[int | None, typer.Option(
    help="Pixels: all columns hold whole numbers 0 ... LEVELS - 1, in one unit.", rich_help_panel=TABLE,
    show_default="columns of whole numbers, each by itself")]
Series = Annotated[bool, typer.Option(
    "--series", help="An array of three axes is (n, t, c), series; else it is images (n, h, w).", rich_help_panel=TABLE)]
Sep = Annotated[str | None, typer.Option(
    help="What stands between the cells: a character, or comma, semicolon, tab, bar, space.", rich_help_panel=TABLE,
    show_default="as the file's ending says")]
Header = Annotated[str | None, typer.Option(
    help="Whether the first line names the columns: yes, no, auto.", rich_help_panel=TABLE, show_default="auto")]


def with_choices(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each of OPTIONS in the place of its `**given`."""
    signature = inspect.signature(command)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    made = [inspect.Parameter(o.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation(o)) for o in OPTIONS]
    command.__signature__ = signature.replace(parameters=[*own, *made])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in (*own, *made)}
    return command


def annotation(choice: Option) -> Any:
    families, name = belongs_to(choice), choice.name.replace("_", "-")
    only = "" if len(families) > 3 or choice.panel == "SAEF" else f" Only {', '.join(families)}."
    default: Any = choice.shown or str(next(iter(choice.defaults.values()))).strip("()").replace(", ", ",")
    told = choice.kind.read is not bool and default
    shown = typer.Option(f"--{name}", help=choice.help + only, rich_help_panel=choice.panel, show_default=told)
    return Annotated[choice.kind.read | None, shown]


def choose(
    family: str, given: dict[str, Any], data: str | None, out: Path | None, resume: bool = False, extend: bool = False
) -> tuple[Config, str]:
    """The choices and the data's name or path, from the command line and, to go on with a run, from its folder."""
    if family not in FAMILIES:
        raise ValueError(unknown("family", family, FAMILIES))
    if not resume and not extend:
        return Config(family, **given), ("two-modes" if family == "ebm" else "digits") if data is None else data
    if out is None:
        raise ValueError(f"--{'extend' if extend else 'resume'} needs --out, the folder of the run")
    run = runs.load_description(out)
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
    return Config(**{**vars(run.config), **asked}), run.data if data is None else data


def usual_folder(config: Config, source: str) -> Path:
    kind = f"ebm-{config.algorithm}" if config.family == "ebm" else config.family
    return Path("runs") / f"{kind}-{Path(source.removesuffix('.gz')).stem}-s{config.seed}"


def choose_reading(given: dict[str, Any], out: Path | None, resume: bool) -> Reading:
    """How the data are read, from the command line and, to resume, from the run."""
    asked = {name: how for name, how in given.items() if how is not None}
    if not resume or out is None:
        return Reading(**asked)
    there = runs.load_description(out).reading
    for name, how in asked.items():
        if getattr(Reading(**{name: how}), name) != getattr(there, name):
            raise ValueError(f"{out} was begun with another {name}: leave the option out, or begin another run")
    return there
