"""Where the bars of a drawn tree lie."""

from __future__ import annotations

import numpy as np
import pytest
from split_trees import halved, query_of

from hypersplit.bab.drawing.tree_drawing import spans

pytest.importorskip("matplotlib")


def test_widths_of_subtrees_are_their_leaves() -> None:
    """Children share their parent's interval without gap, the lower child to the left; leaves are one wide."""
    tree = halved(query_of(2, 2), 5, 2)
    start, count = spans(tree)
    inner = np.flatnonzero(~tree.leaf)
    upper, lower = tree.children[inner].T

    assert count[0] == 32 and (count[tree.leaf] == 1).all() and sorted(start[tree.leaf]) == list(range(32))
    assert (start[lower] == start[inner]).all() and (start[upper] == start[inner] + count[lower]).all()
