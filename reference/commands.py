"""The commands of `evenflow`: demo, train, sample, evaluate."""
import csv
import dataclasses
import io
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from evenflow.reference import console, pictures, runs
from evenflow.reference.blocks import BLOCK_MAPS
from evenflow.reference.checks import unknown
from evenflow.reference.cli import reporting
from evenflow.reference.data import load
from evenflow.reference.models import FAMILIES, Config
from evenflow.reference.objectives import OBJECTIVES
from evenflow.reference.optim import SCHEDULES
from evenflow.reference.targets import TARGETS
from evenflow.reference.threads import single_blas_thread
from evenflow.reference.trees import Array, write_aside

app = typer.Typer(
    name="evenflow", no_args_is_help=True, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False,
    help="Flows trained with the energy score: semi-autoregressive energy flows and their relatives.",
    epilog="A first look: [bold]evenflow demo[/bold]. Your data: [bold]evenflow train saef --data mine.csv --out runs/a[/bold]",
)
SAEF, MODEL, TRAINING = "SAEF", "The model", "The training"


def option(panel: str | None, text: str, default: str) -> Any:
    """An option whose default is written by hand: it is the family's, or the run's when resuming."""
    return typer.Option(help=text, rich_help_panel=panel, show_default=default)


JSON = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, and nothing else there.")]
Seed = Annotated[int, typer.Option(help="Of all that is random.", min=0)]
Run = Annotated[Path, typer.Argument(help="The folder of a run, as `evenflow train --out` made it.", show_default=False)]
Demo = Annotated[Path, typer.Option(help="The folder for results.json and the pictures.")]
Family = Annotated[str, typer.Argument(help=f"One of {', '.join(FAMILIES)}.", show_default=False)]
FILES = "or a file: .npy, .npz (arrays x and y), .csv (labels in a column named label)"
Data = Annotated[str | None, option(None, f"digits, {', '.join(TARGETS)}, {FILES}.", "digits")]
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
Steps = Annotated[int | None, option(TRAINING, "Steps in all.", "3000")]
Batch = Annotated[int | None, option(TRAINING, "Rows in a step.", "128")]
LearningRate = Annotated[float | None, option(TRAINING, "Of Adam, at the start.", "0.001")]
Schedule = Annotated[str | None, option(TRAINING, f"One of {', '.join(SCHEDULES)}.", "linear")]
Clip = Annotated[float | None, option(TRAINING, "The largest norm of a gradient.", "100")]
AverageDecay = Annotated[float | None, option(TRAINING, "Average the weights, 0.999 say.", "0: no")]
Dtype = Annotated[str | None, option(TRAINING, "float32 or float64.", "float32")]
TrainSeed = Annotated[int | None, option(TRAINING, "Of all that is random but the data's split.", "0")]
Count = Annotated[int, typer.Option(help="How many.")]
SampleOut = Annotated[Path | None, option(None, "A new file: .npy, .npz, .csv or .png.", "csv on standard output")]
Label = Annotated[int | None, option(None, "The class, for a class-conditional model.", "as in the data")]
OtherData = Annotated[str | None, option(None, "Another data set of the same columns.", "the run's own")]
ONLY = {  # options that mean something for these families only
    "blocks": ("saef",), "block_map": ("saef",), "context_hidden": ("saef",), "context_width": ("saef",),
    "transformer": ("maf", "aqf"), "hidden": tuple(family for family in FAMILIES if family != "dense"),
}
USES = {"beta": ("energy", "sliced"), "draws": ("energy", "sliced", "mmd", "quantile")}  # and these for these objectives
CHOICES = {field.name for field in dataclasses.fields(Config)} - {"family"}
EXAMPLES = """Examples:

[bold]evenflow train saef --data digits --blocks 16 --objective energy --beta 1 --draws 4 --steps 3000 --seed 0
--out runs/a[/bold]

[bold]evenflow train maf --data two-moons --steps 2000[/bold]

[bold]evenflow train saef --data mine.csv --blocks 2,3,5 --block-map spline --out runs/mine[/bold]

[bold]evenflow train saef --out runs/a --resume[/bold]"""


@app.callback(invoke_without_command=True)
def top(show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if show:
        print(version("evenflow"))
        raise typer.Exit()


@app.command(epilog="[bold]evenflow demo --out demo[/bold]")
def demo(out: Demo = Path("demo"), seed: Seed = 0, as_json: JSON = False) -> None:
    """Train SAEF on 8x8 digits with 1, 4 and 16 blocks, compare, and draw. Takes minutes on two cores."""
    with reporting(as_json):
        from evenflow.experiments import digits
        pictures.new_figure(1, 1)  # what is missing is said before the training, not after
        out.mkdir(parents=True, exist_ok=True)
        with single_blas_thread(), console.bars() as bars:
            rows = digits.run(out, bars, seed=seed)
        if as_json:
            console.print_json(rows)
        else:
            console.print_rows(rows)
            print(f"Written to {out}: results.json, samples.png, loss.png, posterior.png")


@app.command(epilog=EXAMPLES)
def train(
    family: Family, data: Data = None, out: Out = None, resume: Resume = False, blocks: Blocks = None,
    block_map: BlockMap = None, context_hidden: ContextHidden = None, context_width: ContextWidth = None,
    transformer: Transformer = None, layers: Layers = None, hidden: Hidden = None, class_conditional: ClassConditional = None,
    objective: Objective = None, beta: Beta = None, draws: Draws = None, steps: Steps = None, batch: Batch = None,
    learning_rate: LearningRate = None, schedule: Schedule = None, clip: Clip = None, average_decay: AverageDecay = None,
    dtype: Dtype = None, seed: TrainSeed = None, as_json: JSON = False,
) -> None:
    """Train a model and keep the run in a folder."""
    given = {name: value for name, value in locals().items() if name in CHOICES and value is not None}
    with reporting(as_json):
        config, source = choose(family, given, data, out, resume)
        out = out or Path("runs") / f"{family}-{Path(source).stem}-s{config.seed}"
        with reporting(as_json, f"interrupted; go on with: evenflow train {family} --out {out} --resume"):
            summary = train_and_draw(config, source, out, resume)
        if as_json:
            console.print_json(summary)
        else:
            print(f"Written to {out}: config.json, checkpoint.npz, log.jsonl, loss.png, samples.png")


def choose(family: str, given: dict[str, Any], data: str | None, out: Path | None, resume: bool) -> tuple[Config, str]:
    """The Config and the data's name or path, from the command line and, to resume, from the run."""
    if family not in FAMILIES:
        raise ValueError(unknown("family", family, FAMILIES))
    for name in given:
        if family not in ONLY.get(name, (family,)):
            raise ValueError(f"--{name.replace('_', '-')} means nothing for {family}, only for {', '.join(ONLY[name])}")
    for name in ("blocks", "hidden", "context_hidden"):
        if name in given:
            numbers = whole_numbers(name, given[name])
            given[name] = numbers[0] if name == "blocks" and len(numbers) == 1 else numbers
    if not resume:
        config = Config(family, **given)
        for name in set(given) & set(USES):
            if config.objective not in USES[name]:
                known = ", ".join(USES[name])
                raise ValueError(f"--{name} means nothing for the objective {config.objective}, only for {known}")
        return config, data or "digits"
    if out is None:
        raise ValueError("--resume needs --out, the folder of the run")
    described = runs.load_description(out)
    config = Config.from_json(described["config"])
    asked = {"family": family, **given, **({} if data is None else {"data": data})}
    there = {**vars(config), "data": described["data"]}
    for name, value in asked.items():
        if there[name] != value:
            said = f"{out} was begun with {name} {there[name]}, not {value}"
            raise ValueError(f"{said}: leave the option out, or begin another run")
    return config, described["data"]


def whole_numbers(name: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--{name.replace('_', '-')} must be whole numbers with commas between them, got {text!r}") from None


def train_and_draw(config: Config, source: str, out: Path, resume: bool) -> dict[str, Any]:
    pictures.new_figure(1, 1)
    dataset, family = load(source), config.family
    with single_blas_thread(), console.bars() as bars:
        trained = runs.train_on(config, dataset, out, resume, lambda progress: bars(family, progress))
    lines = runs.read_log(out / "log.jsonl")
    pictures.loss_picture(out / "loss.png", {family: lines}, {family: config.objective})
    draw_samples(trained, dataset.train, out / "samples.png")
    return {"out": str(out), **{name: lines[-1][name] if lines else None for name in ("step", "loss", "held_out", "seconds")}}


def draw_samples(trained: runs.Trained, data: Array, path: Path) -> None:
    """Digits as images, planes as points, all else as histograms of the columns; the data beside."""
    rng = np.random.default_rng(trained.config.seed)
    if trained.data == "digits":
        labels = np.tile(np.arange(10), 6) if trained.config.class_conditional else None
        pictures.digit_grid(path, {"data": data[:60], "samples": trained.sample(60, rng, labels)})
        return
    sets = {"data": data[:2000], "samples": trained.sample(2000, rng)}
    if trained.d == 2:
        pictures.scatter_picture(path, sets)
    else:
        pictures.marginals_picture(path, sets, trained.columns)


@app.command(epilog="[bold]evenflow sample runs/a --n 1000 --out samples.csv[/bold]; a picture: [bold]--out digits.png[/bold]")
def sample(run: Run, n: Count = 100, out: SampleOut = None, label: Label = None, seed: Seed = 0) -> None:
    """Draw samples from a trained model, in the units of its data."""
    with reporting():
        if out is not None and out.exists():
            raise FileExistsError(f"{out} exists already: choose another name, or remove it")
        trained = runs.load_run(run)
        seen = [k for k, share in enumerate(trained.class_shares) if share]
        if label is not None and seen and label not in seen:
            raise ValueError(f"--label must be one of those in the data, {', '.join(map(str, seen))}, got {label}")
        with single_blas_thread():
            x = trained.sample(n, np.random.default_rng(seed), None if label is None else np.full(n, label))
        write_samples(trained, x, out)


def write_samples(trained: runs.Trained, x: Array, out: Path | None) -> None:
    ending = ".csv" if out is None else out.suffix.lower()
    if ending == ".csv":
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(trained.columns or [f"x{j}" for j in range(trained.d)])
        writer.writerows(x.tolist())
        content = text.getvalue().encode()
    elif ending in (".npy", ".npz"):
        buffer = io.BytesIO()
        np.save(buffer, x) if ending == ".npy" else np.savez(buffer, x=x)
        content = buffer.getvalue()
    elif ending == ".png" and out is not None:
        flat = pictures.scatter_picture if trained.d == 2 else pictures.marginals_picture
        draw = pictures.digit_grid if trained.data == "digits" else flat
        draw(out, {"samples": x})
        return
    else:
        raise ValueError(unknown("file ending", ending, [".npy", ".npz", ".csv", ".png"]))
    if out is None:
        sys.stdout.write(content.decode())
    else:
        write_aside(out, lambda file: file.write(content))


@app.command(epilog="[bold]evenflow evaluate runs/a --json[/bold]")
def evaluate(run: Run, data: OtherData = None, seed: Seed = 0, as_json: JSON = False) -> None:
    """Judge a trained model on held-out data: energy score, D-loss, Frechet distance, likelihood, speed."""
    with reporting(as_json):
        from evenflow.reference.evaluation import evaluate as judge
        trained = runs.load_run(run)
        with single_blas_thread():
            row = judge(trained, load(data or trained.data), seed)
        if as_json:
            console.print_json({"run": str(run), **row})
        else:
            console.print_rows([row], f"{run}: {trained.config.family}, {trained.config.objective}")
