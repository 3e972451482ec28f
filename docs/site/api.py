"""The reference of the public names, from their docstrings, as Markdown: signature as written, prose, example.

A module's page has an entry for each name of its `__all__`. The names of `evenflow` itself have theirs on the page of the room
that they come from: `evenflow` has a table of them, and entries of those that come from no room.
"""
import ast
import os
from pathlib import Path

from docs.site.annotate import ROOT, Definition, anchor, home, module_file
from docs.site.prose import markdown

ROOMS = ("core", "targets", "scores", "flows", "saef", "mcmc", "ebm")


def entries(page: Path, module: str) -> str:
    """The entries of a module's public names."""
    elsewhere = {name for room in ROOMS for name in public(f"evenflow.reference.{room}")} if module == "evenflow" else set()
    names = [name for name in public(module) if not name.startswith("__")]
    listed = table(module, [name for name in names if name in elsewhere]) + "\n\n" if elsewhere else ""
    return listed + "\n\n".join(entry(page, module, name) for name in names if name not in elsewhere)


def table(module: str, names: list[str]) -> str:
    """Name, with a link to its entry, and the first line of what is said of it."""
    rows = []
    for name in names:
        path, node = found(module, name)
        first = said(node).partition("\n")[0].replace("|", "\\|")
        rows.append(f"| [`{name}`](#api-{anchor(path, name)}) | {first} |")
    return "\n".join(["| name | what it is |", "| --- | --- |", *rows])


def entry(page: Path, module: str, name: str) -> str:
    """One name: what it is, where it is defined, an example; of a class also the methods that have something to say."""
    path, node = found(module, name)
    called = getattr(node, "name", "")
    below = f"#{anchor(path, called)}" if called and ROOT / "reference" in path.parents else ""
    source = f"[{path.relative_to(ROOT)}]({os.path.relpath(path, page.parent)}{below})"
    parts = [f"(api-{anchor(path, name)})=\n## {name}", listing(node), markdown(said(node)), f"Source: {source}"]
    for method in methods(node):
        parts += [f"### {name}.{method.name}", listing(method), markdown(said(method))]
    return "\n\n".join(parts)


def said(node: ast.stmt) -> str:
    return (ast.get_docstring(node) or "") if isinstance(node, Definition) else ""


def listing(node: ast.stmt) -> str:
    return f"```python\n{signature(node)}\n```"


def public(module: str) -> list[str]:
    """`__all__`, capitals or not, in alphabetical order."""
    _, node = found(module, "__all__")
    names: list[str] = ast.literal_eval(node.value) if isinstance(node, ast.Assign) else []
    return sorted(names, key=lambda name: (name.lower(), name))


def found(module: str, name: str) -> tuple[Path, ast.stmt]:
    there = home(module_file(module), name)
    if there is None:
        raise LookupError(f"{module}.{name} is defined nowhere")
    return there


def signature(node: ast.stmt) -> str:
    """The head of a definition as it is written, without what follows."""
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
    """At the commas that are inside no bracket."""
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
