"""The mutants: every small change that cosmic-ray's operators make to the mathematics of the reference, and a sample of them.

Left out is what cannot tell a good test from a bad one:
type annotations (nothing runs them); changes that do not compile, or that compile to the same program; and
an arithmetic operator made a bit operator (`a + b` -> `a << b`): a TypeError on the first float, killed by any test at all.
"""
import ast
import random
from difflib import unified_diff
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.plugins import get_operator, operator_names

FOLDERS = ("reference/flows/*.py", "reference/scores/*.py", "reference/mcmc/*.py", "reference/saef/semiautoregressive.py")
BITS = ("RShift", "LShift", "BitOr", "BitAnd", "BitXor")
Place = tuple[int, int]


class Candidate(NamedTuple):
    """The `occurrence`-th place of a file where an operator applies, and its line."""
    file: str
    operator: str
    occurrence: int
    line: int


class Mutant(NamedTuple):
    """A candidate that is another program, and the lines that go and come."""
    file: str
    operator: str
    occurrence: int
    line: int
    before: str
    after: str


def sample(root: Path, size: int, seed: int) -> list[Mutant]:
    """The first mutants after a seeded shuffle of all places: a larger sample of the same seed holds the smaller one."""
    shuffled, found, programs = candidates(root), list[Mutant](), set[tuple[str, str]]()
    random.Random(seed).shuffle(shuffled)
    for candidate in shuffled:
        mutant, program = built(root, candidate)
        if mutant and (mutant.file, program) not in programs:
            programs.add((mutant.file, program))
            found.append(mutant)
        if len(found) == size:
            break
    return found


def candidates(root: Path) -> list[Candidate]:
    """Every place of every operator outside the annotations, in a fixed order."""
    found = []
    for path in sorted(path for folder in FOLDERS for path in root.glob(folder)):
        source = path.read_text()
        nodes, hidden = list(ast_nodes(get_ast(source))), annotations(source)
        for operator in filter(applies, operator_names()):
            positions = get_operator(operator)().mutation_positions
            for occurrence, (start, _) in enumerate(place for node in nodes for place in positions(node)):
                if not any(first <= start < last for first, last in hidden):
                    found.append(Candidate(str(path.relative_to(root)), operator, occurrence, start[0]))
    return found


def built(root: Path, candidate: Candidate) -> tuple[Mutant | None, str]:
    """The mutant and its program; None where it does not compile or is the program that it was."""
    source = (root / candidate.file).read_text()
    text = mutated(source, candidate.operator, candidate.occurrence)
    try:
        compile(text, candidate.file, "exec")
    except SyntaxError:
        return None, ""
    program = ast.dump(ast.parse(text))
    return (None if program == ast.dump(ast.parse(source)) else Mutant(*candidate, *difference(source, text))), program


def applies(name: str) -> bool:
    """Whether the operator needs no arguments, and does not make a bit operator of an arithmetic one."""
    words = name.split("_")
    pointless = "BinaryOperator" in name and words[2] in BITS and words[1] not in BITS
    return not pointless and not get_operator(name).arguments()


def mutated(source: str, name: str, occurrence: int) -> str:
    return str(MutationVisitor.mutate_code(source, get_operator(name)(), occurrence))


def annotations(source: str) -> list[tuple[Place, Place]]:
    """From where to where the type annotations reach."""
    nodes = list(ast.walk(ast.parse(source)))
    types = [node.annotation for node in nodes if isinstance(node, ast.arg | ast.AnnAssign)]
    types += [node.returns for node in nodes if isinstance(node, ast.FunctionDef)]
    return [((t.lineno, t.col_offset), (t.end_lineno or 0, t.end_col_offset or 0)) for t in types if t]


def difference(before: str, after: str) -> tuple[str, str]:
    """The lines that go and the lines that come."""
    lines = list(unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""))[2:]
    gone, come = ("\n".join(filter(None, (line[1:].strip() for line in lines if line[0] == sign))) for sign in "-+")
    return gone, come
