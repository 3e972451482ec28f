r"""A flow trained on the data by maximum likelihood, before an energy joins it: where NT-EBM and CoopFlow begin.

$$\alpha \leftarrow \alpha + \gamma\, \nabla \tfrac1n \sum_i \log\lambda(x_i), \qquad x_i \text{ a random batch of the data.}$$
"""
import numpy as np

from evenflow.reference.core.checks import check_count, check_finite, check_shape
from evenflow.reference.core.optim import linear_decay
from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.flows.flow import Flow
from evenflow.reference.saef.objectives import Likelihood
from evenflow.reference.work.training import Settings, train


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
