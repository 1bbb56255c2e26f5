"""Copies of the inputs in every layer: what makes a layer-wise multi-neuron relaxation of a maximum exact.

A relaxation between one layer and the next knows of the inputs only what the layer carries. Appended to every hidden
layer as ReLUs that are always active, x_j - lower_j >= 0, they can be members of its groups (Mao, Zhang and Vechev
2024, who append them and give them weight 0 in the last layer). A network that reads its inputs again and again by
edges past its layers, as nested maxima do, becomes a plain chain.
"""

from __future__ import annotations

import numpy as np

from ..network import Array, Layer, Network
from ..property import InputSet
from ..sparse import is_sparse

__all__ = ["with_copied_inputs"]


def with_copied_inputs(network: Network, region: InputSet) -> Network:
    """The same function on the region as a chain whose hidden layers carry x - lower + 1 behind their own neurons.

    Every layer may read the layer before it and the input. Raises ValueError for other edges.
    """
    n, last = network.input_size, len(network.layers)
    shift = region.lower - 1.0  # well away from 0: rounding must not make a copy look unstable
    copy, layers = np.eye(n), []
    for k, layer in enumerate(network.layers, start=1):
        if not set(layer.sources) <= {0, k - 1}:
            raise ValueError(f"layer {k} ({layer.name}): reads {layer.sources}, expected the input or layer {k - 1}")
        own, past = (_weights(layer, s, network.sizes[s]) for s in (k - 1, 0))
        if k == 1:
            weights, bias = past, layer.bias
            copies, copied = copy, -shift
        else:
            # the copies are x - shift
            weights, bias = np.concatenate([own, past], axis=1), layer.bias + past @ shift
            copies, copied = np.concatenate([np.zeros((n, own.shape[1])), copy], axis=1), np.zeros(n)
        if k < last:
            weights, bias = np.concatenate([weights, copies]), np.concatenate([bias, copied])
        layers.append(Layer((k - 1,), (np.ascontiguousarray(weights),), bias, layer.kind, layer.name))
    return Network(n, tuple(layers))


def _weights(layer: Layer, source: int, size: int) -> Array:
    """Dense weights of one source; 0 where it is not read."""
    if source not in layer.sources:
        return np.zeros((layer.size, size))
    w = layer.weights[layer.sources.index(source)]
    return np.asarray(w.toarray() if is_sparse(w) else w)
