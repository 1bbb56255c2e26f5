"""Convolutional networks with a residual edge."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from hypersplit.instances.network import Layer, Network

__all__ = ["CHANNELS", "WIDTH", "convolution", "convolutional"]

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
