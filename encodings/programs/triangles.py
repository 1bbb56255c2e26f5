"""The triangle relaxation of neurons, as columns and rows of an LP that may grow and change in place.

Each ReLU's pre-activation is split into its halves, z = y - s with y = ReLU(z) in [0, u] and s = ReLU(-z)
in [0, -l]. The triangle (Ehlers 2017; paper 2) is then one short row per unstable neuron,
    -l/(u-l) y + u/(u-l) s <= -ul/(u-l),
its multiplier is that of y <= u(z-l)/(u-l), and a phase fixes a column (s = 0 or y = 0): a child node
differs from its parent by a few bounds and coefficients. Curves get the two lines of `relaxations`, and more
that touch the hull of the graph where an LP's point lies outside it (`add_supports`), and products of squares
their planes (`product_rows`), all of them computed anew for each node; an identity is a column. Only the affine
rows z = W x + b are long, and they never change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...instances.batch import Node
from ...instances.network import Array, Matrix, curved, value_range
from ...instances.query import Query
from ...instances.rounding import CURVE_SLACK, ROUND_UP, TINY
from ...instances.sparse import sp
from ..relaxations.envelopes import supports
from ..relaxations.kinds import lines
from .product_rows import ProductRows
from .safe_lp import Block, SafeLP

__all__ = ["Triangles"]

Index = NDArray[np.intp]

OUTSIDE = 1e-6  # times 1 + |value|: how far a value must lie outside the hull for one more pair of lines
IDLE_CUTS = 64  # switched-off half-spaces that may pile up before the LP is built afresh


class Triangles:
    """The LP's columns and rows that stand for a growing set of neurons."""

    def __init__(self, query: Query, node: Node) -> None:
        self.query, self.layers = query, query.network.layers
        self.lp = SafeLP(max(layer.roundings for layer in self.layers))
        self.broken = False  # the solver failed; build afresh
        self.value_column = [
            np.arange(query.network.input_size),
            *(np.full(layer.size, -1) for layer in self.layers),
        ]
        self.first = np.full(query.neurons, -1)  # column of y (ReLU) or of z
        self.second = np.full(query.neurons, -1)  # column of s (ReLU) or of the value (sigmoid, tanh)
        self.caps: list[
            tuple[Block, Array, Array | None]
        ] = []  # triangle rows and pairs of lines, with their neurons, and where lines touch (None: in the middle)
        self.products = ProductRows(query)
        self.supports = 0  # pairs of lines that were added for an LP's point
        self.capped = np.zeros(query.neurons, dtype=bool)
        self.cuts: dict[bytes, tuple[Block, float]] = {}  # half-space (g, h) -> its row, -h
        self.lp.add_columns(node.lower, node.upper)
        self.set_cuts(node.cuts)

    def add_neurons(self, k: int, chosen: Array, node: Node) -> None:
        """Columns and rows of the neurons `chosen` [size] bool of layer k; others exist or need none.

        A ReLU that is inactive by its bounds, without a phase, is 0 and gets nothing.
        """
        part, layer = self.query.slices[k - 1], self.layers[k - 1]
        lower, upper = node.pre_lower[part], node.pre_upper[part]
        index = np.flatnonzero(chosen & ~((upper <= 0.0) & (node.phases[part] == 0) & (layer.kind == "relu")))
        index = index[self.first[index + part.start] < 0]
        if not len(index):
            return
        flat = index + part.start
        low, high = lower[index], upper[index]
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise ValueError(
                f"layer {k} ({layer.name}): an LP needs finite pre-activation bounds; bound the node first"
            )
        columns = [self.lp.add_columns(*ends) for ends in column_boxes(layer.kind, low, high)]
        self.first[flat], self.second[flat] = columns[0], columns[-1]
        self.value_column[k][index] = columns[-1] if curved(layer.kind) else columns[0]
        signs = (1.0, -1.0) if layer.kind == "relu" else (1.0,)
        block = -self.affine(k, index)
        for sign, column in zip(signs, columns, strict=False):
            block = block + _unit(column, sign, block.shape[1])
        self.lp.add_rows(block, layer.bias[index], layer.bias[index], layer.bias_error)
        if layer.kind == "relu":
            self._add_caps(flat[(low < 0.0) & (high > 0.0)])
        elif layer.kind != "identity":
            self._add_caps(np.repeat(flat, 2))
            self.products.add(k, self.lp, self.first, self.second)

    def add_supports(self, node: Node) -> int:
        """Lines that cut off the LP's last point where it lies outside the hull of a curve's graph; how many pairs."""
        point, added = self.lp.point(), 0
        for kind, part in zip(self.query.kinds, self.query.slices, strict=True):
            flat = np.flatnonzero(self.first[part] >= 0) + part.start if curved(kind) else np.zeros(0, dtype=np.intp)
            if not len(flat):
                continue
            low, high = node.pre_lower[flat], node.pre_upper[flat]
            z, value = np.clip(point[self.first[flat]], low, high), point[self.second[flat]]
            line = supports(kind, low, high, z)
            above = value - line.upper_slope * z - line.upper_intercept
            below = line.lower_slope * z + line.lower_intercept - value
            outside = np.maximum(above, below) > OUTSIDE * (1.0 + np.abs(value))
            if outside.any():
                self._add_caps(np.repeat(flat[outside], 2), np.repeat(z[outside], 2))
                added += int(outside.sum())
        if added:
            self.set_caps(node)
        self.supports += added
        return added

    def _add_caps(self, flat: Array, at: Array | None = None) -> None:
        """One row over the two columns of each neuron listed; `set_caps` fills in the numbers."""
        if not len(flat):
            return
        pairs = np.column_stack([self.first[flat], self.second[flat]])
        rows = sp.csr_array(
            (np.ones(pairs.size), pairs.ravel(), 2 * np.arange(len(flat) + 1)), (len(flat), self.lp.columns)
        )  # fmt: skip
        nowhere = np.full(len(flat), -np.inf)
        self.caps.append((self.lp.add_rows(rows, nowhere, np.zeros(len(flat))), flat, at))
        self.capped[flat] = True

    def affine(self, k: int, index: Index) -> Matrix:
        """The weights of the rows `index` of layer k over the LP's columns, the very floats of the layer."""
        layer, total = self.layers[k - 1], sp.csr_array((len(index), self.lp.columns))
        for s, w in zip(layer.sources, layer.weights, strict=True):
            columns = self.value_column[s]
            kept = np.flatnonzero(columns >= 0)
            place = sp.csr_array((np.ones(len(kept)), (kept, columns[kept])), (len(columns), self.lp.columns))
            total = total + sp.csr_array(w[index]) @ place
        return total

    def covers(self, node: Node) -> bool:
        """Whether the columns and rows at hand suffice for the node."""
        relu, open_above = self.query.relu.astype(bool), node.pre_upper > 0.0
        lacks_column = relu & open_above & (self.first < 0)
        lacks_row = relu & open_above & (node.pre_lower < 0.0) & ~self.capped
        idle = len(self.cuts.keys() - {cut.tobytes() for cut in node.cuts})
        return not (self.broken or lacks_column.any() or lacks_row.any() or idle > IDLE_CUTS)

    def set_node(self, node: Node) -> None:
        """Bounds, triangle rows, lines, planes and half-spaces of the node."""
        self.lp.set_bounds(*self._bounds(node))
        self.set_caps(node)
        self.products.set_node(self.lp, node)
        self.set_cuts(node.cuts)

    def _bounds(self, node: Node) -> tuple[Array, Array]:
        lower, upper = self.lp.lower.copy(), self.lp.upper.copy()
        lower[: len(node.lower)], upper[: len(node.lower)] = node.lower, node.upper
        for kind, part in zip(self.query.kinds, self.query.slices, strict=True):
            flat = np.flatnonzero(self.first[part] >= 0) + part.start
            ends = column_boxes(kind, node.pre_lower[flat], node.pre_upper[flat])
            for column, (low, high) in zip((self.first[flat], self.second[flat]), ends, strict=False):
                lower[column], upper[column] = low, high
        return lower, upper

    def set_caps(self, node: Node) -> None:
        """Numbers of the triangle rows and lines."""
        for block, flat, at in self.caps:
            low, high, count = node.pre_lower[flat], node.pre_upper[flat], len(flat)
            if self.query.relu[flat[0]]:
                a, b, side = _triangle(low, high, block.matrix.data.reshape(count, 2))
                sides = np.full(count, -np.inf), side
            else:
                kind = next(
                    kind
                    for kind, part in zip(self.query.kinds, self.query.slices, strict=True)
                    if part.stop > flat[0]
                )
                line = lines(kind, low, high) if at is None else supports(kind, low, high, np.clip(at, low, high))
                upper = np.arange(count) % 2 == 0
                a, b = -np.where(upper, line.upper_slope, line.lower_slope), np.ones(count)
                sides = (
                    np.where(upper, -np.inf, line.lower_intercept),
                    np.where(upper, line.upper_intercept, np.inf),
                )
            rows = np.arange(count)
            block.set_coefficients(self.lp, rows, 0, a)
            block.set_coefficients(self.lp, rows, 1, b)
            self.lp.set_sides(block.first + rows, *sides)

    def set_cuts(self, cuts: Array) -> None:
        """Switch on exactly these half-spaces g'x + h >= 0; the others get a side out of reach."""
        wanted = {row.tobytes(): row for row in cuts}
        for key, row in wanted.items():
            if key not in self.cuts:
                matrix = sp.csr_array(row[None, :-1])
                self.cuts[key] = (
                    self.lp.add_rows(matrix, np.array([-row[-1]]), np.array([np.inf])),
                    float(-row[-1]),
                )
        n = self.query.network.input_size
        reach = np.maximum(np.abs(self.lp.lower[:n]), np.abs(self.lp.upper[:n]))
        for key, (block, side) in self.cuts.items():
            low = side if key in wanted else -2.0 * float((block.absolute @ reach)[0]) - 1.0
            self.lp.set_sides(np.array([block.first]), np.array([low]), np.array([np.inf]))

    def add_tangents(self, rows: Array) -> None:
        """Half-spaces g'x + h >= 0, rows (g, h), that hold on all nodes: they are never switched off."""
        self.lp.add_rows(sp.csr_array(rows[:, :-1]), -rows[:, -1], np.full(len(rows), np.inf))

    def triangle_multipliers(self, multipliers: Array) -> Array:
        """[neurons] multipliers of the triangle rows, >= 0."""
        found = np.zeros(self.query.neurons)
        for block, flat, _ in self.caps:
            if self.query.relu[flat[0]]:
                found[flat] = np.maximum(-multipliers[block.first : block.first + len(flat)], 0.0)
        return found


def column_boxes(kind: str, low: Array, high: Array) -> list[tuple[Array, Array]]:
    """Boxes of a neuron's columns: (y, s) for a ReLU, (z, value) for sigmoid and tanh, (z) for identity."""
    if kind == "relu":
        return [
            (np.maximum(low, 0.0), np.maximum(high, 0.0)),
            (np.maximum(-high, 0.0), np.maximum(-low, 0.0)),
        ]
    if kind == "identity":
        return [(low, high)]
    least, most = value_range(kind, low, high)
    slack = CURVE_SLACK * (1.0 + np.maximum(np.abs(least), np.abs(most)))
    return [(low, high), (least - slack, most + slack)]


def _triangle(low: Array, high: Array, old: Array) -> tuple[Array, Array, Array]:
    """a, b, side of a y + b s <= side; it holds at (u, 0) and (0, -l), whatever a, b >= 0 round to.

    Where the neuron is stable the row keeps its `old` coefficients [rows, 2] and gets a side out of
    reach: SoPlex loses its basis when a side becomes infinite, and changed coefficients cost a factorisation.
    """
    unstable = (low < 0.0) & (high > 0.0)
    width = np.where(unstable, high - low, 1.0)
    a, b = np.where(unstable, -low / width, old[:, 0]), np.where(unstable, high / width, old[:, 1])
    y, s = a * np.maximum(high, 0.0), b * np.maximum(-low, 0.0)
    return a, b, np.where(unstable, np.maximum(y, s) * ROUND_UP + TINY, 2.0 * (y + s) + 1.0)


def _unit(columns: Index, value: float, width: int) -> Matrix:
    """A row per column listed, with one entry."""
    count = len(columns)
    return sp.csr_array((np.full(count, value), columns, np.arange(count + 1)), (count, width))
