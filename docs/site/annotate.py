"""A source file as a page in two columns: prose left, code right.

Prose is the module's docstring, the docstrings of classes, functions and methods, and comments that have a line of their own;
code is the rest. A segment is some prose and the code that follows it, up to the next prose. What a file of the specification
takes from another, by name, becomes a link to where that is defined (`places`; pages.py puts the links into the page).
"""
import ast
import io
import re
import tokenize
from functools import cache
from pathlib import Path
from typing import NamedTuple

from docs.site.prose import markdown

ROOT = Path(__file__).parents[2]
Definition = ast.ClassDef | ast.FunctionDef


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
    tree = ast.parse(source)
    for node, owner in definitions(tree):
        doc = ast.get_docstring(node) or ""
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
    lines = source.splitlines()
    starts = sorted(cuts)
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
    room = path.parent.relative_to(ROOT / "reference").as_posix()
    title = room + "/" if path.stem == "__init__" else f"{room}/{path.name}"
    body = "\n\n".join(pair(path, segment) for segment in segments(path.read_text()))
    below = toctree(path) if path.stem == "__init__" else ""
    return f"---\nhide-toc: true\n---\n\n# {title}\n\n{below}\n\n{body}\n"


def pair(path: Path, segment: Segment) -> str:
    name = [f":name: {anchor(path, segment.name)}"] if segment.name else []
    prose = ["::::{container} prose", markdown(segment.prose), "::::"] if segment.prose else []
    code = ["::::{container} code", "```{code-block} python", segment.code, "```", "::::"] if segment.code.strip() else []
    return "\n".join([":::::{container} pair", *name, "", *prose, *code, ":::::"])


def anchor(path: Path, name: str) -> str:
    """An id in the page: lower case is all that an id may have, and `SAEF` must not meet `saef`.

    >>> anchor(ROOT / "reference/saef/maps.py", "FreeForm.init")
    'saef-maps-freeform-init-class'
    """
    room, file = path.parent.name, path.stem.strip("_")
    kind = "-class" if name[:1].isupper() else ""
    return f"{room}-{file}-{name}{kind}".replace(".", "-").replace("_", "-").lower()


def toctree(init: Path) -> str:
    """The other files of a room, in the order in which its docstring names them."""
    text = init.read_text()
    stems = sorted((path.stem for path in init.parent.glob("*.py") if path != init), key=lambda stem: place(stem, text))
    return "\n".join(["```{toctree}", *stems, "```"])


def place(stem: str, text: str) -> tuple[int, str]:
    found = re.search(rf"\b{stem}\b", text)
    return (found.start() if found else len(text), stem)


def places(path: Path) -> dict[str, tuple[Path, str]]:
    """Names used in a file -> the file that defines each, and its anchor: its own, and what it imports from the specification."""
    tree = parsed(path)
    names = {node.name for node in tree.body if isinstance(node, Definition)}
    names |= {alias.name for node in imports(tree) for alias in node.names if alias.asname is None}
    local = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    local |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    found = {name: home(path, name) for name in names - local}
    return {name: (there[0], anchor(there[0], name)) for name, there in found.items() if there and isinstance(there[1], Definition)}


@cache
def home(path: Path, name: str) -> tuple[Path, ast.stmt] | None:
    """The file and the statement that define a name seen in a file, looked for along the imports."""
    for node in parsed(path).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else [node]
        if any(name in (getattr(target, "id", None), getattr(target, "name", None)) for target in targets):
            return path, node
    for imported in imports(parsed(path)):
        for alias in imported.names:
            if (alias.asname or alias.name) == name and (source := module_file(imported.module or "")).exists():
                return home(source, alias.name)
    return None


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(tree: ast.Module) -> list[ast.ImportFrom]:
    """Those from evenflow itself."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("evenflow.")]


def module_file(module: str) -> Path:
    base = ROOT / ("reference/face" if module == "evenflow" else module.removeprefix("evenflow.").replace(".", "/"))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
