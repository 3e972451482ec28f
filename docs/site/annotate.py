"""A source file as a page in two columns: prose left, code right.

Prose is the module's docstring, the docstrings of classes, functions and methods, and comments that have a line of their own;
code is the rest. A segment is some prose and the code that follows it, up to the next prose.
"""
import ast
import io
import os
import tokenize
from pathlib import Path
from typing import NamedTuple

from docs.site.names import REFERENCE, Definition, anchor, first_sentence, reading_order, said
from docs.site.prose import markdown

SPECIFICATION = ("core", "targets", "scores", "flows", "saef", "mcmc", "ebm")


class Segment(NamedTuple):
    name: str   # of the class, function or method that begins here, or ""
    prose: str
    code: str


def segments(source: str) -> list[Segment]:
    """The parts of a file, in order.

    >>> segments('def f(x):\\n    "Twice x."\\n    return 2 * x')
    [Segment(name='f', prose='Twice x.', code='def f(x):\\n    return 2 * x')]
    """
    cuts, dropped = {1: ("", "")}, set()
    for node, owner in definitions(ast.parse(source)):
        doc = said(node)
        if doc:
            dropped |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
        if isinstance(node, ast.Module):
            cuts[1] = ("", doc)
        elif doc or not owner:
            cuts[first_line(node)] = (owner + node.name, doc)
    for first, last, text in comments(source):
        dropped |= set(range(first, last + 1))
        name, doc = cuts.pop(last + 1, ("", ""))
        cuts[first] = (name, f"{text}\n\n{doc}".strip())
    lines, starts = source.splitlines(), sorted(cuts)
    parts = [
        Segment(*cuts[start], "\n".join(lines[i - 1] for i in range(start, end) if i not in dropped).strip("\n"))
        for start, end in zip(starts, [*starts[1:], len(lines) + 1], strict=True)
    ]
    return [part for part in parts if part.prose or part.code.strip()]


def definitions(tree: ast.Module) -> list[tuple[ast.Module | Definition, str]]:
    """The module, its classes and functions, and methods, each with what comes before its name."""
    found: list[tuple[ast.Module | Definition, str]] = [(tree, "")]
    for node in tree.body:
        if isinstance(node, Definition):
            found.append((node, ""))
        if isinstance(node, ast.ClassDef):
            found += [(method, f"{node.name}.") for method in node.body if isinstance(method, ast.FunctionDef)]
    return found


def first_line(node: Definition) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def comments(source: str) -> list[tuple[int, int, str]]:
    """Runs of lines that are nothing but comments: first line, last line, text."""
    runs: list[tuple[int, int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        line = token.start[0]
        if token.type != tokenize.COMMENT or not token.line.lstrip().startswith("#"):
            continue
        text = token.string.lstrip("#").removeprefix(" ")
        if runs and runs[-1][1] == line - 1:
            first, _, before = runs.pop()
            runs.append((first, line, f"{before}\n{text}"))
        else:
            runs.append((line, line, text))
    return runs


def page(path: Path) -> str:
    """The Markdown of a file below reference/; of a room's `__init__.py` also the list of its files."""
    inside = path.relative_to(REFERENCE)
    title = f"{inside.parent}/".replace("./", "reference/") if path.stem == "__init__" else str(inside)
    body = "\n\n".join(pair(path, segment) for segment in segments(path.read_text()))
    below = files(path, path) if path.stem == "__init__" and inside.parts[:-1] else ""
    return f"---\nhide-toc: true\n---\n\n# {title}\n\n{below}\n\n{body}\n"


def pair(path: Path, segment: Segment) -> str:
    name = [f":name: {anchor(path, segment.name)}"] if segment.name else []
    prose = ["::::{container} prose", markdown(segment.prose), "::::"] if segment.prose else []
    code = ["::::{container} code", "```{code-block} python", segment.code, "```", "::::"] if segment.code.strip() else []
    return "\n".join([":::::{container} pair", *name, "", *prose, *code, ":::::"])


def files(init: Path, seen_from: Path) -> str:
    """A room's files in reading order, each with what it is; on the room's own page they become its children."""
    paths = reading_order(init)
    lines = [f"- [{path.name}]({os.path.relpath(path, seen_from.parent)}): {first_sentence(path)}" for path in paths]
    children = ["```{toctree}", ":hidden:", *(path.stem for path in paths), "```"] if seen_from == init else []
    return "\n".join([*lines, "", *children])


def rooms(page: Path) -> str:
    """The specification's rooms in reading order, each with its files."""
    inits = [REFERENCE / room / "__init__.py" for room in SPECIFICATION]
    heads = [f"## [{init.parent.name}/]({os.path.relpath(init, page.parent)})\n\n{first_sentence(init)}" for init in inits]
    return "\n\n".join(f"{head}\n\n{files(init, page)}" for head, init in zip(heads, inits, strict=True))
