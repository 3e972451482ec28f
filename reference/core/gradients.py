"""The gradient of a loss in a tree of parameters: where every training step begins."""
from collections.abc import Callable
from typing import Any

from autograd import value_and_grad

from evenflow.reference.core.dispatch import replaceable
from evenflow.reference.core.trees import Array, Tree


@replaceable
def value_and_gradient(loss: Any, params: Tree, *args: Any) -> tuple[Array, Tree]:
    """loss(params, *args), a number, and its gradient in params: a tree of the same shape, by autograd.

    >>> loss, gradient = value_and_gradient(lambda params, y: (params["w"] - y) ** 2, {"w": 3.0}, 1.0)
    >>> float(loss), float(gradient["w"])
    (4.0, 4.0)
    """
    return traced("the loss", value_and_grad, loss, params, *args)  # type: ignore[no-any-return]


def traced(name: str, operator: Callable[..., Any], f: Callable[..., Any], *args: Any) -> Any:
    """operator(f)(*args), one of autograd's. Raises TypeError where f, called `name`, works on arrays but not in its hands.

    >>> from autograd import grad
    >>> float(traced("f", grad, lambda x: x**2, 3.0))
    6.0
    """
    try:
        return operator(f)(*args)
    except (AttributeError, TypeError, ValueError) as error:
        f(*args)  # raises what is wrong with f itself
        raise TypeError(
            f"{name} must be written with autograd.numpy, or give its gradient (autograd.extend.primitive, defvjp): "
            f"it works on arrays, but autograd cannot differentiate it: {error}"
        ) from error
