"""The pages of Markdown, and what stands in them: blocks of code, commands, links."""
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PROSE = ROOT / "docs/experiments/prose"  # what pages are made of
PAGES = [ROOT / "README.md", *sorted(set((ROOT / "docs").rglob("*.md")) - set(PROSE.iterdir()))]
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
NOT_RUN = re.compile(r"<!-- not run: (.+) -->")


class Block(NamedTuple):
    """A fenced block of Python."""
    line: int           # of the page, from 1, on which its first line stands
    code: str
    not_run: str | None  # the reason that the page's source gives in a comment above it


@cache
def tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text())


def python_blocks(page: Path) -> list[Block]:
    """The fenced blocks of Python of a page, in order."""
    blocks, reason = [], None
    for token in tokens(page):
        if token.type == "fence" and token.info.strip() == "python":
            assert token.map is not None
            blocks.append(Block(token.map[0] + 2, token.content, reason))
        found = NOT_RUN.match(token.content) if token.type == "html_block" else None
        reason = found[1] if found else None
    return blocks


def commands(page: Path) -> Iterator[str]:
    """The lines of the indented blocks that are commands: without what they print, remarks and where the output goes."""
    for token in tokens(page):
        if token.type == "code_block":
            text = token.content.replace("\\\n", " ")
            for line in text.splitlines():
                line = re.sub(r"\s+(#|>) .*$", "", line).strip()
                if re.match(r"(\w+=\S+ )?(cd \S+ && )?(evenflow|python|pip|make|pytest) ", line):
                    yield line


def links(page: Path) -> Iterator[str]:
    """What links and pictures of a page lead to, but for other sites."""
    for token in tokens(page):
        for child in token.children or []:
            target = child.attrGet("href") or child.attrGet("src")
            if target and not re.match(r"\w+:", str(target)):
                yield str(target)


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    found = tokens(page)
    titles = [after.content for token, after in pairwise(found) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()).replace(" ", "-") for title in titles}
