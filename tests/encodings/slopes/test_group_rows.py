"""Multi-neuron rows on networks: octahedral bounds and rows true to the last bit, LPs that they tighten."""

from __future__ import annotations

import time
from collections.abc import Iterable
from fractions import Fraction

import numpy as np
import oracle
import pytest
import scipy.sparse as sp
from random_instances import Shape, random_instance, random_nodes, random_points

from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.neuron_groups.group_bounds import octahedral_bounds
from hypersplit.encodings.neuron_groups.group_lp import GroupLP, group_rows
from hypersplit.encodings.neuron_groups.octahedron import octahedral_directions
from hypersplit.encodings.programs.lp import TriangleLP
from hypersplit.encodings.slopes.group_rows import GroupRows
from hypersplit.encodings.slopes.optimised_bounds import OptimiseOptions
from hypersplit.heuristics.neuron_groups import GROUPINGS, Grouping, groups_of_layer, subsets
from hypersplit.instances.batch import Batch, Node, root
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.network import Array, Layer, Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

PLAIN = LinearBoundOptions(kernel="plain")
ASCENT = OptimiseOptions(iterations=3, signs=True, rate=0.4)


def bounded(query: Query, batch: Batch) -> Batch:
    """With plain linear bounds."""
    found = bound(query, batch, PLAIN)
    batch.pre_lower, batch.pre_upper = found.pre_lower, found.pre_upper
    return batch


def asking(weights: list[Array], biases: list[Array], region: InputSet, rhs: float) -> Query:
    """Whether the single output is at least `rhs`."""
    network = sequential(weights, biases)
    case = Case(region, (Polyhedron(np.array([[-1.0]]), np.array([-rhs])),))
    return queries(network, Property((case,), region.size, 1))[0]


def maximum_of_two(rhs: float) -> Query:
    """max(a, b) = b + ReLU(a - b) >= rhs on [0, 1]^2, b passed on by a stable ReLU."""
    hidden = np.array([[1.0, -1.0], [0.0, 1.0]])
    return asking([hidden, np.ones((1, 2))], [np.zeros(2), np.zeros(1)], InputSet.box(np.zeros(2), np.ones(2)), rhs)


def all_pairs(query: Query, node: Node, sizes: tuple[int, ...] = (2,)) -> GroupRows:
    """Rows of all groups of neurons that are not inactive."""

    def groups(k: int) -> Iterable[Array]:
        part = query.slices[k - 1]
        alive = np.flatnonzero(node.pre_upper[part] > 0.0)
        return [subsets(alive[None], size) for size in sizes if len(alive) >= size]

    return group_rows(query, node, groups)


@pytest.mark.parametrize("options", [None, ASCENT])
@pytest.mark.parametrize("seed", range(25))
def test_octahedral_bounds_are_true(seed: int, options: OptimiseOptions | None) -> None:
    """No vertex of any leaf of the node has a larger combination than its bound says."""
    instance = random_instance(seed, shape=Shape(rough=seed % 3 == 0))
    rng = np.random.default_rng(seed)
    for query in queries(instance.network, instance.prop):
        batch = bounded(query, Batch.concatenate([root(query), random_nodes(rng, query, 2)]))
        for b in range(len(batch)):
            node = batch.node(b)
            if (node.pre_lower > node.pre_upper).any() or not np.isfinite(node.pre_upper).all():
                continue
            region = InputSet(node.lower, node.upper, node.cuts[:, :-1], node.cuts[:, -1])
            leaves = list(oracle.leaves(query.network, region, node.phases))
            for k, part in enumerate(query.slices, start=1):
                size = min(3, part.stop - part.start)
                groups = rng.permutation(part.stop - part.start)[None, :size]
                directions = octahedral_directions(size)
                upper = octahedral_bounds(query, node.batch, k, groups, directions, options)
                for leaf in leaves:
                    values = np.array([leaf.pre[k - 1].at_vertices(leaf.polytope, int(i)) for i in groups[0]])
                    for direction, most in zip(directions, upper[0], strict=True):
                        combined = sum(int(a) * v for a, v in zip(direction, values, strict=True))
                        assert all(c <= Fraction(float(most)) for c in combined)


@pytest.mark.parametrize("seed", range(25))
def test_rows_hold_exactly_at_points(seed: int) -> None:
    """In rational arithmetic, at random inputs of the node."""
    instance = random_instance(seed)
    rng = np.random.default_rng(seed)
    for query in queries(instance.network, instance.prop):
        node = bounded(query, root(query)).node(0)
        if (node.pre_lower > node.pre_upper).any():
            continue
        rows = all_pairs(query, node, (2, 3))
        for x in random_points(rng, query.region, 6):
            values = oracle.exact_values(query.network, x)
            pre = exact_pre(query, values)
            for r in range(len(rows)):
                total = Fraction(float(rows.constants[r]))
                for i, a, b in zip(rows.neurons[r].tolist(), rows.z[r], rows.y[r], strict=True):
                    total += Fraction(float(a)) * pre[i] + Fraction(float(b)) * max(pre[i], Fraction(0))
                assert total >= 0


def exact_pre(query: Query, values: list[list[Fraction]]) -> list[Fraction]:
    """Exact pre-activations of all neurons, from the exact values of all layers."""
    found: list[Fraction] = []
    for layer in query.network.layers[:-1]:
        for i in range(layer.size):
            z = Fraction(float(layer.bias[i]))
            for s, w in zip(layer.sources, layer.weights, strict=True):
                row = w[[i]].toarray()[0] if sp.issparse(w) else w[i]
                z += oracle.exact_dot(row, values[s])
            found.append(z)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_lps_with_rows_stay_below_the_truth_and_above_the_triangles(seed: int) -> None:
    """The bound is no worse than the triangle LP's, and below every point's margin."""
    network = random_network([4, 6, 6, 2], seed)
    region = InputSet.box(np.full(4, -1.0), np.full(4, 1.0))
    forbidden = tuple(Polyhedron(row[None], np.full(1, -20.0)) for row in np.eye(2))
    query = queries(network, Property((Case(region, forbidden),), 4, 2))[0]
    node = bounded(query, root(query)).node(0)
    lp = GroupLP(query, node, all_pairs(query, node, (2, 3)))
    points = random_points(np.random.default_rng(seed), region, 500)
    truth = query.per_disjunct(query.network.evaluate(points)).min(axis=0)
    for k in range(2):
        plain = TriangleLP(query, node).minimise(k, 10.0).bound
        found = lp.minimise(k, time.monotonic() + 30.0).bound
        assert plain - 1e-6 <= found <= truth[k]


def test_rows_win_where_neurons_share_inputs() -> None:
    """On the same networks they raise bounds on the whole by far more than rounding."""
    won = 0.0
    for seed in range(6):
        network = random_network([3, 6, 6, 1], seed)
        region = InputSet.box(np.full(3, -1.0), np.full(3, 1.0))
        query = queries(network, Property((Case(region, (Polyhedron(np.eye(1), np.full(1, 50.0)),)),), 3, 1))[0]
        node = bounded(query, root(query)).node(0)
        lp = GroupLP(query, node, all_pairs(query, node, (2, 3)))
        won += lp.minimise(0, time.monotonic() + 30.0).bound - TriangleLP(query, node).minimise(0, 10.0).bound
    assert won > 0.1


def test_a_stable_neuron_in_the_group_makes_the_maximum_exact() -> None:
    """max(a, b): triangles and rows of unstable neurons alone say 1.5, with the stable one the LP says 1."""
    query = maximum_of_two(1.01)
    node = bounded(query, root(query)).node(0)
    assert TriangleLP(query, node).minimise(0, 10.0).bound == pytest.approx(1.01 - 1.5, abs=1e-6)
    lp = GroupLP(query, node, all_pairs(query, node))
    assert lp.minimise(0, time.monotonic() + 10.0).bound == pytest.approx(0.01, abs=1e-6)
    assert lp.rounds == 1


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_groups_have_the_wanted_size_and_live_in_their_layer(grouping: str) -> None:
    """Distinct neurons, ascending, none of them inactive, no group twice."""
    network = random_network([6, 20, 20, 1], 3)
    region = InputSet.box(np.full(6, -1.0), np.full(6, 1.0))
    query = queries(network, Property((Case(region, (Polyhedron(np.eye(1), np.zeros(1)),)),), 6, 1))[0]
    node = bounded(query, root(query)).node(0)
    for k in (1, 2):
        part = query.slices[k - 1]
        groups = groups_of_layer(query, node, k, Grouping(3, 10, grouping))
        assert groups.shape[1] == 3 and 1 <= len(groups) <= 10
        assert (np.diff(groups, axis=1) > 0).all()
        assert (node.pre_upper[part][groups] > 0.0).all()
        assert len(np.unique(groups, axis=0)) == len(groups)
    assert not len(groups_of_layer(query, node, 3, Grouping(3, 10, grouping))), "an affine layer has no groups"
    with pytest.raises(ValueError, match="correlation"):
        Grouping(3, 10, "luck")


def test_correlated_neurons_come_together() -> None:
    """Of two pairs of nearly equal rows each finds its twin, signs aside."""
    weights = np.array([[1.0, 0.1, 0.0], [0.0, 0.1, 1.0], [1.0, 0.0, 0.1], [0.1, 0.0, -1.0]])
    query = asking([weights, np.ones((1, 4))], [np.zeros(4), np.zeros(1)], InputSet.box(-np.ones(3), np.ones(3)), 9.0)
    node = bounded(query, root(query)).node(0)
    assert groups_of_layer(query, node, 1, Grouping(2, 4)).tolist() == [[0, 2], [1, 3]]


def test_subsets_are_all_and_each_once() -> None:
    """Two overlapping groups of four have seven pairs of three neurons' triples together."""
    found = subsets(np.array([[0, 1, 2, 3], [1, 2, 3, 4]]), 3)
    assert len(found) == 7
    assert [0, 1, 2] in found.tolist() and [0, 1, 4] not in found.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_octahedra_of_a_sparse_first_layer(seed: int) -> None:
    """Over a box: not below the exact maximum, and not above it by more than rounding."""
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(12, 40)) * (rng.random((12, 40)) < 0.15)
    layers = (
        Layer((0,), (sp.csr_array(table),), rng.normal(size=12), "relu", "hidden"),
        Layer((1,), (np.ones((1, 12)),), np.zeros(1), "identity", "y"),
    )
    low = rng.normal(size=40)
    region = InputSet.box(low, low + rng.random(40))
    case = Case(region, (Polyhedron(np.ones((1, 1)), np.zeros(1)),))
    query = queries(Network(40, layers), Property((case,), 40, 1))[0]
    node = bounded(query, root(query)).node(0)
    groups, directions = rng.permutation(12).reshape(4, 3), octahedral_directions(3)
    upper = octahedral_bounds(query, node.batch, 1, groups, directions)
    for group, bounds in zip(groups, upper, strict=True):
        for direction, most in zip(directions, bounds, strict=True):
            signs = [Fraction(a) for a in direction]
            row = [sum(a * Fraction(w) for a, w in zip(signs, table[group, j], strict=True)) for j in range(40)]
            exact = sum(a * Fraction(b) for a, b in zip(signs, layers[0].bias[group], strict=True))
            exact += sum(c * Fraction(region.upper[j] if c > 0 else region.lower[j]) for j, c in enumerate(row))
            assert exact <= Fraction(float(most)) <= exact + Fraction(1, 10**9)
