"""The rooms of the house: who may import whom, read from the sources."""
import ast
from collections.abc import Iterable
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {  # from the ground up: a room imports only rooms before it
    "reference": ("core", "targets", "scores", "flows", "saef", "mcmc", "ebm", "work", "app", "__init__", "face"),
    "accel": (
        "backends", "products", "autodiff", "compiler", "devices", "fused", "kernels", "buffers", "recording", "core", "flows",
        "scores", "saef", "energies", "mcmc", "compiled", "playback", "graphs", "switch", "__init__", "cli",
    ),
}
FLOORS = 8
WORKSHOP = ("work", "app")
LATER = ("evenflow.experiments", "evenflow.conformance", "evenflow.accel")  # know the reference, which knows nothing of them

Arrows = dict[str, set[str]]


@cache
def modules() -> dict[str, Path]:
    """All of both, by their dotted names below evenflow; a package by that of its __init__."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path for top in ROOMS for path in (ROOT / top).rglob("*.py")
    }


def imports(path: Path) -> set[str]:
    """What a file imports of evenflow, wherever in it, as full dotted names: modules, or names in them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == "evenflow"}


def target(name: str) -> str | None:
    """The module that a full name is, or is in."""
    parts = name.split(".")[1:]
    for k in range(len(parts), 0, -1):
        for module in (".".join(parts[:k]), ".".join([*parts[:k], "__init__"])):
            if module in modules():
                return module
    return None


def arrows() -> Arrows:
    return {name: {to for to in map(target, imports(path)) if to and to != name} for name, path in modules().items()}


def room(module: str) -> tuple[str, str]:
    top, first, *_ = module.split(".")
    return top, first


def between_rooms(found: Arrows) -> set[tuple[str, str, str]]:
    """top, room, another room of the same top that it imports."""
    pairs = ((room(a), room(b)) for a, others in found.items() for b in others)
    return {(a[0], a[1], b[1]) for a, b in pairs if a[0] == b[0] and a != b}


def floors(of: dict[str, set[str]]) -> int:
    """The longest way down, in rooms. Raises CycleError where there is a circle."""
    depth: dict[str, int] = {}
    for node in TopologicalSorter(of).static_order():
        depth[node] = 1 + max((depth[below] for below in of.get(node, ())), default=0)
    return max(depth.values())


def upward(pairs: Iterable[tuple[str, str, str]]) -> list[str]:
    return [f"{top}/{a} imports {top}/{b}" for top, a, b in sorted(pairs) if ROOMS[top].index(b) > ROOMS[top].index(a)]


def test_every_module_lives_in_a_room() -> None:
    assert [name for name in modules() if room(name)[1] not in ROOMS[room(name)[0]]] == []
    assert all(any(room(name) == (top, known) for name in modules()) for top in ROOMS for known in ROOMS[top])


def test_no_arrow_runs_upwards() -> None:
    assert upward(between_rooms(arrows())) == []


@pytest.mark.parametrize("top", ROOMS)
def test_no_more_floors_than_agreed(top: str) -> None:
    pairs = between_rooms(arrows())
    assert floors({name: {b for t, a, b in pairs if (t, a) == (top, name)} for name in ROOMS[top]}) <= FLOORS


def test_no_file_stands_in_a_circle() -> None:
    floors(arrows())


def test_the_specification_knows_nothing_of_the_workshop() -> None:
    """Nor of what is built on the reference."""
    found = arrows()
    for name, others in found.items():
        if name.startswith("reference.") and room(name)[1] not in (*WORKSHOP, "__init__", "face"):
            assert [other for other in others if room(other)[1] in WORKSHOP] == [], name
    for name, path in modules().items():
        if name.startswith("reference.") and room(name)[1] != "face":
            assert [other for other in imports(path) if other.startswith(LATER)] == [], name
            assert not any(later in path.read_text() for later in LATER[1:]), name


@pytest.mark.parametrize(("planted", "said"), [
    (("reference.core.trees", "reference.scores.energy"), "reference/core imports reference/scores"),
    (("accel.backends", "accel.switch"), "accel/backends imports accel/switch"),
])
def test_an_arrow_upwards_is_noticed(planted: tuple[str, str], said: str) -> None:
    found = arrows()
    assert planted[0] in found
    assert planted[1] in found
    assert upward(between_rooms({**found, planted[0]: {planted[1]}})) == [said]


def test_a_circle_is_noticed() -> None:
    found = arrows()
    with pytest.raises(CycleError):
        floors({**found, "reference.core.trees": {"reference.core.networks"}})
