"""python -m tests.vectors [operation ...]: write the vectors anew, all or those of some operations.

They were made on NumPy 2.4; the inputs of another NumPy may differ, where its random streams do.
"""
import sys
import time

from evenflow.conformance.suites import FOLDER, write
from tests.vectors import ORACLES

for oracle in ORACLES:
    if not sys.argv[1:] or oracle.operation in sys.argv[1:]:
        started = time.perf_counter()
        path = write(oracle.suite(), FOLDER)
        print(f"{path.name:<40} {path.stat().st_size / 1024:7.1f} kB {time.perf_counter() - started:6.1f} s", flush=True)
