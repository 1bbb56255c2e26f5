"""Stage `split`, many inputs: the search over ReLU phases, without the ReLUs that are 0 on the whole input set.

A node that stays open gets hidden bounds of its own (*refreshed*) or keeps its parent's (*inherited*). The first
makes trees of hundreds of nodes where the second leaves a hundred thousand open (mnist_fc, eran_mnist, oval21 deep), at
ten to a hundred nodes a second; on large networks a refreshed node takes seconds, and only inherited bounds get
anywhere. The time that the same ascent took at the root decides.
"""

from __future__ import annotations

import logging
import time

import numpy as np

from ...encodings.slopes.implications import Implications, implications
from ...encodings.slopes.phase_bounds import phase_node_mb
from ...encodings.slopes.row_multipliers import RowPool
from ...heuristics.policy import Stage, probes_root
from ..run.budget import Budget
from ..steps.phase_branching import EVALUATED, PhaseBranching
from ..steps.phases import PhaseSteps
from ..tree.evidence import Evidence
from .ladders import closers_of, tell
from .work import Work

__all__ = ["split_phases"]

LOG = logging.getLogger(__name__)


def split_phases(work: Work, stage: Stage, budget: Budget) -> None:
    """Phases by the stage's rule; the steps are set up once, and again where the root has become tighter."""
    if work.implied is None:
        work.refute_by_inherited()
        if work.tree.closed:
            return
        work.reduce()
        if probes_root(work.options.probing):
            from .root_probing import probe_root

            probe_root(work)
            if work.tree.closed:
                return
        work.implied = _imply(work)
        if work.tree.closed:
            return
    if work.phases is None:
        work.phases = _steps(work, work.implied, stage.rule)
    batch = work.options.batch or work.efforts.phases.batch
    work.search(work.phases, budget, batch, phase_node_mb(work.query), stage.trial)
    kind = "refreshed" if work.phases.refresh else "inherited"
    LOG.info("phases, %s bounds: %d nodes, depth %d, %d open", kind, work.tree.size, work.tree.deepest,
             work.tree.count_open)  # fmt: skip
    tell(work)


def _imply(work: Work) -> Implications:
    """What phases force, and what holds on the whole root by that."""
    tree, share = work.tree, work.efforts.phases.implications
    implied = implications(work.query, tree.root, deadline=time.monotonic() + share * work.limits.remaining)
    implied.settle(tree.root)
    tree.learn(Evidence.LINEAR, lower=tree.root.pre_lower[0], upper=tree.root.pre_upper[0])
    return implied


def _steps(work: Work, implied: Implications, rule: str) -> PhaseSteps:
    query, efforts = work.query, work.efforts
    hidden = sum(kind != "identity" for kind in query.kinds)
    refresh = efforts.phases.refreshes(work.ascent_seconds, hidden) and work.options.node_bounds != "linear"
    supposed = efforts.phases.supposes(hidden) and work.options.node_bounds != "linear"
    closers = closers_of(work, phases=True, refreshed=refresh)
    effort, evidence = efforts.phases, Evidence.SLOPES
    if work.options.node_bounds == "linear":
        effort, evidence = effort.plain(), Evidence.LINEAR
    root = work.tree.root
    open_at_root = np.any((root.pre_lower < 0.0) & (root.pre_upper > 0.0) & query.relu, axis=0)
    return PhaseSteps(
        query, work.candidates, work.exact, rule, refresh, supposed, open_at_root, implied,
        RowPool(query, work.rows) if work.rows is not None else None,
        PhaseBranching(query, rule, efforts.branching) if rule in EVALUATED else None, closers, evidence, effort,
    )  # fmt: skip
