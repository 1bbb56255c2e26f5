"""Octahedral polytopes of groups of neurons, and their vertices with a proof that none is missing.

For k pre-activations z the polytope is P = {z : a'z <= b_a for a in {-1, 0, 1}^k \\ 0}, 3^k - 1 rows whose bounds b_a
come from linear bounds or LPs (Singh, Ganvir, Pueschel and Vechev, *Beyond the single neuron convex barrier*, 2019).

Vertices of thousands of polytopes at once: each starts as its box, and one row after another is cut off from all of
them (double description). Bounds are shifted outwards by about 1e-9, more for rows of more neurons, so that every
vertex has exactly k tight rows, its *basis*, and rows that only touch are left out; then two vertices are
neighbours if they share k - 1 rows, and the new vertices are found by sorting. The points are computed from the bases
and the bounds as given.

The proof needs no feasibility. If the cones spanned by the bases' rows cover all directions, every direction w is a
nonnegative combination of some basis's rows, so max_P w'z <= w'v for that basis's point v, and P lies in the hull of
the points. The cones cover if each wall (a basis without one row) can be paired with the same wall of another basis
whose missing row lies on the other side: then no generic path across walls changes the number of cones it is in.
Both conditions are about small integers, and are checked exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations, product

import numpy as np

from ...instances.network import Array
from ...instances.rounding import INVERSE_ERROR, RESIDUAL, SHIFT, TINY, UNIT, UP

__all__ = ["Vertices", "chunks", "enumerate_vertices", "octahedral_directions"]

LEAST_REACH = 2.0**-10  # of a neuron, relative to the group's largest: slacks are rounded in units of that one
MOST_VERTICES = 2**16  # of the polytopes enumerated together: the arrays stay in the cache


@cache
def octahedral_directions(k: int, nonzeros: int | None = None) -> Array:
    """[M, k] the directions {-1, 0, 1}^k without 0, those with at most `nonzeros` entries (default: all 3^k - 1).

    Order: by the number of entries, then by the neurons they stand at, then by signs, + before -, the last entry
    changing fastest. So rows 2i and 2i + 1 are +e_i and -e_i, the first 2 k^2 rows are the octagons of all pairs, and
    fewer nonzeros give a prefix.
    """
    rows = []
    for size in range(1, (k if nonzeros is None else min(nonzeros, k)) + 1):
        for support in combinations(range(k), size):
            for signs in product((1.0, -1.0), repeat=size):
                row = np.zeros(k)
                row[list(support)] = signs
                rows.append(row)
    directions = np.array(rows).reshape(-1, k)
    directions.flags.writeable = False
    return directions


@dataclass(frozen=True, eq=False)
class Vertices:
    """Vertices of G polytopes, one polytope after another: those of polytope g are first[g] ... first[g + 1] - 1.

    Where `proved`, the polytope lies in the hull of the exact points, each within `error` of the one stored. Where
    `empty`, it is proved to have no point at all, and the vertices are those of a polytope around it.
    """

    first: Array  # [G + 1]
    points: Array  # [T, k]
    error: Array  # [T, k]
    proved: Array  # [G] bool; polytopes without are to be left alone
    empty: Array  # [G] bool

    def padded(self, group: Array) -> tuple[Array, Array]:
        """(points [len(group), k, most], error [len(group), k]) of polytopes that have vertices.

        Shorter lists repeat their last vertex; the error is the largest of a polytope's vertices.
        """
        counts = self.first[group + 1] - self.first[group]
        slot = np.minimum(np.arange(counts.max(initial=1)), counts[:, None] - 1) + self.first[group][:, None]
        return np.ascontiguousarray(self.points[slot].transpose(0, 2, 1)), self.error[slot].max(axis=1)


def enumerate_vertices(bounds: Array, directions: Array) -> Vertices:
    """Vertices of the polytopes {z : directions @ z <= bounds[g]}.

    bounds: [G, M], infinite where a row has no bound, the first 2k finite (else nothing is proved); directions:
    [M, k], a prefix of `octahedral_directions(k)`.
    """
    parts = [_enumerate(bounds[part], directions) for part in chunks(len(bounds), directions.shape[1])]
    if len(parts) == 1:
        return parts[0]
    counts = np.concatenate([np.diff(p.first) for p in parts])
    first = np.concatenate([[0], np.cumsum(counts)])
    names = ("points", "error", "proved", "empty")
    return Vertices(first, *(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def chunks(count: int, k: int) -> list[slice]:
    """Parts, at least one, of a list of polytopes that are best worked on together; 4^k vertices are many for one."""
    step = max(1, MOST_VERTICES // 4**k)
    return [slice(g, g + step) for g in range(0, max(count, 1), step)]


def _enumerate(bounds: Array, directions: Array) -> Vertices:
    cutting = _Cutting(bounds, directions)
    for m in range(2 * directions.shape[1], len(directions)):
        cutting.insert(m)
    return cutting.finish()


class _Cutting:
    """The vertices of G polytopes while rows are cut off from them."""

    def __init__(self, bounds: Array, directions: Array) -> None:
        """As boxes: corner c has neuron i at its upper end where bit i of c is 0."""
        count, k = len(bounds), directions.shape[1]
        self.bounded: Array = np.asarray(np.isfinite(bounds[:, : 2 * k]).all(axis=1))
        bounds = np.where(self.bounded[:, None], bounds, 0.0)
        self.bounds, self.directions = bounds, directions
        self.shifted = bounds + _shifts(bounds, directions)
        bits = np.arange(2**k)[:, None] >> np.arange(k) & 1
        rows = 2 * np.arange(k) + bits
        self.group = np.repeat(np.arange(count), 2**k)  # [T] the polytope
        self.rows = np.tile(rows, (count, 1))  # [T, k] the basis, ascending
        self.points = (self.shifted[:, rows] * np.where(bits, -1.0, 1.0)).reshape(-1, k)  # [T, k], bounds as shifted
        # [T, k] the vertex at the other end of the edge that leaves row j of the basis
        other = np.arange(2**k)[:, None] ^ 1 << np.arange(k)
        self.across = (other + 2**k * np.arange(count)[:, None, None]).reshape(-1, k)
        self.empty: Array = np.asarray((bounds[:, 0 : 2 * k : 2] < -bounds[:, 1 : 2 * k : 2]).any(axis=1))
        self.shifted[self.empty] = np.inf  # nothing more is cut off
        self.emptied = np.full(count, -1)  # the row beyond which a polytope lies entirely
        # sums of these tell sets of rows, and sets of different polytopes, apart; a clash would only fail the proof
        random = np.random.default_rng(1)
        self.row_code = random.integers(0, 2**63, len(directions), dtype=np.uint64)
        self.group_code = random.integers(0, 2**63, count, dtype=np.uint64)

    def insert(self, m: int) -> None:
        """Cut all polytopes by row m."""
        slack = self.shifted[self.group, m] - self.points @ self.directions[m]
        cut = np.asarray(slack < 0.0)
        if not cut.any():
            return
        cut &= ~self._swallowed(cut, m)[self.group]
        t, j = np.nonzero(cut[:, None] & ~cut[self.across])  # edges from t, which goes, to u, which stays
        u = self.across[t, j]
        share = (slack[u] / (slack[u] - slack[t]))[:, None]
        points = self.points[u] + share * (self.points[t] - self.points[u])
        rows = np.column_stack([_without(self.rows[t], j), np.full(len(t), m)])
        twins, broken = self._twins(rows, self.group[t])
        if len(broken):
            self._drop(np.isin(self.group, broken))
            self.insert(m)
            return
        kept = np.flatnonzero(~cut)
        place = np.cumsum(~cut) - 1
        new = len(kept) + np.arange(len(t))
        across = place[self.across[kept]]
        across[place[u], np.argmax(self.across[u] == t[:, None], axis=1)] = new
        self.across = np.concatenate([across, np.column_stack([len(kept) + twins, place[u]])])
        self.points = np.concatenate([self.points[kept], points])
        self.rows = np.concatenate([self.rows[kept], rows])
        self.group = np.concatenate([self.group[kept], self.group[t]])

    def _swallowed(self, cut: Array, m: int) -> Array:
        """[G] bool: row m cuts off every vertex. Such polytopes stay as they are from here on."""
        count = len(self.bounds)
        gone = np.bincount(self.group[cut], minlength=count)
        emptied: Array = (gone > 0) & (gone == np.bincount(self.group, minlength=count))
        self.emptied[emptied] = m
        self.shifted[emptied] = np.inf
        return emptied

    def _twins(self, rows: Array, group: Array) -> tuple[Array, Array]:
        """Neighbours among the new vertices, which all lie on the new row.

        rows: [N, k], the new row last. Returns ([N, k - 1] who shares the basis without row j, polytopes where
        somebody has not exactly one such neighbour).
        """
        n, k = rows.shape
        code = self.row_code[rows[:, :-1]]
        wall = ((self.group_code[group] + code.sum(axis=1, dtype=np.uint64))[:, None] - code).ravel()
        order = np.argsort(wall, kind="stable")
        one, two = order[0::2], order[1::2]
        paired = len(one) == len(two) and bool((wall[one] == wall[two]).all() & (wall[two[:-1]] != wall[one[1:]]).all())
        if not paired:
            _, index, times = np.unique(wall, return_inverse=True, return_counts=True)
            return order, np.unique(np.repeat(group, rows.shape[1] - 1)[times[index] != 2])
        twin = np.empty_like(order)
        twin[one], twin[two] = two, one
        return twin.reshape(code.shape) // code.shape[1], order[:0]

    def _drop(self, gone: Array) -> None:
        """Forget these vertices, all those of some polytopes."""
        self.across = (np.cumsum(~gone) - 1)[self.across[~gone]]
        self.points, self.rows, self.group = self.points[~gone], self.rows[~gone], self.group[~gone]

    def finish(self) -> Vertices:
        """Points from the bases and the bounds as given, and the proof."""
        count, k = len(self.bounds), self.directions.shape[1]
        order = np.argsort(self.group, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        group, rows, across = self.group[order], self.rows[order], place[self.across[order]]
        first = np.searchsorted(group, np.arange(count + 1))
        basis, sides = self.directions[rows], self.bounds[group[:, None], rows]
        singular = np.abs(np.linalg.det(basis)) < 0.5  # a whole number; 0 where rounding misled the cutting
        basis[singular] = np.eye(k)
        inverse = np.linalg.inv(basis)
        points = np.einsum("tij,tj->ti", inverse, sides)
        residual = np.abs(sides - np.einsum("tij,tj->ti", basis, points))
        residual += (k + 3) * UNIT * (np.einsum("tij,tj->ti", np.abs(basis), np.abs(points)) + np.abs(sides)) + TINY
        # |exact inverse| <= |inverse| + INVERSE_ERROR where `_covered`
        error = np.einsum("tij,tj->ti", np.abs(inverse) + INVERSE_ERROR, residual) * UP
        good = ~singular & np.isfinite(error).all(axis=1) & _covered(self.directions, group, rows, across, inverse)
        proved = np.bincount(group[~good], minlength=count) == 0
        proved &= (first[1:] > first[:-1]) & self.bounded
        return Vertices(first, points, error, proved, self.empty | proved & self._beyond(group, points, error))

    def _beyond(self, group: Array, points: Array, error: Array) -> Array:
        """[G] bool: all vertices violate a row, errors included."""
        last = self.emptied[group]
        normals = self.directions[last]
        doubt = np.abs(normals) * (error + (len(normals.T) + 2) * UNIT * np.abs(points))
        least = (normals * points).sum(axis=1) - doubt.sum(axis=1) * UP
        inside = least <= self.bounds[group, last]
        return (self.emptied >= 0) & (np.bincount(group[inside], minlength=len(self.bounds)) == 0)


def _shifts(bounds: Array, directions: Array) -> Array:
    """[G, M] outward shifts: those of rows that add up to another row add up to less than that row's own."""
    k = directions.shape[1]
    reach = np.maximum(np.abs(bounds[:, 0 : 2 * k : 2]), np.abs(bounds[:, 1 : 2 * k : 2]))
    reach = np.maximum(reach, LEAST_REACH * reach.max(axis=1, keepdims=True, initial=0.0))
    unlike = 1.0 + 0.05 * np.modf(np.arange(len(directions)) * 0.6180339887498949)[0]
    size = np.abs(directions)
    return SHIFT * (reach @ size.T) * (size.sum(axis=1) * unlike)


def _covered(directions: Array, group: Array, rows: Array, across: Array, inverse: Array) -> Array:
    """[T] bool: the inverse of the basis is accurate, and each of its walls is paired with the same wall of a basis on
    the other side, of the same polytope, which is paired with it in turn."""
    k = rows.shape[1]
    wrong = np.abs(np.matmul(directions[rows], inverse) - np.eye(k)).max(axis=(1, 2))
    size = np.abs(inverse).max(axis=(1, 2))
    good = (k * wrong * size < RESIDUAL) & (size < 100.0)
    me = np.arange(len(rows))
    for j in range(k):
        other = across[:, j]
        back = across[other] == me[:, None]
        slot = np.argmax(back, axis=1)
        same = (group[other] == group) & (_without(rows, np.full(len(rows), j)) == _without(rows[other], slot)).all(
            axis=1
        )
        # the other basis's missing row in terms of this basis: a nonzero coefficient is at least 1 / det
        beyond = (directions[rows[other, slot]] * inverse[:, :, j]).sum(axis=1)
        good &= (back.sum(axis=1) == 1) & same & (beyond < -1e-6)
    return good


def _without(rows: Array, j: Array) -> Array:
    """[N, k - 1] rows [N, k] without column j [N]."""
    columns = np.arange(rows.shape[1] - 1)
    return np.take_along_axis(rows, columns + (columns >= j[:, None]), axis=1)
