"""Implications against the oracle: bounds of the table on exact leaves, edges, what follows and what is fixed."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

import networkx as nx
import numpy as np
import oracle
import pytest
from random_instances import Shape, random_instance

from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.slopes.implications import Implications, Literal, implications, linear_functions
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.network import Array, Layer, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

PLAIN = LinearBoundOptions(kernel="plain")


def bounded_root(query: Query) -> Batch:
    """The whole input set with plain bounds."""
    batch = root(query)
    bounds = bound(query, batch, PLAIN)
    return replace(batch, pre_lower=bounds.pre_lower, pre_upper=bounds.pre_upper)


def rows_of(weights: Array, bias: Array) -> Query:
    """One hidden layer of these rows on the box [-1, 1]."""
    inputs, hidden = weights.shape[1], len(weights)
    layers = (
        Layer((0,), (weights,), bias, "relu", "hidden"),
        Layer((1,), (np.ones((1, hidden)),), np.zeros(1), "identity", "out"),
    )
    region = InputSet.box(-np.ones(inputs), np.ones(inputs))
    case = Case(region, (Polyhedron(np.ones((1, 1)), np.full(1, -1.0)),))
    return queries(Network(inputs, layers), Property((case,), inputs, 1))[0]


def signed_ranges(query: Query, phases: Array, neurons: Array) -> Array | None:
    """[2U] exact minima of z, then of -z, where these phases hold; None where they hold nowhere."""
    ranges = oracle.pre_activation_ranges(query.network, query.region, phases)
    if ranges is None:
        return None
    flat = [ends for layer in ranges for ends in layer]
    return np.array([flat[j][0] for j in neurons] + [-flat[j][1] for j in neurons], dtype=object)


@pytest.mark.parametrize("seed", range(40))
def test_every_bound_of_the_table_is_true(seed: int) -> None:
    """On the exact leaves with one phase, no signed pre-activation lies below what the table says."""
    instance = random_instance(seed, shape=Shape(rough=seed % 4 == 0, most_relus=8))
    query = queries(instance.network, instance.prop)[0]
    table = implications(query, bounded_root(query), layers=None)
    for index in range(2 * len(table.neurons)):
        neuron, sign = table.literal(index)
        phases = np.zeros(query.neurons, dtype=np.int8)
        phases[neuron] = sign
        exact = signed_ranges(query, phases, table.neurons)
        if exact is None:
            continue
        assert all(Fraction(float(a)) <= b for a, b in zip(table.least[index], exact, strict=True))
        assert all(exact[m] > 0 for m in np.flatnonzero(table.edges[index]))


def opposed() -> Query:
    """z_1 = -z_0 - 1/2 and z_2 = z_0 + 1/2 + x_1 / 8: z_0 >= 0 turns the second off and the third on."""
    rows = np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.125]])
    return rows_of(rows, np.array([0.0, -0.5, 0.5]))


def forced(table: Implications, literal: Literal) -> set[Literal]:
    """What one literal forces, by the table's signs."""
    index = next(m for m in range(len(table.least)) if table.literal(m) == literal)
    return {table.literal(m) for m in np.flatnonzero(table.least[index] >= 0.0).tolist() if m != index}


def test_edges_and_contrapositives() -> None:
    """(0, +) forces (1, -) and (2, +); the opposites force back; what only may be does not follow."""
    query = opposed()
    table = implications(query, bounded_root(query))
    assert forced(table, (0, 1)) == {(1, -1), (2, 1)}
    assert forced(table, (1, 1)) >= {(0, -1)}
    assert forced(table, (2, -1)) >= {(0, -1)}
    assert (0, 1) not in forced(table, (1, -1))  # z_1 <= 0 leaves z_0 >= -1/2, either sign
    assert table.fixed == []


def test_parallel_neurons() -> None:
    """z_0 >= 0 forces z_1 = z_0 + 1/4 and z_2 = -z_1; z_1 and -z_2 share the value 0, which strict edges respect."""
    query = rows_of(np.array([[1.0, 0.5], [1.0, 0.5], [-1.0, -0.5]]), np.array([0.0, 0.25, -0.25]))
    table = implications(query, bounded_root(query))
    assert {(1, 1), (2, -1)} <= forced(table, (0, 1))
    strict = {(table.literal(a), table.literal(b)) for a, b in np.argwhere(table.edges).tolist()}
    assert ((1, 1), (2, -1)) not in strict


@pytest.mark.parametrize("seed", range(20))
def test_closing_is_what_the_graph_says(seed: int) -> None:
    """Of random bounds closing signs what a transitive closure with contrapositives has, bounds go along paths."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 6))
    least = np.where(rng.random((2 * count, 2 * count)) < 0.15, rng.uniform(0.1, 2.0), -1.0)
    np.fill_diagonal(least, 0.0)
    before = least.copy()
    table = Implications(np.arange(count), least)
    start = nx.DiGraph(np.argwhere(table.edges).tolist())
    start.add_nodes_from(range(2 * count))
    reach = nx.transitive_closure(start)
    gained = table.close()
    signed = {(a, b) for a, b in np.argwhere(table.least >= 0.0).tolist() if a != b}
    assert signed == {(a, b) for a, b in reach.edges if a != b}
    assert gained == int((table.least >= 0.0).sum() - (before >= 0.0).sum())
    for a in range(2 * count):
        best = before[[a, *reach.successors(a)]].max(axis=0)
        assert (table.least[a] == np.where(best < 0.0, np.where(table.least[a] == 0.0, 0.0, best), best)).all()
    both = {m for m in range(2 * count) if reach.has_edge((m + count) % (2 * count), m)}
    assert set(table.fixed) == {table.literal(m) for m in both}
    assert table.close() == 0


@pytest.mark.parametrize("most", [0, 10**8])
def test_closing_keeps_to_its_budget(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the budget contrapositives are all that is added."""
    monkeypatch.setattr("hypersplit.encodings.slopes.implications.MOST_COMPOSED", most)
    least = np.full((6, 6), -1.0)
    least[0, 1] = least[1, 2] = 1.0  # z_0 >= 0 forces z_1 > 0 forces z_2 > 0
    table = Implications(np.arange(3), least)
    assert table.close() == (4 if most else 2)
    assert forced(table, (0, 1)) == ({(1, 1), (2, 1)} if most else {(1, 1)})
    assert {(1, -1)} <= forced(table, (2, -1)) and {(0, -1)} <= forced(table, (1, -1))


def test_a_literal_that_forces_its_opposite_is_fixed() -> None:
    """By a chain over another neuron; with its phase goes what that phase forces, down to the root's bounds."""
    least = np.full((6, 6), -1.0)
    least[0, 1] = 0.5  # z_0 >= 0 forces z_1 >= 1/2
    least[1, 3] = 0.25  # z_1 >= 0 forces z_0 <= -1/4
    least[3, 2] = 0.125  # z_0 <= 0 forces z_2 >= 1/8
    table = Implications(np.arange(3), least)
    table.close()
    assert (0, -1) in table.fixed and (0, 1) not in table.fixed
    query = opposed()
    batch = bounded_root(query)
    table.settle(batch)
    assert batch.pre_upper[0, 0] == 0.0 and batch.pre_lower[0, 2] == 0.125


def test_a_phase_that_never_holds_is_fixed_for_good() -> None:
    """A phase that pushes another neuron beyond its bounds holds nowhere: z_2 contradicts it."""
    query = opposed()
    batch = bounded_root(query)
    batch.pre_lower[0, 2], batch.pre_upper[0, 2] = -9.0, 0.25  # claims z_2 <= 1/4, as if the region were smaller
    table = implications(query, batch)
    # z_0 >= 0 gives z_2 >= 3/8 > 1/4
    assert table.fixed == [(0, -1)]
    table.settle(batch)
    assert batch.pre_upper[0, 0] == 0.0 and batch.pre_lower[0, 0] < 0.0


@pytest.mark.parametrize("seed", range(30))
def test_clipped_nodes_lose_no_point(seed: int) -> None:
    """Nodes with phases: the clipped bounds hold on their exact leaves, and crossed ones have none."""
    instance = random_instance(seed, shape=Shape(rough=seed % 4 == 0, most_relus=8))
    query = queries(instance.network, instance.prop)[0]
    whole = bounded_root(query)
    table = implications(query, whole, layers=None)
    rng = np.random.default_rng(seed)
    batch = whole[np.zeros(4, dtype=int)]
    for b in range(4):
        chosen = rng.permutation(table.neurons)[:3]
        batch.phases[b, chosen] = rng.choice([-1, 1], len(chosen))
    batch.pre_lower[batch.phases > 0], batch.pre_upper[batch.phases < 0] = 0.0, 0.0
    before = batch.pre_lower.copy(), batch.pre_upper.copy()
    table.clip(batch)
    assert (batch.pre_lower >= before[0]).all() and (batch.pre_upper <= before[1]).all()
    for b in range(4):
        ranges = oracle.pre_activation_ranges(query.network, query.region, batch.phases[b])
        if ranges is None:
            continue
        ends = [ends for layer in ranges for ends in layer]
        for j in range(query.neurons):
            assert Fraction(float(batch.pre_lower[b, j])) <= ends[j][0]
            assert ends[j][1] <= Fraction(float(batch.pre_upper[b, j]))


def test_clipping_follows_chains() -> None:
    """What follows from what follows is found, and counted once."""
    query = opposed()
    batch = bounded_root(query)
    table = implications(query, batch)
    batch.pre_lower[0, 0], batch.phases[0, 0] = 0.0, 1
    assert table.clip(batch) == 2
    assert batch.pre_upper[0, 1] <= -0.49 and batch.pre_lower[0, 2] >= 0.36
    assert table.clip(batch) == 0


def test_linear_functions_lie_below() -> None:
    """Deeper layers' functions: below z and below -z at random points."""
    instance = random_instance(11, shape=Shape(most_hidden=3))
    query = queries(instance.network, instance.prop)[0]
    batch = bounded_root(query)
    neurons = np.flatnonzero(query.relu)
    coefficients, constants = linear_functions(query, batch, neurons)
    rng = np.random.default_rng(0)
    share = rng.random((200, query.network.input_size))
    points = query.region.lower + (query.region.upper - query.region.lower) * share
    pre = np.concatenate(query.network.values(points)[1], axis=1)[:, neurons]
    below = points @ coefficients.T + constants
    assert (below <= np.concatenate([pre, -pre], axis=1) + 1e-9).all()


def test_late_tables_keep_the_roots_bounds() -> None:
    """After the deadline nothing is tried; what is there is true."""
    query = opposed()
    batch = bounded_root(query)
    late = implications(query, batch, deadline=time.monotonic() - 1.0)
    own = np.concatenate([batch.pre_lower[0, :3], -batch.pre_upper[0, :3]])
    assert not late.edges.any()
    off = ~np.eye(6, dtype=bool)
    assert (late.least[off] == np.tile(own, (6, 1))[off]).all()
