"""The kernel's ascent is no worse than plain lines."""

from __future__ import annotations

import numpy as np
from phase_trees import ASCENT, ONLY_LINES, phase_nodes, refreshed, short_cut, wide_queries  # noqa: F401


def test_the_ascent_is_worth_its_time() -> None:
    """Hidden bounds after the ascent are never worse than plain ones, and narrower on the whole."""
    narrower = 0.0
    for seed in range(30):
        for query in wide_queries(seed, sparse=False):
            nodes = phase_nodes(query, seed, 6)
            before, after = (refreshed(query, nodes, options, "compiled") for options in (ONLY_LINES, ASCENT))
            both = ~(before.infeasible | after.infeasible)
            scale = 1.0 + np.abs(before.pre_upper[both]).max(initial=0.0)
            assert (after.pre_lower[both] >= before.pre_lower[both] - 1e-3 * scale).all()
            assert (after.pre_upper[both] <= before.pre_upper[both] + 1e-3 * scale).all()
            won = (before.pre_upper - before.pre_lower) - (after.pre_upper - after.pre_lower)
            narrower += float(won[both].sum() / scale)
    assert narrower > 0.5
