"""Look at every page in a headless Chromium: `python -m tests.docs.browser docs/_site [--shots FOLDER PAGE...]`.

A page must load nothing but files, log no error, fit a window 390 wide without scrolling sideways, and find what is searched
for. Needs `pip install playwright` and a Chromium (Debian: apt-get install chromium).
"""
import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

NARROW, WIDE = 390, 1400


def complaints(page: Any, path: Path) -> Iterator[str]:
    """What is wrong with one file, in a narrow window."""
    said: list[str] = []
    asked: list[str] = []
    hear = {"console": lambda m: said.append(m.text) if m.type == "error" else None, "pageerror": lambda e: said.append(str(e)),
            "request": lambda r: asked.append(r.url), "requestfailed": lambda r: said.append(f"failed: {r.url}")}
    for event, listener in hear.items():
        page.on(event, listener)
    page.goto(path.as_uri())
    width = page.evaluate("document.documentElement.scrollWidth")
    for event, listener in hear.items():
        page.remove_listener(event, listener)
    yield from said
    yield from (f"asks for {url}" for url in asked if not url.startswith(("file:", "data:")))
    if width > NARROW:
        yield f"is {width} wide in a window of {NARROW}"


def search(page: Any, site: Path, words: str, expected: str) -> Iterator[str]:
    page.goto(f"{(site / 'search.html').as_uri()}?q={words}")
    page.wait_for_selector("#search-results li a")
    page.wait_for_timeout(500)
    found = page.eval_on_selector_all("#search-results li a", "links => links.map(link => link.href)")
    if not any(expected in link for link in found):
        yield f"a search for {words} does not find {expected}: {found}"


def shoot(browser: Any, site: Path, names: list[str], folder: Path) -> None:
    """Pictures of pages, wide and narrow, light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    for width in (WIDE, NARROW):
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": 2000 if width == WIDE else 1400}, color_scheme=scheme)
            for name in names:
                page.goto((site / name.partition("?")[0]).as_uri() + name[len(name.partition("?")[0]):])
                page.wait_for_timeout(300)
                page.screenshot(path=folder / f"{name.partition('?')[0].replace('/', '-')}-{width}-{scheme}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("--shots", type=Path)
    parser.add_argument("pages", nargs="*")
    given = parser.parse_args()
    site = given.site.resolve()
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        if given.shots:
            shoot(browser, site, given.pages, given.shots)
            return
        page = browser.new_page(viewport={"width": NARROW, "height": 844})
        pages = sorted(set(site.rglob("*.html")) - {site / "index.html"})  # which leads on at once
        wrong = [f"{path.relative_to(site)} {what}" for path in pages for what in complaints(page, path)]
        wrong += search(page, site, "rational_quadratic_spline", "spline")
        print(*wrong, f"{len(wrong)} complaints", sep="\n")
        raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
