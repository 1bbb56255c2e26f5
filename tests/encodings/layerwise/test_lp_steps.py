"""LP-GREEDY, LP-LAST, LP-ALL: in order of tightness, and below what samples reach."""

from __future__ import annotations

import time

import numpy as np
import pytest
from random_instances import random_instance, random_points

from hypersplit.encodings.layerwise.lp_steps import greedy_node, lp_all_node
from hypersplit.encodings.programs.lp import TriangleLP
from hypersplit.instances.batch import Node, root
from hypersplit.instances.network import Array
from hypersplit.instances.query import Query, queries

SECONDS = 60.0  # far beyond what any of these LPs needs


def by_lp(query: Query, node: Node) -> Array:
    """[disjuncts] the triangle LP's bounds of the largest margins."""
    lp = TriangleLP(query, node)
    return np.array([lp.minimise(k, SECONDS).bound for k in range(query.disjuncts)])


@pytest.mark.parametrize("seed", range(12))
def test_steps_are_in_order(seed: int) -> None:
    """Each is at least as good as the one before it, and none is above a sampled margin."""
    instance = random_instance(seed)
    for query in queries(instance.network, instance.prop):
        node = root(query).node(0)
        known, bounds = greedy_node(query, node)
        if (known.pre_lower > known.pre_upper).any():
            continue
        greedy = query.per_disjunct(bounds.margins)[0]
        last, all_of_them = by_lp(query, known), by_lp(query, lp_all_node(query, known)[0])
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
        tight, times = lp_all_node(query, node)
        late, untold = lp_all_node(query, node, time.monotonic() - 1.0)
        layers, cut = enumerate(query.network.layers[:-1], start=1), len(node.cuts) > 0
        asked = [k for k, layer in layers if layer.kind != "identity" and (cut or layer.sources != (0,))]
        told, empty = [one.layer for one in times], bool((tight.pre_lower > tight.pre_upper).any())
        assert told == (asked[: len(told)] if empty else asked), f"seed {seed}"
        assert untold == []
        assert np.array_equal(late.pre_lower, node.pre_lower) and np.array_equal(late.pre_upper, node.pre_upper)
        assert (tight.pre_lower >= node.pre_lower).all() and (tight.pre_upper <= node.pre_upper).all()
        won = won or bool((tight.pre_upper < node.pre_upper - 1e-6).any())
    assert won
