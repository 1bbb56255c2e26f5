"""The stage of multi-neuron rows: disjuncts closed at the root by an LP that knows what groups of ReLUs do together.

Small networks get the layer-wise relaxation (`encodings.group_refinement`), with inputs that go past a layer in the
groups; larger ones rows from octahedral bounds by back-substitution with optimised slopes, separated by violation
(`encodings.group_lp`). Hulls of pooling windows (`encodings.windows`) are among the rows of both. Either is rigorous.
Cuts that bind for one disjunct stay in the LP for the next.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ...encodings.linear.bounds import Bounds
from ...encodings.neuron_groups.group_lp import GroupLP, group_rows
from ...encodings.neuron_groups.group_refinement import refine_by_groups
from ...encodings.neuron_groups.windows import window_bounds, window_rows
from ...encodings.slopes.group_rows import GroupRows
from ...heuristics.efforts import GroupEffort
from ...heuristics.neuron_groups import groups_with_inputs
from ...instances.batch import Node
from ...instances.network import Array
from ...instances.query import Query
from ..closers.regions import open_disjuncts
from ..steps.ascents import ascent

__all__ = ["GroupOutcome", "close_by_groups", "rows_for"]

LOG = logging.getLogger(__name__)


@dataclass(eq=False)
class GroupOutcome:
    """What the rows brought."""

    node: Node  # with tighter hidden bounds, where these were refined
    closed: list[int] = field(default_factory=list)  # disjuncts that the LP refuted, rigorously
    bounds: dict[int, float] = field(default_factory=dict)  # of every disjunct asked
    points: list[Array] = field(default_factory=list)  # [inputs] of the LPs that did not: candidates
    rows: int = 0  # in the LP
    pool: GroupRows | None = None  # rows that the search's nodes may use
    empty: bool = False  # the node holds no input


def close_by_groups(
    query: Query, node: Node, bounds: Bounds, seconds: float, effort: GroupEffort | None = None
) -> GroupOutcome:
    """Ask about the disjuncts that `bounds` [1 node] leave open, most suspicious first, until one resists.

    Where every layer may have LPs of its own, rows that need none are asked first: they cost a fraction, and on nested
    maxima they suffice.
    """
    effort, deadline = effort or GroupEffort(), time.monotonic() + seconds
    multipliers = np.maximum(bounds.multipliers[0], 0.0).max(axis=0)
    outcome, open_still = GroupOutcome(node), open_disjuncts(query, bounds.margins[0])
    for layerwise in (False, True):
        if layerwise and not _few(query, outcome.node, effort):
            break
        end = time.monotonic() + effort.rows_share * (deadline - time.monotonic())
        refined, pool = rows_for(query, outcome.node, multipliers, end, effort, layerwise)
        outcome.node = refined
        if (refined.pre_lower > refined.pre_upper).any():
            outcome.empty = True
            return outcome
        open_still = _ask(query, GroupLP(query, refined, pool), open_still, outcome, deadline)
        LOG.info("groups: %d rows, %d of them used; bounds %s", len(pool), outcome.rows,
                 ", ".join(f"{k}: {v:.4g}" for k, v in outcome.bounds.items()))  # fmt: skip
        if not open_still:
            break
    return outcome


def rows_for(
    query: Query, node: Node, multipliers: Array | None, deadline: float, effort: GroupEffort | None = None,
    layerwise: bool | None = None,
) -> tuple[Node, GroupRows]:  # fmt: skip
    """(the node, perhaps with tighter hidden bounds; rows of groups chosen by multipliers and correlation).

    layerwise: with LPs of every layer's own; None: where that is quick.
    """
    effort = effort or GroupEffort()

    def within(k: int, known: Node, most: int, variants: int = 1) -> list[Array]:
        return effort.wanted.of_layer(query, known, k, effort.sizes, most, multipliers, variants)

    if _few(query, node, effort) if layerwise is None else layerwise:

        def members(k: int, known: Node) -> Iterable[Array]:
            start = query.slices[k - 1].start
            chosen = within(k, known, effort.most_small, effort.variants)
            return [groups_with_inputs(query, known, k), *(g + start for g in chosen)]

        return refine_by_groups(query, node, members, deadline, windows=True)
    options, node = ascent(effort.ascent), window_bounds(query, node)
    found = group_rows(query, node, lambda k: within(k, node, effort.most_large), options, deadline=deadline)
    return node, GroupRows.concatenate([found, window_rows(query, node)])


def _ask(query: Query, lp: GroupLP, asked: list[int], outcome: GroupOutcome, deadline: float) -> list[int]:
    """The disjuncts that are still open; what the LP says of each is told in the outcome."""
    left = list(asked)
    for k in asked:
        if time.monotonic() > deadline:
            break
        answer = lp.minimise(k, deadline)
        outcome.bounds[k] = answer.bound
        if not answer.bound > 0.0:
            if answer.point is not None:
                outcome.points.append(answer.point)
            break
        outcome.closed.append(k)
        left.remove(k)
    outcome.rows = int(lp.used.sum())
    return left


def _few(query: Query, node: Node, effort: GroupEffort) -> bool:
    """Whether there are so few unstable ReLUs that LPs of every layer's own are quick."""
    unstable = (node.pre_lower < 0.0) & (node.pre_upper > 0.0) & query.relu
    return bool(unstable.sum() <= effort.layerwise)
