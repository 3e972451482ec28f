"""The gallery: every picture of the pages with the command that makes it, as Markdown."""
import os
import re
from pathlib import Path

from docs.site.names import ROOT

PICTURE = re.compile(r"!\[([^\]]+)\]\((\S+\.png)\)")
COMMAND = re.compile(
    r"^(?:    )?((?:\w+=\S+ )?(?:evenflow (?:reproduce|demo)\b.*|evenflow .*\.png|make demo\b.*|python .* --picture\b.*))$",
    re.MULTILINE)


def pages() -> list[Path]:
    """Where pictures are shown: the experiments first, which say how theirs were made, the README last."""
    return [*sorted((ROOT / "docs/experiments").glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]


def gallery(page: Path) -> str:
    """A card a picture: itself, what it shows, the command, and the page that discusses it."""
    everywhere = {path for source in pages() for path in shows(source)}
    left = sorted(set((ROOT / "docs/images").glob("*.png")) - everywhere)  # of a run that its page has only numbers of
    shown: set[Path] = set()
    parts = []
    for source in pages():
        text = source.read_text()
        commands = COMMAND.findall(text)
        nowhere = {path: path.stem.replace("-", " ") for path in left if path.stem.startswith(source.stem)}
        pictures = {path: alt for path, alt in (shows(source) | nowhere).items() if path not in shown}
        if commands and pictures:
            shown |= set(pictures)
            cards = [card(page, alt, path, command(path.stem, commands)) for path, alt in pictures.items()]
            parts.append(f"## {title(text)}\n\nFrom [{source.stem}]({relative(source, page)}).\n\n" + grid(cards))
    return "\n\n".join(parts)


def shows(page: Path) -> dict[Path, str]:
    """The pictures of a page, with what each is."""
    return {(page.parent / name).resolve(): alt for alt, name in PICTURE.findall(page.read_text())}


def command(stem: str, commands: list[str]) -> str:
    """Of a page's commands that which makes the picture: it names it, or the experiment and the preset that its name has.

    >>> command("rings-best-densities", ["evenflow reproduce rings --preset quick", "evenflow reproduce rings --preset best"])
    'evenflow reproduce rings --preset best'
    """
    def fits(line: str) -> tuple[bool, bool, bool]:
        experiment, preset = re.search(r"reproduce (\S+)", line), re.search(r"--preset (\S+)", line)
        its_own, its_preset = experiment and stem.startswith(experiment[1]), preset and f"-{preset[1]}-" in stem
        return f"/{stem}.png" in line, bool(its_own), bool(its_preset)

    return max(commands, key=fits).partition("  #")[0].strip()


def card(page: Path, alt: str, path: Path, line: str) -> str:
    picture = relative(path, page)
    code = f"```{{code-block}} console\n$ {line}\n```"
    return f":::{{container}} card\n[![{alt}]({picture})](path:{picture})\n\n{alt}\n\n{code}\n:::"


def grid(cards: list[str]) -> str:
    return "::::{container} cards\n" + "\n".join(cards) + "\n::::"


def title(text: str) -> str:
    return (re.search(r"^# (.+)$", text, re.MULTILINE) or [""])[1]


def relative(path: Path, page: Path) -> str:
    return os.path.relpath(path, page.parent)
