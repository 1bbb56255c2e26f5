"""The triangle LP of a node: built once, changed in place from node to node, warm-started.

A disjunct is min t over m_r <= t; the rows of the other disjuncts get a side out of reach. With multipliers
w_r >= 0 of the margin rows every bound of sum_r w_r m_r bounds t sum_r w_r: t needs no box of its own.

`tighten` is the bound refinement of kPoly and LP-ALL (papers 2, 5): over the layers before a neuron,
minimise and maximise its pre-activation. Only the objective changes, so the primal simplex goes on from the
last optimum, and the next neuron is the one whose weights point most nearly the same way. Measured
(2026-11), CPU time a bound: 2 to 3 ms on mnist_fc 256x2, 7 to 9 on 256x4, 11 to 17 on 256x6.

All bounds are the safe ones of `safe_lp`. Columns and rows are those of `triangles`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...instances.batch import Node
from ...instances.network import Array, Layer, curved
from ...instances.query import Query
from ...instances.rounding import FEW_ROUNDINGS, TINY, UP, gamma
from ..linear.bounds import LinearBoundOptions
from ..linear.linear_bounds import bound
from ..linear.norm_ball_bounds import outward, tangents
from .scip import failed
from .triangles import Triangles

__all__ = ["LPBound", "TriangleLP", "lowered", "tighten", "tighten_layer"]

Index = NDArray[np.intp]

LEAST_WEIGHT = 1e-9  # margin multipliers that sum to less say nothing about t and are dropped
MOST_TANGENTS = 20  # half-spaces around a ball that an LP is given one after another
KEPT_TANGENTS = 60  # of them that a fresh LP begins with
SUPPORT_ROUNDS = 6  # in which an LP is given lines of curves at its point
MOST_SUPPORTS = 8  # pairs of such lines a neuron, with which an LP is built afresh
SEEN = 1e-8  # how much a point must violate one, relative to its numbers: more than the simplex' tolerance
LEAST_SECONDS = 0.01  # for an LP with one more
WORTH = 1e-3  # a bound is tightened only if it may gain more than this part of the neuron's width


@dataclass(frozen=True, eq=False)
class LPBound:
    """What one LP proved about a disjunct."""

    bound: float  # rigorous lower bound of t, the largest margin; +inf: the region is empty; -inf: nothing
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
        self.tangents: list[Array] = []  # half-spaces around the input set's ball, found so far
        self._build(node)

    def _build(self, node: Node) -> None:
        self.triangles = Triangles(self.query, node)
        if self.tangents:
            self.tangents = self.tangents[-KEPT_TANGENTS:]
            self.triangles.add_tangents(np.array(self.tangents))
        for k, layer in enumerate(self.query.network.layers[:-1], start=1):
            self.triangles.add_neurons(k, np.ones(layer.size, dtype=bool), node)
        lp, margins = self.triangles.lp, self.query.network.layers[-1]
        self.t = int(lp.add_columns(np.array([-np.inf]), np.array([np.inf]))[0])
        matrix = self.triangles.affine(len(self.query.network.layers), np.arange(margins.size))
        nowhere = np.full(margins.size, -np.inf)
        self.margins = lp.add_rows(matrix, nowhere, np.zeros(margins.size), margins.bias_error, free=self.t)
        self.rows = self.margins.first + np.arange(margins.size)
        lp.set_objective((np.arange(lp.columns) == self.t).astype(np.float64))
        self.mine = np.zeros(margins.size, dtype=bool)  # margins of the disjunct at hand
        self._set(node)

    def _set(self, node: Node) -> None:
        self.empty = bool((node.lower > node.upper).any() or (node.pre_lower > node.pre_upper).any())
        self.node = node
        if not self.empty:
            self.triangles.set_node(node)

    def update(self, node: Node) -> None:
        """Turn to another node of the query. Bounds, sides and short rows change in place; the basis is kept.

        The LP is built afresh where the node needs rows that were never made (a neuron unstable here and
        stable at the first node), or where too many half-spaces of other nodes have piled up.
        """
        few = self.triangles.supports <= MOST_SUPPORTS * self.query.neurons
        if few and self.triangles.covers(node) and len(self.tangents) <= 2 * KEPT_TANGENTS:
            self._set(node)
        else:
            self._build(node)

    def minimise(self, disjunct: int, time_limit: float) -> LPBound:
        """Bound t = max of the disjunct's margins from below. time_limit: seconds for the solver."""
        nothing = np.zeros(self.query.neurons)
        if self.empty:
            return LPBound(np.inf, None, nothing, 0, "infeasible")
        lp, bias = self.triangles.lp, self.query.network.layers[-1].bias
        self.mine = np.zeros(len(bias), dtype=bool)
        self.mine[self.query.starts[disjunct] : self.query.starts[disjunct + 1]] = True
        sides = np.where(self.mine, -bias, self._spread() - bias)
        lp.set_sides(self.rows, np.full(len(bias), -np.inf), sides)
        status, known = self._solve(time_limit)
        if failed(status):
            self.triangles.broken = True
            return LPBound(known, None, nothing, 0, status)
        duals = lp.multipliers()
        value = max(known, self.safe_bound(duals))
        ray = lp.ray() if status != "optimal" and not value > 0.0 else None
        if ray is not None:
            value = max(value, self.safe_bound(ray))
        point = lp.point()[: self.query.network.input_size] if status == "optimal" else None
        if point is not None:
            point = np.clip(point, lp.lower[: len(point)], lp.upper[: len(point)])
        upper = self.triangles.triangle_multipliers(lp.project(duals))
        return LPBound(value, point, upper, lp.simplex.iterations(), status)  # fmt: skip

    def _solve(self, time_limit: float) -> tuple[str, float]:
        """Solve; where the input set has a norm ball, with half-spaces that touch it where the point lies outside, and
        where there are curves, with lines that touch the hulls of their graphs.

        Returns (the last solve's status, what those before it have proved).
        """
        lp, ball, end = self.triangles.lp, self.query.region.ball, time.monotonic() + time_limit
        known = -np.inf
        status = lp.solve(time_limit)
        for _ in range(0 if ball is None else MOST_TANGENTS):
            if ball is None or status != "optimal" or time.monotonic() >= end:
                break
            point = lp.point()[: self.query.network.input_size]
            row = tangents(ball, outward(ball, point))
            if not row[:-1] @ point + row[-1] < -SEEN * (1.0 + np.abs(row[-1])):
                break
            known = max(known, self.safe_bound(lp.multipliers()))
            self.tangents.append(row)
            self.triangles.add_tangents(row[None])
            status = lp.solve(max(end - time.monotonic(), LEAST_SECONDS))
        for _ in range(SUPPORT_ROUNDS if any(map(curved, self.query.kinds)) else 0):
            if status != "optimal" or time.monotonic() >= end:
                break
            known = max(known, self.safe_bound(lp.multipliers()))
            if not self.triangles.add_supports(self.node):
                break
            status = lp.solve(max(end - time.monotonic(), LEAST_SECONDS))
        return status, known

    def safe_bound(self, multipliers: Array) -> float:
        """Rigorous lower bound of t from any multipliers [rows of the LP], of the signs that a solver gives.

        +inf when the multipliers prove the region empty.
        """
        lp = self.triangles.lp
        p = lp.project(multipliers)
        p[self.rows[~self.mine]] = 0.0
        weights = -p[self.rows]
        if weights.sum() < LEAST_WEIGHT:
            p[self.rows] = 0.0
            return np.inf if lp.lower_bound(p) > 0.0 else -np.inf
        value = lp.lower_bound(p)
        rounding = gamma(len(weights) + 2)
        total = float(weights.sum()) * (1.0 + rounding if value > 0.0 else 1.0 - rounding)
        return float(value / total - abs(value / total) * FEW_ROUNDINGS)

    def _spread(self) -> float:
        """More than any margin can exceed another one by: m_r - spread <= t never binds."""
        lower, upper = self.triangles.lp.lower[:-1], self.triangles.lp.upper[:-1]
        reach = self.margins.absolute[:, :-1] @ np.maximum(np.abs(lower), np.abs(upper))
        return 2.0 * float(reach.max() + np.abs(self.query.network.layers[-1].bias).max()) + 1.0


def tighten(
    query: Query, node: Node, neurons: Array, deadline: float, worth: float = WORTH
) -> tuple[Array, Array]:
    """Bounds of pre-activations by LPs, layer by layer, over the layers before and the phases of its own.

    neurons: flat indices; deadline: time.monotonic() at which the rest keeps its bounds; worth: share of a neuron's
    width that an LP must be able to win. Each layer starts
    with linear bounds from what the layers before it have won. Returns (pre_lower, pre_upper) [neurons], never
    worse than the node's; some lower bound is above its upper bound only where the region is proved empty.

    Raises ValueError as TriangleLP does.
    """
    wanted = np.zeros(query.neurons, dtype=bool)
    wanted[neurons] = True
    node = replace(node, pre_lower=node.pre_lower.copy(), pre_upper=node.pre_upper.copy())
    triangles, won = Triangles(query, node), False
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
        triangles.add_neurons(k, node.phases[part] != 0, node)
        triangles.set_node(node)
        index = np.flatnonzero(wanted[part])
        if len(index) and len(triangles.lp.row_lower):
            tighten_layer(triangles, k, index, node, deadline, worth=worth)
        won = won or bool(
            (node.pre_lower[part] != before[0]).any() or (node.pre_upper[part] != before[1]).any()
        )
        triangles.add_neurons(k, np.ones(len(before[0]), dtype=bool), node)
    return node.pre_lower, node.pre_upper


def tighten_layer(
    triangles: Triangles, k: int, index: Index, node: Node, deadline: float, stable_too: bool = False,
    worth: float = WORTH,
) -> None:
    """Minimise and maximise the pre-activations `index` of layer k; the node's bounds change in place.

    A bound is skipped where the point of an earlier LP already comes near it: the LP could not win more; and, unless
    `stable_too`, where the neuron is stable by now.
    """
    part, layer, lp = triangles.query.slices[k - 1], triangles.layers[k - 1], triangles.lp
    low, high = node.pre_lower[part], node.pre_upper[part]  # views
    rows, bias = triangles.affine(k, index), layer.bias[index]
    dense = rows.toarray()
    reached = np.full((2, len(index)), -np.inf)  # largest -z and z at the LPs' points
    for i, sign in _tour(dense, np.where(-low[index] < high[index], 1.0, -1.0)):
        j = int(index[i])
        hope = -sign * (low[j] if sign > 0.0 else high[j]) - reached[0 if sign > 0.0 else 1, i]
        stable = not stable_too and layer.kind == "relu" and (low[j] >= 0.0 or high[j] <= 0.0)
        if stable or not hope > worth * (high[j] - low[j]):
            continue
        if time.monotonic() >= deadline:
            return
        lp.set_objective(sign * dense[i])
        status = lp.solve(deadline - time.monotonic(), dual=False)
        if failed(status):
            return
        value = lowered(lp.lower_bound(lp.multipliers(), sign * dense[i], sign * float(bias[i])), layer)
        if sign > 0.0:
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


def lowered(value: float, layer: Layer) -> float:
    """A bound of the layer's floats, lowered to one of the exact layer."""
    return value - layer.bias_error * UP - abs(value) * FEW_ROUNDINGS


def _tour(rows: Array, near: Array) -> Iterator[tuple[int, float]]:
    """Row numbers i with signs, near[i] before -near[i]; each step goes to the most similar direction."""
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), TINY)
    cosines, count = unit @ unit.T, len(rows)
    signs = np.concatenate([near, -near])
    waiting = np.repeat([True, False], count)
    last, last_sign = 0, 1.0
    while waiting.any():
        likeness = np.where(waiting, np.tile(cosines[last], 2) * signs * last_sign, -np.inf)
        chosen = int(np.argmax(likeness))
        waiting[chosen] = False
        if chosen < count:
            waiting[chosen + count] = True
        last, last_sign = chosen % count, float(signs[chosen])
        yield last, last_sign


def _declare_empty(node: Node, neuron: int) -> None:
    """No input is left: every bound is true, also one that says so."""
    low, high = node.pre_lower[neuron], node.pre_upper[neuron]
    node.pre_lower[neuron], node.pre_upper[neuron] = max(low, high) + 1.0, min(low, high) - 1.0
