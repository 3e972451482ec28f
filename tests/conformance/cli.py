"""The entry point of the command `evenflow`: the reference's commands, accel's switch, and what conformance adds to them."""
from typing import Any

from evenflow.accel.cli import extend as with_backends
from evenflow.reference import cli


def main() -> None:
    """The entry point. `evenflow --help` says the rest."""
    cli.EXTRAS.update(hypothesis="conform", jsonschema="conform")
    cli.main(extend)


def extend(app: Any) -> None:
    with_backends(app)
    from evenflow.conformance import commands  # needs typer, an extra: reference.cli says what to install where it is missing
    app.command()(commands.conform)
    app.add_typer(commands.vectors, name="vectors")
