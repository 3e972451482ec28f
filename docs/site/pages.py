"""What Sphinx reads and writes, on its way: source files become Markdown, marked places are filled, names in code become links.

A page says where something made from the code or from other pages goes, in a comment that a plain view does not show:
`<!-- api: evenflow.reference.scores -->`, `<!-- rooms -->`, `<!-- gallery -->`,
`<!-- options -->`.
"""
import os
import re
from pathlib import Path
from typing import Any

from docs.site import annotate, api, gallery, options
from docs.site.names import REFERENCE, ROOT, places

MARK = re.compile(r"<!-- (?:(rooms|gallery|options)|api: (\S+)) -->")
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s:#]+)\)")
NAME = re.compile(r'(?<!<span class="o">\.</span>)<span class="(n|nd|nf|nc|ne)">(@?)(\w+)</span>')
NUMBER = re.compile(r'(?<![\w"./=-])\d[\d.]*e-\d+(?![\w"])')  # which a line break would part at its sign


def read(app: Any, docname: str, text: list[str]) -> None:
    """Of a source file its annotated page; of a page of Markdown the same with its marks filled and its links to files kept."""
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".py":
        text[0] = annotate.page(path)
        return
    text[0] = MARK.sub(lambda mark: filled(path, mark), text[0])
    text[0] = LINK.sub(lambda link: kept(path, link), text[0])


def filled(page: Path, mark: re.Match[str]) -> str:
    if mark[1] == "options":
        return options.options()
    return api.entries(page, mark[2]) if mark[2] else {"rooms": annotate.rooms, "gallery": gallery.gallery}[mark[1]](page)


def kept(page: Path, link: re.Match[str]) -> str:
    """A link to a file that is no page of the site leads to a copy of it, one to a folder to its page, if there is one."""
    text, target = link[1], Path(os.path.normpath(page.parent / link[2]))
    if target.is_dir():
        return f"[{text}]({link[2].rstrip('/')}/index.md)" if (target / "index.md").exists() else text
    a_page = target.suffix == ".md" or (target.suffix == ".py" and REFERENCE in target.parents)
    return f"[{text}](path:{link[2]})" if target.is_file() and not a_page and target.suffix != ".png" else link[0]


def finished(app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """In the code of an annotated page, a name that the specification defines leads there. Copies of files open, as text."""
    body = NUMBER.sub(r'<span class="number">\g<0></span>', context.get("body", "").replace(' download=""', ""))
    path = ROOT / f"{pagename}.py"
    if pagename.startswith("reference/") and path.exists():
        known = places(path)
        body = NAME.sub(lambda name: linked(app, pagename, name, known), body)
    context["body"] = body


def linked(app: Any, pagename: str, name: re.Match[str], known: dict[str, tuple[Path, str]]) -> str:
    if name[3] not in known or name[1] in ("nf", "nc"):
        return name[0]
    path, anchor = known[name[3]]
    to = app.builder.get_relative_uri(pagename, path.relative_to(ROOT).with_suffix("").as_posix())
    return f'<a href="{to}#{anchor}">{name[0]}</a>'


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", read)
    app.connect("html-page-context", finished)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
