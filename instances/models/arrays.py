"""Plain arrays as a network: x -> W_L relu(... relu(W_1 x + b_1) ...) + b_L, in real arithmetic, nothing rounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..checks import finite_array, finite_matrix
from ..errors import NetworkError
from ..network import Network, sequential

__all__ = ["network_of_arrays"]


def network_of_arrays(layers: Sequence[Any]) -> Network:
    """The chain of affine maps with ReLUs between, none behind the last.

    layers: pairs (weights [out, in], biases [out]), arrays or nested lists; weights may be sparse.
    Raises NetworkError, naming the layer and both shapes, where they do not fit together.
    """
    if not layers:
        raise NetworkError("a list of (weights, biases): it is empty, expected at least one pair")
    weights, biases, given = [], [], None
    for k, pair in enumerate(layers):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise NetworkError(f"layer {k}: expected a pair (weights, biases), got {type(pair).__name__}")
        weight = finite_matrix(pair[0], (None, None), f"layer {k}: weights", NetworkError)
        if given is not None and weight.shape[1] != given:
            raise NetworkError(
                f"layer {k}: weights of shape {weight.shape} read {weight.shape[1]} values, but layer {k - 1} gives "
                f"{given}; weights are [outputs, inputs]"
            )
        given = weight.shape[0]
        weights.append(weight)
        biases.append(finite_array(pair[1], (given,), f"layer {k}: biases", NetworkError))
    return sequential(weights, biases)
