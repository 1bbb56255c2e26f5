"""Tests of bab/pages/figures.py."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from hypersplit.bab.pages import figures as module
from hypersplit.bab.pages.figures import COLOURS, DARK, LIGHT, new_figure, svg

pytest.importorskip("matplotlib")


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2)."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    return float(np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("ground", [LIGHT[0], DARK[0]])
def test_lines_stand_out(ground: str) -> None:
    """Every colour of a line has a contrast of 2.9 or more to light and to dark pages."""
    for colour in COLOURS:
        low, high = sorted((luminance(colour), luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 2.9, colour


def test_a_figure_takes_the_colours_of_the_page() -> None:
    """Words and axes are drawn in the page's colour, nothing has a ground, and the element is well-formed."""
    figure, (axes,) = new_figure(1)
    axes.plot([1, 2], [0.5, 0.25], label="half")
    axes.set(title="halves & more")
    axes.legend()
    text = svg(figure, "study-halves")

    ElementTree.fromstring(text.replace("xlink:", "").replace("<svg ", '<svg xmlns:q="q" ', 1))
    assert "halves &amp; more" in text and COLOURS[0] in text and "currentColor" in text
    assert "#000000" not in text and "#ffffff" not in text
    assert "prefers-color-scheme" in svg(figure, "study-halves", alone=True)
    assert text == svg(figure, "study-halves")


def test_figures_of_one_page_share_no_names() -> None:
    """What a figure refers to by name is its own: two of them may stand in one page."""
    figure, (axes,) = new_figure(1)
    axes.plot([1, 2], [2, 1], "o")
    one, other = svg(figure, "one"), svg(figure, "other")
    names = [set(re.findall(r'id="([^"]+)"', text)) for text in (one, other)]

    assert names[0] and not names[0] & names[1]
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', one)) <= names[0]


def test_whole_numbers_have_whole_ticks() -> None:
    """An axis of 1, 2, 3 has no tick at 2.5; one of halves may."""
    figure, (axes,) = new_figure(1)
    axes.plot([1, 2, 3], [0.0, 0.5, 1.0])
    svg(figure, "ticks")

    ticks = axes.get_xticks()
    assert (ticks == np.rint(ticks)).all()
    assert (axes.get_yticks() != np.rint(axes.get_yticks())).any()


def test_panels_stand_in_rows() -> None:
    """Two rows of three panels are six, in that order."""
    figure, panels = module.new_figure(3, rows=2)
    assert 6 == len(panels) == len(figure.axes)
