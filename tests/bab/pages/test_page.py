"""Tests of bab/pages/page.py."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from hypersplit.bab.pages.figures import new_figure
from hypersplit.bab.pages.page import Page, write_page


class Headings(HTMLParser):
    """The words of h1 and h2, and every address that the page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.fetched: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes headings and links."""
        self.inside = tag in ("h1", "h2")
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        """Takes the words of a heading."""
        if self.inside:
            self.said.append(data.strip())
            self.inside = False


def test_a_page_says_everything_in_order(tmp_path: Path) -> None:
    """Question, setting, finding, tables, command; one file that fetches nothing, and an svg a figure."""
    pytest.importorskip("matplotlib")
    figure, (axes,) = new_figure(1)
    axes.plot([1, 2], [1, 4])
    rows = [{"n": 1, "square": 1}, {"n": 2, "square": 4}]
    words = ("Squares <b>", "How fast?", ["On 2."], ["Fast."])
    page = Page(*words, {"growth": figure}, {"All": rows}, "make it", ("R", rows))
    path = write_page(tmp_path, "squares", page)
    seen = Headings()
    seen.feed(path.read_text())

    assert ["Squares <b>", "Question", "Setting", "Finding", "All", "Again"] == seen.said
    assert not [address for address in seen.fetched if not address.startswith("#")]
    assert ["squares-growth.svg", "squares.html"] == sorted(p.name for p in tmp_path.iterdir())
    text = path.read_text()
    assert 1 == text.count("<svg ") and 2 == text.count("<table>") and "<details><summary>R</summary>" in text
    assert "width=device-width" in text and "prefers-color-scheme: dark" in text
