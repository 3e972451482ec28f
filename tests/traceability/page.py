"""docs/traceability.md as text."""
from collections.abc import Iterable, Iterator

from tests.traceability import ABSENT, PARTS
from tests.traceability.entries import Entry, Section, place

HEAD = """# Traceability

From the papers to the code: each statement that can be checked, the function that is its definition here, the tests that would
fail if it were not so, and the test vectors (`tests/conformance/vectors/`) by which any other implementation can be checked.
`vector (flag)` means the flagged cases of that file. Made by `python -m tests.traceability > docs/traceability.md` from the
entries in `tests/traceability/`; `tests/traceability/test_traceability.py` fails where a function, a test or a vector is not
there, and where this page is not what the entries say. What is not here at all [stands at the end](#not-here).

Si et al. 2023: semi-autoregressive energy flows, ICML, arXiv 2206.06672. Si et al. 2022: autoregressive quantile flows, ICLR.
Grenioux et al. 2023: balanced training of energy-based models with adaptive flow sampling, arXiv 2306.00684, third version.
"""
COLUMNS = ("statement", "source", "function", "tests", "vectors")


def page() -> str:
    return "\n".join(lines())


def lines() -> Iterator[str]:
    yield HEAD
    for title, sections in PARTS.items():
        yield f"## {title}\n"
        for section in sections:
            yield from table(section)
    yield "## Not here\n"
    yield from rows(("what", "source", "why"), ((absent.what, absent.source, absent.because) for absent in ABSENT))


def table(section: Section) -> Iterator[str]:
    yield f"### {section.title}\n"
    if section.about:
        yield f"{section.about}\n"
    yield from rows(COLUMNS, map(cells, section.entries))
    yield ""


def rows(head: tuple[str, ...], body: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield row(head)
    yield row(("---",) * len(head))
    yield from map(row, body)


def row(cells: tuple[str, ...]) -> str:
    """A | inside a cell is escaped, which GitHub's tables want inside code, too."""
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def cells(entry: Entry) -> tuple[str, ...]:
    return (
        entry.says, entry.source, listed(map(function, entry.at.split())), listed(map(test, entry.tests.split())),
        listed(map(vector, entry.vectors.split())) if entry.vectors else f"none: {entry.why}",
    )


def listed(links: Iterable[str]) -> str:
    return "<br>".join(links)


def function(name: str) -> str:
    """A name of `at` with a link to its file, from docs/."""
    file, inside = place(name)
    path = file.relative_to("docs") if file.is_relative_to("docs") else f"../{file}"
    return f"[`{name.removesuffix('.' + inside)}.{inside}`]({path})"


def test(name: str) -> str:
    file, inside = name.split("::")
    return f"[`{inside}`](../tests/{file})"


def vector(name: str) -> str:
    operation, _, flag = name.partition("#")
    return f"[`{operation}`](../tests/conformance/vectors/{operation}.json)" + (f" ({flag})" if flag else "")
