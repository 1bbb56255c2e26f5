"""The optimal-partition rule: split the input set by the hyperplane of the weight row that costs the bound most.

Anderson, Ma, Li, Sojoudi (CDC 2020), Thm 2, for one hidden layer: the triangle relaxation of max c'ReLU(Wx) is at most
-sum_i ReLU(c_i) u_i l_i / (u_i - l_i) above the truth; splitting along w_i'x + b_i = 0 removes term i, so the best
row is
    i* = argmax_i ReLU(c_i) (-u_i l_i) / (u_i - l_i),
and, the terms being separable, the n best rows are the n largest scores.

For deeper networks there is no theorem. The extension used here replaces c_i by the multiplier with which neuron i's
upper line enters the margin's lower bound (back-substitution). This is the intercept term of BaBSR (Bunel et al. 2020).
For layer 1 the split is a half-space of the input and both children get a stable neuron. For an unstable neuron of a
deeper layer {z >= 0} is no half-space; the input is cut along the mean of the neuron's linear lower and upper
functions, g(x) = (L(x) + U(x)) / 2. The neuron does not become stable: with delta = max over the region of (U - L) / 2
one child has l' >= -delta, the other u' <= delta. So rows of all layers are scored by the gain
    multiplier [ F(l, u) - max(F(-delta, u), F(l, delta)) ],    F(l, u) = -u l / (u - l),
which for layer 1 (delta = 0) is the rule above. Another row for the same neuron is its *composed* row, the affine
function that it is around a reference point (Singla and Feizi 2019); nothing is known of what such a cut leaves.
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array, derivative
from ...instances.query import Query
from ...instances.rounding import EPS, UP

__all__ = ["composed_rows", "first_layer_row", "first_layers", "gain_scores", "optimal_partition_scores"]


def optimal_partition_scores(multipliers: Array, lower: Array, upper: Array) -> Array:
    """multiplier (-u l) / (u - l) for unstable neurons (l < 0 < u), 0 for stable ones; any equal shapes.

    >>> optimal_partition_scores(np.array([2.0, 1.0]), np.array([-1.0, 1.0]), np.array([1.0, 2.0]))
    array([1., 0.])
    """
    unstable = (lower < 0.0) & (upper > 0.0)
    low, high = np.where(unstable, lower, -1.0), np.where(unstable, upper, 1.0)
    return np.where(unstable, multipliers * (-high * low) / (high - low), 0.0)


def gain_scores(multipliers: Array, lower: Array, upper: Array, spreads: Array) -> Array:
    """The optimal-partition score less what the better cut along the neuron's mean function leaves of it, >= 0.

    multipliers, lower, upper: [B, neurons]; spreads: [B, neurons] delta, see MeanFunctions, infinite where unknown.
    Returns [B, neurons].
    """
    known = np.isfinite(spreads)
    delta = np.where(known, spreads, 0.0)
    before = optimal_partition_scores(multipliers, lower, upper)
    above = optimal_partition_scores(multipliers, np.maximum(lower, -delta), upper)
    below = optimal_partition_scores(multipliers, lower, np.minimum(upper, delta))
    return np.where(known, before - np.maximum(above, below), 0.0)


def composed_rows(query: Query, neurons: Array, points: Array) -> Array:
    """The affine function that each neuron's pre-activation is around a point: [B], [B, inputs] -> [B, inputs + 1].

    Singla and Feizi (2019), Algorithm 1: the layers' weights multiplied along the activation pattern of the point.
    """
    values, pre = query.network.values(points)
    count, n = points.shape
    jacobians = [np.broadcast_to(np.eye(n), (count, n, n))]
    rows = np.zeros((count, n + 1))
    for layer, z, part in zip(query.network.layers, pre, query.slices, strict=False):
        jacobian = np.zeros((count, layer.size, n))
        for s, w in zip(layer.sources, layer.weights, strict=True):
            flat = jacobians[s].transpose(1, 0, 2).reshape(jacobians[s].shape[1], count * n)
            jacobian += np.asarray(w @ flat).reshape(layer.size, count, n).transpose(1, 0, 2)
        mine = np.flatnonzero((neurons >= part.start) & (neurons < part.stop))
        inner = neurons[mine] - part.start
        rows[mine, :n] = jacobian[mine, inner]
        rows[mine, n] = z[mine, inner] - (jacobian[mine, inner] * points[mine]).sum(axis=1)
        jacobians.append(jacobian * derivative(layer.kind, z)[:, :, None])
    return rows


def first_layers(query: Query) -> Array:
    """[neurons] bool: neurons whose pre-activation is affine in the input (every source of the layer is the input)."""
    mask = np.zeros(query.neurons, dtype=bool)
    for layer, part in zip(query.network.layers, query.slices, strict=False):
        mask[part] = layer.kind == "relu" and layer.sources == (0,)
    return mask


def first_layer_row(query: Query, neuron: int) -> tuple[Array, float]:
    """The hyperplane of a neuron of `first_layers`: (row [inputs + 1], slack).

    The file's own pre-activation differs from row[:-1] @ x + row[-1] by at most `slack` on the query's box (folding
    rounds), so a half-space moved out by it keeps every point that belongs to the phase.
    """
    index = next(i for i, part in enumerate(query.slices) if part.start <= neuron < part.stop)
    layer = query.network.layers[index]
    i = neuron - query.slices[index].start
    weight = layer.weights[0]
    normal = np.asarray(weight[i] if isinstance(weight, np.ndarray) else weight[[i]].toarray()[0])
    reach = np.maximum(np.abs(query.region.lower), np.abs(query.region.upper))
    slack = (layer.bias_error + layer.roundings * EPS * float(np.abs(normal) @ reach)) * UP
    return np.append(normal, layer.bias[i]), slack
