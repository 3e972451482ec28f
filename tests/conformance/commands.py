"""The commands `evenflow conform` and `evenflow vectors export`."""
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from evenflow.conformance import report, runner, xfails
from evenflow.conformance.compare import Row
from evenflow.conformance.export import exported
from evenflow.conformance.suites import FOLDER, Suite
from evenflow.conformance.worker import Worker
from evenflow.reference.app import errors
from evenflow.reference.core import lookup

vectors = typer.Typer(help="The test vectors.", no_args_is_help=True)


def conform(
    adapter: Annotated[str | None, typer.Argument(metavar="package.module:adapter", show_default=False)] = None,
    results: Annotated[Path | None, typer.Option(
        metavar="FILE", help="Check the answers in this file instead: for implementations in other languages.")] = None,
    operations: Annotated[list[str] | None, typer.Option(
        "--operation", metavar="NAME", help="Ask for this operation only; may be repeated.")] = None,
    levels: Annotated[list[str] | None, typer.Option(
        "--level", metavar="|".join(runner.LEVELS), help="Ask this alone; may be repeated.", show_default="all")] = None,
    folder: Annotated[Path, typer.Option(
        "--vectors", metavar="DIR", show_default="those of evenflow", help="Other vectors.")] = FOLDER,
    known: Annotated[Path | None, typer.Option(
        "--xfails", metavar="FILE", help="Known failures, `operation kind case  # why` a line: they do not fail the run."
    )] = None,
    document: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write every row there, too.")] = None,
    time_limit: Annotated[float, typer.Option(
        metavar="SECONDS", min=0.1, help="For one answer; ten times that for a property.")] = 60.0,
) -> None:
    """Check an implementation against the test vectors, properties and statistical checks of evenflow.

    The exit status is 0 where nothing failed, 1 where something did. docs/conforming.md shows how to write an adapter.
    """
    with errors.reporting():
        if (adapter is None) == (results is None):
            raise ValueError("name either an adapter, as in `evenflow conform package.module:adapter`, or --results FILE")
        for level in levels or ():
            lookup("level", level, dict.fromkeys(runner.LEVELS))
        listed = [k for k in (xfails.read(known) if known else []) if not operations or k.operation in operations]
        listed = [k for k in listed if runner.level_of(k.kind) in (levels or runner.LEVELS)]
        suites, rows = runner.suites(folder, operations or ())
        if results is not None:
            name, dtype, more = runner.recorded(results, suites)
        else:
            assert adapter is not None
            name, dtype, more = questioned(adapter, suites, time_limit, levels or runner.LEVELS)
        rows = xfails.applied([*rows, *more], listed)
        report.show(f"{name} ({dtype})", rows, {suite.operation: suite.notes for suite in suites})
        if document is not None:
            report.write(document, report.report(name, dtype, rows))
    raise typer.Exit(1 if report.failed(rows) else 0)


def questioned(adapter: str, suites: list[Suite], time_limit: float, levels: Collection[str]) -> tuple[str, str, list[Row]]:
    """Name, dtype and rows of an adapter, with a bar on standard error while it is asked."""
    from rich.console import Console
    from rich.progress import track
    with Worker(adapter, time_limit) as worker:
        asked = runner.asked(worker, suites, levels)
        bar = track(asked, worker.name, runner.questions(suites, levels), console=Console(stderr=True), transient=True)
        return worker.name, worker.dtype, [row for rows in bar for row in rows]


@vectors.callback()
def about() -> None:
    """The test vectors: what they are is in the README that `export` writes beside them."""


@vectors.command()
def export(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Must not exist yet, or be empty.")]) -> None:
    """Write the vectors, their schema and a README on how to use them from any language into a folder."""
    with errors.reporting():
        count = exported(folder)
    print(f"{count} operations in {folder}; its README.md says how to use them")
