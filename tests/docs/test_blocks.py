"""Every block of code in the README and in docs/ runs, and every command that they name is one.

Python: the blocks of a page, in order, in one module and an empty folder; with 3 steps, whatever `steps=` is, and, slow, as
they stand. A comment above a block, `<!-- not run: why -->`, has it compiled alone. Commands: the command line takes them
apart, arguments and all; those of the README, on two tables, and those on digits of docs/images.md run, slow, with 3 steps.
"""
import ast
import copy
import importlib.util
import re
import shlex
import sys
import textwrap
import tomllib
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from evenflow.conformance import cli
from evenflow.reference.app import commands as reference
from evenflow.reference.work import adaptive, options
from tests.docs.pages import PAGES, ROOT, commands, python_blocks

WITH_PYTHON = [page for page in PAGES if python_blocks(page)]
WITH_COMMANDS = [page for page in PAGES if any(commands(page))]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def app() -> Any:
    extended = copy.deepcopy(reference.app)
    cli.extend(extended)
    return extended


def run(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, steps: str | None) -> None:
    """Run the blocks of a page, each on its own lines of it."""
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)  # dataclasses look their module up
    monkeypatch.chdir(folder)
    for block in python_blocks(page):
        code = block.code if steps is None else re.sub(r"\bsteps=\d+", f"steps={steps}", block.code)
        if block.not_run is None:
            exec(compile("\n" * (block.line - 1) + code, page, "exec"), vars(module))
        else:
            ast.parse(textwrap.dedent(code))


@pytest.mark.parametrize("page", [
    pytest.param(page, marks=[pytest.mark.slow] if page.name == "own-density.md" else []) for page in WITH_PYTHON], ids=name_of)
def test_the_blocks_of_a_page_run_with_few_steps(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "STEPS", dict.fromkeys(options.STEPS, (3, 3)))
    monkeypatch.setattr(adaptive, "FLOW_STEPS", 3)
    run(page, tmp_path, monkeypatch, "3")


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_the_blocks_of_a_page_run_as_they_stand(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(page, tmp_path, monkeypatch, None)


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_the_commands_of_a_page_are_commands(page: Path, app: Any) -> None:
    for line in commands(page):
        words = [word for word in shlex.split(line.rpartition("&& ")[2]) if not re.match(r"[A-Z_]+=", word)]
        wrong = CHECKS[words[0]](app, words[1:])
        assert not wrong, f"{line}: {wrong}"


def of_evenflow(app: Any, words: list[str]) -> str:
    """What the command line says against these arguments; nothing is run."""
    command: Any = typer.main.get_command(app)
    context = None
    try:
        while True:
            context = command.make_context(command.name, list(words), parent=context)
            if not hasattr(command, "resolve_command"):
                return ""
            _, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
    except typer.Exit:  # --help, --version
        return ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def of_python(app: Any, words: list[str]) -> str:
    """`python -m MODULE` or `python FILE`: is it there?"""
    there = importlib.util.find_spec(words[1]) if words[0] == "-m" else (ROOT / words[0]).exists() or words[0] == "mine.py"
    return "" if there else "no such module"


def of_pip(app: Any, words: list[str]) -> str:
    """Are the extras ours?"""
    extras = {extra for word in words for found in re.findall(r"\[(.+)\]", word) for extra in found.split(",")}
    return ", ".join(extras - set(SETTINGS["project"]["optional-dependencies"]))


def of_make(app: Any, words: list[str]) -> str:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return ", ".join(set(words) - set(targets))


def of_pytest(app: Any, words: list[str]) -> str:
    return ", ".join(word for word in words if word.startswith("tests") and not (ROOT / word).exists())


CHECKS = {"evenflow": of_evenflow, "python": of_python, "pip": of_pip, "make": of_make, "pytest": of_pytest}


def test_what_is_no_command_is_noticed(app: Any) -> None:
    assert "No such option" in of_evenflow(app, ["train", "saef", "--steeps", "3"])
    assert "No such command" in of_evenflow(app, ["trian", "saef"])
    assert "valid integer" in of_evenflow(app, ["train", "saef", "--steps", "few"])
    assert of_evenflow(app, ["train", "saef", "--data", "mine.csv", "--steps", "3"]) == ""
    assert of_python(app, ["-m", "evenflow.experiments.nowhere"])
    assert of_pip(app, ["install", ".[demo,nonsense]"]) == "nonsense"
    assert of_make(app, ["demos"]) == "demos"


@pytest.mark.slow
def test_the_commands_of_the_readme_run(app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("mine.csv", "new.csv"):
        np.savetxt(name, rng.standard_normal((40, 3)), delimiter=",", header="a,b,y", comments="")
    lines = [line for line in commands(ROOT / "README.md") if re.match(r"evenflow (train|sample|evaluate|score|predict)", line)]
    assert len(lines) == 7
    for line in lines:
        few = ["--steps", "3"] if " train " in line else []
        done = CliRunner().invoke(app, [*shlex.split(line)[1:], *few])
        assert done.exit_code == 0, f"{line}: {done.output}"
    assert len((tmp_path / "samples.csv").read_text().splitlines()) == 1001
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 41
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 41


@pytest.mark.slow
def test_the_commands_on_digits_of_the_page_about_images_run(app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [line for line in commands(ROOT / "docs/images.md") if "digits" in line]
    assert len(lines) == 4
    for line in lines:
        few = ["--steps", "3"] if " train " in line else []
        done = CliRunner().invoke(app, [*shlex.split(line)[1:], *few])
        assert done.exit_code == 0, f"{line}: {done.output}"


def test_the_readmes_adapter_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app: Any) -> None:
    """The block with `adapter` as mine.py, and the command beside it."""
    code = next(block.code for block in python_blocks(ROOT / "README.md") if "adapter = " in block.code)
    (tmp_path / "mine.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command = re.search(r"`(evenflow conform mine:adapter.*?)`", (ROOT / "README.md").read_text())
    assert command is not None
    done = CliRunner().invoke(app, [*shlex.split(command[1])[1:], "--level", "vectors"])
    assert done.exit_code == 0, done.output
    assert "7 pass, 0 fail" in done.output
