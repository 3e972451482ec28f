"""Scores of libraries: python -m tests.bench.peers.score_libraries --library geomloss

scoringrules has the energy score of an ensemble for each observation, without gradients (its numba kernels); geomloss half the
energy distance of two samples, with the gradient (PyTorch, all distances at once).
"""
import argparse
import importlib
from importlib.metadata import version
from typing import Any

from tests.bench.peers.protocol import Peer, Work, flat, lacking, no_memory, serve


def about(library: str) -> dict[str, str]:
    importlib.import_module(library)
    if library == "geomloss":
        importlib.import_module("torch").set_num_threads(1)
    return {"versions": f"{library} {version(library)}"}


def ensembles(inputs: Any) -> Work:
    score = importlib.import_module("scoringrules").es_ensemble
    draws = inputs["draws"].transpose(1, 0, 2).copy()  # observations first, as there
    return Work(lambda: score(inputs["y"], draws, estimator="fair"), lambda done: {"score": flat([done])})


def distance(inputs: Any) -> Work:
    torch, geomloss = importlib.import_module("torch"), importlib.import_module("geomloss")
    loss = geomloss.SamplesLoss("energy", backend="tensorized")
    x, y = torch.as_tensor(inputs["draws"]).requires_grad_(), torch.as_tensor(inputs["y"])

    def call() -> Any:
        value = 2 * loss(x, y)
        return value.detach(), torch.autograd.grad(value, x)[0]

    return Work(call, lambda done: {"value": done[0].numpy(), "gradient": flat([done[1].numpy()])})


def prepare(library: str, kind: str, sizes: dict[str, Any], inputs: Any) -> Work:
    if (library, kind) == ("scoringrules", "ensembles"):
        return ensembles(inputs)
    if (library, kind) == ("geomloss", "distance"):
        return distance(inputs)
    raise lacking(kind)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", choices=["scoringrules", "geomloss"], required=True)
    chosen = parser.parse_args().library
    serve(Peer(lambda: about(chosen), lambda *case: prepare(chosen, *case), no_memory))
