"""The affine function that a network is on one activation region, and the region's half-spaces, rigorously.

With every ReLU's phase fixed (theta), each pre-activation is one affine function of the input, z_k = P_k x + q_k: one
forward pass that multiplies each layer's weights by the rows of the active neurons before it (Singla and Feizi 2019,
Algorithm 1). Active neurons give the half-spaces P x + q >= 0, inactive ones <= 0, the margins the decision functions.

Rounding: every float sum is off by at most gamma(terms) times its magnitude |W| D |W| ... |x|, which is carried along
for the largest |x| of the box; half-spaces move outward and decision functions down by it.
"""

from __future__ import annotations

import numpy as np

from ...instances.batch import Node
from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import UP, gamma
from ..linear.prepared_layers import product_terms

__all__ = ["activation_region"]


def activation_region(query: Query, node: Node, wanted: Array) -> tuple[Array, Array, Array]:
    """The node's region and functions; every ReLU must be stable (pre_lower >= 0 or pre_upper <= 0).

    wanted: [neurons] bool, ReLUs whose half-space is asked for. Returns (cuts [wanted, inputs + 1] rows (g, h) with
    g'x + h >= 0 on the region, coefficients [rows, inputs], constants [rows]): the margins are at least
    coefficients @ x + constants there. Raises ValueError where a ReLU is unstable or another activation stands.
    """
    active = node.pre_lower >= 0.0
    if ((~active & ~(node.pre_upper <= 0.0)) & query.relu).any() or not query.network.piecewise_linear:
        raise ValueError("activation_region: every activation must be a ReLU of known phase")
    reach = np.maximum(np.abs(node.lower), np.abs(node.upper))
    n, terms = query.network.input_size, query.network.input_size
    functions = [np.eye(n, n + 1)]  # of each value
    sizes, shifts = [reach], [np.zeros(n)]  # magnitude of its terms; what errors of the biases make of it
    cuts = []
    for k, layer in enumerate(query.network.layers):
        function, size, shift = np.zeros((layer.size, n + 1)), np.abs(layer.bias), np.full(layer.size, layer.bias_error)
        for s, w in zip(layer.sources, layer.weights, strict=True):
            function += w @ functions[s]
            size = size + abs(w) @ sizes[s]
            shift = shift + abs(w) @ shifts[s]
        function[:, n] += layer.bias
        terms += sum(product_terms(w) for w in layer.weights) + layer.roundings + len(layer.weights) + 8
        if k < len(query.slices):
            part = query.slices[k]
            if layer.kind == "relu":
                sign = np.where(active[part], 1.0, -1.0)[:, None]
                rows = sign * function
                rows[:, n] += (gamma(terms) * size + shift) * UP
                cuts.append(rows[wanted[part]])
                kept = active[part].astype(np.float64)
                function, size, shift = function * kept[:, None], size * kept, shift * kept
        functions.append(function)
        sizes.append(size)
        shifts.append(shift)
    error = (gamma(terms) * sizes[-1] + shifts[-1]) * UP
    last = functions[-1]
    return np.concatenate(cuts) if cuts else np.zeros((0, n + 1)), last[:, :n], last[:, n] - error
