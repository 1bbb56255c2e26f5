"""What the kernels of wide networks work on: a network laid out flat, and a node's lines and weights within it.

Values are numbered 0 (the input) .. L (the margins); layer k makes value k. The input is that of the box |x - m| <= r,
scaled: x = m + r s with s in [-1, 1]. Only layer 1 reads it. Coefficients of P rows at a time are columns, [n, P]: what
belongs to a neuron is one number in the inner loops, and a row of a sparse matrix moves whole cache lines.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from ...instances.network import Array
from ...instances.rounding import ROUND_UP, TINY

__all__ = [
    "LOOPS", "Wide", "WideNode", "activate_wide", "add_back", "add_forward", "depart", "interval_ends", "node_room",
]  # fmt: skip

# Sums may be reordered and fused: gamma covers every order. Nothing else is relaxed (NaN keeps its sense).
LOOPS: dict[str, Any] = {
    "cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"},
}  # fmt: skip


class Wide(NamedTuple):
    """A query's network and box."""

    starts: Array  # [L + 2] int: value v lies at starts[v]:starts[v + 1] of a flat vector of all values
    relu: Array  # [L + 1] bool: layer k ends in a ReLU (else it is affine)
    edges: Array  # [L + 2] int: layer k takes in the edges edges[k]:edges[k + 1]
    sources: Array  # [edges] int: the value that the edge comes from
    dense: Array  # [edges] bool: how its weights are kept
    offsets: Array  # [edges] int: where they begin, dense ones in `weights`, sparse ones' row ends in `ends`
    weights: Array  # float64, flat: dense [size of layer, size of source], one edge after another
    single: Array  # the same in float32; of layer 1 for the scaled input
    ends: Array  # [... rows + 1] int: compressed rows, as indices into the three below
    columns: Array  # int
    entries: Array  # float64
    single_entries: Array  # float32; of layer 1 for the scaled input
    bias: Array  # float64, flat as the values
    single_bias: Array  # float32; of layer 1 for the scaled input
    interval: Array  # [L + 1] relative error of an interval bound
    relative: Array  # [L + 1] relative error of a product with the layer's weights on the way back
    bias_error: Array  # [L + 1]
    sums: int  # additions that a coefficient or a constant goes through
    middle: Array  # [n_1] of `first_layer_ball`: W m + b,
    rounding: Array  # [n_1] and what |a| is multiplied by
    spread_error: float  # relative error of the sum over inputs
    underflow: float  # what its terms may have lost below float32's smallest number
    order: Array  # [inputs] int: which input a dense layer 1 has in each column of `single`
    sample: int  # columns that ascents look at, the first ones
    factor: float  # what these stand for, see `slopes.sampled_inputs`


class WideNode(NamedTuple):
    """One node's lines. Alive neurons are those that are not 0, and those whose phase has a multiplier."""

    alive: Array  # int: the alive neurons of a value, gathered to the front of its part
    position: Array  # int: where a neuron is among the alive, -1 for nowhere
    kept: Array  # [L + 1] int: how many are alive
    below: Array  # [values] of the alive: plain lower slope,
    above: Array  # upper slope
    intercept: Array  # and upper intercept
    free: Array  # bool: the lower slope may be chosen
    split: Array  # +-1 where the phase was split
    weights: Array  # flat as in Wide: dense weights between alive neurons
    single: Array
    sampled: Array  # float32: layer 1's columns of the sample, where that is not all of them
    normal: Array  # [inputs] float32: a half-space normal @ s + behind[0] >= 0 of the scaled input; 0: there is none
    sampled_normal: Array  # [sample] float32: the same for ascents
    behind: Array  # [3] its value in the middle of the box, the error of that, and the sum of |normal|


def node_room(net: Wide) -> WideNode:
    """Room for a node; the input is all alive."""
    values, inputs = int(net.starts[-1]), int(net.starts[1])
    alive = np.zeros(values, np.int64)
    alive[:inputs] = np.arange(inputs)
    kept = np.zeros(len(net.relu), np.int64)
    kept[0] = inputs
    return WideNode(
        alive, alive.copy(), kept, np.empty(values), np.empty(values), np.empty(values), np.empty(values, np.bool_),
        np.empty(values), np.empty_like(net.weights), np.empty_like(net.single),
        np.empty(int(net.starts[2] - net.starts[1]) * net.sample, np.float32), np.zeros(inputs, np.float32),
        np.zeros(net.sample, np.float32), np.zeros(3),
    )  # fmt: skip


@njit(**LOOPS)
def interval_ends(net: Wide, k: int, i: int, low: Array, high: Array, magnitude: Array) -> tuple[float, float]:
    """Bounds of neuron i of layer k > 1 by interval arithmetic, from bounds [neurons] of the hidden layers."""
    middle, radius = net.bias[net.starts[k] + i], 0.0
    for e in range(net.edges[k], net.edges[k + 1]):
        s = net.sources[e]
        source, width, relu = net.starts[s] - net.starts[1], net.starts[s + 1] - net.starts[s], net.relu[s]
        first, last = net.offsets[e] + i * width, net.offsets[e] + (i + 1) * width
        if not net.dense[e]:
            first, last = net.ends[net.offsets[e] + i], net.ends[net.offsets[e] + i + 1]
        for at in range(first, last):
            w = net.weights[at] if net.dense[e] else net.entries[at]
            j = source + (at - first if net.dense[e] else net.columns[at])
            least, most = low[j], high[j]
            if relu:
                least, most = max(least, 0.0), max(most, 0.0)
            middle += (0.5 * least + 0.5 * most) * w
            radius += (0.5 * most - 0.5 * least) * abs(w)
    radius += net.interval[k] * 2.0 * magnitude[net.starts[k] + i] + net.bias_error[k]
    return middle - radius, middle + radius


@njit(**LOOPS)
def activate_wide(net: Wide, node: WideNode, v: int, low: Array, high: Array, phases: Array) -> None:
    """Lines of the alive neurons of layer v, and the weights between them and the alive ones before."""
    begin, flat, count = net.starts[v], net.starts[v] - net.starts[1], 0
    for i in range(net.starts[v + 1] - begin):
        below, above, intercept, free, split = 1.0, 1.0, 0.0, False, 0.0
        node.position[begin + i] = -1
        if net.relu[v]:
            least, most, split = low[flat + i], high[flat + i], float(phases[flat + i])
            if most <= 0.0:
                if split == 0.0:
                    continue
                below = above = 0.0
            elif least < 0.0:
                above = most / (most - least)
                below = 1.0 if most > -least else 0.0
                intercept = max(-above * least, (1.0 - above) * most) * ROUND_UP + TINY
                free, split = True, 0.0
        at = begin + count
        node.position[begin + i] = count
        node.alive[at], node.below[at], node.above[at], node.intercept[at] = i, below, above, intercept
        node.free[at], node.split[at] = free, split
        count += 1
    node.kept[v] = count
    for e in range(net.edges[v], net.edges[v + 1]):
        if net.dense[e]:
            _gather(net, node, v, e)


@njit(**LOOPS)
def _gather(net: Wide, node: WideNode, v: int, e: int) -> None:
    """Dense weights of an edge between the alive neurons of its ends."""
    s, at = net.sources[e], net.offsets[e]
    width, kept, columns = net.starts[s + 1] - net.starts[s], node.kept[s], net.starts[s]
    for i in range(node.kept[v]):
        first = net.offsets[e] + node.alive[net.starts[v] + i] * width
        if s == 0:  # exact numbers of the first layer are never multiplied with the input
            for j in range(kept):
                node.single[at + j] = net.single[first + j]
            if net.sample < kept:
                for j in range(net.sample):
                    node.sampled[i * net.sample + j] = net.single[first + j]
        else:
            for j in range(kept):
                w = net.weights[first + node.alive[columns + j]]
                node.weights[at + j] = w
                node.single[at + j] = w
        at += kept


@njit(**LOOPS)
def depart(
    net: Wide, node: WideNode, e: int, rows: Array, both: bool, weights: Array, entries: Array, to: Array
) -> None:  # fmt: skip
    """The rows' own weights of one edge into `to` [kept of the source, P], negated ones behind them where `both`."""
    s, half = net.sources[e], len(rows)
    begin, width, kept = net.starts[s], net.starts[s + 1] - net.starts[s], node.kept[s]
    to[:] = 0.0
    for r in range(half):
        if net.dense[e]:
            first = net.offsets[e] + rows[r] * width
            for j in range(kept):
                to[j, r] = weights[first + node.alive[begin + j]]
        else:
            for at in range(net.ends[net.offsets[e] + rows[r]], net.ends[net.offsets[e] + rows[r] + 1]):
                j = node.position[begin + net.columns[at]]
                if j >= 0:
                    to[j, r] += entries[at]
    if both:
        for j in range(kept):
            for r in range(half):
                to[j, half + r] = -to[j, r]


@njit(**LOOPS)
def add_back(
    net: Wide, node: WideNode, v: int, e: int, weights: Array, entries: Array, given: Array, to: Array, product: Array
) -> None:  # fmt: skip
    """to [kept of the source, P] += W'given of one edge; weights: the node's; product: room of to's shape, flat."""
    s, columns = net.sources[e], given.shape[1]
    begin, count, kept = net.starts[s], node.kept[v], node.kept[s]
    if count == 0 or kept == 0:
        return
    if net.dense[e]:
        w = weights[net.offsets[e] : net.offsets[e] + count * kept].reshape(count, kept)
        out = product[: kept * columns].reshape(kept, columns)
        np.dot(w.T, given, out)
        for j in range(kept):
            for p in range(columns):
                to[j, p] += out[j, p]
        return
    for i in range(count):
        row = net.offsets[e] + node.alive[net.starts[v] + i]
        for at in range(net.ends[row], net.ends[row + 1]):
            j, w = node.position[begin + net.columns[at]], entries[at]
            if j >= 0:
                for p in range(columns):
                    to[j, p] += w * given[i, p]


@njit(**LOOPS)
def add_forward(
    net: Wide, node: WideNode, v: int, e: int, weights: Array, given: Array, to: Array, product: Array
) -> None:  # fmt: skip
    """to [kept of layer v, P] += W given of one edge, in float32."""
    s, columns = net.sources[e], given.shape[1]
    begin, count, kept = net.starts[s], node.kept[v], node.kept[s]
    if count == 0 or kept == 0:
        return
    if net.dense[e]:
        w = weights[net.offsets[e] : net.offsets[e] + count * kept].reshape(count, kept)
        out = product[: count * columns].reshape(count, columns)
        np.dot(w, given, out)
        for i in range(count):
            for p in range(columns):
                to[i, p] += out[i, p]
        return
    for i in range(count):
        row = net.offsets[e] + node.alive[net.starts[v] + i]
        for at in range(net.ends[row], net.ends[row + 1]):
            j, w = node.position[begin + net.columns[at]], net.single_entries[at]
            if j >= 0:
                for p in range(columns):
                    to[i, p] += w * given[j, p]
