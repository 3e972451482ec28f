"""Everything that a machine with a device is asked, in one command that stops in time.

    python -m tests.bench device --out DIR --budget 420

Time on a device is short, so the parts stand in the order of what would be missed most, each with its limit (plan.py). The
budget goes to the parts in this order; what does not fit is `stopped` or `not begun`, and a second start goes on from there.

It needs the tree, Python with NumPy and CuPy, and these wheels, which it looks for at its start:

    for all parts          autograd
    gpu-tests              pytest, pytest-xdist, hypothesis, mpmath, typer, rich, threadpoolctl
    conformance            typer, rich, threadpoolctl, jsonschema, hypothesis
    bench, profile, scale  torch and jax with CUDA: the peers; without them only evenflow is timed
    two-modes              typer, rich, threadpoolctl, matplotlib

typer needs pydantic, pydantic-core, shellingham, annotated-doc, annotated-types, typing-inspection and typing-extensions; rich
markdown-it-py, mdurl, pygments; jsonschema attrs, referencing, rpds-py, jsonschema-specifications; pytest pluggy, iniconfig,
packaging; pytest-xdist execnet; hypothesis sortedcontainers. A folder with them may be named in PYTHONPATH: all parts keep it.
compute-sanitizer comes with the CUDA toolkit.
"""
import os
import shutil
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from tests.bench.plan import Part, Say, perform, summary
from tests.bench.tree import ROOT, made_from
from tests.bench.wheels import COMMANDS, CONFORM, NEEDS, PICTURES, TESTS, importable, missing

PYTHON = sys.executable
WORKERS = min(9, max(1, (os.cpu_count() or 2) - 1))
EVENFLOW = (PYTHON, "-c", "from evenflow.conformance.cli import main; main()")
PLACES = ("/usr/local/cuda/bin", "/usr/local/cuda/compute-sanitizer", "/opt/cuda/bin")
PEERS, COMPILED = "cupy,cupy-eager,torch-cuda,jax-cuda", "cupy,torch-cuda-compile,torch-cuda-tf32"


def bench(name: str, *more: str) -> tuple[str, ...]:
    return (PYTHON, "-m", "tests.bench", "run", "--suite", "gpu", "--rounds", "9", "--resume",
            "--out", f"{{out}}/{name}.json", *more)


def sanitized(tool: str) -> tuple[str, ...]:
    found = sanitizer() or "compute-sanitizer"
    return (found, "--tool", tool, "--error-exitcode", "9", PYTHON, "-m", "tests.bench.small_runs", "--backend", "cupy")


def sanitizer() -> str | None:
    return shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path=os.pathsep.join(PLACES))


def parts() -> list[Part]:
    """Most important first."""
    no_tool = None if sanitizer() else "needs compute-sanitizer, of the CUDA toolkit"
    no_traces = None if find_spec("torch") else "needs torch, whose profiler it asks"
    adapter = "evenflow.conformance.adapters.evenflow:cupy"
    tests = (PYTHON, "-m", "pytest", "-m", "gpu", "-n", str(WORKERS), "-q", "-p", "no:cacheprovider", "-p", "no:benchmark",
             "tests/agreement", "--junitxml={out}/gpu-tests.xml")
    return [
        Part("gpu-tests", tests, 90, lacks(TESTS)),
        Part("memcheck", sanitized("memcheck"), 75, no_tool or lacks(("autograd",))),
        Part("racecheck", sanitized("racecheck"), 75, no_tool or lacks(("autograd",))),
        Part("conformance", (*EVENFLOW, "conform", adapter, "--level", "vectors", "--json", "{out}/vectors.json"), 120,
             lacks(CONFORM)),
        Part("bench", bench("bench-gpu", "--peers", PEERS), 180, lacks(("autograd",))),
        Part("profile", (PYTHON, "-m", "tests.bench.profiled", "--out", "{out}/profiles.json"), 60,
             no_traces or lacks(("autograd",))),
        Part("two-modes", (*EVENFLOW, "reproduce", "two-modes", "--preset", "paper", "--jobs", "3", "--backend", "cupy",
                           "--resume", "--out", "{out}/two-modes-paper"), 120, lacks(PICTURES)),
        Part("scale", (PYTHON, "-m", "tests.bench", "scale", "--backend", "cupy", "--out", "{out}/scale-gpu.json"), 60,
             lacks(("autograd",))),
        Part("bench-compiled", bench("bench-gpu-compiled", "--peers", COMPILED, "--only", "flow step"), 240,
             lacks(("autograd",))),
    ]


def lacks(wheels: tuple[str, ...]) -> str | None:
    gone = missing(wheels)
    return f"needs {', '.join(gone)}" if gone else None


def no_device() -> str | None:
    """Why there is nothing to measure, in one line. Asks CuPy alone: autograd may be missing."""
    try:
        count = import_module("cupy").cuda.runtime.getDeviceCount()
    except ImportError:
        return "needs CuPy and a CUDA device: CuPy is not installed"
    except Exception as error:  # whatever the driver says
        return f"needs a CUDA device and its driver: {str(error).strip().splitlines()[0]}"
    return None if count else "needs a CUDA device, and the driver finds none"


def environment(out: Path) -> dict[str, str]:
    """What the parts run in. PYTHONPATH keeps what it held: wheels that came with the tree."""
    own = [str(ROOT)]
    if find_spec("evenflow") is None:
        own.append(str(importable(out / "packages")))
    path = os.pathsep.join([*own, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def main(out: Path, budget: float, say: Say) -> int:
    """0 where every part is done, 1 where there is no device, 2 where something failed or is left over."""
    why = no_device()
    if why is not None:
        say(f"bench: {why}")
        return 1
    gone = missing((*dict.fromkeys((*COMMANDS, *NEEDS)), "torch", "jax"))
    say(f"missing wheels: {', '.join(gone)}" if gone else "no wheel is missing")
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    rows = perform(parts(), out, budget, made_from(), environment(out), say)
    say("")
    say(summary(rows))
    return 0 if all(row["state"] == "done" for row in rows) else 2
