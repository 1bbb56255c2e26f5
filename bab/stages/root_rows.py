"""Multi-neuron rows at the root without LPs: tighter hidden bounds, disjuncts closed, rows for the nodes to inherit.

Rows of pairs of ReLUs with multipliers in back-substitution (`encodings.group_ascent`) win at the root what LPs with
the same rows win, in less time. Trees with hidden bounds anew in every node hardly shrink by it, so this
is done where it is asked for (`Options.rows`); docs/performance.md has the figures.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import numpy as np

from ...encodings.linear.bounds import Bounds
from ...encodings.linear.reduction import kept_neurons, reduced, restrict
from ...encodings.neuron_groups.group_ascent import refine_by_ascent
from ...encodings.slopes.phase_bounds import bound_phases
from ...encodings.slopes.row_multipliers import RowPool
from ...heuristics.efforts import RootRowsEffort
from ...heuristics.neuron_groups import Grouping, groups_of_layer
from ...instances.batch import Batch, Node
from ...instances.network import Array
from ...instances.query import Query
from ..steps.ascents import ascent
from .groups import GroupOutcome

__all__ = ["refine_root", "rows_at_root"]

LOG = logging.getLogger(__name__)


def refine_root(
    query: Query, batch: Batch, bounds: Bounds, seconds: float, effort: RootRowsEffort | None = None
) -> GroupOutcome:
    """Hidden bounds by multipliers of multi-neuron rows, and the disjuncts that these close.

    batch: one node with finite bounds; bounds: its plain ones.
    """
    effort, end = effort or RootRowsEffort(), time.monotonic() + seconds
    small, before, node, pool, kept = rows_at_root(query, batch, bounds, effort.rows_share * seconds, effort)
    lower, upper = batch.pre_lower[0].copy(), batch.pre_upper[0].copy()
    lower[kept], upper[kept] = node.pre_lower[0], node.pre_upper[0]
    outcome = GroupOutcome(replace(batch, pre_lower=lower[None], pre_upper=upper[None]).node(0), rows=len(pool))
    if (lower > upper).any():
        outcome.empty = True
        return outcome
    found, numbers = bound_phases(small, node, ascent(effort.margins, end), pool=pool)
    outcome.closed = np.flatnonzero(batch.duty[0] & (small.per_disjunct(found.margins)[0] > 0.0)).tolist()
    if found.points is not None:
        outcome.points.append(found.points[0])
    mus = np.nan_to_num(numbers.mus[0]).max(axis=0)
    outcome.pool = pool.best(mus, effort.kept).rows.renamed(np.flatnonzero(kept))
    LOG.info("rows: %d, %d for the nodes; %d of %d unstable ReLUs left, %d disjuncts closed", len(pool),
             len(outcome.pool), _unstable(small, node), _unstable(small, before), len(outcome.closed))  # fmt: skip
    return outcome


def rows_at_root(
    query: Query, batch: Batch, bounds: Bounds, seconds: float, effort: RootRowsEffort | None = None
) -> tuple[Query, Batch, Batch, RowPool, Array]:
    """(query without dead ReLUs, its node before and after, the rows, [neurons] bool which are left).

    Groups of a single hidden layer cost next to nothing, for their octahedra are minima over a box: there are many.
    """
    effort, end = effort or RootRowsEffort(), time.monotonic() + seconds
    kept = kept_neurons(query, batch)
    small, before = reduced(query, kept), restrict(batch, kept)
    multipliers = np.maximum(bounds.multipliers[0], 0.0).max(axis=0)[kept]

    single = sum(kind != "identity" for kind in small.kinds) == 1
    sizes, most = (effort.single_sizes, effort.single_most) if single else (effort.sizes, effort.most)

    def groups(k: int, known: Node) -> list[Array]:
        return [groups_of_layer(small, known, k, Grouping(size, most), multipliers) for size in sizes]

    node, pool = refine_by_ascent(small, before, groups, ascent(effort.hidden), end, ascent(effort.octahedra))
    return small, before, node, pool, kept


def _unstable(query: Query, batch: Batch) -> int:
    return int(((batch.pre_lower < 0.0) & (batch.pre_upper > 0.0) & query.relu).sum())
