"""The triangle LP's rows hold at the network's own values, and cut off what a triangle cuts off."""

from __future__ import annotations

import numpy as np
import pytest
from lp_columns import columns_at, excess
from milp_problems import bounded
from random_instances import Shape, random_points, random_query

from hypersplit.encodings.programs.triangles import Triangles
from hypersplit.instances.batch import Node, root
from hypersplit.instances.query import Query


def built(seed: int, shape: Shape) -> tuple[Query, Node, Triangles] | None:
    """All hidden neurons of a random query's root; None where it is empty."""
    query = random_query(seed, shape)
    node = bounded(query, root(query).node(0))
    if node is None:
        return None
    triangles = Triangles(query, node)
    for k, part in enumerate(query.slices, start=1):
        triangles.add_neurons(k, np.ones(part.stop - part.start, dtype=bool), node)
    triangles.set_node(node)
    return query, node, triangles


@pytest.mark.parametrize("shape", [Shape(), Shape(rough=True, residual=1.0), Shape(scale=1e4), Shape(identity=0.5)])
def test_rows_hold_at_the_networks_values(shape: Shape) -> None:
    """Every row and box, half-spaces included, at points of the region."""
    points = 0
    for seed in range(15):
        if (made := built(seed, shape)) is None:
            continue
        query, _, triangles = made
        for x in random_points(np.random.default_rng(seed), query.region, 5):
            v = columns_at(query, triangles, x)
            assert excess(triangles, v).max(initial=0.0) <= 1e-9, f"seed {seed}"
            slack = 1e-9 * (1.0 + np.abs(v))
            assert (v >= triangles.lp.lower - slack).all() and (v <= triangles.lp.upper + slack).all(), f"seed {seed}"
            points += 1
    assert points > 20


def test_a_point_above_the_triangle_is_cut_off() -> None:
    """y a little above u (z - l) / (u - l) at the middle of an unstable neuron's interval violates its row."""
    cut = 0
    for seed in range(10):
        if (made := built(seed, Shape(identity=0.0))) is None:
            continue
        _, node, triangles = made
        for block, flat, _ in triangles.caps:
            for r, i in enumerate(flat.tolist()):
                low, high = node.pre_lower[i], node.pre_upper[i]
                z = 0.5 * low + 0.5 * high
                for share, over in ((1e-6, True), (-1e-6, False)):
                    y = high * (z - low) / (high - low) + share * high
                    row = block.matrix.data[2 * r : 2 * r + 2]
                    value = row @ np.array([y, y - z])
                    assert (value > triangles.lp.row_upper[block.first + r]) == over, f"seed {seed}, neuron {i}"
                    cut += over
    assert cut > 10


def test_a_child_is_a_change_of_numbers() -> None:
    """A phase fixes a half of z, the parent's numbers come back, and neurons without a column are noticed."""
    made = next(m for m in (built(s, Shape(identity=0.0, most_hidden=1)) for s in range(50)) if m and m[2].caps)
    _, node, triangles = made
    before = triangles.lp.lower.copy(), triangles.lp.upper.copy(), triangles.lp.row_upper.copy()
    i = int(triangles.caps[0][1][0])
    child_lower = node.pre_lower.copy()
    child_lower[i] = 0.0
    child = Node(node.lower, node.upper, node.cuts, child_lower, node.pre_upper, node.phases, 0.0, 1, node.duty)
    assert triangles.covers(child)
    triangles.set_node(child)
    assert triangles.lp.upper[triangles.second[i]] == 0.0
    triangles.set_node(node)
    for old, new in zip(before, (triangles.lp.lower, triangles.lp.upper, triangles.lp.row_upper), strict=True):
        np.testing.assert_array_equal(old, new)
    triangles.first[i] = -1
    assert not triangles.covers(node)


def test_half_spaces_are_switched_off_and_on() -> None:
    """Those of another node get a side out of reach of the box; wanted ones have their own."""
    query = random_query(3, Shape(halfspaces=0.0, most_inputs=2, fixed=0.0))
    node = bounded(query, root(query).node(0))
    assert node is not None
    triangles = Triangles(query, node)
    n = query.network.input_size
    cut = np.append(np.ones(n), -1e-3)
    triangles.set_cuts(cut[None])
    (block, side), = triangles.cuts.values()
    assert triangles.lp.row_lower[block.first] == side == 1e-3
    triangles.set_cuts(np.zeros((0, n + 1)))
    reach = np.maximum(np.abs(node.lower), np.abs(node.upper)).sum()
    assert triangles.lp.row_lower[block.first] < -reach
