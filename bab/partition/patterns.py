"""The activation patterns of a small network on an input set, each with the range of the objective over its region.

Neuron by neuron, layer after layer: on the region of the signs so far every pre-activation of the next layer is affine
in the input, z = w'x + h, and a sign s is kept where
    max { t : s z(x) >= t |w|_1, the signs before hold by as much, x in the box, t <= 1 }
is above THIN, that is, where the region has an interior. The values are those of an LP solver in float64: counts and
ranges for study, no verdict rests on them. Branches grow with the patterns; for networks of a dozen neurons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...instances.errors import NetworkError, PropertyError
from ...instances.network import Array, Layer, Network
from ...instances.property import InputSet
from ...instances.sparse import is_sparse

__all__ = ["Pattern", "patterns"]

THIN = 1e-7  # of the region's width in terms of a row's own, below which it counts as empty


@dataclass(frozen=True, eq=False)
class Pattern:
    """An activation region with an interior."""

    signs: tuple[int, ...]  # 1 or -1 of each hidden neuron, layer by layer
    lowest: float  # of c'f on the region
    highest: float


@dataclass(frozen=True, eq=False)
class _Region:
    signs: tuple[int, ...]
    faces: Array  # [faces, inputs + 1]: g'x + h >= 0, rows scaled to sum_i |g_i| = 1
    values: Array  # [neurons of the last layer, inputs + 1] what they are on the region


def patterns(network: Network, region: InputSet, objective: Array) -> list[Pattern]:
    """All of a chain of ReLU layers with a linear output, over a box. objective: c, [outputs].

    Raises NetworkError for another network, PropertyError for an input set that is more than a box.
    """
    layers = network.layers
    for k, layer in enumerate(layers):
        if layer.sources != (k,) or layer.kind != ("relu" if k + 1 < len(layers) else "identity"):
            raise NetworkError(f"layer {k + 1} ({layer.name}): expected a chain of ReLU layers with a linear output")
    if len(region.rows) or region.ball is not None:
        raise PropertyError("patterns are counted over boxes: expected no rows and no ball")
    n = network.input_size
    found = [_Region((), np.zeros((0, n + 1)), np.eye(n, n + 1))]
    for layer in layers[:-1]:
        found = [part for one in found for part in _divided(region, one, _through(layer, one.values))]
    return [_ranged(region, one, objective @ _through(layers[-1], one.values)) for one in found]


def _through(layer: Layer, values: Array) -> Array:
    """The affine functions [size, inputs + 1] that a layer makes of those before it."""
    weights = layer.weights[0]
    rows = np.asarray((weights.toarray() if is_sparse(weights) else weights) @ values)
    rows[:, -1] += layer.bias
    return rows


def _divided(box: InputSet, region: _Region, rows: Array) -> list[_Region]:
    """The parts of a region with an interior, by the signs of all rows."""
    parts = [_Region(region.signs, region.faces, rows.copy())]
    for i, row in enumerate(rows):
        parts = [half for part in parts for sign in (1, -1) for half in _half(box, part, row, i, sign)]
    return parts


def _half(box: InputSet, part: _Region, row: Array, i: int, sign: int) -> list[_Region]:
    """The part where sign * row is positive, if it has an interior there; row i of its values behind the ReLU."""
    size, values = float(np.abs(row[:-1]).sum()), part.values.copy()
    if sign < 0:
        values[i] = 0.0
    if size == 0.0:  # a constant has one sign everywhere
        return [_Region((*part.signs, sign), part.faces, values)] if (row[-1] > 0.0) == (sign > 0) else []
    faces = np.concatenate([part.faces, sign * row[None] / size])
    # (x, t): t <= 1, and every face holds by t
    rows = np.concatenate([-faces[:, :-1], np.ones((len(faces), 1))], axis=1)
    cost = np.append(np.zeros(box.size), -1.0)
    answer = _solved(cost, rows, faces[:, -1], [*zip(box.lower, box.upper, strict=True), (None, 1.0)])
    return [_Region((*part.signs, sign), faces, values)] if answer is not None and -answer > THIN else []


def _ranged(box: InputSet, region: _Region, row: Array) -> Pattern:
    ends = list(zip(box.lower, box.upper, strict=True))
    least, most = (_solved(s * row[:-1], -region.faces[:, :-1], region.faces[:, -1], ends) for s in (1.0, -1.0))
    assert least is not None and most is not None  # the region has an interior
    return Pattern(region.signs, least + float(row[-1]), -most + float(row[-1]))


def _solved(cost: Array, rows: Array, limits: Array, ends: list[tuple[float | None, float | None]]) -> float | None:
    """min cost'x over rows @ x <= limits and the ends of x; None where there is no such x."""
    from scipy.optimize import linprog

    answer = linprog(cost, rows, limits, bounds=ends)
    return float(answer.fun) if answer.status == 0 else None
