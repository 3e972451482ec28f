"""The gradient of a loss in a tree of parameters: where every training step begins."""
from collections.abc import Callable
from typing import Any

from autograd.core import make_vjp, vspace

from evenflow.reference.core.dispatch import replaceable
from evenflow.reference.core.trees import Array, Tree


@replaceable
def value_and_gradient(loss: Any, params: Tree, *args: Any) -> tuple[Array, Tree]:
    """loss(params, *args), a number, and its gradient in params: a tree of the same shape, by autograd.

    >>> loss, gradient = value_and_gradient(lambda params, y: (params["w"] - y) ** 2, {"w": 3.0}, 1.0)
    >>> float(loss), float(gradient["w"])
    (4.0, 4.0)
    """
    vjp, value = traced("the loss", lambda params: loss(params, *args), params)
    if vspace(value).size != 1:
        raise TypeError(f"the loss must be one number, got shape {vspace(value).shape}")
    return value, vjp(vspace(value).ones())


def traced(name: str, f: Callable[[Any], Any], x: Any) -> tuple[Callable[[Any], Any], Any]:
    """The pullback of f at x, and f(x). Raises TypeError where f, called `name`, works on arrays but not in autograd's hands.

    Not `autograd.make_vjp`: while that copies names and docstrings, it takes a Ctrl-C for one that is missing and goes on.

    >>> vjp, value = traced("f", lambda x: x**2, 3.0)
    >>> float(value), float(vjp(1.0))
    (9.0, 6.0)
    """
    try:
        return make_vjp(f, x)  # type: ignore[no-any-return]
    except (AttributeError, TypeError, ValueError) as error:
        f(x)  # raises what is wrong with f itself
        raise TypeError(
            f"{name} must be written with autograd.numpy, or give its gradient (autograd.extend.primitive, defvjp): "
            f"it works on arrays, but autograd cannot differentiate it: {error}"
        ) from error
