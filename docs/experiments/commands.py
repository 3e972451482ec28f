"""The commands `evenflow demo` and `evenflow reproduce`."""
import inspect
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from evenflow import accel
from evenflow.experiments import EXPERIMENTS, pool
from evenflow.experiments.results import add_rows
from evenflow.reference.app import console, pictures
from evenflow.reference.app import options as o
from evenflow.reference.app.errors import EXTRAS, reporting
from evenflow.reference.core import lookup
from evenflow.reference.work.lock import alone
from evenflow.reference.work.threads import single_blas_thread


def extend(app: Any) -> None:
    """Add them to the commands of the reference."""
    EXTRAS.update(skimage="images", pandas="uci", h5py="uci")
    app.command(epilog="[bold]evenflow demo --out demo[/bold]")(demo)
    app.command(epilog="[bold]evenflow reproduce two-modes --preset best --seeds 5[/bold]")(reproduce)


def demo(
    out: Annotated[Path, typer.Option(help="The folder for results.json and the pictures.")] = Path("demo"),
    seed: o.Seed = 0, as_json: o.JSON = False,
) -> None:
    """Train SAEF on 8x8 digits with 1, 4 and 16 blocks, then flowMC-EBM and PCD on two modes; compare, and draw.

    Takes minutes on two cores.
    """
    with reporting(as_json):
        from evenflow.experiments import digits, two_modes
        pictures.new_figure(1, 1)  # what is missing is said before the training, not after
        out.mkdir(parents=True, exist_ok=True)
        with console.bars() as bars:
            with single_blas_thread():
                rows = digits.run(out, bars, seed=seed)
            modes = two_modes.run(out / "two-modes", "demo", [seed], bars)
        add_rows(out / "results.json", modes)
        if as_json:
            console.print_json(rows + modes)
        else:
            console.print_rows(rows)
            console.print_rows(two_modes.summary(modes))
            print(f"Written to {out}: results.json, samples.png, loss.png, posterior.png, and two-modes with four more")


def reproduce(
    context: typer.Context,
    experiment: Annotated[str | None, typer.Argument(help=f"One of {', '.join(EXPERIMENTS)}.", show_default=False)] = None,
    list_all: Annotated[bool, typer.Option("--list", help="Say which there are, and leave.")] = False,
    preset: Annotated[str, typer.Option(help="quick, best, or paper: as printed.")] = "quick",
    seeds: Annotated[int, typer.Option(help="How many: 0, 1, ...", min=1)] = 1,
    jobs: Annotated[int | None, typer.Option(
        help="Trainings at a time, one core each.", min=1, show_default="as many as cores")] = None,
    out: Annotated[Path | None, typer.Option(
        help="A new folder for results.json, pictures, runs.", show_default="EXPERIMENT-PRESET")] = None,
    resume: Annotated[bool, typer.Option(
        "--resume", help="Go on with the trainings that the folder holds, bit for bit.")] = False,
    data: Annotated[Path | None, typer.Option(
        help="A folder with data of yours, for an experiment that takes one: tabular, image-ebm.", show_default=False)] = None,
    as_json: o.JSON = False,
) -> None:
    """Repeat an experiment of the papers: train, measure, draw.

    Where neither --backend nor EVENFLOW_BACKEND names one, on the fastest backend of the host: compiled, else numpy.
    """
    if list_all:
        for name, module in EXPERIMENTS.items():
            print(f"{name:<22} {first_line(module)}")
        return
    out = out or Path(f"{experiment}-{preset}")
    backend = context.params.get("backend") or fastest()
    again = f"evenflow reproduce {experiment} --preset {preset} --seeds {seeds} --out {out} --backend {backend} --resume"
    again += f" --data {data}" if data else ""
    with reporting(as_json, f"interrupted; go on with: {again}"), accel.use(backend):
        if experiment is None:
            raise ValueError("which experiment? evenflow reproduce --list says which there are")
        script: Any = import_module(lookup("experiment", experiment, EXPERIMENTS))
        lookup("preset", preset, script.PRESETS)
        given = {} if data is None else {"data": data}
        if given and "data" not in inspect.signature(script.run).parameters:
            raise ValueError(f"--data means nothing for {experiment}, only for tabular and image-ebm")
        if out.exists() and any(out.iterdir()) and not resume:
            raise FileExistsError(f"{out} is not empty: go on with --resume, or choose another folder")
        pictures.new_figure(1, 1)
        with alone(out), console.bars() as bars, pool.at_most(jobs):
            rows = script.run(out, preset, range(seeds), bars, resume, **given)
        if as_json:
            console.print_json(rows)
        else:
            console.print_rows(script.summary(rows))
            print(f"Written to {out}: results.json and {', '.join(script.PICTURES)}")


def fastest() -> str:
    """Of the backends on the host: these models are too small to be sent to a device unasked."""
    return [row.backend for row in accel.available() if row.available and row.backend != "cupy"][-1]


def first_line(module: str) -> str:
    return (import_module(module).__doc__ or "").partition("\n")[0]
