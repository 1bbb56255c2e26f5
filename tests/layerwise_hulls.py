"""The best layer-wise convex relaxation of a tiny ReLU chain, in rational arithmetic.

S_0 is the box and S_k = conv {act(W v + b) : v in S_{k-1}}, the hull of all neurons of layer k together: no relaxation
that passes convex sets from layer to layer is tighter. A set is a list of points whose hull it is. A ReLU cuts the hull
at z_i = 0: where segments between points of both sides cross it are points of the cut, its vertices among them.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np

from hypersplit.instances.network import Array, Layer, Network
from hypersplit.instances.property import InputSet

Point = tuple[Fraction, ...]


def hulls(network: Network, region: InputSet) -> list[list[Point]]:
    """Points whose convex hulls are S_0, S_1, ..., the output's."""
    ends = [(Fraction(float(a)), Fraction(float(b))) for a, b in zip(region.lower, region.upper, strict=True)]
    sets = [sorted(set(product(*ends)))]
    for k, layer in enumerate(network.layers):
        assert layer.sources == (k,), "a plain chain is expected"
        pieces = [[affine(layer, v) for v in sets[-1]]]
        for i in range(layer.size if layer.kind == "relu" else 0):
            pieces = [half for piece in pieces for half in cut(piece, i)]
        relu = layer.kind == "relu"
        images = {tuple(max(z, Fraction(0)) if relu else z for z in point) for piece in pieces for point in piece}
        sets.append(sorted(images))
    return sets


def output_range(network: Network, region: InputSet) -> tuple[Fraction, Fraction]:
    """(lowest, highest) value of output 0 that the relaxation allows."""
    values = [point[0] for point in hulls(network, region)[-1]]
    return min(values), max(values)


def affine(layer: Layer, v: Point) -> Point:
    """W v + b."""
    table = np.asarray(layer.weights[0])
    return tuple(
        sum((Fraction(w) * x for w, x in zip(row, v, strict=True) if w), Fraction(b))
        for row, b in zip(table.tolist(), layer.bias.tolist(), strict=True)
    )


def cut(piece: list[Point], i: int) -> list[list[Point]]:
    """The parts of the hull with z_i >= 0 and z_i <= 0; one of them where z_i keeps its sign."""
    above, below = [p for p in piece if p[i] > 0], [p for p in piece if p[i] < 0]
    if not above or not below:
        return [piece]
    on = {p for p in piece if p[i] == 0}
    for p, q in product(above, below):
        share = p[i] / (p[i] - q[i])
        on.add(tuple(a + share * (b - a) for a, b in zip(p, q, strict=True)))
    return [[*above, *sorted(on)], [*below, *sorted(on)]]


def max_of_affine(rows: Array, offsets: Array) -> Network:
    """max_i (rows[i] @ x + offsets[i]): m_{k+1} = l_{k+1}(x) + ReLU(m_k - l_{k+1}(x)), the input read by every layer.

    rows: [pieces, n], at least two; offsets: [pieces]. Any convex piecewise-linear function. Written as a chain by
    `copied_inputs.with_copied_inputs` it is what a layer-wise relaxation by hulls of whole layers bounds exactly from
    both sides: the hull of layer k over the region X is S_k = conv {(x, m_k(x)) : x in X}. For (x, t) = sum_j lambda_j
    (x_j, m_k(x_j)) in S_k, convexity gives t >= m_k(x), so max(t, l(x)) >= m_{k+1}(x), and max(t, l(x)) <= sum_j
    lambda_j m_{k+1}(x_j): both ends lie in S_{k+1}, so the next hull is S_{k+1} and no larger.
    """
    rows, offsets = np.asarray(rows, dtype=np.float64), np.asarray(offsets, dtype=np.float64)
    count = len(rows)
    steps, shifts, one = rows[:-1] - rows[1:], offsets[:-1] - offsets[1:], np.ones((1, 1))
    # m_k - l_{k+1} = ReLU of the layer before + l_k - l_{k+1}
    layers = [Layer((0,), (steps[:1],), shifts[:1], "relu", "max_1")]
    for k in range(1, count - 1):
        layers.append(Layer((0, k), (steps[k : k + 1], one), shifts[k : k + 1], "relu", f"max_{k + 1}"))
    layers.append(Layer((0, count - 1), (rows[-1:], one), offsets[-1:], "identity", "y"))
    return Network(rows.shape[1], tuple(layers))
