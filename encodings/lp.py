"""The triangle LP of a node: built once, changed in place from node to node, warm-started.

Each ReLU's pre-activation is split into its two halves, z = y - s with y = ReLU(z) in [0, u] and s = ReLU(-z) in [0, -l].
The triangle relaxation (Ehlers 2017; paper 2) is then one short row per unstable neuron,
    -l/(u-l) y + u/(u-l) s <= -ul/(u-l),
its multiplier is that of y <= u(z-l)/(u-l), and a phase fixes a column (s = 0 or y = 0): a child node differs from its
parent by a few bounds and coefficients, and the parent's basis stays useful. Sigmoid and tanh get the two lines of
`relaxations`. A disjunct is min t over m_r <= t; the rows of the other disjuncts are switched off.

`tighten` is the bound refinement of kPoly and LP-ALL (papers 2, 5): over the layers before a neuron, minimise and maximise its
pre-activation; only the objective changes, so the primal simplex goes on from the last optimum.

All bounds are the safe ones of `safe_lp`: with w_r >= 0 the multipliers of the margin rows, t sum w >= sum w_r m_r >= bound.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..instances.batch import Node
from ..instances.network import Array, Matrix, activate
from ..instances.query import Query
from .linear_bounds import LinearBoundOptions, bound, gamma
from .relaxations import lines
from .safe_lp import Block, SafeLP

__all__ = ["LPBound", "TriangleLP", "tighten"]

ACTIVATION_SLACK = 1e-12  # error of numpy's tanh, as in relaxations
ROUND_UP = 1.0 + 2.0**-50  # covers the three roundings in a triangle row's side
TINY = 1e-300  # keeps products above zero when they underflow
LEAST_WEIGHT = 1e-9  # margin multipliers that sum to less say nothing about t and are dropped
IDLE_CUTS = 64  # switched-off half-spaces that may pile up before the LP is built afresh
WORTH = 1e-3  # a bound is tightened only if it may gain more than this part of the neuron's width


@dataclass(frozen=True, eq=False)
class LPBound:
    """What one LP proved about a disjunct."""

    bound: float  # rigorous lower bound of t = max of the disjunct's margins; +inf: the region is empty; -inf: nothing
    point: Array | None  # [inputs] the LP's input, clipped into the box; None when the solver has none
    dual_upper: (
        Array  # [neurons] multiplier of y <= u(z-l)/(u-l) in the bound, >= 0; 0 where there is no such row
    )
    iterations: int  # simplex steps
    status: str  # "optimal", "infeasible", "stopped" or the solver's error


class TriangleLP:
    """The LP relaxation of one query on a node and, after `update`, on others.

    Raises ValueError when a neuron that matters has no finite pre-activation bounds.
    """

    def __init__(self, query: Query, node: Node) -> None:
        self.query = query
        self._build(node)

    def _build(self, node: Node) -> None:
        self.relaxation = _Relaxation(self.query, node)
        for k, layer in enumerate(self.query.network.layers[:-1], start=1):
            self.relaxation.add_neurons(k, np.ones(layer.size, dtype=bool), node)
        lp, margins = self.relaxation.lp, self.query.network.layers[-1]
        self.t = int(lp.add_columns(np.array([-np.inf]), np.array([np.inf]))[0])
        matrix = self.relaxation.affine(len(self.query.network.layers), np.arange(margins.size))
        nowhere = np.full(margins.size, -np.inf)
        self.margins = lp.add_rows(matrix, nowhere, np.zeros(margins.size), margins.bias_error, free=self.t)
        self.rows = self.margins.first + np.arange(margins.size)
        lp.set_objective((np.arange(lp.columns) == self.t).astype(np.float64))
        self.mine = np.zeros(margins.size, dtype=bool)  # margins of the disjunct at hand
        self._set(node)

    def _set(self, node: Node) -> None:
        self.empty = bool((node.lower > node.upper).any() or (node.pre_lower > node.pre_upper).any())
        if not self.empty:
            self.relaxation.set_node(node)

    def update(self, node: Node) -> None:
        """Turn to another node of the query. Bounds, sides and short rows change in place; the basis is kept.

        The LP is built afresh where the node needs rows that were never made (a neuron unstable here and stable at the
        first node), or where too many half-spaces of other nodes have piled up.
        """
        if self.relaxation.covers(node):
            self._set(node)
        else:
            self._build(node)

    def minimise(self, disjunct: int, time_limit: float) -> LPBound:
        """Bound t = max of the disjunct's margins from below. time_limit: seconds for the solver."""
        nothing = np.zeros(self.query.neurons)
        if self.empty:
            return LPBound(np.inf, None, nothing, 0, "infeasible")
        lp, bias = self.relaxation.lp, self.query.network.layers[-1].bias
        self.mine = np.zeros(len(bias), dtype=bool)
        self.mine[self.query.starts[disjunct] : self.query.starts[disjunct + 1]] = True
        sides = np.where(self.mine, -bias, self._spread() - bias)
        lp.set_sides(self.rows, np.full(len(bias), -np.inf), sides)
        status = lp.solve(time_limit)
        if status.startswith("error"):
            self.relaxation.broken = True
            return LPBound(-np.inf, None, nothing, 0, status)
        duals = lp.multipliers()
        value = self.safe_bound(duals)
        ray = lp.ray() if status != "optimal" and not value > 0.0 else None
        if ray is not None:
            value = max(value, self.safe_bound(ray))
        point = lp.point()[: self.query.network.input_size] if status == "optimal" else None
        if point is not None:
            point = np.clip(point, lp.lower[: len(point)], lp.upper[: len(point)])
        return LPBound(
            value, point, self.relaxation.triangle_multipliers(lp.project(duals)), lp.solver.getNIterations(), status
        )  # fmt: skip

    def safe_bound(self, multipliers: Array) -> float:
        """Rigorous lower bound of t from any multipliers [rows of the LP]; margin rows' are <= 0, as a solver gives them.

        +inf when the multipliers prove the region empty.
        """
        lp = self.relaxation.lp
        p = lp.project(multipliers)
        p[self.rows[~self.mine]] = 0.0
        weights = -p[self.rows]
        if weights.sum() < LEAST_WEIGHT:
            p[self.rows] = 0.0
            return np.inf if lp.lower_bound(p) > 0.0 else -np.inf
        value = lp.lower_bound(p)
        rounding = gamma(len(weights) + 2)
        total = float(weights.sum()) * (1.0 + rounding if value > 0.0 else 1.0 - rounding)
        return float(value / total - abs(value / total) * 2.0**-50)

    def _spread(self) -> float:
        """More than any margin can exceed another one by: m_r - spread <= t never binds."""
        lower, upper = self.relaxation.lp.lower[:-1], self.relaxation.lp.upper[:-1]
        reach = self.margins.absolute[:, :-1] @ np.maximum(np.abs(lower), np.abs(upper))
        return 2.0 * float(reach.max() + np.abs(self.query.network.layers[-1].bias).max()) + 1.0


class _Relaxation:
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
            tuple[Block, Array]
        ] = []  # triangle rows and pairs of lines, with the neurons they belong to
        self.capped = np.zeros(query.neurons, dtype=bool)
        self.cuts: dict[bytes, tuple[Block, float]] = {}  # half-space (g, h) -> its row, -h
        self.lp.add_columns(node.lower, node.upper)
        self.set_cuts(node.cuts)

    def add_neurons(self, k: int, chosen: Array, node: Node) -> None:
        """Columns and rows of the neurons `chosen` [size] bool of layer k; inactive ones without a phase need none."""
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
        columns = [self.lp.add_columns(*ends) for ends in _columns(layer.kind, low, high)]
        self.first[flat], self.second[flat] = columns[0], columns[-1]
        self.value_column[k][index] = columns[-1] if layer.kind in ("sigmoid", "tanh") else columns[0]
        signs = (1.0, -1.0) if layer.kind == "relu" else (1.0,)
        block = -self.affine(k, index)
        for sign, column in zip(signs, columns, strict=False):
            block = block + _unit(column, sign, block.shape[1])
        self.lp.add_rows(block, layer.bias[index], layer.bias[index], layer.bias_error)
        if layer.kind == "relu":
            self._add_caps(flat[(low < 0.0) & (high > 0.0)])
        elif layer.kind != "identity":
            self._add_caps(np.repeat(flat, 2))

    def _add_caps(self, flat: Array) -> None:
        """One row over the two columns of each neuron listed; `set_caps` fills in the numbers."""
        if not len(flat):
            return
        pairs = np.column_stack([self.first[flat], self.second[flat]])
        rows = sp.csr_array(
            (np.ones(pairs.size), pairs.ravel(), 2 * np.arange(len(flat) + 1)), (len(flat), self.lp.columns)
        )  # fmt: skip
        nowhere = np.full(len(flat), -np.inf)
        self.caps.append((self.lp.add_rows(rows, nowhere, np.zeros(len(flat))), flat))
        self.capped[flat] = True

    def affine(self, k: int, index: Array) -> Matrix:
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
        relu, open_above = self.query.relu, node.pre_upper > 0.0
        lacks_column = relu & open_above & (self.first < 0)
        lacks_row = relu & open_above & (node.pre_lower < 0.0) & ~self.capped
        idle = len(self.cuts.keys() - {cut.tobytes() for cut in node.cuts})
        return not (self.broken or lacks_column.any() or lacks_row.any() or idle > IDLE_CUTS)

    def set_node(self, node: Node) -> None:
        """Bounds, triangle rows, lines and half-spaces of the node."""
        self.lp.set_bounds(*self._bounds(node))
        self.set_caps(node)
        self.set_cuts(node.cuts)

    def _bounds(self, node: Node) -> tuple[Array, Array]:
        lower, upper = self.lp.lower.copy(), self.lp.upper.copy()
        lower[: len(node.lower)], upper[: len(node.lower)] = node.lower, node.upper
        for kind, part in zip(self.query.kinds, self.query.slices, strict=True):
            flat = np.flatnonzero(self.first[part] >= 0) + part.start
            ends = _columns(kind, node.pre_lower[flat], node.pre_upper[flat])
            for column, (low, high) in zip((self.first[flat], self.second[flat]), ends, strict=False):
                lower[column], upper[column] = low, high
        return lower, upper

    def set_caps(self, node: Node) -> None:
        """Numbers of the triangle rows and lines."""
        for block, flat in self.caps:
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
                line, upper = lines(kind, low, high), np.arange(count) % 2 == 0
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
        """Switch on exactly these half-spaces g'x + h >= 0; new ones are appended, the others get a side out of reach."""
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

    def triangle_multipliers(self, multipliers: Array) -> Array:
        """[neurons] multipliers of the triangle rows, >= 0."""
        found = np.zeros(self.query.neurons)
        for block, flat in self.caps:
            if self.query.relu[flat[0]]:
                found[flat] = np.maximum(-multipliers[block.first : block.first + len(flat)], 0.0)
        return found


def _columns(kind: str, low: Array, high: Array) -> list[tuple[Array, Array]]:
    """Boxes of a neuron's columns: (y, s) for a ReLU, (z, value) for sigmoid and tanh, (z) for identity."""
    if kind == "relu":
        return [
            (np.maximum(low, 0.0), np.maximum(high, 0.0)),
            (np.maximum(-high, 0.0), np.maximum(-low, 0.0)),
        ]
    if kind == "identity":
        return [(low, high)]
    return [(low, high), (activate(kind, low) - ACTIVATION_SLACK, activate(kind, high) + ACTIVATION_SLACK)]


def _triangle(low: Array, high: Array, old: Array) -> tuple[Array, Array, Array]:
    """a, b, side of a y + b s <= side; it holds at (u, 0) and (0, -l), whatever a, b >= 0 round to.

    Where the neuron is stable the row keeps its `old` coefficients [rows, 2] and gets a side out of reach: SoPlex loses
    its basis when a side becomes infinite, and a changed coefficient costs a factorisation.
    """
    unstable = (low < 0.0) & (high > 0.0)
    width = np.where(unstable, high - low, 1.0)
    a, b = np.where(unstable, -low / width, old[:, 0]), np.where(unstable, high / width, old[:, 1])
    y, s = a * np.maximum(high, 0.0), b * np.maximum(-low, 0.0)
    return a, b, np.where(unstable, np.maximum(y, s) * ROUND_UP + TINY, 2.0 * (y + s) + 1.0)


def _unit(columns: Array, value: float, width: int) -> Matrix:
    """A row per column listed, with one entry."""
    count = len(columns)
    return sp.csr_array((np.full(count, value), columns, np.arange(count + 1)), (count, width))


def tighten(query: Query, node: Node, neurons: Array, deadline: float) -> tuple[Array, Array]:
    """Bounds of pre-activations by LPs, layer by layer, each over the layers before it and the phases of its own.

    neurons: flat indices; deadline: time.monotonic() at which the rest keeps its bounds. Each layer starts with linear
    bounds from what the layers before it have won. Returns (pre_lower, pre_upper) [neurons], never worse than the node's;
    some lower bound is above its upper bound only where the region is proved empty. Raises ValueError as TriangleLP does.
    """
    wanted = np.zeros(query.neurons, dtype=bool)
    wanted[neurons] = True
    node = replace(node, pre_lower=node.pre_lower.copy(), pre_upper=node.pre_upper.copy())
    relaxation, won = _Relaxation(query, node), False
    for k, part in enumerate(query.slices, start=1):
        if (
            not wanted[part.start :].any()
            or time.monotonic() >= deadline
            or (node.pre_lower > node.pre_upper).any()
        ):
            break
        if won:
            bounds = bound(query, node.batch, LinearBoundOptions(first_layer=k, deadline=deadline))
            node = replace(node, pre_lower=bounds.pre_lower[0], pre_upper=bounds.pre_upper[0])
            if bounds.infeasible[0]:
                _declare_empty(node, part.start)
                break
        before = node.pre_lower[part].copy(), node.pre_upper[part].copy()
        relaxation.add_neurons(k, node.phases[part] != 0, node)
        relaxation.set_node(node)
        index = np.flatnonzero(wanted[part])
        if len(index) and len(relaxation.lp.row_lower):
            _tighten_layer(relaxation, k, index, node, deadline)
        won = won or bool(
            (node.pre_lower[part] != before[0]).any() or (node.pre_upper[part] != before[1]).any()
        )
        relaxation.add_neurons(k, np.ones(len(before[0]), dtype=bool), node)
    return node.pre_lower, node.pre_upper


def _tighten_layer(relaxation: _Relaxation, k: int, index: Array, node: Node, deadline: float) -> None:
    """Minimise and maximise the pre-activations `index` of layer k; the node's bounds change in place.

    A bound is skipped where the point of an earlier LP already comes near it: the LP could not win more.
    """
    part, layer, lp = relaxation.query.slices[k - 1], relaxation.layers[k - 1], relaxation.lp
    low, high = node.pre_lower[part], node.pre_upper[part]  # views
    rows, bias = relaxation.affine(k, index), layer.bias[index]
    reached = np.full((2, len(index)), -np.inf)  # largest -z and z at the LPs' points
    for i, j in enumerate(index.tolist()):
        for side in (0, 1) if -low[j] < high[j] else (1, 0):
            stable = layer.kind == "relu" and (low[j] >= 0.0 or high[j] <= 0.0)
            hope = (-low[j] if side == 0 else high[j]) - reached[side, i]
            if stable or not hope > WORTH * (high[j] - low[j]):
                continue
            if time.monotonic() >= deadline:
                return
            sign = 1.0 if side == 0 else -1.0
            objective = sign * rows[[i]].toarray()[0]
            lp.set_objective(objective)
            status = lp.solve(deadline - time.monotonic(), dual=False)
            if status.startswith("error"):
                return
            value = lp.lower_bound(lp.multipliers(), objective, sign * bias[i])
            value -= layer.bias_error * (1.0 + 2.0**-40) + abs(value) * 2.0**-52
            if side == 0:
                low[j] = max(low[j], value)
            else:
                high[j] = min(high[j], -value)
            if status == "optimal":
                z = rows @ lp.point() + bias
                reached = np.maximum(reached, [-z, z])
            elif (ray := lp.ray()) is not None and lp.lower_bound(ray) > 0.0:
                _declare_empty(node, part.start + j)
            if low[j] > high[j]:
                return


def _declare_empty(node: Node, neuron: int) -> None:
    """No input is left: every bound is true, also one that says so."""
    node.pre_lower[neuron], node.pre_upper[neuron] = 1.0, -1.0
