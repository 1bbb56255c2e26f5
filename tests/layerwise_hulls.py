"""The best layer-wise convex relaxation of a tiny ReLU chain, in rational arithmetic.

S_0 is the box and S_k = conv {act(W v + b) : v in S_{k-1}}, the hull of all neurons of layer k together: no relaxation
that passes convex sets from layer to layer is tighter. A set is a list of points whose hull it is. A ReLU cuts the hull
at z_i = 0: where segments between points of both sides cross it are points of the cut, its vertices among them.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np

from hypersplit.instances.network import Layer, Network
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
