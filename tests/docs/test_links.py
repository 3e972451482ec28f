"""Links of the pages lead somewhere in a plain view of the repository; those of the site are looked at where it is built."""
from pathlib import Path

import pytest

from tests.docs.pages import LINKED, ROOT, headings, links


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert ROOT in target.parents, f"{link} leaves the repository"
        if anchor and target.suffix == ".md":
            assert anchor in headings(target), link
