"""The affine functions that a network of ReLUs and jumps is on an activation region: integers over a power of two.

With the phases of all earlier layers fixed, the pre-activations of a layer are z = 2^-e (R x + r), R and r of Python
integers (every float64 is an integer times a power of two), and so is each layer's value, with the rows of inactive
neurons zero; of a function that jumps the piece is fixed (`pieces`). Inputs that are fixed (lower = upper) are
constants, so that x has the open inputs only.

The same arithmetic without any input, with numerators over a common denominator, evaluates the network at a rational
point.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm
from typing import NamedTuple

import numpy as np

from ...instances import memory
from ...instances.curves.pieces import Piece, has_pieces, pieces
from ...instances.judges.exact_evaluation import scaled
from ...instances.network import Array, Layer, Network
from .rational_lp import Row

__all__ = ["Affine", "ExactNetwork", "inexact"]

INTEGER_MB = 56e-6  # of a Python integer of a few digits, the pointer to it and the float that it comes from


class Affine(NamedTuple):
    """Functions of the open inputs x times a common unit: 2^-exponent (rows[:, :-1] @ x + rows[:, -1] / unit) unit."""

    rows: Array  # [size, open inputs + 1] of Python integers
    exponent: int

    def beyond(self, i: int, place: Fraction, strict: bool) -> Row:
        """Function i >= place, or > place; only for unit 1."""
        *normal, offset = self.rows[i].tolist()
        above = offset - place * Fraction(2) ** self.exponent
        return Row(tuple(g * above.denominator for g in normal), above.numerator, strict)

    def row(self, i: int) -> Row:
        """Function i >= 0; only for unit 1."""
        *normal, offset = self.rows[i].tolist()
        return Row(tuple(normal), offset)

    def gated(self, active: Array) -> Affine:
        """Behind a ReLU whose phases are active [size] bool."""
        return Affine(np.where(active[:, None], self.rows, 0), self.exponent)

    def on_pieces(self, chosen: Sequence[Piece], unit: int = 1) -> Affine:
        """Behind a function that jumps, each row on a piece of it; the constant 1 stands as `unit`."""
        finest = max([self.exponent, 0, *(piece.shift.denominator.bit_length() - 1 for piece in chosen)])
        slopes = np.array([piece.slope for piece in chosen], dtype=object)
        rows = (self.rows << (finest - self.exponent)) * slopes[:, None]
        rows[:, -1] += np.array([int(piece.shift * (1 << finest)) * unit for piece in chosen], dtype=object)
        return Affine(rows, finest)


def inexact(network: Network) -> str:
    """Why the layers, as they stand in floats, are not the network itself; "" where they are.

    Affine layers that nobody reads, such as those of differences, are no part of the function.
    """
    read = {len(network.layers)}.union(*(layer.sources for layer in network.layers))
    if network.unmodelled:
        return f"not exact: {network.unmodelled}"
    for k, layer in enumerate(network.layers, start=1):
        if layer.kind not in ("identity", "relu") and not has_pieces(layer.kind):
            return f"not exact: layer {k} ({layer.name}) is a {layer.kind}"
        counts = k in read or layer.kind != "identity"
        if counts and (layer.roundings or layer.bias_error):
            return f"not exact: layer {k} ({layer.name}) was folded with rounding"
        numbers = [layer.bias, *(w if isinstance(w, np.ndarray) else w.data for w in layer.weights)]
        if not all(np.isfinite(a).all() for a in numbers):
            return f"not exact: layer {k} ({layer.name}) has weights that are not finite"
    return ""


class ExactNetwork:
    """The network's layers with their weights as integers, made when first needed."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._made: dict[int, tuple[Array, int]] = {}

    def inputs(self, lower: Array, upper: Array) -> Affine:
        """x_0 as functions of the open inputs of a box [n]."""
        numbers, exponent = scaled(np.where(lower < upper, 0.0, lower))
        open_inputs = np.flatnonzero(lower < upper)
        rows = np.zeros((len(lower), len(open_inputs) + 1), dtype=object)
        rows[:, -1] = numbers
        rows[open_inputs, np.arange(len(open_inputs))] = 1 << exponent if exponent > 0 else 1
        if exponent < 0:  # integers of many bits
            rows[:, -1] = numbers << -exponent
            exponent = 0
        return Affine(rows, exponent)

    def pre_activations(self, k: int, values: Sequence[Affine], unit: int = 1) -> Affine:
        """z_{k + 1} from x_0, ..., x_k; the constant 1 stands as `unit`."""
        layer = self.network.layers[k]
        return _applied(self._weights(k, layer), [values[s] for s in layer.sources], unit)

    def half_spaces(self, cuts: Array, inputs: Affine) -> Affine:
        """The functions g'x + h of rows (g, h) [K, inputs + 1]."""
        return _applied(scaled(cuts), [inputs], 1)

    def output(self, point: Sequence[Fraction]) -> list[Fraction]:
        """f(x) at a rational point."""
        unit = lcm(*(value.denominator for value in point))
        first = np.empty((len(point), 1), dtype=object)
        first[:, 0] = [int(value * unit) for value in point]
        values = [Affine(first, 0)]
        for k, layer in enumerate(self.network.layers):
            z = self.pre_activations(k, values, unit)
            values.append(_through(layer.kind, z, unit))
        last = values[-1]
        return [Fraction(v) / (Fraction(2) ** last.exponent * unit) for v in last.rows[:, 0].tolist()]

    def _weights(self, k: int, layer: Layer) -> tuple[Array, int]:
        """[weights of all sources, bias] of layer k + 1 as integers over 2^exponent."""
        if k not in self._made:
            memory.claim(INTEGER_MB * layer.size * (1 + sum(w.shape[1] for w in layer.weights)))
            blocks = [w if isinstance(w, np.ndarray) else w.toarray() for w in layer.weights]
            self._made[k] = scaled(np.column_stack([*blocks, layer.bias]))
        return self._made[k]


def _through(kind: str, z: Affine, unit: int) -> Affine:
    """The activations of numbers z, rows of constants alone."""
    if kind == "relu":
        return Affine(np.maximum(z.rows, 0), z.exponent)
    if kind == "identity":
        return z
    numbers = [Fraction(v) / (Fraction(2) ** z.exponent * unit) for v in z.rows[:, -1].tolist()]
    return z.on_pieces([next(p for p in pieces(kind, number, number) if p.holds(number)) for number in numbers], unit)


def _applied(matrix: tuple[Array, int], read: Sequence[Affine], unit: int) -> Affine:
    """(integers, exponent) [size, values + 1] times the values one above the other and the constant 1."""
    whole, exponent = matrix
    finest = max([0, *(value.exponent for value in read)])
    one = np.zeros((1, read[0].rows.shape[1] if read else 1), dtype=object)
    one[0, -1] = unit << finest
    stacked = np.concatenate([*(value.rows << (finest - value.exponent) for value in read), one])
    used = np.flatnonzero((stacked != 0).any(axis=1))
    return Affine(whole[:, used] @ stacked[used], finest + exponent)
