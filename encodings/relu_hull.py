"""Exact hulls of groups of ReLUs, and rows between pre-activations and activations that hold in exact arithmetic.

For a group of k neurons with pre-activations in a polytope P, K = conv {(z, ReLU(z)) : z in P} is the hull of the 2^k
pieces on which every neuron has one phase (k-ReLU: Singh, Ganvir, Pueschel and Vechev, *Beyond the single neuron
convex barrier*, 2019). A piece is {z in P : s_i z_i >= 0}, again octahedral, with y = z or y = 0 neuron by neuron; its
vertices come from `enumerate_vertices`, and the facets of all of them together from Qhull.

Rows are c + A z + B y >= 0. No row rests on Qhull: `certified` evaluates it on vertices that are proved to enclose the
piece, where the row is linear, subtracts all rounding errors and raises c by what is missing. A row with B <= 0 is
concave in z, so that the vertices of P alone decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..instances.network import Array
from .octahedron import UNIT, Vertices, enumerate_vertices

__all__ = ["HullRows", "beyond_triangles", "certified", "distinct", "exact_hull"]

SAME = 1e-7  # of a row's largest coefficient: rows closer than this are one (Qhull splits facets into simplices)
NOUGHT = 1e-10  # of a row's largest coefficient: taken as 0, which keeps rows sparse; `certified` pays for it
FLAT = 1e-7  # of the range of a coordinate: points closer than this to a plane lie in it
ENTRIES = 2**21  # of an array of rows by vertices: what is worked on at a time


@dataclass(frozen=True, eq=False)
class HullRows:
    """R rows  constants + z @ (pre-activations) + y @ (activations) >= 0  of groups of k neurons."""

    group: Array  # [R] int, ascending: the group that the row belongs to
    z: Array  # [R, k] coefficients of the pre-activations
    y: Array  # [R, k] coefficients of the activations
    constants: Array  # [R]

    def __getitem__(self, index: Array) -> HullRows:
        """Rows `index` (bool mask or int array)."""
        return HullRows(self.group[index], self.z[index], self.y[index], self.constants[index])

    def __len__(self) -> int:
        return len(self.group)

    def values(self, z: Array, y: Array) -> Array:
        """[R] left-hand sides at z, y [G, k] (values of every group's neurons)."""
        return self.constants + (self.z * z[self.group]).sum(axis=1) + (self.y * y[self.group]).sum(axis=1)

    @staticmethod
    def concatenate(parts: list[HullRows]) -> HullRows:
        """Rows of all parts, ordered by group."""
        names = ("group", "z", "y", "constants")
        joined = HullRows(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))
        return joined[np.argsort(joined.group, kind="stable")]


def exact_hull(bounds: Array, directions: Array, triangles: bool = False) -> HullRows:
    """All facets of the groups' hulls, equations as pairs of rows; certified.

    bounds: [G, M] of the rows directions @ z <= bounds[g], the first 2k finite; directions: [M, k], a prefix of
    `octahedral_directions(k)`; triangles: keep rows that the neurons' triangles imply as well.
    Groups that are empty, or whose vertices could not be proved complete, get no rows. The price grows steeply with
    k: see `hull_wrapping` for k > 3.
    """
    pieces = _Pieces(bounds, directions)
    parts = []
    for g in np.flatnonzero(pieces.sound).tolist():
        points, unstable = pieces.graph(g)
        normals, offsets = _facets(points[:, unstable])
        rows = np.zeros((len(normals), points.shape[1]))
        rows[:, unstable] = normals
        parts.append(_scaled(np.full(len(rows), g), rows, offsets))
    rows = distinct(HullRows.concatenate([_stable(bounds, directions), *parts]))
    if not triangles:
        rows = rows[beyond_triangles(rows, bounds)]
    return _certified(rows, pieces.vertices, pieces.phases, pieces.group)


def certified(rows: HullRows, bounds: Array, directions: Array) -> HullRows:
    """The rows with constants raised until they hold, in exact arithmetic, for all z of the groups' polytopes.

    Rows of groups that are empty, or whose vertices could not be proved complete, are left out.
    bounds, directions: as for `exact_hull`.
    """
    concave = (rows.y <= 0.0).all(axis=1)
    vertices = enumerate_vertices(bounds, directions)
    parts = [certified_concave(rows[concave], vertices)]
    if not concave.all():
        pieces = _Pieces(bounds, directions)
        parts.append(_certified(rows[~concave], pieces.vertices, pieces.phases, pieces.group))
    return HullRows.concatenate(parts)


def certified_concave(rows: HullRows, vertices: Vertices) -> HullRows:
    """As `certified`, for rows with no positive coefficient of an activation; vertices: of the groups' polytopes."""
    return _certified(rows, vertices, None, np.arange(len(vertices.proved)))


def distinct(rows: HullRows) -> HullRows:
    """One of each set of rows that are equal but for rounding."""
    table = np.column_stack([rows.z, rows.y, rows.constants])
    size = np.abs(table[:, :-1]).max(axis=1, initial=0.0)
    grid = np.rint(table / (SAME * np.where(size > 0.0, size, 1.0))[:, None]).astype(np.int64).astype(np.uint64)
    # a clash of these sums only loses a row
    odd = np.random.default_rng(1).integers(0, 2**63, grid.shape[1] + 1, dtype=np.uint64) | np.uint64(1)
    code = (grid * odd[1:]).sum(axis=1, dtype=np.uint64) + rows.group.astype(np.uint64) * odd[0]
    return rows[np.sort(np.unique(code, return_index=True)[1])]


def beyond_triangles(rows: HullRows, bounds: Array) -> Array:
    """[R] bool: the neurons' triangles over the polytopes' boxes leave points that the row excludes.

    The least value over the triangles is a sum over neurons of the least at the corners (l, ReLU(l)), (u, ReLU(u))
    and, if l < 0 < u, (0, 0).
    """
    k = rows.z.shape[1]
    lower, upper = -bounds[rows.group, 1 : 2 * k : 2], bounds[rows.group, 0 : 2 * k : 2]
    ends = [rows.z * end + rows.y * np.maximum(end, 0.0) for end in (lower, upper)]
    least = np.minimum(*ends)
    least = np.where((lower < 0.0) & (upper > 0.0), np.minimum(least, 0.0), least).sum(axis=1)
    scale = np.maximum(np.abs(ends[0]), np.abs(ends[1])).sum(axis=1)
    return np.asarray(rows.constants + least < -SAME * scale)


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
        own[:, 1 : 2 * k : 2] = np.where(self.phases > 0.0, np.minimum(own[:, 1 : 2 * k : 2], 0.0), own[:, 1 : 2 * k : 2])
        own[:, 0 : 2 * k : 2] = np.where(self.phases > 0.0, own[:, 0 : 2 * k : 2], np.minimum(own[:, 0 : 2 * k : 2], 0.0))
        self.vertices = enumerate_vertices(own, directions)
        self.first = np.searchsorted(self.group, np.arange(count + 1))
        doubtful = np.bincount(self.group[~self.vertices.proved], minlength=count) > 0
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


def _facets(points: Array) -> tuple[Array, Array]:
    """(normals [R, d], offsets [R]) of the rows normals @ x + offsets >= 0 of the hull of points [N, d].

    Where the points lie in a subspace: the facets in coordinates that span it, and the others' equations as pairs.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    centre, size = (low + high) / 2.0, (high - low) / 2.0
    size = np.where(size > SAME * np.abs(centre), size, 1.0)
    scaled = (points - centre) / size
    free, bound, weights = _coordinates(scaled)
    equations = np.zeros((len(bound), points.shape[1]))
    equations[:, free] = weights
    equations[np.arange(len(bound)), bound] = -1.0
    facets, inner = np.zeros((0, points.shape[1])), np.zeros(0)
    if len(free):
        normals, inner = _full_facets(scaled[:, free])
        facets = np.zeros((len(normals), points.shape[1]))
        facets[:, free] = normals
    # an equation's rows must hold at every point, those that are off the plane by rounding included
    off = scaled @ equations.T
    rows = np.vstack([facets, equations, -equations])
    offsets = np.concatenate([inner, -off.min(axis=0, initial=np.inf), off.max(axis=0, initial=-np.inf)])
    rows = rows / size
    return rows, offsets - rows @ centre


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


def _full_facets(points: Array) -> tuple[Array, Array]:
    """As `_facets`, for points [N, d] that lie in no plane."""
    from scipy.spatial import ConvexHull

    if points.shape[1] == 1:
        return np.array([[1.0], [-1.0]]), np.array([-points.min(), points.max()])
    equations = ConvexHull(np.unique(points.round(12), axis=0)).equations
    return -equations[:, :-1], -equations[:, -1]


def _scaled(group: Array, rows: Array, constants: Array) -> HullRows:
    """Rows [R, 2k] with a largest coefficient of 1, and none that is 0 but for rounding."""
    k = rows.shape[1] // 2
    size = np.abs(rows).max(axis=1, initial=0.0)
    group, rows, constants, size = (a[size > 0.0] for a in (group, rows, constants, size))
    rows = rows / size[:, None]
    rows = np.where(np.abs(rows) < NOUGHT, 0.0, rows)
    return HullRows(group, rows[:, :k], rows[:, k:], constants / size)


def _certified(rows: HullRows, vertices: Vertices, phases: Array | None, owner: Array) -> HullRows:
    """Rows with raised constants.

    vertices: of P polytopes, of group owner [P] (ascending) each; phases: [P, k] where y is z times these, None where
    y = ReLU(z). Rows of groups with an unproved polytope, and of groups without any point, are left out.
    """
    count = int(owner.max(initial=-1)) + 1
    least = np.full(len(rows), np.inf)
    used = np.flatnonzero(vertices.proved & ~vertices.empty)
    first = np.searchsorted(rows.group, np.arange(count + 1))
    used = used[first[owner[used] + 1] > first[owner[used]]]
    used = used[np.argsort(vertices.first[used + 1] - vertices.first[used], kind="stable")]
    for part in _portions(first[owner[used] + 1] - first[owner[used]], vertices.first[used + 1] - vertices.first[used]):
        _lower(rows, vertices, phases, owner, used[part], first, least)
    doubtful = np.bincount(owner[~vertices.proved & ~vertices.empty], minlength=count) > 0
    least[doubtful[rows.group]] = np.inf
    good = np.isfinite(least)
    rows, least = rows[good], least[good]
    raised = np.where(least < 0.0, np.nextafter(rows.constants - least, np.inf), rows.constants)
    return HullRows(rows.group, rows.z, rows.y, raised)


def _portions(rows: Array, columns: Array) -> list[slice]:
    """Parts of a list of polytopes whose padded arrays of rows by vertices have about ENTRIES entries at most."""
    cost = np.maximum.accumulate(rows) * np.maximum.accumulate(columns)
    ends, start = [], 0
    while start < len(rows):
        room = np.arange(1, len(rows) - start + 1) * cost[start:]
        ends.append(slice(start, start + max(1, int(np.searchsorted(room, ENTRIES)))))
        start = ends[-1].stop
    return ends


def _lower(
    rows: HullRows, vertices: Vertices, phases: Array | None, owner: Array, used: Array, first: Array, least: Array
) -> None:  # fmt: skip
    """Take the rows' least values over the polytopes `used` into `least` [R], rounding errors subtracted."""
    groups = owner[used]
    counts = first[groups + 1] - first[groups]
    slot = np.minimum(np.arange(counts.max()), counts[:, None] - 1) + first[groups][:, None]  # [g, most]
    points, error = vertices.padded(used)
    y = np.maximum(points, 0.0) if phases is None else points * phases[used][:, :, None]
    table = np.concatenate([rows.z[slot], rows.y[slot]], axis=2)
    constants = rows.constants[slot]
    lowest = np.matmul(table, np.concatenate([points, y], axis=1)).min(axis=2) + constants
    k = points.shape[1]
    doubt = error + (2 * k + 6) * UNIT * np.abs(points).max(axis=2)
    size = np.matmul(np.abs(table), np.concatenate([doubt, doubt], axis=1)[:, :, None])[:, :, 0]
    np.minimum.at(least, slot, lowest - (size + 8.0 * UNIT * np.abs(constants)) * (1.0 + 1e-9))
