"""The peers: each a process of its own, kept alive from case to case; on the host with one thread and on one core."""
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]
PATIENCE = 600.0  # seconds for one answer; compilers are slow
ONE_THREAD = {
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


@dataclass(frozen=True)
class Peer:
    """How to start one: the arguments behind the interpreter, and which interpreter."""
    args: tuple[str, ...]
    python: str = sys.executable
    eps: float = 2.0**-23  # of the numbers that it multiplies
    own: bool = False      # its weights or its noise are its own: judged by itself in float64, or by what its chains are worth

    @property
    def on_host(self) -> bool:
        return not {"cuda", "cupy"} & set(self.args)


def keep_on_one_core(process: int) -> None:
    """Where the system can. XLA takes ONE_THREAD for a proposal: sampling and MALA went over all cores, and counted as one."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process, {max(os.sched_getaffinity(0))})


def module(name: str, *args: str) -> tuple[str, ...]:
    return ("-m", f"tests.bench.peers.{name}", *args)


TF32 = 2.0**-11
PEERS = {name: Peer(module("evenflow", "--backend", name)) for name in ("reference", "numpy", "compiled")} | {
    "cupy": Peer(module("evenflow", "--backend", "cupy", "--recorded")),
    "cupy-eager": Peer(module("evenflow", "--backend", "cupy")),
    "torch": Peer(module("torch_eager")), "torch-compile": Peer(module("torch_eager", "--compile")),
    "jax": Peer(module("jax_jit")),
    "torch-cuda": Peer(module("torch_eager", "--device", "cuda")),
    "torch-cuda-compile": Peer(module("torch_eager", "--device", "cuda", "--compile")),
    "torch-cuda-tf32": Peer(module("torch_eager", "--device", "cuda", "--tf32"), eps=TF32),
    "jax-cuda": Peer(module("jax_jit", "--platform", "cuda")),
    **{name: Peer(module("torch_flows", "--library", name), own=True) for name in ("zuko", "nflows", "normflows")},
    "flowjax": Peer(module("flowjax_flows"), own=True),
    **{name: Peer(module("jax_samplers", "--library", name), own=True) for name in ("blackjax", "flowMC")},
    **{name: Peer(module("score_libraries", "--library", name)) for name in ("scoringrules", "geomloss")},
}


def chosen(names: list[str], pythons: Mapping[str, str]) -> dict[str, Peer]:
    """The peers of these names, some in other virtual environments. Raises ValueError for an unknown name."""
    for name in (*names, *pythons):
        if name not in PEERS:
            raise ValueError(f"peers must be among {', '.join(PEERS)}, got {name!r}")
    return {name: replace(PEERS[name], python=pythons.get(name, sys.executable)) for name in names}


class Unavailable(RuntimeError):
    """A peer, or a case of it, that cannot be had: the message says why."""


class Process:
    """A peer that runs. Use in `with`: at the end it is asked to go, by closing its stdin."""

    def __init__(self, peer: Peer, alone: bool = True) -> None:
        """alone: with one thread on one core, as all that is timed. Raises Unavailable where no interpreter starts."""
        self.python = peer.python
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115, closed in __exit__
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, **(ONE_THREAD if alone else {}), "PYTHONPATH": path}
        try:
            self.child = subprocess.Popen(
                [peer.python, *peer.args], cwd=ROOT, env=environment, text=True, bufsize=1,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            )
        except OSError as error:
            self.errors.close()
            raise Unavailable(f"its interpreter does not start: {error.strerror}") from error
        if alone and peer.on_host:
            keep_on_one_core(self.child.pid)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply. Raises Unavailable, with the reason, where the peer gives none."""
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        try:
            self.child.stdin.write(json.dumps(request) + "\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            raise Unavailable(self.last_words()) from None
        if not select.select([self.child.stdout], [], [], PATIENCE)[0]:
            self.child.kill()
            raise Unavailable(f"no answer in {PATIENCE:.0f} s")
        line = self.child.stdout.readline()
        if not line:
            raise Unavailable(self.last_words())
        reply: dict[str, Any] = json.loads(line)
        if "unavailable" in reply:
            raise Unavailable(reply["unavailable"])
        return reply

    def last_words(self) -> str:
        """Why it ended: the last line it wrote to stderr."""
        code = self.child.wait()
        self.errors.seek(0)
        lines = self.errors.read().replace(self.python, "python").strip().splitlines()
        return lines[-1] if lines else f"ended with exit status {code}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        try:
            self.child.stdin.close()
            self.child.wait(timeout=20)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()
        self.errors.close()
