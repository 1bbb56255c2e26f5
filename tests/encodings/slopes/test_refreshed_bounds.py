"""The kernel of wide networks: true bounds, the same as its numpy twin's, ascents no worse than plain lines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from phase_trees import ASCENT, phase_nodes, refreshed, short_cut, wide_queries  # noqa: F401


def test_a_deadline_leaves_nodes_as_they_were() -> None:
    """Nodes that the time does not reach keep their bounds and claim nothing."""
    query = wide_queries(0, sparse=False)[0]
    nodes = phase_nodes(query, 0, 3)
    late = replace(ASCENT, deadline=0.0)
    found = refreshed(query, nodes, late, "compiled")
    assert np.array_equal(found.pre_lower, nodes.pre_lower)
    assert np.isneginf(found.margins).all()
    assert not found.infeasible.any()
