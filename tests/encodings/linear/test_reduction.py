"""Queries without their dead ReLUs are the same queries on their region, to the last bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import oracle
import pytest
from random_instances import random_instance, random_points

from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.linear.reduction import kept_neurons, reduced, restrict
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.network import Array, Layer, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import queries

PLAIN = LinearBoundOptions(kernel="plain")


def asking(region: InputSet, rows: Array, rhs: Array) -> Property:
    """One forbidden polyhedron on one input set."""
    return Property((Case(region, (Polyhedron(rows, rhs),)),), region.size, rows.shape[1])


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


def test_a_neuron_goes_only_where_it_is_dead_on_every_node() -> None:
    """One node that leaves it open, a phase that was demanded, or an identity keep a neuron."""
    network = Network(1, (
        Layer((0,), (np.ones((4, 1)),), np.zeros(4), "relu"), Layer((1,), (np.eye(4)[:3],), np.zeros(3)),
        Layer((2,), (np.ones((1, 3)),), np.zeros(1)),
    ))  # fmt: skip
    query = queries(network, asking(InputSet.box(-np.ones(1), np.ones(1)), np.ones((1, 1)), np.zeros(1)))[0]
    batch = Batch.concatenate([root(query)] * 2)
    batch.pre_upper[:] = np.array([-1.0, -1.0, 0.0, 1.0, -1.0, -1.0, -1.0, -1.0])
    assert kept_neurons(query, batch).tolist() == [False] * 3 + [True] * 5
    batch.pre_upper[1, 0], batch.phases[0, 1] = 1e-300, -1
    kept = kept_neurons(query, batch)
    assert kept.tolist() == [True, True, False, *[True] * 5]
    small = restrict(batch, kept)
    assert np.array_equal(small.pre_upper, batch.pre_upper[:, kept]) and small.multipliers is None
    assert np.array_equal(small.phases, batch.phases[:, kept]) and reduced(query, kept).neurons == 7
