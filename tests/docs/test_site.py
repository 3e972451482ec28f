"""The site: what its helpers make of sources and pages, and, slow, that it builds without a warning."""
import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.site import annotate, api, gallery, names, options, prose
from tests.docs.pages import ROOT

MODULES = ("annotate", "api", "gallery", "names", "options", "prose")
SOURCES = sorted(path for path in (ROOT / "reference").rglob("*.py") if "face" not in path.parts)
SOURCE = '''\
"""A module.

    f    twice
"""
import math

# What follows
# is said before it.
@cache
def f(x):
    """Twice x."""
    # Why.
    return 2 * x


class C:
    def g(self):
        """A method."""

    def h(self): ...
'''


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_do_what_they_say(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"docs.site.{module}"))
    assert result.failed == 0
    assert result.attempted > 0


def test_prose_and_code_are_parted() -> None:
    parts = annotate.segments(SOURCE)
    assert [(part.name, part.prose) for part in parts] == [
        ("", "A module.\n\n    f    twice\n"), ("f", "What follows\nis said before it.\n\nTwice x."), ("", "Why."),
        ("C", ""), ("C.g", "A method."),
    ]
    assert parts[1].code == "@cache\ndef f(x):"
    assert parts[2].code == "    return 2 * x"
    assert parts[4].code == "    def g(self):\n\n    def h(self): ..."


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_of_a_file_is_lost(path: Path) -> None:
    """Code: lines of the file in their order. Words of prose and code: those of the file."""
    source = path.read_text()
    parts = annotate.segments(source)
    lines = iter(source.splitlines())
    assert all(line in lines for part in parts for line in part.code.splitlines())  # `in` goes on where it found the last one
    words = "\n".join(f"{part.prose}\n{part.code}" for part in parts)
    assert sorted(re.findall(r"\w+", words)) == sorted(re.findall(r"\w+", source.replace('r"""', '"""')))


def test_names_are_found_where_they_are_defined() -> None:
    places = names.places(names.REFERENCE / "ebm/flowmc.py")
    assert places["MALA"] == (names.REFERENCE / "mcmc/langevin.py", "mcmc-langevin-mala-class")
    assert places["energy_step"] == (names.REFERENCE / "ebm/updates.py", "ebm-updates-energy-step")
    assert "flow" not in places  # a name of the code's own


def test_every_public_name_has_an_entry() -> None:
    import evenflow
    page = ROOT / "docs/api/index.md"
    rooms = {room: api.entries(page, f"evenflow.reference.{room}") for room in annotate.SPECIFICATION}
    for room, text in rooms.items():
        module = importlib.import_module(f"evenflow.reference.{room}")
        assert set(re.findall(r"^### (\S+)$", text, re.MULTILINE)) == set(module.__all__)
    own = api.entries(page, "evenflow")
    listed = set(re.findall(r"^### (\S+)$", own, re.MULTILINE)) | set(re.findall(r"\[`(\w+)`\]\(#api-", own))
    assert listed == set(evenflow.__all__) - {"__version__"}
    for anchor in re.findall(r"\]\(#(api-[\w-]+)\)", own):
        assert any(f"({anchor})=" in text for text in rooms.values())


def test_every_option_has_a_row() -> None:
    from evenflow.reference.work.options import BY_NAME
    assert set(re.findall(r"^\| `(\w+)` \|", options.options(), re.MULTILINE)) == set(BY_NAME)


def test_the_gallery_has_every_picture_with_its_command() -> None:
    text = gallery.gallery(ROOT / "docs/gallery.md")
    assert set(re.findall(r"images/(\S+?\.png)", text)) == {path.name for path in (ROOT / "docs/images").iterdir()}
    card = {re.search(r"images/(\S+?)\.png", part)[1]: part for part in text.split(":::{container} card\n")[1:]}  # type: ignore[index]
    assert "reproduce mixture-32 --preset quick" in card["mixture-32-quick-chains"]
    assert "reproduce two-modes --preset paper" in card["two-modes-weights"]
    assert "--picture docs/images/scale.png" in card["scale"]
    assert "$ make demo\n" in card["samples"]


def test_tables_and_signs_of_docstrings_survive() -> None:
    text = prose.markdown("x_<b -> `x_<b`:\na     first -> second\nb     `x < y`\n\n    y = x\n\n    z = y")
    assert text == "x_\\<b → `x_<b`:\n\n```text\na     first -> second\nb     `x < y`\n```\n\n```text\ny = x\n\nz = y\n```"


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_without_a_network(tmp_path: Path) -> None:
    """Every link and every name of the annotated source leads somewhere, too; nothing is asked of another site."""
    pytest.importorskip("furo", reason="the extra docs is not installed")
    options = ["-nW", "--keep-going", "-E", "-q", "-c", "docs", "-d", str(tmp_path / "trees")]
    command = [sys.executable, "-m", "sphinx", *options, ".", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = {path: path.read_text() for path in (tmp_path / "site").rglob("*.html")}
    anchors = {path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in pages.items()}
    for path, text in pages.items():
        assert not re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="https?:', text), path
        for link in re.findall(r'<a [^>]*href="([^":]+)"', text):
            name, _, anchor = link.partition("#")
            target = (path.parent / name.partition("?")[0]).resolve() if name else path
            assert target.exists(), (path, link)
            assert not anchor or target not in anchors or anchor in anchors[target], (path, link)
