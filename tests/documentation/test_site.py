"""The documentation is built without a warning, and its pages load nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

LOADED = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=["']?(https?:[^"'\s>]+)""")


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert pages
    found = {(page.name, address) for page in pages for address in LOADED.findall(page.read_text(encoding="utf-8"))}
    assert found == set()


def test_formulas_are_made_into_mathml(site: Path) -> None:
    page = (site / "tutorial/logistic-regression/index.html").read_text(encoding="utf-8")
    assert "<math" in page
    assert "arithmatex" not in page


def test_a_page_that_is_not_there_leads_on(site: Path) -> None:
    page = (site / "404.html").read_text(encoding="utf-8")
    assert "There is no such page" in page
    assert 'href="/reference/"' in page


def test_measured_speed_is_shown_as_tables_and_pictures(site: Path) -> None:
    page = (site / "results/speed/index.html").read_text(encoding="utf-8")
    assert "<!-- results" not in page
    assert page.count("<table>") >= 4
    for name in re.findall(r'<img [^>]*src="([^"]+)"', page):
        assert (site / "results/speed" / name).resolve().read_text(encoding="utf-8").startswith("<svg")
