"""Multi-neuron relaxation, layer by layer, without a single LP.

Hidden bounds and octahedral bounds of a layer come from back-substitution with multipliers of the rows of all layers
before (`row_multipliers`), rows of its groups from these, and so on: what kPoly does by LPs, at the price of matrix
products. Bounds and rows are rigorous.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from ...instances.batch import Batch, Node
from ...instances.network import Array
from ...instances.query import Query
from ..slopes.branched_bounds import Branching, branch_layer
from ..slopes.group_rows import GroupRows
from ..slopes.optimised_bounds import OptimiseOptions
from ..slopes.phase_bounds import hidden_minima
from ..slopes.row_multipliers import RowPool
from .group_bounds import octahedral_bounds
from .group_lp import EXACT, directions_for, rows_of_bounds

__all__ = ["refine_by_ascent"]


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end proves nothing
def refine_by_ascent(
    query: Query, batch: Batch, groups: Callable[[int, Node], Iterable[Array]], options: OptimiseOptions,
    deadline: float, octahedra: OptimiseOptions | None = None, exact: int = EXACT,
    branching: Branching | None = None,
) -> tuple[Batch, RowPool]:  # fmt: skip
    """The node with tighter pre-activation bounds, and the rows of all groups.

    batch: one node with finite bounds; groups(k, node): arrays [G, K] of rows of layer k, given the bounds found so
    far; options, octahedra: of the ascents behind hidden and octahedral bounds; deadline: time.monotonic() from which
    on layers keep their bounds and get no rows; branching: of the unstable neurons' bounds, too.
    """
    batch = replace(batch, pre_lower=batch.pre_lower.copy(), pre_upper=batch.pre_upper.copy())
    pool = RowPool(query, GroupRows.none())
    for k, (kind, part) in enumerate(zip(query.kinds, query.slices, strict=True), start=1):
        if kind != "relu" or time.monotonic() > deadline:
            continue
        unstable = np.flatnonzero((batch.pre_lower[0, part] < 0.0) & (batch.pre_upper[0, part] > 0.0))
        if k > 1 and not _tighten(query, batch, k, unstable, options, pool):
            break
        if branching:
            branch_layer(query, batch, k, branching, deadline, pool)
            if (batch.pre_lower > batch.pre_upper).any():
                break
        chosen = [members for members in groups(k, batch.node(0)) if len(members)]
        if k > 1 and chosen:  # how far a stable member reaches is a direction of its group, too
            inside = np.unique(np.concatenate([members.ravel() for members in chosen]))
            if not _tighten(query, batch, k, np.setdiff1d(inside, unstable), options, pool):
                break
        parts = [pool.rows]
        for members in chosen:
            if time.monotonic() < deadline:
                directions = directions_for(members.shape[1])
                bounds = octahedral_bounds(query, batch, k, members, directions, octahedra or options, pool)
                rows = rows_of_bounds(bounds, directions, exact)
                parts.append(GroupRows(members[rows.group] + part.start, rows.z, rows.y, rows.constants))
        pool = RowPool(query, GroupRows.concatenate(parts))
    return batch, pool


def _tighten(query: Query, batch: Batch, k: int, rows: Array, options: OptimiseOptions, pool: RowPool) -> bool:
    """Bound these neurons of layer k anew, in place; False where the node turns out to hold no input."""
    if len(rows):
        twice, part = np.repeat(rows, 2), query.slices[k - 1]
        found = hidden_minima(query, batch, k, np.zeros_like(twice), twice, options, pool)
        lower, upper = batch.pre_lower[0, part], batch.pre_upper[0, part]  # views
        lower[rows], upper[rows] = np.fmax(lower[rows], found[::2]), np.fmin(upper[rows], -found[1::2])
    return bool((batch.pre_lower <= batch.pre_upper).all())
