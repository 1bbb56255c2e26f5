"""LP-GREEDY, LP-LAST, LP-ALL: in order of tightness, and below what samples reach."""

from __future__ import annotations

import numpy as np
import pytest
from random_instances import random_instance, random_points

from hypersplit.encodings.layerwise.lp_steps import greedy_node, lp_all, lp_all_node, lp_greedy, lp_last
from hypersplit.instances.batch import root
from hypersplit.instances.query import queries


@pytest.mark.parametrize("seed", range(12))
def test_steps_are_in_order(seed: int) -> None:
    """Each is at least as good as the one before it, and none is above a sampled margin."""
    instance = random_instance(seed)
    for query in queries(instance.network, instance.prop):
        node = root(query).node(0)
        if (greedy_node(query, node)[0].pre_lower > greedy_node(query, node)[0].pre_upper).any():
            continue
        greedy, last, all_of_them = lp_greedy(query, node), lp_last(query, node), lp_all(query, node)
        tolerance = 1e-6 * (1.0 + np.abs(greedy))
        assert (greedy <= last + tolerance).all() and (last <= all_of_them + tolerance).all(), f"seed {seed}"
        x = random_points(np.random.default_rng(seed), query.region, 1000)
        if len(query.region.rows):
            x = x[(x @ query.region.rows.T <= query.region.offsets).all(axis=1)]
        if len(x):
            least = query.per_disjunct(query.network.evaluate(x)).min(axis=0)
            assert (all_of_them <= least + 1e-9 * (1.0 + np.abs(least))).all(), f"seed {seed}"


def test_hidden_bounds_tighten_and_a_deadline_leaves_them() -> None:
    """LPs win something on networks of two hidden layers; with no time for them the bounds are the node's own."""
    won = False
    for seed in range(12):
        query = queries(*(lambda one: (one.network, one.prop))(random_instance(seed)))[0]
        node = greedy_node(query, root(query).node(0))[0]
        if (node.pre_lower > node.pre_upper).any():
            continue
        tight, late = lp_all_node(query, node), lp_all_node(query, node, 0.0)
        assert np.array_equal(late.pre_lower, node.pre_lower) and np.array_equal(late.pre_upper, node.pre_upper)
        assert (tight.pre_lower >= node.pre_lower).all() and (tight.pre_upper <= node.pre_upper).all()
        won = won or bool((tight.pre_upper < node.pre_upper - 1e-6).any())
    assert won
