"""Fast passes against the network itself."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from random_instances import Shape, random_network

from hypersplit.heuristics.attacks.attack_passes import Passes, passes_of
from hypersplit.instances.network import Layer, Network, sequential

CHANNELS, WIDTH = 8, 12


def convolution(rng: np.random.Generator, inputs: int, channels: int, taps: int = 5) -> sp.csr_array:
    """A padded convolution of one row of pixels, [channels * WIDTH, inputs * WIDTH]."""
    kernel = rng.normal(size=(channels, inputs, taps))
    dense = np.zeros((channels, WIDTH, inputs, WIDTH))
    for place in range(WIDTH):
        for tap in range(taps):
            column = place + tap - taps // 2
            if 0 <= column < WIDTH:
                dense[:, place, :, column] = kernel[:, :, tap]
    return sp.csr_array(dense.reshape(channels * WIDTH, inputs * WIDTH))


def convolutional(rng: np.random.Generator, kinds: tuple[str, str] = ("relu", "relu")) -> Network:
    """Two convolutions, a residual edge around the second, a dense layer."""
    first, second = convolution(rng, 2, CHANNELS), convolution(rng, CHANNELS, CHANNELS)
    size = CHANNELS * WIDTH
    around = sp.csr_array(np.eye(size))
    layers = (
        Layer((0,), (first,), rng.normal(size=size), kinds[0]),
        Layer((1, 2)[:1], (second,), rng.normal(size=size), kinds[1]),
        Layer((1, 2), (around, rng.normal(size=(size, size)) / size), rng.normal(size=size), "relu"),
        Layer((3,), (rng.normal(size=(4, size)) / size,), np.zeros(4), "identity"),
    )
    return Network(2 * WIDTH, layers)


@pytest.mark.parametrize("kinds", [("relu", "relu"), ("sigmoid", "tanh"), ("identity", "relu")])
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
