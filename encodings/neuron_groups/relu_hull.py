"""Exact hulls of groups of ReLUs (k-ReLU).

For a group of k neurons with pre-activations in a polytope P, K = conv {(z, ReLU(z)) : z in P} is the hull of the 2^k
pieces on which every neuron has one phase (Singh, Ganvir, Pueschel and Vechev, *Beyond the single neuron convex
barrier*, 2019). A piece is {z in P : s_i z_i >= 0}, again octahedral, with y = z or y = 0 neuron by neuron; its
vertices come from `enumerate_vertices`, and the facets of all of them together from `hull_facets`. The rows do not
rest on these floats: `raised` proves them, piece by piece.

With all octahedral rows of zonotopes, a hull has 10 facets for k = 2 that triangles do not imply, and 440 for k = 3
(one hull after another 1,360 and 80 groups a second; cdd, vertices and facets in floating point: 3,800 and 34; the
pairs of 400 groups together, as here, are 3.6 times as many a second). k = 4 with the octagons' rows alone took 16 s
for its 10,700 facets, and with all rows is out of reach. A stable neuron halves the pieces.
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array
from .double_description import hull_facets
from .hull_rows import HullRows, beyond_triangles, distinct, raised, scaled_rows
from .octahedron import enumerate_vertices

__all__ = ["exact_hull"]

FLAT = 1e-6  # of the range of a coordinate: points closer than this to a plane lie in it
POINT = 1e-9  # of a coordinate's size: a range smaller than this is none


def exact_hull(bounds: Array, directions: Array, triangles: bool = False) -> HullRows:
    """All facets of the groups' hulls, equations as pairs of rows; certified.

    bounds: [G, M] of the rows directions @ z <= bounds[g], the first 2k finite; directions: [M, k], a prefix of
    `octahedral_directions(k)`; triangles: keep rows that the neurons' triangles imply as well.
    Groups that are empty, or whose vertices could not be proved complete, get no rows. The price grows steeply with
    k: see `hull_wrapping` for k > 3.
    """
    pieces = _Pieces(bounds, directions)
    frames = [_Frame(*pieces.graph(g)) for g in np.flatnonzero(pieces.sound).tolist()]
    parts = [frame.rows(found) for frame, found in zip(frames, _inner(frames), strict=True)]
    counts = [len(offsets) for _, offsets in parts]
    tables = [np.zeros((0, 2 * directions.shape[1])), *(table for table, _ in parts)]
    offsets = np.concatenate([np.zeros(0), *(own for _, own in parts)])
    facets = scaled_rows(np.repeat(np.flatnonzero(pieces.sound), counts), np.concatenate(tables), offsets, bounds)
    rows = distinct(HullRows.concatenate([_stable(bounds, directions), facets]), bounds)
    if not triangles:
        rows = rows[beyond_triangles(rows, bounds)]
    return raised(rows, pieces.vertices, pieces.group, pieces.phases)


class _Pieces:
    """Vertices of all pieces of G polytopes; pieces that lie in another one's side are left out."""

    def __init__(self, bounds: Array, directions: Array) -> None:
        count, k = len(bounds), directions.shape[1]
        bits = np.arange(2**k)[:, None] >> np.arange(k) & 1
        upper, lower = bounds[:, None, 0 : 2 * k : 2], -bounds[:, None, 1 : 2 * k : 2]
        # an inactive piece is there if l < 0, an active one if u > 0; z = 0 throughout is inactive
        there = np.where(bits, (upper > 0.0) | (lower > 0.0), (lower < 0.0) | (upper <= 0.0)).all(axis=2)
        self.group, piece = np.nonzero(there)  # [P]
        self.phases = bits[piece].astype(float)  # [P, k] 1 active, 0 inactive
        own = bounds[self.group]
        for side, open_side in ((0, self.phases > 0.0), (1, self.phases <= 0.0)):
            ends = own[:, side : 2 * k : 2]
            own[:, side : 2 * k : 2] = np.where(open_side, ends, np.minimum(ends, 0.0))
        self.vertices = enumerate_vertices(own, directions)
        self.first = np.searchsorted(self.group, np.arange(count + 1))
        doubtful = np.bincount(self.group[~(self.vertices.proved | self.vertices.empty)], minlength=count) > 0
        lively = np.bincount(self.group[~self.vertices.empty], minlength=count) > 0
        self.sound = ~doubtful & lively  # [G] bool: hulls can be had

    def graph(self, g: int) -> tuple[Array, Array]:
        """(points (z, y) [N, 2k] whose hull is group g's, coordinates [2k] bool to look at: y of stable neurons is
        a function of z)."""
        points = []
        for p in range(self.first[g], self.first[g + 1]):
            if not self.vertices.empty[p]:
                z = self.vertices.points[self.vertices.first[p] : self.vertices.first[p + 1]]
                points.append(np.hstack([z, z * self.phases[p]]))
        phases = self.phases[self.first[g] : self.first[g + 1]]
        unstable = phases.min(axis=0) < phases.max(axis=0)
        return np.concatenate(points), np.concatenate([np.ones(len(unstable), dtype=bool), unstable])


def _stable(bounds: Array, directions: Array) -> HullRows:
    """Equations y = z and y = 0 of neurons that have one phase, as pairs of rows."""
    k = directions.shape[1]
    upper, lower = bounds[:, 0 : 2 * k : 2], -bounds[:, 1 : 2 * k : 2]
    group, neuron = np.nonzero((upper <= 0.0) | (lower >= 0.0))
    unit = np.eye(k)[neuron]
    z = -unit * (upper[group, neuron] > 0.0)[:, None]
    return HullRows(np.tile(group, 2), np.vstack([z, -z]), np.vstack([unit, -unit]), np.zeros(2 * len(group)))


class _Frame:
    """Points [N, 2k], scaled and centred, in coordinates that span the subspace that they lie in.

    unstable: [2k] bool, the coordinates to look at.
    """

    def __init__(self, points: Array, unstable: Array) -> None:
        self.unstable, points = unstable, points[:, unstable]
        low, high = points.min(axis=0), points.max(axis=0)
        self.centre, size = (low + high) / 2.0, (high - low) / 2.0
        self.size = np.where(size > POINT * np.abs(self.centre), size, 1.0)
        self.scaled = (points - self.centre) / self.size
        self.free, bound, weights = _coordinates(self.scaled)
        self.equations = np.zeros((len(bound), points.shape[1]))
        self.equations[:, self.free] = weights
        self.equations[np.arange(len(bound)), bound] = -1.0

    @property
    def inner(self) -> Array:
        """The points in these coordinates, each once."""
        return np.asarray(np.unique(self.scaled[:, self.free].round(12), axis=0))

    def rows(self, found: Array) -> tuple[Array, Array]:
        """(normals [R, 2k], offsets [R]) of the rows normals @ x + offsets >= 0: the facets `found` of the inner
        points, and the other coordinates' equations as pairs."""
        facets = np.zeros((len(found), len(self.centre)))
        facets[:, self.free] = found[:, :-1]
        # an equation's rows must hold at every point, those that are off the plane by rounding included
        off = self.scaled @ self.equations.T
        rows = np.vstack([facets, self.equations, -self.equations]) / self.size
        ends = -off.min(axis=0, initial=np.inf), off.max(axis=0, initial=-np.inf)
        table = np.zeros((len(rows), len(self.unstable)))
        table[:, self.unstable] = rows
        return table, np.concatenate([found[:, -1], *ends]) - rows @ self.centre


def _inner(frames: list[_Frame]) -> list[Array]:
    """Facets of every frame's inner points; those of equal dimensions are found together."""
    found = [np.zeros((0, 1))] * len(frames)
    for d in {len(frame.free) for frame in frames} - {0}:
        some = [i for i, frame in enumerate(frames) if len(frame.free) == d]
        for i, facets in zip(some, hull_facets([frames[i].inner for i in some]), strict=True):
            found[i] = facets
    return found


def _coordinates(points: Array) -> tuple[list[int], list[int], Array]:
    """(coordinates that span the points' subspace, first come first served, the others, these as [., .] linear
    combinations of the former); points: [N, d], scaled, centred in each coordinate."""
    origin = points[0]
    basis = np.zeros((len(points), 0))
    free: list[int] = []
    for j in range(points.shape[1]):
        column = points[:, j] - origin[j]
        for _ in range(2):  # once more for what rounding left
            column = column - basis @ (basis.T @ column)
        if np.abs(column).max() > FLAT:
            basis = np.column_stack([basis, column / np.linalg.norm(column)])
            free.append(j)
    bound = [j for j in range(points.shape[1]) if j not in free]
    moved = points - origin
    weights = np.linalg.lstsq(moved[:, free], moved[:, bound], rcond=None)[0].T if free and bound else None
    return free, bound, np.zeros((len(bound), len(free))) if weights is None else weights
