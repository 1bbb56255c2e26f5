"""Layers of differences: they hold what they say, wherever two networks are nearly one, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from near_twins import both_queries, near_pair, property_of_difference

from hypersplit.instances.errors import NetworkError
from hypersplit.instances.network import Difference, Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries
from hypersplit.instances.rewriting.differences import with_differences
from hypersplit.instances.rewriting.reduced import without_equalities
from hypersplit.instances.rewriting.side_by_side import side_by_side


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_they_hold_differences(seed: int, shared: bool) -> None:
    """Margins stay what they were, and each new neuron is z of one network less z of the other."""
    plain, query = both_queries(seed, shared=shared)
    x = np.random.default_rng(seed).normal(size=(20, plain.network.input_size))
    np.testing.assert_allclose(query.network.evaluate(x), plain.network.evaluate(x), atol=1e-12)
    pre = query.network.values(x)[1]
    for d in query.network.differences:
        gap = pre[d.first - 1][:, d.left] - pre[d.second - 1][:, d.right]
        np.testing.assert_allclose(pre[d.layer - 1], gap, atol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_readers_of_a_pair_come_behind_it(seed: int) -> None:
    """Whoever reads the first of two layers stands behind the second, and nobody reads differences."""
    network = both_queries(seed)[1].network
    for d in network.differences:
        readers = [k for k, layer in enumerate(network.layers, start=1) if d.first in layer.sources]
        assert readers and min(readers) > d.second
        assert not any(d.layer in layer.sources for layer in network.layers)


def asked(networks: list[Network], rows: np.ndarray) -> Query:
    """Rows <= 0 over the outputs of networks with equal inputs in [-1, 1]."""
    both = side_by_side(networks)
    n = both.input_size // 2
    ties = np.concatenate([np.eye(n), -np.eye(n)], axis=1)
    region = InputSet(-np.ones(2 * n), np.ones(2 * n), np.vstack([ties, -ties]), np.zeros(2 * n))
    case = Case(region, (Polyhedron(rows, np.zeros(len(rows))),))
    query = without_equalities(queries(both, Property((case,), 2 * n, both.output_size))[0])
    assert query is not None
    return query


def test_permuted_neurons_are_found() -> None:
    """The second network's neurons stand in another order: each is paired with its own."""
    rng = np.random.default_rng(3)
    w, v, b = rng.normal(size=(5, 3)), rng.normal(size=(1, 5)), rng.normal(size=5)
    order = np.array([3, 0, 4, 1, 2])
    one = sequential([w, v], [b, np.zeros(1)])
    other = sequential([(w + 0.01)[order], v[:, order]], [b[order], np.zeros(1)])
    (found,) = with_differences(asked([one, other], np.array([[1.0, -1.0]]))).network.differences
    assert (order[found.right] == found.left).all() and len(found.left) == 5


def test_networks_that_differ_get_none() -> None:
    """Neurons without a likeness, and properties that take no output of one from one of the other."""
    rng = np.random.default_rng(0)
    weights = [[rng.normal(size=(4, 3)), rng.normal(size=(1, 4))] for _ in range(2)]
    one, other = (sequential(w, [np.zeros(4), np.zeros(1)]) for w in weights)
    unlike = asked([one, other], np.array([[1.0, -1.0]]))
    assert with_differences(unlike) is unlike
    near = replace(one, layers=(replace(one.layers[0], bias=one.layers[0].bias + 0.01), one.layers[1]))
    apart = asked([one, near], np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert with_differences(apart) is apart
    assert with_differences(asked([one, near], np.array([[1.0, -1.0]]))).network.differences


def test_rounded_numbers_that_cancel_get_none() -> None:
    """Weights that are only known up to roundings are not subtracted."""
    network = near_pair(0)
    layers = tuple(replace(layer, roundings=1) if 0 in layer.sources else layer for layer in network.layers)
    (query,) = queries(replace(network, layers=layers), property_of_difference(network, 0.5, shared=False))
    assert len(with_differences(query).network.differences) == 2  # of inputs that are not one, nothing cancels
    merged = without_equalities(queries(network, property_of_difference(network, 0.5))[0])
    assert merged is not None
    layers = tuple(replace(layer, roundings=1) if 0 in layer.sources else layer for layer in merged.network.layers)
    rounded = replace(merged, network=replace(merged.network, layers=layers))
    assert len(with_differences(rounded).network.differences) == 1


def test_differences_name_layers_that_are_there() -> None:
    """A network whose differences do not fit its layers is refused."""
    net = sequential([np.eye(2), np.eye(2)], [np.zeros(2), np.zeros(2)])
    with pytest.raises(NetworkError, match="no such layers"):
        replace(net, differences=(Difference(1, 2, 3, np.arange(2), np.arange(2)),))
