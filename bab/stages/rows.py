"""Stage `groups`: disjuncts closed at the root by rows of several neurons; tighter hidden bounds stay.

Where hidden bounds had trees of their own, too, what is refuted counts as theirs.
"""

from __future__ import annotations

import logging

import numpy as np

from ...heuristics.neuron_groups import Wanted
from ...heuristics.policy import Stage
from ..closers.regions import open_disjuncts
from ..run.budget import Budget
from ..tree.evidence import Evidence
from .groups import close_by_groups
from .root_rows import branches, refine_root
from .work import Work

__all__ = ["rows"]

LOG = logging.getLogger(__name__)


def rows(work: Work, stage: Stage, budget: Budget) -> None:
    """Layer by layer with LPs on small networks, by multipliers on larger ones."""
    bounds = work.refute_by_inherited()
    query, root = work.query, work.tree.root
    if work.tree.closed:
        return
    efforts, options = work.efforts, work.options
    wanted = Wanted(options.groups, options.k, options.subsets, options.seed)
    if work.unstable(root.pre_lower, root.pre_upper) <= efforts.groups.layerwise:
        evidence = Evidence.GROUPS
        outcome = close_by_groups(query, root.node(0), bounds, budget.left, efforts.groups._replace(wanted=wanted))
    else:
        effort = efforts.root_rows._replace(wanted=wanted)
        evidence = Evidence.BRANCHED if branches(query, effort) else Evidence.GROUPS
        if evidence is Evidence.BRANCHED and options.rows == "auto" and work.tree.open_share < effort.least_open:
            LOG.info("rows: %.3g of the tree is open, which closes by itself", work.tree.open_share)
            return
        outcome = refine_root(query, root, bounds, budget.left, effort)
    asked = open_disjuncts(query, bounds.margins[0], root.duty[0])
    refuted = asked if outcome.empty else [k for k in outcome.closed if root.duty[0, k]]
    if not outcome.empty and outcome.points and len(refuted) < len(asked):
        work.found(work.candidates.check(np.array(outcome.points)), evidence.words)
    work.tree.learn(evidence, refuted, outcome.node.pre_lower, outcome.node.pre_upper)
    work.phases, work.implied, work.rows = None, None, outcome.pool
