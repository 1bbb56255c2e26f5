"""The parts that fixed splits leave of a two-input network's box, as polygons, rule by rule side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...instances.network import Array
from ..pages.figures import COLOURS, new_figure
from .fixed_splits import Part

__all__ = ["partition_panels", "polygon"]

COLUMNS = 3


def polygon(part: Part) -> Array:
    """[corners, 2] of the part's box cut by its half-spaces g'x + h >= 0, in order; none where nothing is left."""
    low, high = part.node.lower[0], part.node.upper[0]
    corners = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    for cut in part.node.cuts[0]:
        if not len(corners):
            break
        side = corners @ cut[:2] + cut[2]
        kept = []
        for a, b, s, t in zip(corners, np.roll(corners, -1, axis=0), side, np.roll(side, -1), strict=True):
            kept += [a] if s >= 0.0 else []
            kept += [a + (b - a) * (s / (s - t))] if (s > 0.0) != (t > 0.0) and s != t else []
        corners = np.array(kept).reshape(-1, 2)
    return corners


def partition_panels(parts: Mapping[str, Sequence[Part]], lower: Array, upper: Array) -> Any:
    """A panel a rule over the box lower, upper [2]: refuted parts blue, others orange.

    Of splits by axes and hyperplanes, which leave polygons; what is empty was clipped off, that is, refuted too.
    """
    from matplotlib.patches import Polygon

    figure, panels = new_figure(COLUMNS, width=2.6, height=2.7, rows=-(-len(parts) // COLUMNS))
    for axes, (rule, mine) in zip(panels, parts.items(), strict=False):
        for part in mine:
            corners = polygon(part)
            if len(corners) > 2:
                colour = COLOURS[0] if part.value > 0.0 else COLOURS[1]
                axes.add_patch(Polygon(corners, facecolor=(colour, 0.35), edgecolor=colour, linewidth=1.0))
        ended = sum(part.value > 0.0 for part in mine)
        axes.set(title=f"{rule}: {ended} of {len(mine)} refuted", xlim=(lower[0], upper[0]), ylim=(lower[1], upper[1]))
        axes.title.set_fontsize("small")
        axes.tick_params(labelsize="x-small")
    for axes in panels[len(parts) :]:
        axes.set_visible(False)
    return figure
