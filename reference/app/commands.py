"""The commands of `evenflow`: train, sample; evaluate, score (judging.py). Those of other packages join them (cli.py)."""
import shlex
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from evenflow.reference.app import console, judging, pictures
from evenflow.reference.app import options as o
from evenflow.reference.app.errors import leave, message, reporting
from evenflow.reference.app.forecast_pictures import forecast_picture
from evenflow.reference.app.samples import WRITERS, draw_sets, drawn, drawn_for, whole_number, write_samples
from evenflow.reference.work import runs
from evenflow.reference.work.data import Dataset, load
from evenflow.reference.work.folders import CHECKPOINT, CONFIG, LOG, describe_run, read_log
from evenflow.reference.work.matching import given_data
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import Trained
from evenflow.reference.work.tables import Reading
from evenflow.reference.work.threads import single_blas_thread

app = typer.Typer(
    name="evenflow", no_args_is_help=True, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False,
    help="Flows trained with the energy score, energy-based models trained with the help of flows, and their relatives.",
    epilog="A first look: [bold]evenflow demo[/bold]. Your data: [bold]evenflow train saef --data mine.csv --out runs/a[/bold]",
)
SHOWN, IMAGES = 2000, 60  # samples in a picture
EXAMPLES = """Examples:

[bold]evenflow train saef --data digits --blocks 16 --objective energy --beta 1 --draws 4 --steps 3000 --seed 0
--out runs/a[/bold]

[bold]evenflow train maf --data two-moons --steps 2000[/bold]

[bold]evenflow train saef --data mine.csv --blocks 2,3,5 --block-map spline --out runs/mine[/bold]

[bold]evenflow train saef --data mine.csv --target y --given a,b --out runs/y[/bold]

[bold]evenflow train ebm --algorithm flowmc --data two-modes --out runs/e[/bold]

[bold]evenflow train saef --out runs/a --resume[/bold]

[bold]evenflow train saef --out runs/a --extend --steps 4000[/bold]"""


@app.callback(invoke_without_command=True)
def top(show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if show:
        print(version("evenflow"))
        raise typer.Exit()


@app.command(epilog=EXAMPLES)
@o.with_choices
def train(
    context: typer.Context, family: o.Family, data: o.Data = None, out: o.Out = None, resume: o.Resume = False,
    extend: o.Extend = False, as_json: o.JSON = False, **chosen: Any,
) -> None:
    """Train a model and keep the run in a folder."""
    with reporting(as_json):
        config, source, reading = o.choose(family, chosen, data, out, resume, extend)
        out = out or o.usual_folder(config, source)
        try:
            summary, drew = train_and_draw(config, source, reading, out, resume, extend)
        except KeyboardInterrupt:
            leave(interrupted(family, out, context.params.get("backend")), 130, as_json)
        if as_json:
            console.print_json(summary)
        else:
            print(f"Written to {out}: {', '.join([CONFIG, CHECKPOINT, LOG, *drew])}")


def interrupted(family: str, out: Path, backend: str | None) -> str:
    """What to say, with the command that goes on.  backend: who computes, where it was said: another would round otherwise."""
    if not (out / CONFIG).exists():
        return "interrupted before the run began"
    again = ["evenflow", "train", family, "--out", str(out), "--resume", *(["--backend", backend] if backend else [])]
    return f"interrupted; go on with: {shlex.join(again)}"


def train_and_draw(
    config: Config, source: str, reading: Reading, out: Path, resume: bool, extend: bool
) -> tuple[dict[str, Any], list[str]]:
    """What --json prints, and the names of the pictures that could be drawn: none of them decides what becomes of a run."""
    pictures.new_figure(1, 1)
    dataset, ebm = load(source, **reading.as_json()), config.family == "ebm"
    runs.assemble(describe_run(config, dataset))  # or it is refused
    console.say(*dataset.notes)
    name = f"ebm, {config.algorithm}" if ebm else config.family
    with single_blas_thread():
        with console.bars() as bars:
            trained = runs.train_on(config, dataset, out, resume, lambda progress: bars(name, progress), extend)
        lines = read_log(out / LOG)
        kept = console.kept_step(lines, trained.best, trained.model.judged_by(trained.units))
        conditional = dataset.given is not None
        draw: dict[str, Callable[[Path], None]] = {
            "loss.png": lambda path: pictures.loss_picture(path, *curves_of(config, name, lines)),
            "forecast.png" if conditional else "samples.png": partial(
                forecast_picture if conditional else draw_samples, trained=trained, dataset=dataset),
        }
        drew = [picture for picture in draw if can_be_drawn(draw[picture], out / picture)]
    last = {name: lines[-1][name] if lines else None for name in ("step", "loss", "held_out", "seconds")}
    return {"out": str(out), **last, "kept_step": kept}, drew


def can_be_drawn(draw: Callable[[Path], None], path: Path) -> bool:
    try:
        draw(path)
    except Exception as error:
        console.say(f"warning: the run is finished, but {path} could not be drawn: {message(error)}")
        return False
    return True


def curves_of(config: Config, name: str, lines: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """What loss_picture takes. Of energies the contrast, and beside it the likelihood of held-out data where it is known."""
    if config.family != "ebm":
        return {name: lines}, {name: config.objective}
    curves = {"contrast": [{**line, "held_out": None} for line in lines]}
    judged = [line for line in lines if "loss" in (line["held_out"] or {})]
    if judged:
        curves["held out"] = [{**line, "loss": float("nan")} for line in judged]
    return curves, {"contrast": "mean E(data) - mean E(samples)", "held out": "nats: - log p of held-out data"}


def draw_samples(path: Path, trained: Trained, dataset: Dataset) -> None:
    """As `samples.draw_sets`, the data beside; images of a class-conditional model class by class."""
    rng, n = np.random.default_rng(trained.config.seed), SHOWN if trained.shape is None else IMAGES
    labels = np.arange(n) % len(trained.class_shares) if trained.shape and trained.class_shares else None
    draw_sets(path, trained, {"data": dataset.train[:n], "samples": trained.sample(n, rng, labels)})


@app.command(epilog="[bold]evenflow sample runs/a --n 1000 --out samples.csv[/bold]; a picture: [bold]--out digits.png[/bold]")
def sample(
    run: o.Run, n: o.Count = "100", out: o.SampleOut = None, label: o.Label = None, given: o.OfGiven = None, sep: o.Sep = None,
    header: o.Header = None, seed: o.Seed = 0,
) -> None:
    """Draw samples from a trained model, in the units of its data."""
    with reporting():
        judging.check_new(out, *WRITERS)
        trained, count, rng = runs.load_run(run), whole_number(n), np.random.default_rng(seed)
        if given is None:
            if trained.given is not None and not trained.class_shares:
                models, wanted = ", ".join(trained.columns or ()), ", ".join(trained.given.columns)
                raise ValueError(f"{run} models {models} given {wanted}: --given FILE with these columns")
            parts, rows = drawn(trained, count, rng, label_of(trained, label)), None
        else:
            if label is not None:
                raise ValueError("--label means nothing beside --given, whose rows have their own")
            dataset = given_data(trained, given, sep, header)
            table = trained.given.table(dataset.held_out_given, dataset.held_out_labels)  # type: ignore[union-attr]
            parts, rows = drawn_for(trained, table, count, rng), len(table)
        with single_blas_thread():
            write_samples(trained, parts, count, out, rows)


def label_of(trained: Trained, label: str | None) -> int | None:
    """The number of the class that is called so."""
    seen = {str(trained.classes[k]): k for k, share in enumerate(trained.class_shares) if share}
    if label is not None and not seen:
        raise ValueError("--label means nothing for a model that is not class-conditional")
    if label is not None and label not in seen:
        raise ValueError(f"--label must be one of those in the data, {', '.join(seen)}, got {label}")
    return None if label is None else seen[label]


app.command(
    epilog="[bold]evenflow predict runs/y --data new.csv --quantiles .05,.5,.95 --out p.csv[/bold]")(judging.predict)
app.command(epilog="[bold]evenflow evaluate runs/a --json[/bold]")(judging.evaluate)
app.command(epilog="[bold]evenflow score runs/a --data new.csv --out scores.csv[/bold]")(judging.score)
