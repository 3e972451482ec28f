"""Side-by-side timings of evenflow's backends and of other libraries.

    python -m tests.bench run --suite cpu --out cpu.json --python torch=/other/venv/bin/python
    python -m tests.bench report cpu.json > docs/performance.md
    python -m tests.bench scale --out scale.json --picture scale.png
    python -m tests.bench guard
    python -m tests.bench device --out DIR --budget 420

A peer that is not there is `unavailable`, with the reason, and the others are timed all the same.
"""
import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from tests.bench import device
from tests.bench.cases import SUITES, Case
from tests.bench.processes import Peer, chosen
from tests.bench.tree import made_from

DEFAULTS = {
    "cpu": "reference,numpy,compiled,torch,jax", "tiny": "reference,numpy",
    "libraries": "numpy,zuko,nflows,normflows,flowjax,blackjax,flowMC,scoringrules,geomloss", "tiny-libraries": "numpy",
    "gpu": "cupy,cupy-eager,torch-cuda,torch-cuda-compile,torch-cuda-tf32,jax-cuda",
}
LEAST_CALLS = {"gpu": 10}  # in each round, elsewhere 1: on a device at least 100 samples in all


def main(arguments: list[str] | None = None) -> int:
    args = parsed(arguments)
    if args.command == "device":
        return device.main(args.out, args.budget, lambda said: print(said, flush=True))
    if args.command == "guard":
        from tests.bench.guard import guard
        return guard(lambda said: print(said, flush=True), args.record)
    if args.command == "scale":
        return scaled(args)
    if args.command == "report":
        from tests.bench.report import page
        try:
            print(page([json.loads(Path(file).read_text()) for file in args.files], args.files), end="")
        except (OSError, ValueError) as error:
            return refused(error)
        return 0
    return timed(args)


def timed(args: argparse.Namespace) -> int:
    from evenflow.accel.devices import Unavailable, cupy  # here: `device` says what is missing before anything imports it
    from tests.bench.plan import write
    from tests.bench.runner import run
    try:
        if args.suite == "gpu":
            cupy()
        peers = chosen((args.peers or DEFAULTS[args.suite]).split(","), dict(pair.split("=", 1) for pair in args.python))
        before, wanted = earlier(args.out, peers) if args.resume else [], re.compile(args.only)
        with open(args.out, "a"):  # a path that cannot be written is found out before the work
            pass
    except re.error as error:
        return refused(ValueError(f"--only must be a regular expression, got {args.only!r}: {error}"))
    except (Unavailable, ValueError, OSError) as error:
        return refused(error)
    cases: list[Case] = [case for case in SUITES[args.suite] if wanted.search(case.name)]
    say = lambda said: print(said, file=sys.stderr, flush=True)
    run(args.suite, cases, peers, args.rounds, LEAST_CALLS.get(args.suite, 1), say, lambda made: write(args.out, made), before)
    return 0


def scaled(args: argparse.Namespace) -> int:
    from evenflow.accel.devices import Unavailable
    from tests.bench.scale import run
    from tests.bench.scale_page import draw
    try:
        result = run(args.out, args.backend, lambda said: print(said, file=sys.stderr, flush=True))
    except (Unavailable, OSError) as error:
        return refused(error)
    if args.picture is not None:
        draw(result, args.picture)
    return 0


def earlier(out: Path, peers: dict[str, Peer]) -> list[dict[str, Any]]:
    """The rows that the file holds, if it is from the same tree and the same peers."""
    try:
        found: dict[str, Any] = json.loads(out.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return []
    same = found.get("tree") == made_from()["tree"] and list(found["about"]) == list(peers)
    return found["rows"] if same else []


def refused(error: Exception) -> int:
    print(f"bench: {error}", file=sys.stderr)
    return 1


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    time = commands.add_parser("run", help="time a suite, write JSON")
    time.add_argument("--suite", choices=sorted(SUITES), required=True)
    time.add_argument("--out", type=Path, required=True)
    time.add_argument("--peers", help="by name, with commas between them")
    time.add_argument("--python", action="append", default=[], metavar="PEER=PATH", help="the interpreter of a peer")
    time.add_argument("--only", default="", metavar="REGEX", help="the cases in whose names it is found")
    time.add_argument("--rounds", type=int, default=15)
    time.add_argument("--resume", action="store_true", help="keep the cases that the file holds from the same tree and peers")
    commands.add_parser("report", help="JSON files -> a page in Markdown").add_argument("files", nargs="+")
    growth = commands.add_parser("scale", help="how time and memory grow with n, d, B, chains")
    growth.add_argument("--out", type=Path, required=True)
    growth.add_argument("--backend", choices=["reference", "numpy", "cupy"], default="numpy")
    growth.add_argument("--picture", type=Path, help="where to draw it; needs matplotlib")
    slower = commands.add_parser("guard", help="whether the code has become slower, by counts and wide margins")
    slower.add_argument("--record", action="store_true", help="write down what is expected from now on")
    whole = commands.add_parser("device", help="all that a machine with a device is asked, in a given time",
                                description=device.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    whole.add_argument("--out", type=Path, required=True, metavar="DIR")
    whole.add_argument("--budget", type=float, default=420.0, metavar="SECONDS", help="for all parts together; 420")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
