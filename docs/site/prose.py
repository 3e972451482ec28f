"""Docstrings and comments as Markdown. They are plain text: paragraphs, formulas, tables drawn with spaces, examples."""
import re
import textwrap
from collections.abc import Iterator

COLUMNS = re.compile(r"^\s*\S.*? {3,}\S", re.MULTILINE)  # a line in which three spaces in a row part two columns
VERBATIM = re.compile(r"(`[^`]+`|\$\$.+?\$\$|\$[^$]+\$)", re.DOTALL)


def markdown(text: str) -> str:
    """A docstring as Markdown.

    >>> markdown("One line.\\n\\n>>> 1 + 1\\n2")
    'One line.\\n\\n```pycon\\n>>> 1 + 1\\n2\\n```'
    """
    return "\n\n".join(as_markdown(paragraph) for paragraph in paragraphs(textwrap.dedent(text)))


def paragraphs(text: str) -> Iterator[str]:
    """What blank lines part; an indented paragraph with blank lines in it stays one."""
    part: list[str] = []
    for chunk in re.split(r"\n\s*\n", text.strip("\n")):
        indented = chunk.startswith("    ")
        if part and not (indented and part[-1].startswith("    ")):
            yield "\n\n".join(part)
            part = []
        part.append(chunk)
    if part:
        yield "\n\n".join(part)


def as_markdown(paragraph: str) -> str:
    if paragraph.startswith(">>> "):
        return f"```pycon\n{paragraph}\n```"
    if paragraph.startswith("    "):
        return listing(textwrap.dedent(paragraph))
    if "$$" not in paragraph and COLUMNS.search(paragraph):
        head, table = before_table(paragraph)
        return (escaped(head) + "\n\n" if head else "") + listing(table)
    return escaped(paragraph)


def listing(text: str) -> str:
    """Columns, steps, formulas in plain letters: as they stand."""
    return f"```text\n{text}\n```"


def before_table(paragraph: str) -> tuple[str, str]:
    """The lines before the first with columns, and the rest."""
    lines = paragraph.split("\n")
    first = next(i for i, line in enumerate(lines) if COLUMNS.match(line))
    return "\n".join(lines[:first]), "\n".join(lines[first:])


def escaped(paragraph: str) -> str:
    """Outside code and formulas a `<` is a sign, not the beginning of a tag; an arrow is one letter, which no line parts."""
    parts = VERBATIM.split(paragraph)
    return "".join(part if i % 2 else part.replace("<", "\\<").replace("->", "→") for i, part in enumerate(parts))
