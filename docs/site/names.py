"""Where the names of evenflow are defined, and what is said of them: read from the sources, nothing is imported."""
import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "reference"
Definition = ast.ClassDef | ast.FunctionDef


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def module_file(module: str) -> Path:
    """The file of a module of evenflow."""
    base = ROOT / ("reference/face" if module == "evenflow" else module.removeprefix("evenflow.").replace(".", "/"))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def imports(tree: ast.Module) -> list[ast.ImportFrom]:
    """Those from evenflow itself."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("evenflow.")]


@cache
def home(path: Path, name: str) -> tuple[Path, ast.stmt] | None:
    """The file and the statement that define a name seen in a file, looked for along the imports.

    >>> path, node = home(module_file("evenflow"), "load")
    >>> path.name, node.name
    ('runs.py', 'load_run')
    """
    for node in parsed(path).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else [node]
        if any(name in (getattr(target, "id", None), getattr(target, "name", None)) for target in targets):
            return path, node
    for imported in imports(parsed(path)):
        for alias in imported.names:
            if (alias.asname or alias.name) == name and (source := module_file(imported.module or "")).exists():
                return home(source, alias.name)
    return None


def public(module: str) -> list[str]:
    """The names of `__all__` but those with underscores, in alphabetical order."""
    there = home(module_file(module), "__all__")
    names: list[str] = ast.literal_eval(there[1].value) if there and isinstance(there[1], ast.Assign) else []
    return sorted((name for name in names if not name.startswith("_")), key=lambda name: (name.lower(), name))


def places(path: Path) -> dict[str, tuple[Path, str]]:
    """Names used in a file, its own and those that it imports from reference/ -> the file that defines each, and its anchor."""
    tree = parsed(path)
    names = {node.name for node in tree.body if isinstance(node, Definition)}
    names |= {alias.name for node in imports(tree) for alias in node.names if alias.asname is None}
    local = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    local |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    found = {name: home(path, name) for name in names - local}
    return {name: (there[0], anchor(there[0], name)) for name, there in found.items()
            if there and isinstance(there[1], Definition) and REFERENCE in there[0].parents}


def anchor(path: Path, name: str) -> str:
    """An id in the page of a file: lower case is all that an id may have, and `SAEF` must not meet `saef`.

    >>> anchor(REFERENCE / "saef/maps.py", "FreeForm.init")
    'saef-maps-freeform-init-class'
    """
    kind = "-class" if name[:1].isupper() else ""
    return f"{path.parent.name}-{path.stem.strip('_')}-{name}{kind}".replace(".", "-").replace("_", "-").lower()


def said(node: ast.stmt | ast.Module) -> str:
    """The docstring. That of a module keeps its indents: where all lines but the first have one, it marks a table."""
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
        return ""
    return ast.get_docstring(node, clean=not isinstance(node, ast.Module)) or ""


def first_sentence(path: Path) -> str:
    """What a file is, in the words of its docstring."""
    text = said(parsed(path)).partition("\n\n")[0].replace("\n", " ").removesuffix(" In reading order:")
    return re.split(r"(?<=[.?]) (?=[A-Z])", text)[0]


def reading_order(init: Path) -> list[Path]:
    """The other files of a room, in the order of the table in its docstring; what is not in it comes last."""
    table = "\n".join(line for line in said(parsed(init)).split("\n") if line.startswith("    "))

    def place(path: Path) -> tuple[int, str]:
        found = re.search(rf"\b{path.stem}\b", table)
        return (found.start() if found else len(table), path.stem)

    return sorted((path for path in init.parent.glob("*.py") if path != init), key=place)
