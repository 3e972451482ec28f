"""A mutant put into a process that has already imported the original: the functions stay, their code changes.

Two compiled modules that differ in one place have the same functions in the same order, so their code objects pair up.
What ran at import (constants, defaults, decorators) cannot be changed so: such a mutant needs the module imported anew.
"""
import gc
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType

Functions = dict[str, list[FunctionType]]


def functions_of(folder: str) -> Functions:
    """Every function that lives and comes from the folder below the working one, by file."""
    root, found = Path.cwd().resolve(), Functions()
    files: dict[str, str | None] = {}
    for function in gc.get_objects():
        if isinstance(function, FunctionType):
            name = function.__code__.co_filename
            if name not in files:
                path = Path(name).resolve()
                files[name] = str(path.relative_to(root)) if path.is_relative_to(root / folder) else None
            if file := files[name]:
                found.setdefault(file, []).append(function)
    return found


def swap(functions: list[FunctionType], before: str, after: str) -> bool:
    """Gives the functions of a file their mutated code; False where no function changes, or Python warns of the code."""
    try:
        old, new = (list(nested(compile(source, "module", "exec"))) for source in (before, after))
    except SyntaxError:  # a warning that pytest has made an error: the module cannot be imported
        return False
    changed = {a: b for a, b in zip(old, new, strict=True) if a != b}
    hit = [function for function in functions if function.__code__ in changed]
    for function in hit:
        function.__code__ = changed[function.__code__]
    return bool(hit)


def nested(code: CodeType) -> Iterator[CodeType]:
    """The functions of a module, the functions in them, ..."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from nested(constant)
