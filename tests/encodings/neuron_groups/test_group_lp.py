"""Rows of groups in the triangle LP: they hold on samples, and the bound lies between the triangles' and the truth."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from milp_problems import bounded, exact_minimum
from random_instances import Shape, random_points, random_query

from hypersplit.encodings.neuron_groups import group_lp
from hypersplit.encodings.neuron_groups.group_lp import GroupLP, directions_for, group_rows
from hypersplit.encodings.programs.lp import TriangleLP
from hypersplit.heuristics.neuron_groups import Grouping, groups_of_layer
from hypersplit.instances.batch import Node, root
from hypersplit.instances.network import Array
from hypersplit.instances.query import Query

SHAPE = Shape(identity=0.0, halfspaces=0.0)
WIDE = replace(SHAPE, most_width=12, most_relus=30)
FAR = 1e4


def _pairs(query: Query, node: Node, k: int) -> list[Array]:
    """Groups of two of layer k."""
    return [groups_of_layer(query, node, k, Grouping(2, 9))]


def grouped(seed: int, shape: Shape = SHAPE) -> tuple[Query, Node]:
    """A random query's root with linear bounds."""
    query = random_query(seed, shape)
    node = bounded(query, root(query).node(0))
    assert node is not None
    return query, node


@pytest.mark.parametrize("exact", [2, 0])
def test_rows_hold_at_the_networks_values(exact: int) -> None:
    """Rows of exact hulls and wrapped ones, of pairs of every layer, at random points."""
    rows_seen = 0
    for seed in range(10):
        query, node = grouped(seed)
        pairs = partial(_pairs, query, node)
        rows = group_rows(query, node, pairs, exact=exact)
        points = random_points(np.random.default_rng(seed), query.region, 40)
        values, pre = query.network.values(points)
        for p in range(len(points)):
            z = np.concatenate([*(x[p] for x in pre[:-1]), points[p]])
            y = np.concatenate([*(x[p] for x in values[1:-1]), np.zeros(points.shape[1])])
            assert (rows.values(z, y) >= -1e-9 * (1.0 + np.abs(z).max())).all(), f"seed {seed}"
        rows_seen += len(rows)
    assert rows_seen > 5


def test_bounds_lie_between_the_triangles_and_the_truth() -> None:
    """Never below the LP without rows, never above the exact minimum; sometimes better than the former."""
    better = 0
    for seed in range(14):
        query, node = grouped(seed)
        rows = group_rows(query, node, lambda k, q=query, n=node: [groups_of_layer(q, n, k, Grouping(2, 9))])
        model = GroupLP(query, node, rows)
        for k in range(query.disjuncts):
            plain = TriangleLP(query, node).minimise(k, 10.0).bound
            found = model.minimise(k, time.monotonic() + 60.0).bound
            truth = exact_minimum(query, node, [k])
            assert truth is not None and found <= truth, f"seed {seed}, disjunct {k}"
            assert found >= plain - 1e-6 * (1.0 + abs(plain)), f"seed {seed}, disjunct {k}"
            better += found > plain + 1e-4
    assert better > 0


def test_without_groups_or_time_there_are_no_rows() -> None:
    """Later layers get none after the deadline."""
    query, node = grouped(0)
    assert len(group_rows(query, node, lambda k: [])) == 0
    late = group_rows(query, node, partial(_pairs, query, node), deadline=time.monotonic() - 1.0)
    assert len(late) == 0


def test_large_groups_have_the_directions_of_pairs() -> None:
    """All 3^k - 1 up to three neurons, two entries at most beyond."""
    assert [len(directions_for(k)) for k in (1, 2, 3)] == [2, 8, 26]
    assert len(directions_for(5)) == 2 * 25 and np.abs(directions_for(5)).sum(axis=1).max() == 2


def _lowered(query: Query, less: float) -> Query:
    """The query with that much less for every margin."""
    *hidden, margins = query.network.layers
    lowered = replace(margins, bias=margins.bias - less)
    return replace(query, network=replace(query.network, layers=(*hidden, lowered)))


def test_separation_does_not_depend_on_where_zero_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Margins less 10,000 have bounds less 10,000: rounds go on for what rows win, not for what is missing to 0."""
    monkeypatch.setattr(group_lp, "AT_ONCE", 1)  # so that there are several rounds
    rounds = 0
    for seed in range(4):
        query, node = grouped(seed, WIDE)
        rows = group_rows(query, node, partial(_pairs, query, node))
        found = []
        for less in (50.0, FAR):  # either way nothing is refuted early
            model = GroupLP(_lowered(query, less), node, rows)
            found.append(model.minimise(0, time.monotonic() + 60.0).bound + less)
        assert found[0] == pytest.approx(found[1], abs=1e-3), f"seed {seed}"
        rounds = max(rounds, model.rounds)
    assert rounds > 2
