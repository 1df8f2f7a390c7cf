"""Relative links and anchors lead somewhere, and every page can be found from the index."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest

from schemas.rules import names
from tests.docs.pages import PAGES, ROOT, anchors, links, split


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for link in links(page):
        if "://" in link.target or link.target.startswith("mailto:"):
            continue
        path, _, anchor = unquote(link.target).partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or (anchor and (place.suffix != ".md" or anchor not in anchors(place))):
            lost.append(f"{page.relative_to(ROOT)}:{link.line}: {link.target}")
    assert not lost


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    named = {(index.parent / link.target.partition("#")[0]).resolve() for link in links(index)}
    assert {page for page in PAGES if page.parent.name == "docs" and page != index} <= named
    assert any(link.target == "docs/README.md" for link in links(ROOT / "README.md"))


def test_every_alert_has_a_section() -> None:
    assert {alert.lower() for alert in names.ALERTS} <= anchors(ROOT / "docs" / "alerts.md")


def test_commands_are_cut_where_they_end() -> None:
    block = "# a comment\nfirst --option \\\n    more\ncat > f <<'END'\nx = 1\nEND\nlast\n"
    assert list(split(block)) == [
        (1, "first --option \\\n    more"), (3, "cat > f <<'END'\nx = 1\nEND"), (6, "last")
    ]  # fmt: skip
