"""The command `evenflow` with its switch: each command of evenflow.reference gets --backend; `evenflow backends` is added."""
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

from evenflow.accel.devices import Unavailable, available
from evenflow.accel.switch import BACKENDS, VARIABLE, use
from evenflow.reference.app import errors
from evenflow.reference.core import lookup


def extend(app: Any) -> None:
    """Give every command the option and add the command `backends`."""
    for command in app.registered_commands:
        command.callback = with_backend(command.callback)
    app.command()(backends)


def with_backend(command: Callable[..., None]) -> Callable[..., None]:
    """The same command under the backend of its choice."""
    import typer  # an extra: reference.app.errors says what to install where it is missing

    @functools.wraps(command)
    def run(*args: Any, backend: str | None = None, **kwargs: Any) -> None:
        try:
            chosen = use(backend if backend is None else lookup("backend", backend, dict.fromkeys(BACKENDS, backend)))
        except (Unavailable, ValueError) as error:
            errors.leave(f"error: {error}", 1, kwargs.get("as_json", False))
        with chosen:
            command(*args, **kwargs)

    shown = typer.Option(
        metavar="|".join(BACKENDS), envvar=VARIABLE, show_default="reference",
        help="What computes: the definitions, fused twins on NumPy, partly in C++, or on a CUDA device. See evenflow backends.",
    )
    kind = Annotated[str | None, shown]
    option = inspect.Parameter("backend", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
    signature = inspect.signature(command)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])  # type: ignore[attr-defined]
    run.__annotations__ = {**command.__annotations__, "backend": kind}
    return run


def backends() -> None:
    """Say which backends are there, with versions and device, and what is missing for the others."""
    for row in available():
        print(f"{row.backend:<10} {'yes' if row.available else 'no':<4} {row.details}")
