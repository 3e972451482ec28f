"""How many instructions one call of a case takes, counted by callgrind: the same to a fraction of a percent on a busy machine.

    valgrind --tool=callgrind --instr-atstart=no ... python -m tests.bench.instructions SHIM     (guard.py does it)

Only what lies between `begin` and `end` of the shim is counted: a warm call of each case on the backend `numpy`. BLAS is told
to use the kernels of one kind of CPU, hashes are not salted, the collector of garbage is off.
"""
import ctypes
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.cases import Case, energy, flow, papers, saef, sliced
from tests.bench.processes import ONE_THREAD
from tests.bench.tree import ROOT

CASES = (flow(256), saef(4, 64), papers(500, 3), energy(512, 2), sliced(512, 8, 20))
SHIM = """
#include <valgrind/callgrind.h>
void begin(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void end(const char *name) { CALLGRIND_DUMP_STATS_AT(name); CALLGRIND_STOP_INSTRUMENTATION; }
"""
FIXED = {**ONE_THREAD, "OPENBLAS_CORETYPE": "Haswell", "PYTHONHASHSEED": "0"}
TRIGGER, TOTAL = "desc: Trigger: Client Request: ", "totals: "
MODULE = ("-m", "tests.bench.instructions")


class Uncounted(RuntimeError):
    """No count can be had here: the message says why."""


def counted(program: tuple[str, ...] = MODULE) -> dict[str, int]:
    """Case -> instructions, from a process under callgrind. Raises Uncounted."""
    for tool in ("valgrind", "cc"):
        if shutil.which(tool) is None:
            raise Uncounted(f"needs {tool}")
    with tempfile.TemporaryDirectory() as folder:
        shim, out = Path(folder, "shim.so"), Path(folder, "out")
        built = subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(shim)], input=SHIM, text=True,
                               capture_output=True)
        if built.returncode:
            raise Uncounted("needs valgrind's header callgrind.h")
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", sys.executable]
        run = subprocess.run([*command, *program, str(shim)], cwd=ROOT, text=True, capture_output=True,
                             env={**os.environ, **FIXED, "PYTHONPATH": path})
        if run.returncode:
            raise Uncounted(f"callgrind ended with status {run.returncode}: {run.stderr.strip().splitlines()[-1]}")
        return dict(totals(Path(folder)))


def totals(folder: Path) -> Iterator[tuple[str, int]]:
    for file in folder.glob("out.*"):
        found: dict[str, str] = {}
        for line in file.read_text().splitlines():
            for start in (TRIGGER, TOTAL):
                if line.startswith(start):
                    found[start] = line.removeprefix(start)
        yield json.loads(found[TRIGGER]), int(found[TOTAL])


def main(shim: str, cases: tuple[Case, ...] = CASES) -> None:
    from evenflow import accel
    from tests.bench.inputs import make
    from tests.bench.peers.evenflow import prepare

    marks = ctypes.CDLL(shim)
    with accel.use("numpy"):
        for case in cases:
            work = prepare(case.kind, case.sizes, make(case.kind, case.sizes))
            for _ in range(2):
                work.call()
            gc.collect()
            gc.disable()
            marks.begin()
            work.call()
            marks.end(json.dumps(case.name).encode())
            gc.enable()


if __name__ == "__main__":
    main(sys.argv[1])
