"""PyTorch, eager or compiled: the same weights and the same arithmetic, written the way PyTorch likes it.

    python -m tests.bench.peers.torch_eager [--compile] [--device cuda] [--tf32]
"""
import argparse
import importlib
import math
from collections.abc import Callable
from typing import Any

from tests.bench.peers.protocol import RATE, Peer, Work, flat, lacking, leaves, no_memory, serve, stepped

Tensor = Any
torch: Any = None  # imported when the peer is asked about itself, so that its absence has a reply
LIMIT = 3.0        # of an affine coupling's log scale
options = argparse.Namespace(compile=False, device="cpu", tf32=False)


def about() -> dict[str, str]:
    global torch
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = options.tf32
    if options.device == "cpu":
        return {"versions": f"torch {torch.__version__}"}
    return {"versions": f"torch {torch.__version__}, {torch.cuda.get_device_name()}"}  # raises where there is no device


def tensors(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: tensors(branch) for name, branch in tree.items()}
    return [tensors(branch) for branch in tree] if isinstance(tree, list) else torch.as_tensor(tree, device=options.device)


def host(tree: Any) -> list[Any]:
    return [leaf.detach().cpu().numpy() for leaf in leaves(tree)]


def compiled(function: Callable[..., Tensor]) -> Any:
    return torch.compile(function) if options.compile else function


def synchronise() -> None:
    if options.device != "cpu":
        torch.cuda.synchronize()


def perceptron(layers: list[dict[str, Tensor]], h: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    for layer in layers[:-1]:
        h = activation(torch.addmm(layer["b"], h, layer["W"]))
    last = layers[-1]  # that of an energy has no bias
    return torch.addmm(last["b"], h, last["W"]) if "b" in last else h @ last["W"]


def scale_and_shift(layers: Any, passing: Tensor) -> tuple[Tensor, Tensor]:
    """(n, outputs): raw log scale and shift of each coordinate side by side."""
    raw = perceptron(layers, passing, torch.relu)
    return LIMIT * torch.tanh(raw[:, 0::2] / LIMIT), raw[:, 1::2]


def halves(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The coordinates that pass layer k and the others: odd and even ones in turn."""
    odd, even = x[:, 1::2], x[:, 0::2]
    return (odd, even) if k % 2 == 0 else (even, odd)


def joined(passing: Tensor, others: Tensor, k: int) -> Tensor:
    pair = (others, passing) if k % 2 == 0 else (passing, others)
    return torch.stack(pair, dim=2).flatten(1)


def log_prob(params: Any, x: Tensor) -> Tensor:
    *couplings, last = params
    s, t = scale_and_shift(last, x[:, :0])
    x, log_det = (x - t) * torch.exp(-s), -s.sum(1)
    for k in reversed(range(len(couplings))):
        passing, others = halves(x, k)
        s, t = scale_and_shift(couplings[k], passing)
        x, log_det = joined(passing, (others - t) * torch.exp(-s), k), log_det - s.sum(1)
    return log_det - 0.5 * (x * x).sum(1) - 0.5 * x.shape[1] * math.log(2 * math.pi)


def sample(params: Any, z: Tensor) -> Tensor:
    *couplings, last = params
    for k, coupling in enumerate(couplings):
        passing, others = halves(z, k)
        s, t = scale_and_shift(coupling, passing)
        z = joined(passing, others * torch.exp(s) + t, k)
    s, t = scale_and_shift(last, z[:, :0])
    return z * torch.exp(s) + t


def flow_step(sizes: dict[str, Any], inputs: Any) -> Work:
    if sizes.get("bins"):
        raise lacking("splines")
    params = leaves(inputs["params"])
    loss = compiled(lambda x: -log_prob(inputs["params"], x).mean())
    adam = torch.optim.Adam([p.requires_grad_() for p in params], lr=RATE, fused=True)
    for p, m, v in zip(params, leaves(inputs["optimiser"]["m"]), leaves(inputs["optimiser"]["v"]), strict=True):
        adam.state[p] = {"step": torch.tensor(float(inputs["optimiser"]["t"]), device=p.device), "exp_avg": m, "exp_avg_sq": v}
    before = host(params)

    def call() -> Tensor:
        adam.zero_grad()
        value = loss(inputs["x"])
        value.backward()
        adam.step()
        synchronise()
        return value.detach()

    before = [leaf.copy() for leaf in before]
    return Work(call, lambda value: stepped(value.cpu().numpy(), host([p.grad for p in params]), before, host(params)))


def sampling(sizes: dict[str, Any], inputs: Any) -> Work:
    push = compiled(sample)

    def call() -> Tensor:
        with torch.no_grad():
            x = push(inputs["params"], inputs["z"])
        synchronise()
        return x

    return Work(call, lambda x: {"x": flat(host(x))})


def energy_score(draws: Tensor, y: Tensor) -> Tensor:
    m = len(draws)
    return torch.cdist(draws, y).mean() - torch.cdist(draws, draws).sum() / (2 * m * (m - 1))


def sliced_score(draws: Tensor, y: Tensor, directions: Tensor) -> Tensor:
    """Along each direction: sorted draws, their running sums, and where each y falls among them."""
    x, m = torch.sort(directions @ draws.T, dim=1)[0], len(draws)
    y, zero = (directions @ y.T).contiguous(), x.new_zeros((len(directions), 1))
    below = torch.cat([zero, torch.cumsum(x, 1)], 1)
    k = torch.searchsorted(x.detach(), y)
    cross = y * (2 * k - m) + below[:, -1:] - 2 * torch.gather(below, 1, k)
    within = (x * (2 * torch.arange(m, device=x.device) - (m - 1))).sum(1) / (m * (m - 1))
    return cross.mean() / m - within.mean()


def scored(score: Callable[..., Tensor], draws: Tensor, *others: Tensor) -> Work:
    score, draws = compiled(score), draws.requires_grad_()

    def call() -> tuple[Tensor, Tensor]:
        value = score(draws, *others)
        gradient, = torch.autograd.grad(value, draws)
        synchronise()
        return value.detach(), gradient

    return Work(call, lambda done: {"value": done[0].cpu().numpy(), "gradient": flat(host(done[1]))})


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": lambda h: torch.tanh(h), "leaky_relu": lambda h: torch.nn.functional.leaky_relu(h, 0.05),
}


def mala(sizes: dict[str, Any], inputs: Any) -> Work:
    """log p = -E(x) + log N(x; 0, I), up to a constant that cancels."""
    activation, eta = ACTIVATIONS[sizes["activation"]], sizes["step_size"]
    def log_p(x: Tensor) -> Tensor:
        return -perceptron(inputs["params"], x, activation)[:, 0] - 0.5 * (x * x).sum(1)

    @compiled
    def evaluate(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        value, back = torch.func.vjp(log_p, x)
        return x, value, back(torch.ones_like(value))[0]

    start = evaluate(inputs["x"])

    def call() -> Tensor:
        path, state = [], start
        for noise in inputs["noises"]:
            mean = state[0] + eta * state[2]
            new = evaluate(mean + math.sqrt(2 * eta) * noise["normal"])
            there, back = new[0] - mean, state[0] - new[0] - eta * new[2]
            log_ratio = new[1] - state[1] + ((there * there).sum(1) - (back * back).sum(1)) / (4 * eta)
            accepted = noise["uniform"] < torch.exp(log_ratio.clamp(max=0.0))
            state = (torch.where(accepted[:, None], new[0], state[0]), torch.where(accepted, new[1], state[1]),
                     torch.where(accepted[:, None], new[2], state[2]))
            path.append(state[0])
        synchronise()
        return torch.stack(path)

    return Work(call, lambda path: {"path": host(path)[0]})


def prepare(kind: str, sizes: dict[str, Any], inputs: Any) -> Work:
    if torch is None:
        about()
    inputs = tensors(inputs)
    if kind == "flow":
        return flow_step(sizes, inputs)
    if kind == "sample":
        return sampling(sizes, inputs)
    if kind == "energy":
        return scored(energy_score, inputs["draws"], inputs["y"])
    if kind == "sliced":
        return scored(sliced_score, inputs["draws"], inputs["y"], inputs["directions"])
    if kind == "mala":
        return mala(sizes, inputs)
    raise lacking(kind)


def memory(call: Callable[[], Any]) -> int | None:
    if options.device == "cpu":
        return no_memory(call)
    torch.cuda.reset_peak_memory_stats()
    call()
    return int(torch.cuda.max_memory_allocated())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--tf32", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.parse_args(namespace=options)
    serve(Peer(about, prepare, memory))
