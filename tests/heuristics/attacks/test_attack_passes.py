"""Fast passes against the network itself."""

from __future__ import annotations

import numpy as np
import pytest
from convolutions import convolutional
from random_instances import Shape, random_network

from hypersplit.heuristics.attacks.attack_passes import Passes, passes_of
from hypersplit.instances.network import sequential


@pytest.mark.parametrize("kinds", [("relu", "relu"), ("sigmoid", "tanh"), ("identity", "relu"), ("power:2", "elu:1.5")])
def test_passes_are_the_networks_own(kinds: tuple[str, str]) -> None:
    """Margins and gradients agree with `Network.values` and `pullback`, residual edges and all activations included."""
    rng = np.random.default_rng(4)
    network = convolutional(rng, kinds)
    x, cotangent = rng.normal(size=(9, network.input_size)), rng.normal(size=(9, 4))
    values, pre = network.values(x)
    passes = Passes(network, np.dtype(np.float64))
    own = passes.forward(np.ascontiguousarray(x.T))
    assert np.allclose(own[-1].T, values[-1], rtol=1e-12)
    assert np.allclose(passes.backward(own, cotangent.T).T, network.pullback(pre, cotangent), rtol=1e-10, atol=1e-12)
    single = Passes(network, np.dtype(np.float32))
    assert np.allclose(single.margins(x), values[-1], rtol=1e-4, atol=1e-5)


def test_random_networks_pass_alike() -> None:
    """The same for random networks with residual edges, identity layers and a ReLU on the output."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        network = random_network(rng, Shape(residual=0.6, identity=0.4))
        x = rng.normal(size=(5, network.input_size))
        cotangent = rng.normal(size=(5, network.output_size))
        values, pre = network.values(x)
        passes = Passes(network, np.dtype(np.float64))
        own = passes.forward(np.ascontiguousarray(x.T))
        back = passes.backward(own, cotangent.T).T
        assert np.allclose(own[-1].T, values[-1]), seed
        assert np.allclose(back, network.pullback(pre, cotangent)), seed


def test_small_networks_and_tiny_boxes_stay_double() -> None:
    """float32 is for large networks, and only where the box is wide against the coordinates' own size."""
    rng = np.random.default_rng(5)
    large = sequential([rng.normal(size=(200, 120)), rng.normal(size=(2, 200))], [np.zeros(200), np.zeros(2)])
    small = sequential([rng.normal(size=(5, 3))], [np.zeros(5)])
    zeros, ones = np.zeros(120), np.ones(120)
    assert passes_of(large, zeros, ones).single
    assert passes_of(large, zeros, ones) is passes_of(large, -ones, ones)
    assert not passes_of(large, ones, ones + 1e-6).single
    assert not passes_of(small, zeros[:3], ones[:3]).single
