"""Bounds of hidden neurons by the MILP of the layers before them, solved by branching on phases over safe LPs.

kPoly (Singh, Ganvir, Pueschel and Vechev 2019) refines the neurons of the second ReLU layer by a MILP, whose binaries
are the phases of the first, and those behind by LPs. SCIP's bounds prove nothing here; a tree of LPs does:

    min z >= min over the leaves of the LP's safe bound,

at any moment, whichever leaves there are (`safe_lp`). The leaf with the least bound is split next, along the ReLU
whose triangle costs its bound most, m (-l u) / (u - l) with m the multiplier of the triangle's upper row, among those
that the LP's point leaves off their graph. A neuron ends where the network's own value at a point comes near its bound,
where it is proved stable, or where it has as many leaves as it may.
"""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from ...instances.batch import Node
from ...instances.network import Array
from ...instances.query import Query
from .lp import WORTH, lowered
from .scip import failed
from .triangles import Triangles

__all__ = ["tighten_by_branching"]

OFF = 1e-7  # times the ReLU's width: what an LP's point must be off the graph by
Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class _Leaf:
    """A part of the node, by phases of neurons before the layer."""

    bound: float  # of sign * z
    pre_lower: Array  # [neurons]
    pre_upper: Array  # [neurons]
    split: int  # the next ReLU, flat; -1: there is none, or nothing to be won


def tighten_by_branching(
    query: Query, node: Node, k: int, index: Index, deadline: float, leaves: int, worth: float = WORTH
) -> tuple[Array, Array]:
    """(lower, upper) [len(index)] bounds of the pre-activations `index` of layer k, never worse than the node's.

    leaves: of the tree of either side of a neuron at most, >= 1, 1 being the LP alone; deadline: time.monotonic() at
    which the rest keeps its bounds; worth: share of a neuron's width that must be left to win.
    Raises ValueError where a neuron before has no finite bounds.
    """
    part = query.slices[k - 1]
    lower, upper = node.pre_lower[part][index].copy(), node.pre_upper[part][index].copy()
    layer = _Layer(query, node, k, index)
    for i in np.argsort(lower * upper, kind="stable").tolist():  # widest triangles first
        for sign in (1.0, -1.0) if -lower[i] < upper[i] else (-1.0, 1.0):
            if time.monotonic() >= deadline or lower[i] >= 0.0 or upper[i] <= 0.0:
                break
            known = lower[i] if sign > 0.0 else -upper[i]
            found = layer.least(i, sign, float(known), float(worth * (upper[i] - lower[i])), leaves, deadline)
            if sign > 0.0:  # a node without inputs has crossed bounds, and finite ones
                lower[i] = max(lower[i], min(found, upper[i] + 1.0))
            else:
                upper[i] = min(upper[i], max(-found, lower[i] - 1.0))
    return lower, upper


class _Layer:
    """The LP of the layers before layer k, and its neurons `index`."""

    def __init__(self, query: Query, node: Node, k: int, index: Index) -> None:
        self.query, self.node, self.k, self.index = query, node, k, index
        self.layer, self.before = query.network.layers[k - 1], query.slices[k - 1].start
        self.triangles = Triangles(query, node)
        for v, size in enumerate(query.network.sizes[1:k], start=1):
            self.triangles.add_neurons(v, np.ones(size, dtype=bool), node)
        self.rows = self.triangles.affine(k, index).toarray()
        self.reached = np.full((2, len(index)), np.inf)  # least z and -z at the LPs' inputs

    def least(self, i: int, sign: float, known: float, worth: float, leaves: int, deadline: float) -> float:
        """Lower bound of sign * z of neuron i, `known` where nothing better is proved."""
        side = 0 if sign > 0.0 else 1
        if self.reached[side, i] - known <= worth:
            return known
        number = count()  # of leaves that have been made, which settles ties
        first = self._bounded(i, sign, _Leaf(known, self.node.pre_lower, self.node.pre_upper, -1), deadline)
        if first is None:
            return known
        heap = [(first.bound, next(number), first)]
        while len(heap) < leaves and time.monotonic() < deadline:
            value, _, leaf = heap[0]
            if value >= 0.0 or leaf.split < 0 or self.reached[side, i] - value <= worth:
                break
            children = [self._bounded(i, sign, child, deadline) for child in _halves(leaf)]
            if children[0] is None or children[1] is None:
                break
            heapq.heappop(heap)
            for child in children:
                if child is not None:
                    heapq.heappush(heap, (child.bound, next(number), child))
        return heap[0][0]

    def _bounded(self, i: int, sign: float, leaf: _Leaf, deadline: float) -> _Leaf | None:
        """The leaf with its LP's bound, and where to split it; None where the solver fails or the time is over."""
        lp, left = self.triangles.lp, deadline - time.monotonic()
        if left <= 0.0:
            return None
        self.triangles.set_node(replace(self.node, pre_lower=leaf.pre_lower, pre_upper=leaf.pre_upper))
        lp.set_objective(sign * self.rows[i])
        status = lp.solve(left)
        if failed(status):
            return None
        duals = lp.multipliers()
        bias = sign * float(self.layer.bias[self.index[i]])
        value = max(leaf.bound, lowered(lp.lower_bound(duals, sign * self.rows[i], bias), self.layer))
        if status == "optimal":
            return replace(leaf, bound=value, split=self._split(leaf, duals))
        ray = lp.ray()
        empty = ray is not None and lp.lower_bound(ray) > 0.0
        return replace(leaf, bound=np.inf if empty else value, split=-1)

    def _split(self, leaf: _Leaf, duals: Array) -> int:
        """The ReLU to split; the LP's input is evaluated on the way."""
        point, triangles = self.triangles.lp.point(), self.triangles
        low, high = leaf.pre_lower[: self.before], leaf.pre_upper[: self.before]
        self._note(np.clip(point[: len(self.node.lower)], self.node.lower, self.node.upper))
        first, second = triangles.first[: self.before], triangles.second[: self.before]
        open_ = (low < 0.0) & (high > 0.0) & (first >= 0) & self.query.relu[: self.before]
        off = np.where(open_, np.minimum(point[first], point[second]), 0.0)  # y and s: one of both is 0 on the graph
        open_ &= off > OFF * (high - low)
        weight = triangles.triangle_multipliers(triangles.lp.project(duals))[: self.before]
        score = np.where(open_, (weight + OFF) * -low * high / np.where(open_, high - low, 1.0), 0.0)
        return int(np.argmax(score)) if open_.any() else -1

    def _note(self, x: Array) -> None:
        """Values of all neurons at an input."""
        z = self.query.network.values(x[None])[1][self.k - 1][0, self.index]
        self.reached = np.minimum(self.reached, [z, -z])


def _halves(leaf: _Leaf) -> tuple[_Leaf, _Leaf]:
    """The parts where the ReLU is inactive and where it is active."""
    lower, upper = leaf.pre_lower.copy(), leaf.pre_upper.copy()
    lower[leaf.split], upper[leaf.split] = 0.0, 0.0
    return replace(leaf, pre_upper=upper), replace(leaf, pre_lower=lower)
