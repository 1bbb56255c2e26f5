"""The cells of a tree partition the input set, in polygons or by samples."""

from __future__ import annotations

import numpy as np
import pytest
from hard_searches import BOX, hard_query, searched

from hypersplit.bab.drawing.cells import areas, locate, plane_through, polygons, sampled
from hypersplit.bab.drawing.tree_drawing import split_kinds
from hypersplit.bab.tree.evidence import Evidence
from hypersplit.bab.tree.trace import SplitTree, Trace
from hypersplit.heuristics.splits.splits import Splits, halved_duty
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.network import Array, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

CORNERLESS = InputSet(BOX.lower, BOX.upper, np.array([[1.0, 1.0]]), np.array([1.5]))  # x + y >= -1.5


def descend(query: Query, tree: SplitTree, x: Array) -> list[int]:
    """Leaves whose splits all hold at x, by their definition, one node at a time."""
    pre = np.concatenate(query.network.values(x[None])[1][:-1], axis=1)[0]
    leaves, todo = [], [0]
    while todo:
        node = todo.pop()
        if tree.children[node, 0] < 0:
            leaves.append(node)
            continue
        if tree.axis[node] >= 0:
            value = x[tree.axis[node]] - tree.at[node]
        elif tree.neuron[node] >= 0:
            value = pre[tree.neuron[node]]
        else:
            value = tree.rows[tree.row[node], :-1] @ x + tree.rows[tree.row[node], -1]
        todo += [int(tree.children[node, 0])] * bool(value >= 0.0) + [int(tree.children[node, 1])] * bool(value <= 0.0)
    return leaves


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("region", [BOX, CORNERLESS], ids=["box", "half-space"])
def test_the_cells_partition_the_input_set(seed: int, region: InputSet) -> None:
    """The polygons' areas add up to the input set's; every random point lies in the leaf that its splits say, and in
    that leaf's polygon alone."""
    query = hard_query(seed, region)
    _, tree = searched(query, "inputs")
    plane = plane_through(query, region.lower, (0, 1))
    nodes, corners = polygons(query, tree, plane)
    missing = 0.0 if region is BOX else 0.5 * 1.5**2 / 10.0  # the triangle below x + y = -1.5, of 2 x 5
    points = np.random.default_rng(seed).uniform(0.0, 1.0, (200, 2))
    points = points[(plane.points(points) @ region.rows.T + region.offsets >= 0.0).all(axis=1)]
    leaves = locate(query, tree, plane.points(points))

    assert len(nodes) > 3 and len(set(nodes)) == len(nodes)
    assert abs(areas(corners).sum() - (1.0 - missing)) < 1e-12
    for point, leaf in zip(points, leaves, strict=True):
        assert leaf in descend(query, tree, plane.points(point[None])[0])
        assert nodes[inside(corners, point)].tolist() == [above(tree, leaf, nodes)]


def inside(corners: Array, point: Array) -> Array:
    """[M] bool: which polygons, whose corners go round counter-clockwise, hold the point."""
    along, towards = np.roll(corners, -1, axis=1) - corners, point - corners
    turn = along[:, :, 0] * towards[:, :, 1] - along[:, :, 1] * towards[:, :, 0]
    return np.flatnonzero((turn >= 0.0).all(axis=1))


def above(tree: SplitTree, leaf: int, nodes: Array) -> int:
    """The node among `nodes` that the leaf is, or is below."""
    while leaf not in nodes:
        leaf = int(tree.parent[leaf])
    return leaf


def test_phases_of_deep_relus_are_sampled_by_the_networks_own_phases() -> None:
    """Each sampled point's leaf agrees with the network's pre-activations; such nodes are no polygons of leaves."""
    query = hard_query(3, CORNERLESS)
    _, tree = searched(query, "phases")
    plane = plane_through(query, BOX.lower, (0, 1))
    image = sampled(query, tree, plane, 12)

    assert (tree.neuron >= 8).any() and not tree.leaf[polygons(query, tree, plane)[0]].all()
    assert len(set(image.ravel())) > 3 and image[0, 0] == -1
    for t, s in np.argwhere(image >= 0):
        x = plane.points((np.array([[s, t]]) + 0.5) / 12)[0]
        assert descend(query, tree, x) == [image[t, s]]


def test_a_slice_at_a_split_counts_to_the_upper_side() -> None:
    """A plane inside the hyperplane of a split still is covered once."""
    rng = np.random.default_rng(0)
    network = sequential([rng.normal(size=(6, 3)), rng.normal(size=(1, 6))], [np.zeros(6), np.zeros(1)])
    region = InputSet.box(-np.ones(3), np.ones(3))
    query = queries(network, Property((Case(region, (Polyhedron(np.eye(1), np.full(1, -0.1)),)),), 3, 1))[0]
    _, tree = searched(query, "axes", 200)
    halved = np.flatnonzero((tree.axis == 2) & (tree.at == 0.0))

    assert len(halved)
    assert abs(areas(polygons(query, tree, plane_through(query, np.zeros(3), (0, 1)))[1]).sum() - 1.0) < 1e-12


@pytest.mark.parametrize("ended", [True, False])
def test_disjuncts_that_are_refuted_apart(ended: bool) -> None:
    """One child stands for both: the one with an open leaf, else the one with more leaves; the tree tells the split."""
    query, trace = hard_query(3, CORNERLESS), Trace()
    batch = root(query)
    trace.planted(batch)
    both = Batch.concatenate([batch, batch])
    both.number = np.array([1, 2])
    trace.split(batch, halved_duty(np.ones((1, 2), dtype=bool), 2), both)
    axes = Splits.none(1, 2)
    axes.axis[:], axes.at[:] = 0, 0.25
    trace.split(both[np.array([1])], axes, both)
    done = [1, 3, 4] if ended else [3, 4]
    trace.ended(np.array(done), np.full(len(done), Evidence.LINEAR))
    tree = trace.tree()
    found = locate(query, tree, np.array([[0.5, 0.0], [-0.5, 0.0]]))
    assert found.tolist() == ([3, 4] if ended else [1, 1])
    assert tree.disjunct.tolist() == [0, -1, -1, -1, -1] and tree.leaves.tolist() == [3, 1, 2, 1, 1]
    assert split_kinds(tree).tolist() == [3, -1, 0, -1, -1]
