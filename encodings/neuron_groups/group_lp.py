"""Multi-neuron rows (k-ReLU) in the triangle LP: made for groups, separated by violation, kept as long as they bind.

Singh, Ganvir, Pueschel and Vechev (2019): the rows of the hull of a group's pre-activations and activations, within
an octahedral polytope of its pre-activations, hold on the node and cut off what the triangles leave. They come from
`hull_wrapping` or `relu_hull`, raised by error terms until they hold, and go into the LP as
    c + A z + B y >= 0,    z = y - s, so (A + B) y - A s >= -c.
The LP is believed through its multipliers only (`safe_lp`), so bounds stay rigorous. Of the many rows few bind: those
that the LP's point violates most are added, round by round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from ...instances.batch import Node
from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import EPS, UP
from ...instances.sparse import sp
from ..programs.lp import LPBound, TriangleLP
from ..programs.triangles import Triangles
from ..slopes.group_rows import GroupRows
from ..slopes.optimised_bounds import OptimiseOptions
from .group_bounds import octahedral_bounds
from .hull_rows import HullRows
from .hull_wrapping import wrapped_rows
from .octahedron import octahedral_directions
from .relu_hull import exact_hull

__all__ = [
    "GroupLP", "add_group_rows", "directions_for", "group_rows", "member_columns", "rows_of_bounds",
    "rows_of_groups",
]  # fmt: skip

EXACT = 2  # neurons of a group up to which the exact hull is as cheap as wrapping
ALL_DIRECTIONS = 3  # neurons of a group up to which all octahedral directions are used; else pairs
AT_ONCE = 200  # rows added a round
ROUNDS = 30
VIOLATED = 1e-6  # of a row's largest coefficient: what counts as violated
WORTH = 1e-3  # least gain of a round, as a share of what all rounds have won: no shift of the margins changes it
Groups = Callable[[int], Iterable[Array]]  # of a layer: arrays [G, K] of its rows


def group_rows(
    query: Query, node: Node, groups: Groups, options: OptimiseOptions | None = None, exact: int = EXACT,
    deadline: float = np.inf,
) -> GroupRows:  # fmt: skip
    """Rows for the groups of every ReLU layer on a node with finite pre-activation bounds.

    groups(k): arrays [G, K] of rows of layer k (one array for each K); options: of the ascent behind octahedral bounds;
    exact: largest K whose exact hull is taken; deadline: time.monotonic() at which later layers get none.
    """
    parts = [GroupRows.none()]
    for k, (kind, part) in enumerate(zip(query.kinds, query.slices, strict=True), start=1):
        for chosen in groups(k) if kind == "relu" else ():
            if not len(chosen) or time.monotonic() > deadline:
                continue
            found = rows_of_groups(query, node, k, chosen, options, exact)
            parts.append(GroupRows(chosen[found.group] + part.start, found.z, found.y, found.constants))
    return GroupRows.concatenate(parts)


def rows_of_groups(
    query: Query, node: Node, k: int, groups: Array, options: OptimiseOptions | None = None, exact: int = EXACT
) -> HullRows:
    """Hull rows beyond the triangles of groups [G, K] of layer k."""
    directions = directions_for(groups.shape[1])
    return rows_of_bounds(octahedral_bounds(query, node.batch, k, groups, directions, options), directions, exact)


def directions_for(size: int) -> Array:
    """The octahedral directions that groups of this size are bounded in."""
    return octahedral_directions(size, None if size <= ALL_DIRECTIONS else 2)


def rows_of_bounds(bounds: Array, directions: Array, exact: int = EXACT) -> HullRows:
    """Hull rows beyond the triangles of groups with these octahedral bounds [G, M]."""
    return exact_hull(bounds, directions) if directions.shape[1] <= exact else wrapped_rows(bounds, directions)


@dataclass(eq=False)
class GroupLP:
    """The triangle LP of one node with a pool of multi-neuron rows, of which it has those that were violated."""

    query: Query
    node: Node
    pool: GroupRows
    model: TriangleLP = field(init=False)
    used: Array = field(init=False)  # [R] bool: rows in the LP
    usable: Array = field(init=False)  # [R] bool: all members have columns; without one a neuron is 0, its z unknown
    columns: tuple[Array, Array] = field(init=False)
    rounds: int = 0

    def __post_init__(self) -> None:
        self.model = TriangleLP(self.query, self.node)
        self.used = np.zeros(len(self.pool), dtype=bool)
        self.columns = member_columns(self.query, self.model.triangles)
        there = (self.pool.z != 0.0) | (self.pool.y != 0.0)
        self.usable = ((self.columns[0][self.pool.neurons] >= 0) | ~there).all(axis=1)

    def minimise(self, disjunct: int, deadline: float) -> LPBound:
        """Bound the disjunct's largest margin from below, adding rows until none is violated or it is refuted."""
        first = best = self.model.minimise(disjunct, max(deadline - time.monotonic(), 0.01))
        for _ in range(ROUNDS):
            if best.bound > 0.0 or best.status != "optimal" or time.monotonic() > deadline:
                break
            added = self._separate()
            if not added:
                break
            self.rounds += 1
            now = self.model.minimise(disjunct, max(deadline - time.monotonic(), 0.01))
            gain = now.bound - best.bound
            best = now if now.bound >= best.bound else best
            if now.status != "optimal" or not gain > WORTH * (best.bound - first.bound):
                break
        return best

    def _separate(self) -> int:
        """Add the rows that the LP's point violates most; how many."""
        point = self.model.triangles.lp.point()
        first, second = (np.where(c >= 0, point[np.maximum(c, 0)], 0.0) for c in self.columns)
        values = self.pool.values(first - second, first)
        scale = np.maximum(np.abs(self.pool.z).max(axis=1, initial=0.0), np.abs(self.pool.y).max(axis=1, initial=0.0))
        open_rows = np.flatnonzero(self.usable & ~self.used & (values < -VIOLATED * scale))
        chosen = open_rows[np.argsort((values / scale)[open_rows], kind="stable")[:AT_ONCE]]
        add_group_rows(self.model.triangles, self.node, self.columns, self.pool[chosen])
        self.used[chosen] = True
        return len(chosen)


def member_columns(query: Query, triangles: Triangles) -> tuple[Array, Array]:
    """[neurons + inputs] the columns of y and s of every neuron that has both, else -1; inputs have one column."""
    inputs = np.arange(query.network.input_size)
    both = (triangles.first >= 0) & (triangles.second >= 0)
    first, second = (np.where(both, c, -1) for c in (triangles.first, triangles.second))
    return np.append(first, inputs), np.append(second, np.full(len(inputs), -1))


def add_group_rows(triangles: Triangles, node: Node, columns: tuple[Array, Array], rows: GroupRows) -> None:
    """Append rows whose members all have columns (`member_columns`) to the LP."""
    if not len(rows):
        return
    count, size = rows.neurons.shape
    total = rows.z + rows.y
    places = np.concatenate([c[rows.neurons] for c in columns], axis=1)
    entries = np.concatenate([total, -rows.z], axis=1)
    row, place = np.nonzero((entries != 0.0) & (places >= 0))
    matrix = sp.csr_array((entries[row, place], (row, places[row, place])), shape=(count, triangles.lp.columns))
    # A + B is rounded once: what that can be worth goes into the constant
    reach = np.append(np.maximum(node.pre_upper, 0.0), np.maximum(np.abs(node.lower), np.abs(node.upper)))
    slack = 2.0 * EPS * (np.abs(total) * reach[rows.neurons]).sum(axis=1) * UP
    low = np.nextafter(-(rows.constants + slack), -np.inf)
    triangles.lp.add_rows(matrix, low, np.full(count, np.inf))
