"""Mutation testing: small mistakes are planted in the reference, one at a time, and the tests have to notice.

    python -m tests.mutation run --sample 500 --seed 0 --patience 8 --out docs/results/mutation.json
    python -m tests.mutation report docs/results/mutation.json > docs/mutation.md

Needs the extra `mutation`. A mutant meets the tests that run its line and no others: which they are is measured first, by
coverage. It takes an hour or more. What was measured or tried stays in the folder --work and is not done again; of an --out
that is there already the mutants that were killed are kept, and its survivors meet the tests as they are now.
"""
import argparse
import math
import sys
from pathlib import Path

from tests.mutation.report import page
from tests.mutation.run import run


def main(arguments: list[str] | None = None) -> int:
    args = parsed(arguments)
    if args.command == "report":
        print(page(args.file), end="")
        return 0
    run(Path(args.out), args.sample, args.seed, args.patience, args.jobs, Path(args.work).resolve())
    return 0


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    trial = commands.add_parser("run", help="try a sample of mutants, write JSON")
    trial.add_argument("--sample", type=int, default=500, metavar="N", help="how many mutants")
    trial.add_argument("--seed", type=int, default=0)
    trial.add_argument("--patience", type=float, default=math.inf, metavar="SECONDS", help="of tests that a mutant meets")
    trial.add_argument("--out", required=True)
    trial.add_argument("--jobs", type=int, default=2, help="how many processes")
    trial.add_argument("--work", default="build/mutation", metavar="DIR", help="copies of the tree and what is known so far")
    commands.add_parser("report", help="JSON -> a page in Markdown").add_argument("file", type=Path)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
