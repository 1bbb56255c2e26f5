"""ReLUs in which all margins increase: their bounds change nothing, so nobody need look for them.

Where a margin is increasing in relu(z), its relaxation uses relu(z) >= alpha z alone, with alpha in [0, 1] chosen for
the margin: no bound of z is in it, and what a stable phase would say, alpha = 0 and alpha = 1 say too. In the last
hidden layer that holds for all neurons with weights >= 0, half of them where a node has one margin to refute. Neurons
of earlier layers are mixed by the ReLUs behind them, and rows of several neurons mix those of one layer.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np

from ...instances.network import Array
from ...instances.query import Query

__all__ = ["bounds_matter"]


def bounds_matter(query: Query, duty: Array) -> Array:
    """[B, neurons] bool: whose bounds the margins of the nodes' disjuncts depend on. duty: [B, disjuncts] bool."""
    if query not in _FALLING:
        _FALLING[query] = _falling(query)
    wanted = np.repeat(duty, np.diff(query.starts), axis=1)
    return np.asarray(wanted.astype(np.float32) @ _FALLING[query] > 0.0)


_FALLING: WeakKeyDictionary[Query, Array] = WeakKeyDictionary()


def _falling(query: Query) -> Array:
    """[rows, neurons] float32, 1 where a margin may decrease in a neuron's value, or depends on it by way of others."""
    layers, out = query.network.layers, np.ones((query.rows, query.neurons), dtype=np.float32)
    if query.network.differences:
        return out
    # what the margins are of each value, as long as only affine layers lie between; None where others do
    margins: list[Array | None] = [np.zeros((query.rows, size)) for size in query.network.sizes]
    margins[-1] = np.eye(query.rows)
    for v in range(len(layers), 0, -1):
        layer, own = layers[v - 1], margins[v]
        if layer.kind == "relu" and own is not None:
            out[:, query.slices[v - 1]] = own < 0.0
        for source, w in zip(layer.sources, layer.weights, strict=True):
            before = margins[source]
            affine = layer.kind == "identity" and own is not None and before is not None
            margins[source] = before + own @ w if affine else None
    return out
