"""The LP with rows of several neurons, made for the node's own region (k-ReLU; Singh et al. 2019).

First the rows that the node inherits are separated at the LP's point; where they do not suffice, groups of its unstable
ReLUs get octahedra of the node's own region, and their hulls' rows come in the same way, with those of pooling windows.
Rows that bind at the last
point are handed down. Bounds are the LP's safe dual ones (`encodings.neuron_groups.group_lp`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np

from ...encodings.linear.linear_bounds import LinearBoundOptions, bound
from ...encodings.neuron_groups.group_lp import VIOLATED, GroupLP, group_rows
from ...encodings.neuron_groups.windows import window_rows
from ...encodings.slopes.group_rows import GroupRows
from ...heuristics.efforts import RowRungEffort
from ...heuristics.neuron_groups import Wanted
from ...instances.batch import Batch, Node
from ...instances.network import Array
from ...instances.query import Query
from ..closers.regions import Check, bounded
from ..steps.ascents import ascent
from ..tree.evidence import Evidence
from .kept_rows import KeptRows
from .rung import Climb, duties_of

__all__ = ["RowRung"]


class RowRung:
    """See `Rung`."""

    name = "rows"

    def __init__(
        self, query: Query, kept: KeptRows, wanted: Wanted | None = None, effort: RowRungEffort | None = None
    ) -> None:
        self.query, self.kept, self.wanted = query, kept, wanted or Wanted()
        self.effort = effort or RowRungEffort()

    def climb(self, batch: Batch, margins: Array, check: Check, deadline: float) -> Climb:
        """See `Rung`."""
        found = Climb.nothing(batch, Evidence.GROUPS)
        for b in range(len(batch)):
            if time.monotonic() >= deadline:
                break
            if bounded(batch.node(b)):
                found.asked[b] = True
                self._node(batch, b, duties_of(self.query, batch, b, margins), found, deadline)
        return found

    def _node(self, batch: Batch, b: int, duties: list[int], found: Climb, deadline: float) -> None:
        """Inherited rows first, then, where they leave something open, the node's own as well."""
        node, rows, point = batch.node(b), self.kept.holding(batch, b), None
        for own in (False, True):
            if own:
                rows = GroupRows.concatenate([rows, self._rows(node, deadline)])
            if not len(rows):
                continue
            lp = GroupLP(self.query, node, rows)
            point, binding = self._minimise(lp, b, duties, found, deadline)
            self.kept.keep(batch, b, rows[binding])
            if (found.bounds[b, duties] > 0.0).all():
                return
        if point is not None:
            found.points.append(point)

    def _minimise(
        self, lp: GroupLP, b: int, duties: list[int], found: Climb, deadline: float
    ) -> tuple[Array | None, Array]:
        """Bounds of the duties that are open, until one resists; the last LP's input, and [R] bool what binds there."""
        point = None
        for k in duties:
            if found.bounds[b, k] > 0.0:
                continue
            answer = lp.minimise(k, min(deadline, time.monotonic() + self.effort.seconds))
            point, found.bounds[b, k] = answer.point, max(found.bounds[b, k], answer.bound)
            if answer.bound == np.inf:  # no input is left, whatever is asked
                found.bounds[b] = np.inf
            if answer.bound == np.inf or not answer.bound > 0.0:
                break
        return point, lp.used if point is None else _binding(lp)

    def _rows(self, node: Node, deadline: float) -> GroupRows:
        """Rows of groups of the node's unstable ReLUs that weigh most in the margins, and of maxima."""
        plain = bound(self.query, node.batch, LinearBoundOptions(hidden=False))
        weights = np.nan_to_num(plain.multipliers[0]).max(axis=0)

        def groups(layer: int) -> Iterable[Array]:
            return self.wanted.of_layer(self.query, node, layer, self.effort.sizes, self.effort.groups, weights)

        found = group_rows(self.query, node, groups, ascent(self.effort.ascent), deadline=deadline)
        return GroupRows.concatenate([found, window_rows(self.query, node)])


def _binding(lp: GroupLP) -> Array:
    """[R] bool: rows in the LP that its last point meets with equality, up to the solver's tolerance."""
    point = lp.model.triangles.lp.point()
    first, second = (np.where(c >= 0, point[np.maximum(c, 0)], 0.0) for c in lp.columns)
    scale = np.maximum(np.abs(lp.pool.z).max(axis=1), np.abs(lp.pool.y).max(axis=1))
    return np.asarray(lp.used & (lp.pool.values(first - second, first) <= VIOLATED * scale))
