"""PyTorch, eager or compiled: the same weights and the same arithmetic, written the way PyTorch likes it.

    python -m tests.bench.peers.torch_eager [--compile] [--device cuda] [--tf32]
"""
import argparse
import importlib
from collections.abc import Callable
from typing import Any

from tests.bench.peers.masked import masks
from tests.bench.peers.protocol import RATE, Peer, Work, flat, lacking, leaves, no_memory, seconds_of, serve, stepped

Tensor = Any
torch: Any = None  # imported when the peer is asked about itself, so that its absence has a reply
models: Any = None
walks: Any = None
options = argparse.Namespace(compile=False, device="cpu", tf32=False)


def about() -> dict[str, str]:
    global torch, models, walks
    torch = importlib.import_module("torch")
    models, walks = (importlib.import_module(f"tests.bench.peers.torch_{name}") for name in ("models", "walks"))
    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.tf32
    torch.backends.cudnn.benchmark = True
    if options.device == "cpu":
        return {"versions": f"torch {torch.__version__}"}
    return {"versions": f"torch {torch.__version__}, {torch.cuda.get_device_name()}"}  # raises where there is no device


def tensors(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: tensors(branch) for name, branch in tree.items()}
    return [tensors(branch) for branch in tree] if isinstance(tree, list) else torch.as_tensor(tree, device=options.device)


def host(tree: Any) -> list[Any]:
    return [leaf.detach().cpu().numpy() for leaf in leaves(tree)]


def compiled(function: Callable[..., Any]) -> Any:
    return torch.compile(function) if options.compile else function


def synchronise() -> None:
    if options.device != "cpu":
        torch.cuda.synchronize()


def adam(params: list[Tensor], state: Any) -> Any:
    """PyTorch's own, under way."""
    optimiser = torch.optim.Adam([p.requires_grad_() for p in params], lr=RATE, fused=True)
    for p, m, v in zip(params, leaves(state["m"]), leaves(state["v"]), strict=True):
        step = torch.tensor(float(state["t"]), device=p.device)
        optimiser.state[p] = {"step": step, "exp_avg": m.clone(), "exp_avg_sq": v.clone()}
    return optimiser


def training(loss: Callable[[], Tensor], inputs: Any) -> Work:
    """Value, gradient and Adam's step, from step to step."""
    params = leaves(inputs["params"])
    optimiser = adam(params, inputs["optimiser"])
    before = [leaf.copy() for leaf in host(params)]

    def call() -> Tensor:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        optimiser.step()
        synchronise()
        return value.detach()

    def gradient() -> list[Any]:  # None: what the loss does not depend on
        return [torch.zeros_like(p) if p.grad is None else p.grad for p in params]

    return Work(call, lambda value: stepped(value.cpu().numpy(), host(gradient()), before, host(params)))


def flow(sizes: dict[str, Any], inputs: Any) -> Work:
    loss = compiled(lambda params, x: -models.log_prob(params, x, sizes.get("bins")).mean())
    return training(lambda: loss(inputs["params"], inputs["x"]), inputs)


def saef(sizes: dict[str, Any], inputs: Any) -> Work:
    loss, kept = compiled(models.saef_loss), tensors(masks(inputs["params"]["contexts"], sizes["blocks"]))
    return training(lambda: loss(*(inputs[name] for name in ("params", "x", "context", "z")), kept), inputs)


def sampling(sizes: dict[str, Any], inputs: Any) -> Work:
    push = compiled(lambda params, z: models.sample(params, z)[0])

    def call() -> Tensor:
        with torch.no_grad():
            x = push(inputs["params"], inputs["z"])
        synchronise()
        return x

    return Work(call, lambda x: {"x": flat(host(x))})


def scored(score: Callable[..., Tensor], draws: Tensor, *others: Tensor) -> Work:
    score, draws = compiled(score), draws.requires_grad_()

    def call() -> tuple[Tensor, Tensor]:
        value = score(draws, *others)
        gradient, = torch.autograd.grad(value, draws)
        synchronise()
        return value.detach(), gradient

    return Work(call, lambda done: {"value": done[0].cpu().numpy(), "gradient": flat(host(done[1]))})


def walked(log_p: Callable[[Tensor], Tensor], inputs: Any, eta: float) -> Work:
    evaluate = compiled(walks.evaluation(log_p))
    start = evaluate(inputs["x"])

    def call() -> Tensor:
        path = walks.walk(start, inputs["noises"], eta, evaluate)
        synchronise()
        return torch.stack([x for x, _, _ in path])

    return Work(call, lambda path: {"path": host(path)[0]})


def convolution(sizes: dict[str, Any], inputs: Any) -> Work:
    """In that order of the numbers in memory, channels last or first, in which it is faster here; ours are last."""
    def laid(order: Any) -> Work:
        x, g = (inputs[name].permute(0, 3, 1, 2).contiguous(memory_format=order) for name in "xg")
        W, b = inputs["W"].permute(3, 2, 0, 1).contiguous(memory_format=order), inputs["b"]
        given = [a.requires_grad_() for a in (W, b.clone(), x)]
        summed = compiled(lambda W, b, x: (torch.nn.functional.conv2d(x, W, b, padding="same") * g).sum())

        def call() -> Any:
            value = summed(*given)
            gradient = torch.autograd.grad(value, given)
            synchronise()
            return value.detach(), gradient

        def outputs(done: Any) -> dict[str, Any]:
            of_W, of_b, of_x = done[1]
            gradient = [of_W.permute(2, 3, 1, 0), of_b, of_x.permute(0, 2, 3, 1)]
            return {"value": done[0].cpu().numpy(), "gradient": flat(host(gradient))}

        return Work(call, outputs)

    works = [laid(order) for order in (torch.channels_last, torch.contiguous_format)]
    for work in works:
        work.call()
    return min(works, key=lambda work: min(seconds_of(work.call) for _ in range(3)))


def mala(sizes: dict[str, Any], inputs: Any) -> Work:
    return walked(lambda x: walks.tilted(inputs["params"], x, sizes["activation"]), inputs, sizes["step_size"])


def zones(sizes: dict[str, Any], inputs: Any) -> Work:
    return walked(walks.mixture(sizes["target"], inputs["x"]), inputs, sizes["step_size"])


def ebm(sizes: dict[str, Any], inputs: Any) -> Work:
    """From the same state each time: its weights are put back before a step."""
    state, noise = inputs["state"], inputs["noise"]
    eta, chosen = float(state["step_size"][0]), noise["chosen"]
    kept = {name: [leaf.clone() for leaf in leaves(state[name])] for name in ("energy", "flow")}
    losses = compiled(walks.contrast), compiled(lambda flow, x: -models.log_prob(flow, x).mean())

    def call() -> Tensor:
        with torch.no_grad():
            for name, before in kept.items():
                for leaf, weights in zip(leaves(state[name]), before, strict=True):
                    leaf.copy_(weights)
            x = walks.flowmc(state["energy"], state["flow"], state["chains"][chosen], noise["moves"], eta, compiled)
            chains = state["chains"].clone()
            chains[chosen] = x
        for name, loss, arguments in (("energy", losses[0], (inputs["positives"], x)), ("flow", losses[1], (x,))):
            optimiser = adam(leaves(state[name]), state[f"{name}_optimiser"])
            optimiser.zero_grad()
            loss(state[name], *arguments).backward()
            optimiser.step()
        synchronise()
        return chains

    def moved(chains: Tensor) -> dict[str, Any]:
        change = {name: flat(host(state[name])) - flat(host(kept[name])) for name in kept}
        return {**change, "path": host(chains)[0][None]}

    return Work(call, moved)


KINDS: dict[str, Callable[[dict[str, Any], Any], Work]] = {
    "flow": flow, "saef": saef, "sample": sampling, "mala": mala, "zones": zones, "ebm": ebm,
    "energy": lambda sizes, inputs: scored(models.energy_score, inputs["draws"], inputs["y"]),
    "convolution": convolution,
    "sliced": lambda sizes, inputs: scored(models.sliced_score, inputs["draws"], inputs["y"], inputs["directions"]),
}


def prepare(kind: str, sizes: dict[str, Any], inputs: Any) -> Work:
    if torch is None:
        about()
    if kind not in KINDS:
        raise lacking(kind)
    return KINDS[kind](sizes, tensors(inputs))


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
