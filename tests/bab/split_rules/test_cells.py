"""Tests of bab/split_rules/cells.py."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit.bab.pages.figures import svg
from hypersplit.bab.split_rules.cells import partition_panels, polygon
from hypersplit.bab.split_rules.fixed_splits import after_splits
from hypersplit.bab.studies.scaling import near_maximum
from hypersplit.instances.query import queries


def area(corners: np.ndarray) -> float:
    """Of a polygon, by the shoelace formula."""
    x, y = corners.T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


@pytest.mark.parametrize("rule", ["axes", "rows-1", "rows"])
def test_polygons_are_the_parts(rule: str) -> None:
    """Each polygon's area is that of its part, measured by points on a grid."""
    query = queries(*near_maximum((2, 12, 12, 1), 3, radius=1.0))[0]
    _, parts = after_splits(query, rule, 5)
    low, high = query.region.lower, query.region.upper
    axis = (np.arange(200) + 0.5) / 200
    x = low + np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2) * (high - low)
    for part in parts:
        node, corners = part.node, polygon(part)
        inside = ((x >= node.lower[0]) & (x <= node.upper[0])).all(axis=1)
        inside &= (x @ node.cuts[0, :, :2].T + node.cuts[0, :, 2] >= 0.0).all(axis=1)
        measured = inside.mean() * float(np.prod(high - low))
        assert (area(corners) if len(corners) else 0.0) == pytest.approx(measured, abs=0.05)


def test_a_panel_a_rule() -> None:
    """With how many parts are refuted over each."""
    pytest.importorskip("matplotlib")
    query = queries(*near_maximum((2, 12, 12, 1), 3, radius=1.0))[0]
    parts = {rule: after_splits(query, rule, 3)[1] for rule in ("axes", "rows-1")}
    text = svg(partition_panels(parts, query.region.lower, query.region.upper), "cells")
    for rule, mine in parts.items():
        assert f"{rule}: {sum(p.value > 0.0 for p in mine)} of {len(mine)} refuted" in text
