r"""A flow trained on the data by maximum likelihood, before an energy joins it: where NT-EBM and CoopFlow begin.

$$\alpha \leftarrow \alpha + \gamma\, \nabla \tfrac1n \sum_i \log\lambda(x_i), \qquad x_i \text{ a random batch of the data.}$$
"""
import numpy as np

from evenflow.reference.checks import check_count, check_finite, check_shape
from evenflow.reference.flows import Flow
from evenflow.reference.objectives import Likelihood
from evenflow.reference.optim import linear_decay
from evenflow.reference.placement import placed
from evenflow.reference.training import Settings, train
from evenflow.reference.trees import Array, Tree


def pretrained(
    flow: Flow, data: Array, steps: int, rng: np.random.Generator, batch: int = 64, rate: float = 1e-3
) -> Tree:
    """The flow's parameters after `steps` steps of Adam, in the dtype of the data; the rate decays linearly to zero.

    data (n, d). Raises TrainingStopped where the likelihood or its gradient is not finite.
    """
    check_shape("data", data, "n", flow.d)
    check_finite("data", data)
    check_count("batch", batch)
    objective = Likelihood()

    def draw(rng: np.random.Generator) -> tuple[Array]:
        return (data[rng.integers(len(data), size=batch)],)

    def loss(params: Tree, x: Array) -> Array:
        return objective(params, flow, x, {})

    params, settings = placed(flow.init(rng), data.dtype), Settings(steps, schedule=linear_decay(rate, steps))
    own = np.random.default_rng(rng.integers(2**63))  # training leaves the generator it is given as it was
    return train(loss, draw, params, settings, own).params
