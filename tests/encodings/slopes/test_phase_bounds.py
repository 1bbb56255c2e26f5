"""Phase nodes: bounds true to the last bit, reduced networks that say the same, minima over wide boxes, totals."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import oracle
import pytest
from random_instances import Shape, random_instance, random_nodes, random_points

from hypersplit.encodings.linear import prepared_layers
from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.first_layer_ball import Ball
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.linear.reduction import kept_neurons, reduced, restrict
from hypersplit.encodings.programs.lp import TriangleLP
from hypersplit.encodings.slopes.optimised_bounds import OptimiseOptions
from hypersplit.encodings.slopes.phase_bounds import bound_phases
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.network import Array, Layer, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

PLAIN = LinearBoundOptions(kernel="plain")


def asking(region: InputSet, rows: Array, rhs: Array) -> Property:
    """One forbidden polyhedron on one input set."""
    return Property((Case(region, (Polyhedron(rows, rhs),)),), region.size, rows.shape[1])


def phase_nodes(query: Query, seed: int, count: int) -> Batch:
    """The root and nodes below it that carry phases only, with plain bounds."""
    nodes = Batch.concatenate([root(query), random_nodes(np.random.default_rng(seed), query, count)])
    own = len(query.region.rows)
    cuts = np.zeros_like(nodes.cuts[:, :own])
    cuts[:] = root(query).cuts[:, :own]
    boxes = (np.broadcast_to(end, nodes.lower.shape).copy() for end in (query.region.lower, query.region.upper))
    nodes = replace(nodes, cuts=cuts, **dict(zip(("lower", "upper"), boxes, strict=True)))
    bounds = bound(query, nodes, PLAIN)
    return replace(nodes, pre_lower=bounds.pre_lower, pre_upper=bounds.pre_upper)


def worst_on(query: Query, node: int, batch: Batch, disjunct: int) -> Fraction | None:
    """Exact minimum over the node of the disjunct's largest margin; None for an empty node."""
    view = batch.node(node)
    region = InputSet(view.lower, view.upper, view.cuts[:, :-1], view.cuts[:, -1])
    rows = range(int(query.starts[disjunct]), int(query.starts[disjunct + 1]))
    values: list[Fraction] = []
    for leaf in oracle.leaves(query.network, region, view.phases):
        margins = leaf.pre[-1]
        for r in rows:
            part = leaf.polytope  # the inputs where margin r is the largest: there the maximum is affine
            for other in rows:
                part = part.cut(margins.rows[r] - margins.rows[other])
            values += margins.at_vertices(part, r)
    return min(values, default=None)


def test_the_worst_margin_is_exact() -> None:
    """max(x, -x - 1/2) is least where both rows meet, at -1/4, which is no vertex of any activation pattern."""
    one = np.ones((1, 1))
    layers = (Layer((0,), (one,), np.full(1, 5.0), "relu"), Layer((1,), (one,), np.full(1, -5.0)))
    region = InputSet.box(-np.ones(1), np.ones(1))
    query = queries(Network(1, layers), asking(region, np.array([[1.0], [-1.0]]), np.array([0.0, 0.5])))[0]
    assert worst_on(query, 0, root(query), 0) == Fraction(-1, 4)


@pytest.mark.parametrize("seed", range(40))
def test_phase_bounds_are_true(seed: int) -> None:
    """What a node claims of a disjunct's largest margin is at most its exact minimum; empty nodes claim anything."""
    instance = random_instance(seed, shape=Shape(rough=seed % 4 == 0))
    for query in queries(instance.network, instance.prop):
        batch = phase_nodes(query, seed, 6)
        first, numbers = bound_phases(query, batch, OptimiseOptions(iterations=6))
        warm = replace(batch, multipliers=numbers.halved())
        second, _ = bound_phases(query, warm, OptimiseOptions(iterations=6))
        for bounds in (first, second):
            claimed = query.per_disjunct(bounds.margins)
            for b in range(len(batch)):
                for k in range(query.disjuncts):
                    worst = worst_on(query, b, batch, k)
                    assert worst is None or claimed[b, k] <= worst


@pytest.mark.parametrize("seed", range(20))
def test_weighted_rows_refute_at_least_what_single_rows_do(seed: int) -> None:
    """The weights start anywhere; what is claimed stays below the LP's bound of the largest margin."""
    network = random_network([4, 8, 8, 3], seed)
    region = InputSet.box(np.full(4, -1.0), np.full(4, 1.0))
    rows = np.array([[1.0, -1.0, 0.0], [1.0, 0.0, -1.0]])
    query = queries(network, asking(region, rows, np.full(2, -3.0)))[0]
    batch = root(query)
    plain = bound(query, batch, PLAIN)
    batch = replace(batch, pre_lower=plain.pre_lower, pre_upper=plain.pre_upper, cuts=batch.cuts[:, :0])
    mixed, _ = bound_phases(query, batch, OptimiseOptions(iterations=60, worth=-1.0))
    best = TriangleLP(query, batch.node(0)).minimise(0, 10.0).bound
    assert query.worst(mixed.margins)[0] <= best + 1e-9 * (1.0 + abs(best))


def test_only_duties_are_bounded() -> None:
    """Disjuncts that are no duty count as refuted; nothing is spent on them."""
    instance = random_instance(3)
    query = queries(instance.network, instance.prop)[0]
    batch = phase_nodes(query, 3, 2)
    batch.duty[:] = False
    bounds, numbers = bound_phases(query, batch)
    assert np.isposinf(bounds.margins).all()
    assert np.isnan(numbers.signed).all() and np.isnan(numbers.logits).all() and not numbers.mus.size


@pytest.mark.parametrize("seed", range(30))
def test_reduced_networks_are_the_same_on_their_region(seed: int) -> None:
    """Without its dead ReLUs the network computes the same margins, for every point of the region, exactly."""
    instance = random_instance(seed)
    for query in queries(instance.network, instance.prop):
        batch = root(query)
        plain = bound(query, batch, PLAIN)
        batch = replace(batch, pre_lower=plain.pre_lower, pre_upper=plain.pre_upper)
        kept = kept_neurons(query, batch)
        small = reduced(query, kept)
        assert restrict(batch, kept).pre_lower.shape == (1, small.neurons)
        for x in random_points(np.random.default_rng(seed), query.region, 5):
            ours, theirs = (oracle.exact_values(q.network, x)[-1] for q in (small, query))
            assert ours == theirs


def test_a_dead_layer_keeps_one_neuron() -> None:
    """A layer that is 0 everywhere does not vanish."""
    dead = Layer((0,), (np.eye(2),), np.full(2, -9.0), "relu")
    last = Layer((1,), (np.ones((1, 2)),), np.ones(1))
    network = Network(2, (dead, last))
    region = InputSet.box(-np.ones(2), np.ones(2))
    query = queries(network, asking(region, np.ones((1, 1)), np.zeros(1)))[0]
    plain = bound(query, root(query), PLAIN)
    kept = kept_neurons(query, replace(root(query), pre_lower=plain.pre_lower, pre_upper=plain.pre_upper))
    assert kept[:2].tolist() == [True, False]
    assert reduced(query, kept).network.evaluate(np.zeros(2)) == network.evaluate(np.zeros(2))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("sparse", [False, True])
def test_ball_minima_are_rigorous_and_tight(scale: float, sparse: bool) -> None:
    """Below the exact minimum, by no more than a thousandth of the box's share."""
    import scipy.sparse as sp

    rng = np.random.default_rng(7)
    w = scale * rng.normal(size=(5, 90)) * (rng.uniform(size=(5, 90)) < (0.02 if sparse else 1.0))
    lower = rng.normal(size=90)
    upper = lower + rng.uniform(size=90)
    layer = Layer((0,), (sp.csr_array(w) if sparse else w,), rng.normal(size=5), "relu")
    a, c = rng.normal(size=(1, 4, 5)), rng.normal(size=(1, 4))
    found = Ball(layer, lower, upper).minimum(a, c, np.zeros((1, 4)))
    for r in range(4):
        weights = [Fraction(float(v)) for v in a[0, r]]
        row = [oracle.exact_dot(w[:, j], weights) for j in range(90)]
        exact = Fraction(float(c[0, r])) + oracle.exact_dot(layer.bias, weights)
        for j, g in enumerate(row):
            exact += g * Fraction(float(lower[j] if g > 0 else upper[j]))
        share = float(sum(abs(g) for g in row)) * 0.5 + 1.0
        assert 0.0 <= float(exact - Fraction(float(found[0, r]))) <= 1e-3 * share


@pytest.mark.parametrize("seed", range(10))
def test_bounds_by_way_of_the_ball_are_those_of_the_input(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The short cut through the first layer changes bounds by rounding only, and never below the truth's side."""
    rng = np.random.default_rng(seed)
    network = random_network([6, 10, 10, 2], seed)
    region = InputSet.box(np.full(6, -0.3), np.full(6, 0.7))
    prop = asking(region, np.eye(2)[[0]], np.full(1, -5.0))
    direct = bound(queries(network, prop)[0], root(queries(network, prop)[0]), PLAIN)
    monkeypatch.setattr(prepared_layers, "BALL", 1)
    query = queries(network, prop)[0]
    batch = root(query)
    batch.cuts = batch.cuts[:, :0]
    short = bound(query, batch, PLAIN)
    width = direct.pre_upper - direct.pre_lower
    np.testing.assert_allclose(short.pre_lower, direct.pre_lower, atol=1e-3 * width.max())
    np.testing.assert_allclose(short.pre_upper, direct.pre_upper, atol=1e-3 * width.max())
    for x in random_points(rng, region, 50):
        flat = np.concatenate(query.network.values(x[None])[1], axis=1)[0, : query.neurons]
        assert (short.pre_lower[0] <= flat + 1e-12).all()
        assert (short.pre_upper[0] >= flat - 1e-12).all()


def test_total_multipliers_count_the_ways_through_later_bounds() -> None:
    """Never below the direct multiplier, above it for neurons that later neurons' bounds rest on, equal in the last."""
    network = random_network([4, 6, 6, 6, 1], 5)
    region = InputSet.box(np.full(4, -1.0), np.full(4, 1.0))
    query = queries(network, asking(region, np.ones((1, 1)), np.zeros(1)))[0]
    batch = root(query)
    bounds = bound(query, batch, LinearBoundOptions(kernel="plain", totals=True))
    assert bounds.totals is not None
    direct = bounds.multipliers
    assert (bounds.totals >= direct - 1e-6).all()
    first = query.slices[0]
    unstable = (bounds.pre_lower[0, first] < 0) & (bounds.pre_upper[0, first] > 0)
    assert (bounds.totals[0, 0, first][unstable] > direct[0, 0, first][unstable]).any()
    # a layer-3 neuron has no bounds behind it but the margin
    last = query.slices[2]
    np.testing.assert_allclose(bounds.totals[0, 0, last], direct[0, 0, last], rtol=1e-6)
