"""The entry point of `evenflow`. commands.py holds the commands, console.py what they print, errors.py what went wrong."""
from collections.abc import Callable
from typing import Any

from evenflow.reference.app.errors import leave, missing


def main(extend: Callable[[Any], object] = lambda app: None) -> None:
    """Run a command. extend: adds to the commands what evenflow.reference does not know of."""
    try:
        from evenflow.reference.app.commands import app
        extend(app)
    except ModuleNotFoundError as error:
        leave(missing(error), 2)
    except KeyboardInterrupt:
        leave("interrupted", 130)
    app()
