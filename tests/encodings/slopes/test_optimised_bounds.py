"""Optimised slopes and multipliers: true to the last bit, never worse than plain, as good as the triangle LP."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracle
import pytest
from random_instances import Instance, Shape, random_instance, random_nodes, random_points

from hypersplit.encodings.linear.bounds import Bounds, LinearBoundOptions
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.programs.lp import TriangleLP
from hypersplit.encodings.slopes.optimised_bounds import OptimiseOptions, optimise, optimise_from, tighten
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.network import Array, Layer, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

PLAIN = LinearBoundOptions(kernel="plain")
FEW = OptimiseOptions(iterations=8, worth=-1.0)
CHUNK = 20


def assert_valid(query: Query, batch: Batch, bounds: Bounds, label: str) -> int:
    """Margins, linear functions and pre-activation bounds at the vertices of the oracle's leaves; nodes not empty."""
    alive = 0
    for b in range(len(batch)):
        node = batch.node(b)
        region = InputSet(node.lower, node.upper, node.cuts[:, :-1], node.cuts[:, -1])
        leaves = list(oracle.leaves(query.network, region, node.phases))
        alive += bool(leaves)
        assert not (leaves and bounds.infeasible[b]), f"{label}, node {b}: declared empty, but it is not"
        for leaf in leaves:
            ranges = [z.range(leaf.polytope, i) for z in leaf.pre for i in range(len(z.rows))]
            for i in range(query.neurons):
                assert bounds.pre_lower[b, i] <= ranges[i][0], f"{label}, node {b}, neuron {i}"
                assert bounds.pre_upper[b, i] >= ranges[i][1], f"{label}, node {b}, neuron {i}"
            for r in range(query.rows):
                assert bounds.margins[b, r] <= ranges[query.neurons + r][0], f"{label}, node {b}, margin {r}"
                values = leaf.pre[-1].at_vertices(leaf.polytope, r)
                for x, value in zip(leaf.polytope.points(), values, strict=True):
                    below = oracle.exact_dot(bounds.coefficients[b, r], x)
                    below += Fraction(float(bounds.constants[b, r]))
                    assert below <= value, f"{label}, node {b}, margin {r}: above by {float(below - value)}"
    return alive


def nodes_of(instance: Instance, query: Query, count: int) -> Batch:
    """The root and nodes below it: smaller boxes, half-spaces, phases in every layer."""
    return Batch.concatenate([root(query), random_nodes(np.random.default_rng(instance.seed), query, count)])


def one_row_each(network: Network, radius: float) -> Query:
    """Each output below the first one by itself: disjuncts of one row."""
    outputs, inputs = network.output_size, network.input_size
    rows = [np.eye(outputs)[[k]] - np.eye(outputs)[[0]] for k in range(1, outputs)]
    region = InputSet.box(np.full(inputs, -radius), np.full(inputs, radius))
    case = Case(region, tuple(Polyhedron(row, np.full(1, 10.0)) for row in rows))
    return queries(network, Property((case,), inputs, outputs))[0]


def split(query: Query, bounds: Bounds, seed: int, count: int) -> Batch:
    """`count` nodes with three phases each, in any layer, that some inputs have, and the root's bounds."""
    rng = np.random.default_rng(seed)
    batch = Batch.concatenate([root(query)] * count)
    batch.pre_lower, batch.pre_upper = bounds.pre_lower.repeat(count, 0), bounds.pre_upper.repeat(count, 0)
    unstable = np.flatnonzero((bounds.pre_lower[0] < 0.0) & (bounds.pre_upper[0] > 0.0) & query.relu)
    pre = np.concatenate(query.network.values(random_points(rng, query.region, count))[1], axis=1)
    for b in range(count):
        for i in rng.choice(unstable, 3, replace=False):
            batch.phases[b, i] = 1 if pre[b, i] >= 0.0 else -1
    batch.pre_lower = np.where(batch.phases > 0, 0.0, batch.pre_lower)
    batch.pre_upper = np.where(batch.phases < 0, 0.0, batch.pre_upper)
    return batch


@pytest.mark.parametrize("seed", range(0, 100, CHUNK))
def test_optimised_bounds_are_true(seed: int) -> None:
    """Half-spaces, phases in all layers, residual edges: no margin, linear function or hidden bound is too high."""
    alive = raised = 0
    for s in range(seed, seed + CHUNK):
        instance = random_instance(s, shape=Shape(flat=0.2))
        for query in queries(instance.network, instance.prop):
            batch = nodes_of(instance, query, 4)
            plain = bound(query, batch, PLAIN)
            got = optimise(query, batch, tighten(query, batch, plain, FEW) if s % 2 else plain, FEW)
            alive += assert_valid(query, batch, got, str(instance))
            raised += int((got.margins > plain.margins + 1e-6)[~plain.infeasible].sum())
    assert alive > CHUNK and raised > 5, (alive, raised)


@pytest.mark.parametrize("scale", [1e-8, 1e4, 1e8])
def test_extreme_and_ragged_weights_stay_true(scale: float) -> None:
    """Neurons scaled by 1e-8 and 1e8 side by side, beyond what float32 carries: bounds hold exactly, not nearly."""
    for s in range(1000, 1012):
        instance = random_instance(s, shape=Shape(scale=scale, rough=True))
        for query in queries(instance.network, instance.prop):
            batch = nodes_of(instance, query, 2)
            got = optimise(query, batch, tighten(query, batch, bound(query, batch, PLAIN), FEW), FEW)
            assert_valid(query, batch, got, f"{instance}, {scale}")


def test_any_numbers_to_start_from_give_true_bounds() -> None:
    """Slopes and multipliers out of range, huge or not numbers at all are harmless."""
    for s in range(2000, 2020):
        instance, rng = random_instance(s), np.random.default_rng(s)
        query = queries(instance.network, instance.prop)[0]
        batch = nodes_of(instance, query, 3)
        values = rng.choice([-1e30, -2.0, -0.3, 0.0, 0.7, 5.0, np.nan], (len(batch), query.rows, query.neurons))
        options = OptimiseOptions(iterations=s % 3)
        got = optimise_from(query, batch, bound(query, batch, PLAIN), options, values.astype(np.float32))[0]
        assert_valid(query, batch, got, str(instance))


def test_never_worse_than_plain() -> None:
    """No margin and no pre-activation bound gets worse, whatever the steps."""
    for s in range(3000, 3040):
        instance = random_instance(s)
        for query in queries(instance.network, instance.prop):
            batch = nodes_of(instance, query, 4)
            plain = bound(query, batch, PLAIN)
            for rate in (0.01, 10.0):
                options = OptimiseOptions(iterations=3, rate=rate)
                got = optimise(query, batch, plain, options)
                assert np.all(got.margins >= plain.margins), str(instance)
                tight = tighten(query, batch, plain, options)
                alive = ~tight.infeasible
                assert np.all(tight.margins[alive] >= plain.margins[alive]), str(instance)
                assert np.all(tight.pre_lower[alive] >= plain.pre_lower[alive]), str(instance)
                assert np.all(tight.pre_upper[alive] <= plain.pre_upper[alive]), str(instance)


@pytest.mark.parametrize("sizes", [(3, 10, 4), (4, 12, 12, 4), (4, 10, 10, 10, 3)])
def test_the_optimum_is_that_of_the_triangle_lp(sizes: tuple[int, ...]) -> None:
    """After many iterations 99 % of the way from the plain bound to the LP's optimum, at the root and below splits."""
    query = one_row_each(random_network(sizes, seed=1), 0.7)
    top = bound(query, root(query), PLAIN)
    batch = Batch.concatenate([root(query), split(query, top, 3, 4)])
    plain = bound(query, batch, PLAIN)
    got = optimise(query, batch, plain, OptimiseOptions(iterations=400, decay=0.99, worth=-1.0))
    batch.pre_lower, batch.pre_upper = plain.pre_lower, plain.pre_upper
    seen = 0
    for b in np.flatnonzero(~plain.infeasible):
        lp = TriangleLP(query, batch.node(int(b)))
        for r in np.flatnonzero(plain.margins[b] <= 0.0):
            exact, before, now = lp.minimise(int(r), 10.0).bound, plain.margins[b, r], got.margins[b, r]
            assert now <= exact + 1e-6 * (1.0 + abs(exact))
            goal = min(exact, 0.0)  # the ascent stops at the first positive value
            assert now - before >= 0.99 * (goal - before) - 1e-6, f"node {b}, row {r}: {before}, {now}, LP {exact}"
            seen += 1
    assert seen >= 4


def test_half_spaces_are_taken_in_as_well_as_by_the_lp() -> None:
    """Nodes cut by several half-spaces at once come near the LP's optimum, too."""
    query = one_row_each(random_network((3, 10, 10, 3), seed=2), 0.7)
    rng = np.random.default_rng(0)
    batch = Batch.concatenate([root(query)] * 4)
    normals = rng.normal(size=(4, 3, 3))
    batch.cuts = np.concatenate([normals, np.full((4, 3, 1), -0.2)], axis=2)
    plain = bound(query, batch, PLAIN)
    got = optimise(query, batch, plain, OptimiseOptions(iterations=300, worth=-1.0))
    batch.pre_lower, batch.pre_upper = plain.pre_lower, plain.pre_upper
    shares = []
    for b in np.flatnonzero(~plain.infeasible):
        lp = TriangleLP(query, batch.node(int(b)))
        for r in np.flatnonzero(plain.margins[b] <= 0.0):
            exact, before = lp.minimise(int(r), 10.0).bound, plain.margins[b, r]
            if np.isfinite(exact):
                shares.append(min(1.0, (got.margins[b, r] - before) / max(min(exact, 0.0) - before, 1e-9)))
    assert len(shares) >= 4 and min(shares) > 0.95, shares


def test_children_start_where_their_parent_ended() -> None:
    """Before the first step a child's bound is nearly its parent's, from float32 and from float16 numbers."""
    query = one_row_each(random_network((5, 16, 16, 4), seed=4), 0.6)
    batch = root(query)
    plain = bound(query, batch, PLAIN)
    parent, numbers = optimise_from(query, batch, plain, OptimiseOptions(iterations=50, worth=-1.0))
    assert (parent.margins > plain.margins + 0.01).all()
    child = split(query, plain, 5, 8)
    below = bound(query, child, PLAIN)
    copies = np.concatenate([numbers] * 8)
    for start in (copies, copies.astype(np.float16)):
        got, _ = optimise_from(query, child, below, OptimiseOptions(iterations=0), start)
        alive = ~below.infeasible
        assert alive.sum() >= 4 and np.all((got.margins >= parent.margins - 1e-3)[alive])


def test_refuted_rows_and_late_calls_change_nothing() -> None:
    """Rows of refuted disjuncts are left out; after the deadline nothing is tried."""
    query = one_row_each(random_network((3, 8, 4), seed=0), 0.5)
    plain = bound(query, root(query), PLAIN)
    plain.margins[0, 1] = 0.5
    got, numbers = optimise_from(query, root(query), plain, OptimiseOptions(worth=-1.0))
    assert got.margins[0, 1] == 0.5 and np.isnan(numbers[0, 1]).all()
    assert got.margins[0, 0] > plain.margins[0, 0]
    late = optimise(query, root(query), plain, OptimiseOptions(deadline=0.0))
    np.testing.assert_array_equal(late.margins, plain.margins)


@pytest.mark.parametrize("kind", ["sigmoid", "tanh", "softplus"])
def test_smooth_layers_keep_their_lines(kind: str) -> None:
    """A network of ReLUs and S-shaped layers: samples stay above the optimised functions."""
    rng = np.random.default_rng(7)
    sizes, kinds = (3, 8, 8, 8), ("relu", kind, "relu")
    layers: list[Layer] = []
    for k, activation in enumerate(kinds):
        layers.append(Layer((k,), (rng.normal(size=(sizes[k + 1], sizes[k])),), rng.normal(size=8), activation))
    layers.append(Layer((2, 3), (rng.normal(size=(3, 8)), rng.normal(size=(3, 8))), np.zeros(3)))
    query = one_row_each(Network(3, tuple(layers)), 0.5)
    plain = bound(query, root(query), PLAIN)
    got = optimise(query, root(query), tighten(query, root(query), plain, FEW), FEW)
    x: Array = random_points(rng, query.region, 2000)
    margins = query.network.evaluate(x)
    assert np.all(x @ got.coefficients[0].T + got.constants[0] <= margins + 1e-9)
    assert np.all(got.margins[0] <= margins + 1e-9) and (got.margins > plain.margins + 0.01).any()
