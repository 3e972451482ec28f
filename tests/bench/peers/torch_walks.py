"""What torch_eager.py times of samplers: MALA with an energy or in a mixture, and a whole training step of flowMC-EBM."""
import math
from collections.abc import Callable
from typing import Any

import torch

from tests.bench.peers.torch_models import log_prob, perceptron, sample

Tensor = Any
State = tuple[Tensor, Tensor, Tensor]  # x (chains, d), log p (chains,), its gradient (chains, d)
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": lambda h: torch.tanh(h), "leaky_relu": lambda h: torch.nn.functional.leaky_relu(h, 0.05),
}


def tilted(params: Any, x: Tensor, activation: str) -> Tensor:
    """-E(x) + log N(x; 0, I), up to a constant that cancels in a walk."""
    return -perceptron(params, x, ACTIVATIONS[activation])[:, 0] - 0.5 * (x * x).sum(1)


def mixture(target: dict[str, Any], like: Tensor) -> Callable[[Tensor], Tensor]:
    """log p of a mixture of round Gaussians."""
    centres, weights, sds = (torch.tensor(target[name], dtype=like.dtype, device=like.device)
                             for name in ("centres", "weights", "sds"))
    constants = torch.log(weights) - centres.shape[1] * torch.log(sds * math.sqrt(2 * math.pi))
    return lambda x: torch.logsumexp(constants - ((x[:, None] - centres) ** 2).sum(2) / (2 * sds * sds), 1)


def evaluation(log_p: Callable[[Tensor], Tensor]) -> Callable[[Tensor], State]:
    def evaluate(x: Tensor) -> State:
        value, back = torch.func.vjp(log_p, x)
        return x, value, back(torch.ones_like(value))[0]

    return evaluate


def step(state: State, noise: Any, eta: float, evaluate: Callable[[Tensor], State]) -> State:
    """One step of MALA for all chains."""
    mean = state[0] + eta * state[2]
    new = evaluate(mean + math.sqrt(2 * eta) * noise["normal"])
    there, back = new[0] - mean, state[0] - new[0] - eta * new[2]
    log_ratio = new[1] - state[1] + ((there * there).sum(1) - (back * back).sum(1)) / (4 * eta)
    accepted = noise["uniform"] < torch.exp(log_ratio.clamp(max=0.0))
    a, b, c = (torch.where(accepted.reshape(-1, *(1,) * (n.ndim - 1)), n, o) for n, o in zip(new, state, strict=True))
    return a, b, c


def walk(state: State, noises: list[Any], eta: float, evaluate: Callable[[Tensor], State]) -> list[State]:
    return [state := step(state, noise, eta, evaluate) for noise in noises]


def isir(x: Tensor, noises: list[Any], log_p: Callable[[Tensor], Tensor], flow: Any) -> Tensor:
    """Slot 1 the current state, the others from the flow; the next state by the weights p / lambda."""
    chains, weight = len(x), log_p(x) - log_prob(flow, x)
    for noise in noises:
        fresh, log_lambda = sample(flow, noise["flow"])
        fresh_weight = log_p(fresh) - log_lambda
        log_w = torch.cat([weight[:, None], fresh_weight.reshape(chains, -1)], 1)
        reached = torch.cumsum(torch.exp(log_w - log_w.max(1, keepdim=True)[0]), 1)
        total = reached[:, -1:]
        chosen = ((noise["uniform"][:, None] * total >= reached) & (reached < total)).sum(1)
        picked = torch.arange(chains, device=x.device) * (log_w.shape[1] - 1) + (chosen - 1).clamp(min=0)
        x = torch.where((chosen > 0)[:, None], fresh[picked], x)
        weight = torch.where(chosen > 0, fresh_weight[picked], weight)
    return x


def flowmc(params: Any, flow: Any, x: Tensor, moves: list[Any], eta: float, compiled: Callable[..., Any]) -> Tensor:
    """Local and global moves in turn: 4 MALA, 2 i-SIR, 4 MALA."""
    log_p = lambda x: tilted(params, x, "leaky_relu") - 0.5 * x.shape[1] * math.log(2 * math.pi)
    evaluate = compiled(evaluation(log_p))
    for block in moves:
        x = isir(x, block, log_p, flow) if "flow" in block[0] else walk(evaluate(x), block, eta, evaluate)[-1][0]
    return x


def contrast(params: Any, positives: Tensor, negatives: Tensor) -> Tensor:
    both = perceptron(params, torch.cat([positives, negatives]), ACTIVATIONS["leaky_relu"])[:, 0]
    return both[: len(positives)].mean() - both[len(positives) :].mean()
