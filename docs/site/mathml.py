"""Formulas as MathML, made when the site is built: a browser draws it by itself, without scripts and without a network."""
import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert


def mathml(tex: str, display: str = "inline") -> str:
    """A digit and a letter are two factors; latex2mathml takes 2sp for a length."""
    return str(convert(re.sub(r"(?<=\d)(?=[a-z])", " ", tex), display=display))


def inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="math">{mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
