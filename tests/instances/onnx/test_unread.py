"""Layers that nothing reads go, and the others keep what they compute."""

from __future__ import annotations

import numpy as np

from hypersplit.instances.network import Layer, Network
from hypersplit.instances.onnx.unread import without_unread


def test_what_is_left_computes_the_same() -> None:
    """Of random graphs: the layers behind which the last one lies, with the same values."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sizes, layers = [2], []
        for k in range(1, 8):
            sources = tuple(sorted(rng.choice(k, min(k, int(rng.integers(1, 3))), replace=False).tolist()))
            weights = tuple(rng.normal(size=(3, sizes[s])) for s in sources)
            layers.append(Layer(sources, weights, rng.normal(size=3), "tanh"))
            sizes.append(3)
        whole = Network(2, tuple(layers))
        left = Network(2, without_unread(layers))
        read = {s for layer in left.layers for s in layer.sources}
        assert read | {0} >= set(range(len(left.layers))), f"seed {seed}"
        x = rng.normal(size=(5, 2))
        assert np.array_equal(whole.evaluate(x), left.evaluate(x)), f"seed {seed}"


def test_nothing_goes_where_all_is_read() -> None:
    """A chain stays the very layers that it was."""
    chain = [Layer((k,), (np.eye(2),), np.zeros(2), "relu") for k in range(3)]
    assert without_unread(chain) == tuple(chain)
