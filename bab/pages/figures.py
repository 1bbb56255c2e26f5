"""Figures as lines: drawn by matplotlib without a screen, kept as SVG that a page holds and that its colours suit.

What matplotlib would draw in black is drawn in `currentColor`, and nothing has a background: a figure is as light or as
dark as the page around it. Lines take their colours from COLOURS, seven that people with any of the usual colour vision
deficiencies tell apart (after the palette of Okabe and Ito, 2008, with the two lightest made darker), each with a
contrast of at least 2.9 to white and to the dark pages' ground.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["COLOURS", "DARK", "LIGHT", "new_figure", "svg"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#c46a9b", "#a87000", "#4a9fd4", "#808080")
LIGHT, DARK = ("#ffffff", "#1d1f23"), ("#16181d", "#e4e6ea")  # ground and words
ALONE = f"svg {{ color: {LIGHT[1]} }} @media (prefers-color-scheme: dark) {{ svg {{ color: {DARK[1]} }} }}"
# glyphs stay words, which can be read aloud and found; nothing in the file depends on when it was written
DRAWN = {"svg.fonttype": "none", "font.family": "sans-serif"}
PIXELS, LEAST = 4.0 / 3.0, 1.07  # a point; as wide, and as narrow as figures become


def new_figure(panels: int, width: float = 4.6, height: float = 3.8, rows: int = 1) -> tuple[Any, list[Any]]:
    """A matplotlib Figure with `rows` times `panels` panels of so many inches, and these, row by row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * panels, height * rows), layout="constrained")
    axes = list(figure.subplots(rows, panels, squeeze=False).flat)
    for panel in axes:
        panel.set_prop_cycle(color=COLOURS)
    return figure, axes


def svg(figure: Any, name: str, alone: bool = False) -> str:
    """The figure as an <svg> element. name: a word before its ids, unlike those of other figures of the page.

    alone: as a file, with words dark on light screens and light on dark ones; else in the colour of the page's words.
    Axes whose values are all whole numbers get ticks at whole numbers only.
    """
    from matplotlib import rc_context

    for axes in figure.axes:
        _whole_ticks(axes)
        axes.patch.set_alpha(0.0)
        if axes.get_legend() is not None:
            axes.get_legend().get_frame().set(facecolor="none", edgecolor="none")
    drawn = io.StringIO()
    settings: Any = {**DRAWN, "svg.hashsalt": name}
    with rc_context(settings):
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _as_part(drawn.getvalue(), name, alone)


def _as_part(text: str, name: str, alone: bool) -> str:
    """Matplotlib's file as an element with ids of its own, in the colours of what is around it."""
    text = text[text.index("<svg ") :].rstrip()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(?<=id=")|(?<=url\(#)|(?<=href="#)', f"{name}-", text).replace("#000000", "currentColor")
    wide, high = (float(re.search(rf'{side}="([\d.]+)pt"', text)[1]) for side in ("width", "height"))  # type: ignore[index]
    # as wide as the page allows; on a phone no words get smaller than four fifths, the figure is moved instead
    style = f"width: {wide * PIXELS:.0f}px; max-width: 100%; min-width: {wide * LEAST:.0f}px; height: auto"
    head = f'<svg role="img" fill="currentColor" style="{style}" viewBox="0 0 {wide:g} {high:g}" '
    rest = re.sub(r'\s(width|height|viewBox|version)="[^"]*"', "", text[len("<svg") : text.index(">")], count=4)
    inside = text[text.index(">") + 1 :]
    return f"{head}{rest.strip()}>{f'<style>{ALONE}</style>' if alone else ''}{inside}"


def _whole_ticks(axes: Any) -> None:
    for axis, values in zip((axes.xaxis, axes.yaxis), zip(*_data(axes), strict=True), strict=True):
        known = np.concatenate([np.asarray(part, dtype=np.float64) for part in values])
        if axis.get_scale() == "linear" and len(known) and (known == np.rint(known)).all():
            locator = axis.get_major_locator()
            if type(locator).__name__ in ("AutoLocator", "MaxNLocator"):  # not those that a figure set itself
                locator.set_params(integer=True)


def _data(axes: Any) -> Iterator[tuple[Any, Any]]:
    """x and y of all lines that are drawn in the panel's own units."""
    nothing = np.zeros(0)
    yield nothing, nothing
    for line in axes.get_lines():
        if line.get_transform() == axes.transData:
            yield line.get_data()
