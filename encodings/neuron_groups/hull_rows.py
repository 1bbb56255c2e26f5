"""Rows between the pre-activations and activations of groups of ReLUs, and how they are made to hold exactly.

Rows are c + A z + B y >= 0 with y = ReLU(z). Where they come from does not matter: `raised` evaluates them on vertices
that are proved to enclose a polytope on which the row is concave in z, subtracts all rounding errors, and raises c by
what is missing. A row with B <= 0 is concave on the group's whole polytope; any row is linear on a piece, where each
neuron has one phase and y_i is z_i or 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...instances.network import Array
from ...instances.rounding import TINY, UNIT, UP
from .octahedron import Vertices

__all__ = ["HullRows", "beyond_triangles", "distinct", "portions", "raised", "scaled_rows"]

SAME = 1e-7  # of a row's largest term: rows closer than this are one
NOUGHT = 1e-10  # of a row's largest term: such a term is left out, which keeps rows sparse; the constant pays for it
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


def distinct(rows: HullRows, bounds: Array) -> HullRows:
    """One of each set of rows that are equal but for rounding; bounds: [G, M] of the groups' octahedral rows."""
    reach = _reach(bounds, rows.z.shape[1])[rows.group]
    table = np.column_stack([rows.z * reach, rows.y * reach, rows.constants])
    size = np.abs(table).max(axis=1, initial=0.0)
    grid = np.rint(table / (SAME * np.where(size > TINY, size, 1.0))[:, None]).astype(np.int64).astype(np.uint64)
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


def scaled_rows(group: Array, rows: Array, constants: Array, bounds: Array) -> HullRows:
    """Rows constants + rows @ (z, y), rows [R, 2k], of groups [R]: largest coefficient 1, none 0 but for rounding.

    bounds: [G, M] of the groups' octahedral rows.
    """
    k = rows.shape[1] // 2
    moved = np.abs(rows) * np.tile(_reach(bounds, k), 2)[group]
    rows = np.where(moved > NOUGHT * moved.max(axis=1, keepdims=True, initial=0.0), rows, 0.0)
    size = np.abs(rows).max(axis=1, initial=0.0)
    group, rows, constants, size = (a[size > 0.0] for a in (group, rows, constants, size))
    rows = rows / size[:, None]
    return HullRows(group, rows[:, :k], rows[:, k:], constants / size)


def _reach(bounds: Array, k: int) -> Array:
    """[G, k] largest size of each neuron's pre-activation."""
    return np.maximum(np.abs(bounds[:, 0 : 2 * k : 2]), np.abs(bounds[:, 1 : 2 * k : 2]))


def raised(rows: HullRows, vertices: Vertices, owner: Array | None = None, phases: Array | None = None) -> HullRows:
    """Rows with constants raised until they hold on all of their group's polytopes, error terms included.

    vertices: of P polytopes, of group owner [P] (ascending; default: one a group) each; phases: [P, k] where y is z
    times these 0s and 1s; without them y = ReLU(z), and the rows must be concave, y <= 0.
    Rows of groups with a polytope not proved, and of groups without any point, are left out.
    """
    owner = np.arange(len(vertices.proved)) if owner is None else owner
    count = int(owner.max(initial=-1)) + 1
    first = np.searchsorted(rows.group, np.arange(count + 1))
    sizes, counts = np.diff(first)[owner], np.diff(vertices.first)
    used = np.flatnonzero(vertices.proved & ~vertices.empty & (sizes > 0))
    used = used[np.argsort(counts[used], kind="stable")]
    least = np.full(len(rows), np.inf)
    for part in portions(sizes[used], counts[used]):
        slot, lowest = _least(rows, vertices, phases, used[part], first[owner[used[part]]], sizes[used[part]])
        np.minimum.at(least, slot, lowest)
    doubtful = np.bincount(owner[~vertices.proved & ~vertices.empty], minlength=count) > 0
    good = np.isfinite(least) & ~doubtful[rows.group]
    rows, least = rows[good], least[good]
    constants = np.where(least < 0.0, np.nextafter(rows.constants - least, np.inf), rows.constants)
    return HullRows(rows.group, rows.z, rows.y, constants)


def portions(rows: Array, columns: Array) -> list[slice]:
    """Parts of a list of polytopes whose padded arrays of rows by vertices have about ENTRIES entries at most."""
    cost = np.maximum.accumulate(rows) * np.maximum.accumulate(columns)
    parts, start = [], 0
    while start < len(rows):
        room = np.arange(1, len(rows) - start + 1) * cost[start:]
        parts.append(slice(start, start + max(1, int(np.searchsorted(room, ENTRIES)))))
        start = parts[-1].stop
    return parts


def _least(
    rows: HullRows, vertices: Vertices, phases: Array | None, used: Array, first: Array, sizes: Array
) -> tuple[Array, Array]:
    """(rows of the polytopes `used`, padded [p, most]; their least values there, rounding errors subtracted).

    first, sizes: [p] each polytope's first row, and how many it has.
    """
    slot = np.minimum(np.arange(sizes.max()), sizes[:, None] - 1) + first[:, None]
    points, error = vertices.padded(used)
    y = np.maximum(points, 0.0) if phases is None else points * phases[used][:, :, None]
    table, constants = np.concatenate([rows.z[slot], rows.y[slot]], axis=2), rows.constants[slot]
    lowest = np.matmul(table, np.concatenate([points, y], axis=1)).min(axis=2) + constants
    # |y| <= |z|, and y is as far from the exact one as z at most
    doubt = error + (2 * points.shape[1] + 6) * UNIT * np.abs(points).max(axis=2) + TINY
    size = np.matmul(np.abs(table), np.concatenate([doubt, doubt], axis=1)[:, :, None])[:, :, 0]
    return slot, lowest - (size + 8.0 * UNIT * np.abs(constants) + TINY) * UP
