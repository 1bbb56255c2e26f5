"""Multi-neuron rows at the root without LPs: tighter hidden bounds, disjuncts closed, rows for the nodes to inherit.

Hidden bounds are refined by small trees over the phases of the layers before, too (`encodings.slopes.branched_bounds`):
on deep networks these win far more than the rows do. Of the disjuncts that stay open the most suspicious one gets
rounds of its own (`supposed_margins`), and if these refute it the next, until one resists.

Rows of pairs of ReLUs with multipliers in back-substitution (`encodings.neuron_groups.group_ascent`) win at the root
what LPs with the same rows win, in less time; docs/performance.md has the figures. `Options.groups`, `k` and `subsets`
choose the groups.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...encodings.linear.bounds import Bounds
from ...encodings.linear.reduction import kept_neurons, reduced, restrict
from ...encodings.neuron_groups.group_ascent import refine_by_ascent
from ...encodings.neuron_groups.supposed_margins import refute_by_supposing
from ...encodings.slopes.branched_bounds import Branching
from ...encodings.slopes.phase_bounds import bound_phases, disjunct_functions
from ...encodings.slopes.row_multipliers import RowPool
from ...heuristics.efforts import RootRowsEffort
from ...instances.batch import Batch, Node
from ...instances.network import Array
from ...instances.query import Query
from ..steps.ascents import ascent
from .groups import GroupOutcome

__all__ = ["branches", "refine_root", "rows_at_root"]

LOG = logging.getLogger(__name__)


def refine_root(
    query: Query, batch: Batch, bounds: Bounds, seconds: float, effort: RootRowsEffort | None = None
) -> GroupOutcome:
    """Hidden bounds by multipliers of multi-neuron rows, and the disjuncts that these close.

    batch: one node with finite bounds; bounds: its plain ones.
    """
    effort, end = effort or RootRowsEffort(), time.monotonic() + seconds
    multipliers = np.maximum(bounds.multipliers[0], 0.0).max(axis=0)
    small, before, node, pool, kept = rows_at_root(query, batch, bounds, effort.rows_share * seconds, effort)
    lower, upper = batch.pre_lower[0].copy(), batch.pre_upper[0].copy()
    lower[kept], upper[kept] = node.pre_lower[0], node.pre_upper[0]
    outcome = GroupOutcome(replace(batch, pre_lower=lower[None], pre_upper=upper[None]).node(0), rows=len(pool))
    if (lower > upper).any():
        outcome.empty = True
        return outcome
    found, numbers = bound_phases(small, node, ascent(effort.margins, end), pool=pool)
    closed = batch.duty[0] & (small.per_disjunct(found.margins)[0] > 0.0)
    outcome.closed = np.flatnonzero(closed).tolist()
    if found.points is not None:
        outcome.points.append(found.points[0])
    mus = np.nan_to_num(numbers.mus[0]).max(axis=0)
    outcome.pool = pool.best(mus, effort.kept).rows.renamed(np.flatnonzero(kept))
    left = np.flatnonzero(batch.duty[0] & ~closed)
    if len(left) and effort.rounds and not _single(small) and time.monotonic() < end:
        outcome.closed += _supposed(small, node, pool, left, _groups(small, multipliers[kept], effort), end, effort)
    LOG.info("rows: %d, %d for the nodes; %d of %d unstable ReLUs left, %d disjuncts closed", len(pool),
             len(outcome.pool), _unstable(small, node), _unstable(small, before), len(outcome.closed))  # fmt: skip
    return outcome


def branches(query: Query, effort: RootRowsEffort) -> bool:
    """Whether hidden bounds of some layer have trees of their own."""
    branching = Branching(*effort.leaves)
    return any(branching.of_layer(query, k) > 1 for k in range(1, len(query.kinds) + 1))


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

    groups = _groups(small, multipliers, effort)
    node, pool = refine_by_ascent(
        small, before, groups, ascent(effort.hidden), end, ascent(effort.octahedra), branching=Branching(*effort.leaves)
    )
    return small, before, node, pool, kept


def _groups(query: Query, multipliers: Array, effort: RootRowsEffort) -> Callable[[int, Node], list[Array]]:
    """Groups of a layer, given the bounds found so far."""
    sizes, most = (effort.single_sizes, effort.single_most) if _single(query) else (effort.sizes, effort.most)
    return lambda k, known: effort.wanted.of_layer(query, known, k, sizes, most, multipliers)


def _single(query: Query) -> bool:
    """Whether there is a single hidden layer with activations."""
    return sum(kind != "identity" for kind in query.kinds) == 1


def _supposed(
    query: Query, node: Batch, pool: RowPool, left: Array, groups: Callable[[int, Node], list[Array]], end: float,
    effort: RootRowsEffort,
) -> list[int]:  # fmt: skip
    """Those of the disjuncts `left` that rounds of their own refute, the most suspicious first, until one resists."""
    margins, closed = ascent(effort.margins, end), []
    values = disjunct_functions(query, node, left, margins, pool)[2]
    for d in left[np.argsort(values, kind="stable")].tolist():
        found = refute_by_supposing(
            query, node, d, pool, groups, ascent(effort.hidden, end), ascent(effort.octahedra, end), margins,
            effort.rounds, end,
        )  # fmt: skip
        LOG.info("rows: disjunct %d, bound %.4g after %d rounds", d, found.bound, found.rounds)
        if not found.bound > 0.0:
            break
        closed.append(d)
    return closed


def _unstable(query: Query, batch: Batch) -> int:
    return int(((batch.pre_lower < 0.0) & (batch.pre_upper > 0.0) & query.relu).sum())
