"""Stage `slopes`: hidden neurons' bounds at the root by optimised slopes, on top of what pooling windows tell."""

from __future__ import annotations

import logging
import time

from ...encodings.linear.linear_bounds import smallest_margins
from ...encodings.neuron_groups.windows import maxima_of, window_bounds
from ...encodings.slopes.optimised_bounds import tighten
from ...heuristics.policy import Stage
from ..run.budget import Budget
from ..steps.ascents import ascent
from ..tree.evidence import Evidence
from .work import Work

__all__ = ["slopes"]

LOG = logging.getLogger(__name__)


def slopes(work: Work, stage: Stage, budget: Budget) -> None:
    """Tighter bounds of the root's hidden neurons, and what they refute."""
    started, query = time.thread_time(), work.query
    if maxima_of(query):
        node = window_bounds(query, work.tree.root.node(0))
        work.tree.learn(Evidence.LINEAR, [], node.pre_lower, node.pre_upper)
        if work.tree.closed:
            return
    root = work.tree.root
    known = work.inherited(conjunctions=True)
    options = ascent(work.efforts.slopes, time.monotonic() + budget.left, conjunctions=True)
    bounds = tighten(query, root, known, options)
    work.ascent_seconds = time.thread_time() - started  # a machine that is busy is none that computes more slowly
    before, after = (work.unstable(b.pre_lower, b.pre_upper) for b in (known, bounds))
    LOG.info("slopes: bound %.6g, %d of %d unstable ReLUs left", bounds.margins.min(), after, before)
    empty = bool(bounds.infeasible[0])
    refuted = range(query.disjuncts) if empty else (query.per_disjunct(bounds.margins)[0] > 0.0).nonzero()[0].tolist()
    work.tree.learn(Evidence.SLOPES, [k for k in refuted if root.duty[0, k]], bounds.pre_lower[0], bounds.pre_upper[0])
    if not work.tree.closed:
        work.tree.lift(smallest_margins(query, bounds))
