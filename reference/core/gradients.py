"""The gradient of a loss in a tree of parameters: where every training step begins."""
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
    return value_and_grad(loss)(params, *args)  # type: ignore[no-any-return]
