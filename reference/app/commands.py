"""The commands of `evenflow`: train, sample; evaluate, score (judging.py). Those of evenflow.experiments join them (cli.py)."""
import csv
import io
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from evenflow.reference.app import console, judging, pictures
from evenflow.reference.app import options as o
from evenflow.reference.app.errors import reporting
from evenflow.reference.core import Array, unknown
from evenflow.reference.work import runs
from evenflow.reference.work.data import load
from evenflow.reference.work.files import write_aside
from evenflow.reference.work.folders import LOG, describe_run, read_log
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import Trained
from evenflow.reference.work.tables import Reading
from evenflow.reference.work.threads import single_blas_thread

app = typer.Typer(
    name="evenflow", no_args_is_help=True, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False,
    help="Flows trained with the energy score, energy-based models trained with the help of flows, and their relatives.",
    epilog="A first look: [bold]evenflow demo[/bold]. Your data: [bold]evenflow train saef --data mine.csv --out runs/a[/bold]",
)
SHOWN = 2000  # samples in a picture
EXAMPLES = """Examples:

[bold]evenflow train saef --data digits --blocks 16 --objective energy --beta 1 --draws 4 --steps 3000 --seed 0
--out runs/a[/bold]

[bold]evenflow train maf --data two-moons --steps 2000[/bold]

[bold]evenflow train saef --data mine.csv --blocks 2,3,5 --block-map spline --out runs/mine[/bold]

[bold]evenflow train ebm --algorithm flowmc --data two-modes --out runs/e[/bold]

[bold]evenflow train saef --out runs/a --resume[/bold]"""


@app.callback(invoke_without_command=True)
def top(show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if show:
        print(version("evenflow"))
        raise typer.Exit()


@app.command(epilog=EXAMPLES)
@o.with_choices
def train(
    family: o.Family, data: o.Data = None, out: o.Out = None, resume: o.Resume = False, as_json: o.JSON = False,
    columns: o.Columns = None, drop: o.Drop = None, label_column: o.LabelColumn = None, sep: o.Sep = None,
    header: o.Header = None, **given: Any,
) -> None:
    """Train a model and keep the run in a folder."""
    with reporting(as_json):
        config, source = o.choose(family, {k: v for k, v in given.items() if v is not None}, data, out, resume)
        how = {"columns": columns, "drop": drop, "label_column": label_column, "sep": sep, "header": header}
        reading = o.choose_reading(how, out, resume)
        out = out or o.usual_folder(config, source)
        with reporting(as_json, f"interrupted; go on with: evenflow train {family} --out {out} --resume"):
            summary = train_and_draw(config, source, reading, out, resume)
        if as_json:
            console.print_json(summary)
        else:
            print(f"Written to {out}: config.json, checkpoint.npz, log.jsonl, loss.png, samples.png")


def train_and_draw(config: Config, source: str, reading: Reading, out: Path, resume: bool) -> dict[str, Any]:
    pictures.new_figure(1, 1)
    dataset, ebm = load(source, **reading.as_json()), config.family == "ebm"
    runs.assemble(describe_run(config.as_json(), dataset, getattr(config, "class_conditional", False)))  # or it is refused
    for line in dataset.notes:
        console.say(line)
    name = f"ebm, {config.algorithm}" if ebm else config.family
    with single_blas_thread():
        with console.bars() as bars:
            trained = runs.train_on(config, dataset, out, resume, lambda progress: bars(name, progress))
        lines = read_log(out / LOG)
        kept = console.kept_step(lines, trained.best)
        curves = energy_curves(lines) if ebm else ({name: lines}, {name: config.objective})
        pictures.loss_picture(out / "loss.png", *curves)
        draw_samples(trained, dataset.train, out / "samples.png")
    last = {name: lines[-1][name] if lines else None for name in ("step", "loss", "held_out", "seconds")}
    return {"out": str(out), **last, "kept_step": kept}


def energy_curves(lines: list[dict[str, Any]]) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
    """What loss_picture takes: the contrast, and beside it the likelihood of held-out data where the run could tell it."""
    curves = {"contrast": [{**line, "held_out": None} for line in lines]}
    judged = [line for line in lines if "loss" in (line["held_out"] or {})]
    if judged:
        curves["held out"] = [{**line, "loss": float("nan")} for line in judged]
    return curves, {"contrast": "mean E(data) - mean E(samples)", "held out": "nats: - log p of held-out data"}


def draw_samples(trained: Trained, data: Array, path: Path) -> None:
    """Digits as images, planes as points, all else as histograms of the columns; the data beside."""
    rng = np.random.default_rng(trained.config.seed)
    if trained.data == "digits":
        labels = np.tile(np.arange(10), 6) if trained.class_shares else None
        pictures.digit_grid(path, {"data": data[:60], "samples": trained.sample(60, rng, labels)})
        return
    sets = {"data": data[:SHOWN], "samples": trained.sample(SHOWN, rng)}
    if trained.d == 2:
        pictures.scatter_picture(path, sets)
    else:
        pictures.marginals_picture(path, sets, trained.columns)


@app.command(epilog="[bold]evenflow sample runs/a --n 1000 --out samples.csv[/bold]; a picture: [bold]--out digits.png[/bold]")
def sample(run: o.Run, n: o.Count = 100, out: o.SampleOut = None, label: o.Label = None, seed: o.Seed = 0) -> None:
    """Draw samples from a trained model, in the units of its data."""
    with reporting():
        if out is not None and out.exists():
            raise FileExistsError(f"{out} exists already: choose another name, or remove it")
        trained, rng = runs.load_run(run), np.random.default_rng(seed)
        labels = labels_for(trained, label, n)
        with single_blas_thread():
            if trained.can("log_z"):
                x, walked = trained.sample_and_walk(n, rng)
                console.say(f"flowMC took {walked.acceptance_local:.0%} of the local, {walked.acceptance_global:.0%} of the "
                            "global moves")
            else:
                x = trained.sample(n, rng, labels)
        write_samples(trained, x, out)


def labels_for(trained: Trained, label: str | None, n: int) -> Array | None:
    seen = {str(trained.classes[k]): k for k, share in enumerate(trained.class_shares) if share}
    if label is not None and not seen:
        raise ValueError("--label means nothing for a model that is not class-conditional")
    if label is not None and label not in seen:
        raise ValueError(f"--label must be one of those in the data, {', '.join(seen)}, got {label}")
    return None if label is None else np.full(n, seen[label])


def write_samples(trained: Trained, x: Array, out: Path | None) -> None:
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


app.command(epilog="[bold]evenflow evaluate runs/a --json[/bold]")(judging.evaluate)
app.command(epilog="[bold]evenflow score runs/a --data new.csv --out scores.csv[/bold]")(judging.score)
