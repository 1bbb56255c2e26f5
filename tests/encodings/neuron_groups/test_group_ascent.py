"""Layer by layer without LPs: bounds hold on the oracle's leaves, rows at samples, and nothing gets worse."""

from __future__ import annotations

import math

import numpy as np
import oracle
import pytest
from milp_problems import bounded
from random_instances import Shape, random_points, random_query

from hypersplit.encodings.neuron_groups.group_ascent import refine_by_ascent
from hypersplit.encodings.slopes.optimised_bounds import OptimiseOptions
from hypersplit.heuristics.neuron_groups import Grouping, groups_of_layer
from hypersplit.instances.batch import root

OPTIONS = OptimiseOptions(iterations=5)


@pytest.mark.parametrize("shape", [Shape(identity=0.0), Shape(residual=1.0, rough=True), Shape(scale=1e3)])
def test_refined_bounds_hold_exactly(shape: Shape) -> None:
    """Exact ranges of all neurons lie within; no bound is wider than before; the given node stays as it was."""
    rows_seen = narrower = 0
    for seed in range(10):
        query = random_query(seed, shape)
        node = bounded(query, root(query).node(0))
        if node is None:
            continue
        given = node.batch
        before = given.pre_lower.copy()
        refined, pool = refine_by_ascent(
            query, given, lambda k, n, q=query: [groups_of_layer(q, n, k, Grouping(2, 6))], OPTIONS, math.inf
        )
        assert np.array_equal(given.pre_lower, before)
        assert (refined.pre_lower >= given.pre_lower).all() and (refined.pre_upper <= given.pre_upper).all()
        for leaf in oracle.leaves(query.network, query.region):
            for z, part in zip(leaf.pre, query.slices, strict=False):
                for i in range(part.stop - part.start):
                    least, most = z.range(leaf.polytope, i)
                    assert refined.pre_lower[0, part.start + i] <= least, f"seed {seed}"
                    assert refined.pre_upper[0, part.start + i] >= most, f"seed {seed}"
        points = random_points(np.random.default_rng(seed), query.region, 20)
        values, pre = query.network.values(points)
        for p in range(len(points)):
            z = np.concatenate([*(x[p] for x in pre[:-1]), points[p]])
            y = np.concatenate([*(x[p] for x in values[1:-1]), np.zeros(points.shape[1])])
            assert (pool.rows.values(z, y) >= -1e-9 * (1.0 + np.abs(z).max())).all(), f"seed {seed}"
        rows_seen += len(pool.rows)
        narrower += int((refined.pre_upper < given.pre_upper - 1e-6).any())
    assert rows_seen > 0 and narrower > 0


def test_after_the_deadline_nothing_changes() -> None:
    """Bounds stay, and no group gets rows."""
    query = random_query(0, Shape(identity=0.0, halfspaces=0.0))
    node = bounded(query, root(query).node(0))
    assert node is not None
    refined, pool = refine_by_ascent(
        query, node.batch, lambda k, n: [groups_of_layer(query, n, k, Grouping(2, 6))], OPTIONS, -math.inf
    )
    assert np.array_equal(refined.pre_lower, node.batch.pre_lower) and len(pool.rows) == 0
