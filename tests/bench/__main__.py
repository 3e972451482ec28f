"""Side-by-side timings of evenflow's backends and of other libraries.

    python -m tests.bench run --suite cpu --out cpu.json --python torch=/other/venv/bin/python
    python -m tests.bench report cpu.json > docs/performance.md

A peer that is not there is `unavailable`, with the reason, and the others are timed all the same.
"""
import argparse
import json
import sys
from pathlib import Path

from evenflow.accel.devices import Unavailable, cupy
from tests.bench.cases import SUITES
from tests.bench.processes import chosen
from tests.bench.report import page
from tests.bench.runner import run

DEFAULTS = {
    "cpu": "reference,numpy,torch", "tiny": "reference,numpy",
    "gpu": "cupy,torch-cuda,torch-cuda-compile,torch-cuda-tf32,jax-cuda",
}
LEAST_CALLS = {"cpu": 1, "tiny": 1, "gpu": 10}  # in each round: on a device at least 100 samples in all


def main(arguments: list[str] | None = None) -> int:
    args = parsed(arguments)
    if args.command == "report":
        print(page([json.loads(Path(file).read_text()) for file in args.files]), end="")
        return 0
    try:
        if args.suite == "gpu":
            cupy()
        peers = chosen((args.peers or DEFAULTS[args.suite]).split(","), dict(pair.split("=", 1) for pair in args.python))
        with open(args.out, "a"):  # a path that cannot be written is found out before the work
            pass
    except (Unavailable, ValueError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    cases = [case for case in SUITES[args.suite] if args.only in case.name]
    result = run(args.suite, cases, peers, args.rounds, LEAST_CALLS[args.suite], lambda said: print(said, file=sys.stderr))
    Path(args.out).write_text(json.dumps(result, indent=1) + "\n")
    return 0


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    time = commands.add_parser("run", help="time a suite, write JSON")
    time.add_argument("--suite", choices=sorted(SUITES), required=True)
    time.add_argument("--out", required=True)
    time.add_argument("--peers", help="by name, with commas between them")
    time.add_argument("--python", action="append", default=[], metavar="PEER=PATH", help="the interpreter of a peer")
    time.add_argument("--only", default="", metavar="TEXT", help="the cases with this text in their names")
    time.add_argument("--rounds", type=int, default=15)
    commands.add_parser("report", help="JSON files -> a page in Markdown").add_argument("files", nargs="+")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
