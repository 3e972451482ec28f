"""The reference of the public names as Markdown: file by file what the file says, then each name with signature and example.

The names of `evenflow` itself have their entries on the page of the room that they come from; its own page has a table of
them, and entries of those that come from no room of the specification.
"""
import ast
import os
from itertools import groupby
from pathlib import Path

from docs.site.annotate import SPECIFICATION
from docs.site.names import REFERENCE, ROOT, anchor, first_sentence, home, module_file, parsed, public, reading_order, said
from docs.site.prose import markdown


def entries(page: Path, module: str) -> str:
    """The entries of a module's public names, by file."""
    rooms = SPECIFICATION if module == "evenflow" else ()
    elsewhere = {name for room in rooms for name in public(f"evenflow.reference.{room}")}
    own = [name for name in public(module) if name not in elsewhere]
    listed = [table(module, [name for name in public(module) if name in elsewhere])] if rooms else []
    return "\n\n".join([*listed, *(section(page, module, path, names) for path, names in by_file(module, own))])


def found(module: str, name: str) -> tuple[Path, ast.stmt]:
    there = home(module_file(module), name)
    if there is None:
        raise LookupError(f"{module}.{name} is defined nowhere")
    return there


def by_file(module: str, names: list[str]) -> list[tuple[Path, list[str]]]:
    """Names by the file that defines them, files in reading order."""
    def key(name: str) -> tuple[int, int, str]:
        path = found(module, name)[0]
        room = path.parent.name
        floor = SPECIFICATION.index(room) if room in SPECIFICATION else len(SPECIFICATION)
        return floor, reading_order(path.parent / "__init__.py").index(path), str(path)

    return [(Path(path), list(group)) for (_, _, path), group in groupby(sorted(names, key=key), key)]


def table(module: str, names: list[str]) -> str:
    """The names of each file, with links to their entries, and what the file is."""
    rows = ["| names | what they are |", "| --- | --- |"]
    for path, group in by_file(module, names):
        links = ", ".join(f"[`{name}`](#api-{anchor(path, name)})" for name in group)
        rows.append(f"| {links} | {first_sentence(path)} |".replace("|x - y|", "\\|x - y\\|"))
    return "\n".join(rows)


def section(page: Path, module: str, path: Path, names: list[str]) -> str:
    """A file: its docstring and its names."""
    head = f"## {path.parent.name}/{path.name}\n\n{markdown(said(parsed(path)))}"
    return "\n\n".join([head, *(entry(page, module, name) for name in names)])


def source(page: Path, path: Path, name: str = "") -> str:
    below = f"#{anchor(path, name)}" if name and REFERENCE in path.parents else ""
    return f"[{path.relative_to(ROOT)}]({os.path.relpath(path, page.parent)}{below})"


def entry(page: Path, module: str, name: str) -> str:
    """One name: signature, docstring, where it is defined; of a class also the methods that have something to say."""
    path, node = found(module, name)
    parts = [f"(api-{anchor(path, name)})=\n### {name}", listing(node), markdown(said(node))]
    if called := getattr(node, "name", ""):
        parts.append(f"Source: {source(page, path, called)}")
    for method in methods(node):
        parts += [f"#### {name}.{method.name}", listing(method), markdown(said(method))]
    return "\n\n".join(parts)


def listing(node: ast.stmt) -> str:
    return f"```python\n{signature(node)}\n```"


def signature(node: ast.stmt) -> str:
    """The head of a definition as it is written, without what follows; of a class what makes an object of it."""
    if isinstance(node, ast.FunctionDef):
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return wrapped(f"{node.name}(", arguments(node.args), f"){returns}")
    if isinstance(node, ast.ClassDef):
        made = next((f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)
        fields = [ast.unparse(field) for field in node.body if isinstance(field, ast.AnnAssign)]
        return wrapped(f"{node.name}(", arguments(made.args) if made else fields, ")")
    return ast.unparse(node)


def arguments(args: ast.arguments) -> list[str]:
    """The parameters but self, each as it is written."""
    return split(ast.unparse(args).removeprefix("self").lstrip(", "))


def split(text: str) -> list[str]:
    """At the commas that are inside no bracket.

    >>> split("a: tuple[int, int], b")
    ['a: tuple[int, int]', 'b']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        parts = [*parts, ""] if letter == "," and not depth else [*parts[:-1], parts[-1] + letter]
    return [part.strip() for part in parts if part.strip()]


def wrapped(head: str, parts: list[str], tail: str) -> str:
    """On one line where it fits, else one parameter a line."""
    line = head + ", ".join(parts) + tail
    return line if len(line) <= 88 else head + "\n" + "".join(f"    {part},\n" for part in parts) + tail


def methods(node: ast.stmt) -> list[ast.FunctionDef]:
    """Public methods with a docstring."""
    body = node.body if isinstance(node, ast.ClassDef) else []
    return [f for f in body if isinstance(f, ast.FunctionDef) and not f.name.startswith("_") and ast.get_docstring(f)]
