"""Copies of the inputs: the same function, as a chain that carries them."""

from __future__ import annotations

import numpy as np
import pytest
from random_instances import Shape, random_network

from hypersplit.instances.families.copied_inputs import with_copied_inputs
from hypersplit.instances.families.random_networks import nested_max, nested_max_property
from hypersplit.instances.network import Layer, Network
from hypersplit.instances.property import InputSet


@pytest.mark.parametrize("d", range(2, 9))
def test_nested_maxima_become_chains(d: int) -> None:
    """The same values, every layer reading the one before it alone, copies at least 1."""
    network = nested_max(d)
    region = nested_max_property(d).cases[0].region
    chain = with_copied_inputs(network, region)
    assert [layer.sources for layer in chain.layers] == [(k,) for k in range(d)]
    points = np.random.default_rng(d).integers(0, 9, (50, d)) / 8.0
    assert np.array_equal(chain.evaluate(points), network.evaluate(points))
    for values in chain.values(points)[0][1:-1]:
        assert np.array_equal(values[:, -d:], points + 1.0)


def test_random_chains_keep_their_function() -> None:
    """Over boxes anywhere."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        network = random_network(rng, Shape(residual=0.0, final_relu=0.0))
        lower = rng.integers(-4, 5, network.input_size) / 2.0
        chain = with_copied_inputs(network, InputSet.box(lower, lower + 1.0))
        points = rng.uniform(lower, lower + 1.0, (20, network.input_size))
        np.testing.assert_allclose(chain.evaluate(points), network.evaluate(points), atol=1e-9)


def test_other_edges_are_refused() -> None:
    """In one clear line."""
    layers = (
        Layer((0,), (np.eye(2),), np.zeros(2), "relu", "a"),
        Layer((1,), (np.eye(2),), np.zeros(2), "relu", "b"),
        Layer((1, 2), (np.eye(2), np.eye(2)), np.zeros(2), "identity", "c"),
    )
    with pytest.raises(ValueError, match=r"layer 3 \(c\)"):
        with_copied_inputs(Network(2, layers), InputSet.box(np.zeros(2), np.ones(2)))
