"""Phase nodes: bounds true to the last bit, of duties alone."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import oracle
import pytest
from random_instances import Shape, random_instance, random_nodes

from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.linear_bounds import bound
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
