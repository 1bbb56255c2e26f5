"""Rows of the hull of a group of ReLUs without a convex-hull code, for thousands of groups at once.

The wrapping construction (Ma, Li and Bai, *ReLU Hull Approximation*, POPL 2024): let d(z) = b - a'z >= 0 be a row of
the polytope P and V the vertices of P. Neuron after neuron,
    beta1 = max_{v in V, v_i > 0} -d(v) / v_i,    beta2 = max_{v in V, v_i < 0} d(v) / v_i,
    d  <-  d - beta2 z_i + (beta1 + beta2) y_i,
that is d + beta1 z_i where the neuron is active, d - beta2 z_i where it is not: both as low as the vertices allow, so
every row touches the hull. beta1, beta2 <= 0, hence d stays concave in z, and what holds at V holds on P. Neurons with
one phase on V are passed over (y_i = z_i, or y_i = 0), so they may stand in a group.

The order of the neurons matters, and rows of several orders together are stronger: of the gap between triangles and
exact hull, in random directions over k = 2 and 3 zonotopes, one order closes 65 to 88 %, the k rotations 97 to 99 %,
all orders of three neurons at most 0.7 % more. What is left: facets that no order finds, and rows with an activation of
positive sign, y_1 >= y_2 where z_1 >= z_2 say, which wrapping never gives; `exact_hull` has both.

Groups a second, one core, zonotopes of 8 inputs, k orders: all octahedral rows, k = 2: 38,000 (28 times the exact hull
in the same run), k = 3: 3,100 (39 times), k = 4: 185; octagons' rows, k = 4, 5, 6, 7: 1,020, 143, 19, 5. More than half
is the price of the vertices: 48 a polytope for k = 3, 376 for k = 4, 127 with octagons alone and four times more for
each further neuron.
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array
from .hull_rows import HullRows, beyond_triangles, distinct, portions, raised, scaled_rows
from .octahedron import Vertices, chunks, enumerate_vertices

__all__ = ["wrapped_rows"]

AXIS = 1e-9  # of a neuron's largest value: vertices closer than this to z_i = 0 have no say in its multipliers


def wrapped_rows(bounds: Array, directions: Array, orders: int | None = None, triangles: bool = False) -> HullRows:
    """Certified rows of the groups' hulls, each touching its hull.

    bounds: [G, M] of the rows directions @ z <= bounds[g], infinite where there is no bound, the first 2k finite;
    directions: [M, k], a prefix of `octahedral_directions(k)`: all of them for k <= 3 or 4, the octagons for more;
    orders: how many orders of the neurons are wrapped, at most 2k (default: the k rotations);
    triangles: keep rows that the neurons' triangles imply as well.
    Groups that are empty, or whose vertices could not be proved complete, get no rows.
    """
    k = directions.shape[1]
    chosen = _orders(k)[: orders or k]
    parts = [HullRows(np.zeros(0, dtype=np.intp), np.zeros((0, k)), np.zeros((0, k)), np.zeros(0))]
    for chunk in chunks(len(bounds), k):
        part = bounds[chunk]
        vertices = enumerate_vertices(part, directions)
        rows = distinct(_wrapped(part, directions, vertices, chosen), part)
        if not triangles:
            rows = rows[beyond_triangles(rows, part)]
        rows = raised(rows, vertices)
        parts.append(HullRows(rows.group + chunk.start, rows.z, rows.y, rows.constants))
    return HullRows.concatenate(parts)


def _orders(k: int) -> list[tuple[int, ...]]:
    """2k orders of the neurons: rotations, then these backwards (for k = 3 all there are)."""
    rotations = [tuple((i + j) % k for j in range(k)) for i in range(k)]
    return rotations + [order[::-1] for order in rotations if k > 2]


def _wrapped(bounds: Array, directions: Array, vertices: Vertices, orders: list[tuple[int, ...]]) -> HullRows:
    """Rows of all orders, not yet certified."""
    k = directions.shape[1]
    counts = np.diff(vertices.first)
    used = np.flatnonzero(vertices.proved & ~vertices.empty)
    used = used[np.argsort(counts[used], kind="stable")]
    parts = []
    for part in portions(np.full(len(used), len(directions)), counts[used]):
        group = used[part]
        points, _ = vertices.padded(group)
        own = bounds[group]
        finite = np.isfinite(own)
        own = np.where(finite, own, 0.0)
        start = own[:, :, None] - np.matmul(directions, points)
        spare = start.min(axis=2)  # rows that P's others imply are moved until they touch
        start, own = start - spare[:, :, None], own - spare
        for order in orders:
            z, y = _wrap(start, points, order)
            table = np.concatenate([z - directions, y], axis=2)[finite]
            parts.append(scaled_rows(group[np.nonzero(finite)[0]], table, own[finite], bounds))
    if not parts:
        return HullRows(np.zeros(0, dtype=np.intp), np.zeros((0, k)), np.zeros((0, k)), np.zeros(0))
    return HullRows.concatenate(parts)


def _wrap(start: Array, points: Array, order: tuple[int, ...]) -> tuple[Array, Array]:
    """What wrapping adds to rows: coefficients of z and y, [g, M, k] each.

    start: [g, M, V] values of the rows at the vertices, >= 0; points: [g, k, V].
    """
    count, rows, _ = start.shape
    z, y = np.zeros((count, rows, len(order))), np.zeros((count, rows, len(order)))
    d, room = start.copy(), np.empty_like(start)
    for i in order:
        v = points[:, i]
        near = AXIS * np.abs(v).max(axis=1, keepdims=True)
        unstable = ((v > near).any(axis=1) & (v < -near).any(axis=1))[:, None]
        active = np.where(unstable, -_least_ratio(d, v, near, room), 0.0)  # beta1
        inactive = np.where(unstable, -_least_ratio(d, -v, near, room), 0.0)  # beta2
        z[:, :, i], y[:, :, i] = -inactive, active + inactive
        for beta, side in ((active, np.maximum(v, 0.0)), (inactive, np.maximum(-v, 0.0))):
            d += np.multiply(beta[:, :, None], side[:, None], out=room)
        np.maximum(d, 0.0, out=d)
    return z, y


def _least_ratio(d: Array, v: Array, near: Array, room: Array) -> Array:
    """[g, M] least d / v over the vertices with v > near; d, room: [g, M, V]; v: [g, V]; near: [g, 1]."""
    side = v > near
    inverse = np.where(side, 1.0 / np.where(side, v, 1.0), 0.0)
    np.multiply(d, inverse[:, None], out=room)
    room += np.where(side, 0.0, np.inf)[:, None]
    return np.asarray(room.min(axis=2))
