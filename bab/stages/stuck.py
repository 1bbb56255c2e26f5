"""Stuck nodes: what could be neither closed nor split goes to SCIP with the time that is left, and to its proof.

Such nodes are small, few or touch the forbidden set: SCIP, with tolerances of its own, finds where to look, and its
points are replayed. What it says is advice, as everywhere; the conflict search is asked whatever SCIP says,
for SCIP calls a margin of a few 1e-9 a solution. `numerics` is the reason only where both gave up.
"""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np

from ...instances.network import Array
from ..closers.asking import Asked, Asking
from ..run.budget import Budget
from ..tree.evidence import Evidence, State
from .work import Work

__all__ = ["close_stuck"]

LOG = logging.getLogger(__name__)


def close_stuck(work: Work, budget: Budget) -> None:
    """Ask about all stuck nodes of a tree with nothing open, one after another; the tree writes down what has ended."""
    tree, effort, last = work.tree, work.efforts.stuck, ""
    asking = Asking(work.query, work.options, work.exact, work.limits.deadline)
    left = tree.count_stuck
    for place, batch in enumerate(tree.stuck):
        kinds, duty = np.full(len(batch), State.STUCK, dtype=np.int8), batch.duty.copy()
        for b in range(len(batch)):
            seconds = 0.5 * budget.left / left  # SCIP's, and the proof's
            left -= 1
            if seconds < effort.least or work.witness or work.exact.found:
                break
            asked, why = _ask(work, asking, place, b, seconds)
            last = why or last
            if not asked.left:
                kinds[b] = Evidence.SCIP if asked.trusted else Evidence.CONFLICTS
            elif not asked.trusted:  # what ends the node later will not tell what SCIP said
                duty[b, asked.refuted] = False
            if work.found(asked.witness, "milp"):
                break
        tree.resolve(place, kinds, duty)
    tree.stuck = [batch for batch in tree.stuck if len(batch)]
    if not work.decided:
        work.stopped = work.numerics("; ".join(filter(None, (work.exact.left, last))))


def _ask(work: Work, asking: Asking, place: int, b: int, seconds: float) -> tuple[Asked, str]:
    """What became of a node, and why it is open."""
    node = work.tree.stuck[place].node(b)
    duties = np.flatnonzero(node.duty).tolist()
    if not _finite(node.pre_lower, node.pre_upper):
        return Asked(left=len(duties)), "SCIP: no finite bounds"
    asked = asking(node, duties, work.candidates.check, seconds, seconds, anyway=True)
    work.counts += Counter({f"conflict_{name}": count for name, count in asked.counts.items()})
    work.counts["scip_runs"] += 1
    LOG.info("stuck node at depth %d: %d of %d disjuncts refuted %s", node.depth, len(asked.refuted), len(duties),
             asked.why)  # fmt: skip
    return asked, f"SCIP: {asked.why}" if asked.left else ""


def _finite(*bounds: Array) -> bool:
    return all(bool(np.isfinite(some).all()) for some in bounds)
