"""The entry point of `evenflow`: the reference's commands, and what experiments, accel and conformance add to them."""
from typing import Any

from evenflow.accel.cli import extend as with_backends
from evenflow.reference.app import cli, errors


def main() -> None:
    """The entry point. `evenflow --help` says the rest."""
    errors.EXTRAS.update(hypothesis="conform", jsonschema="conform")
    cli.main(extend)


def extend(app: Any) -> None:
    from evenflow.experiments import commands as experiments  # needs typer, an extra: cli.main says what to install
    experiments.extend(app)
    with_backends(app)
    from evenflow.conformance import commands
    app.command()(commands.conform)
    app.add_typer(commands.vectors, name="vectors")
