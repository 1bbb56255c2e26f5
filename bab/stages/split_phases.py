"""Stage `split`, many inputs: the search over ReLU phases, without the ReLUs that are 0 on the whole input set.

A node that stays open gets hidden bounds of its own (*refreshed*) or keeps its parent's (*inherited*). The first
makes trees of hundreds of nodes where the second leaves a hundred thousand open (mnist_fc, eran_mnist, oval21 deep), at
ten to a hundred nodes a second; on large networks a refreshed node takes seconds, and only inherited bounds get
anywhere. The time that the same ascent took at the root decides.
"""

from __future__ import annotations

import logging
import time

from ...encodings.slopes.implications import Implications, implications
from ...encodings.slopes.phase_bounds import phase_node_mb
from ...encodings.slopes.row_multipliers import RowPool
from ...heuristics.policy import Stage
from ..closers.node_lp import NodeLP
from ..closers.node_milp import NodeMilp
from ..run.budget import Budget
from ..steps.phase_branching import EVALUATED, PhaseBranching
from ..steps.phases import Closer, PhaseSteps
from ..tree.evidence import Evidence
from .work import Work

__all__ = ["split_phases"]

LOG = logging.getLogger(__name__)
BATCH = 32  # nodes at a time
IMPLICATIONS = 0.02  # share of the time that the table of implications may take
QUICK_ASCENT = 1.0  # seconds of the hidden neurons' ascent at the root up to which nodes get one, too


def split_phases(work: Work, stage: Stage, budget: Budget) -> None:
    """Phases by the stage's rule; the steps are set up once, and again where the root has become tighter."""
    if work.implied is None:
        work.refute_by_inherited()
        if work.tree.closed:
            return
        work.reduce()
        work.implied = _imply(work)
        if work.tree.closed:
            return
    if work.phases is None:
        work.phases = _steps(work, work.implied, stage.rule)
    work.search(work.phases, budget, work.options.batch or BATCH, phase_node_mb(work.query))
    kind = "refreshed" if work.phases.refresh else "inherited"
    LOG.info("phases, %s bounds: %d nodes, depth %d, %d open", kind, work.tree.size, work.tree.deepest,
             work.tree.count_open)  # fmt: skip


def _imply(work: Work) -> Implications:
    """What phases force, and what holds on the whole root by that."""
    tree = work.tree
    implied = implications(work.query, tree.root, deadline=time.monotonic() + IMPLICATIONS * work.limits.remaining)
    implied.settle(tree.root)
    tree.learn(Evidence.LINEAR, lower=tree.root.pre_lower[0], upper=tree.root.pre_upper[0])
    return implied


def _steps(work: Work, implied: Implications, rule: str) -> PhaseSteps:
    query, tree, limits = work.query, work.tree, work.limits
    # bounds of a single hidden layer are the box's, whatever the phases; its slopes' optimum is the LP's
    single = sum(kind != "identity" for kind in query.kinds) == 1
    refresh = work.ascent_seconds < QUICK_ASCENT and not single
    closers: list[Closer] = []
    if not refresh and not single:  # an LP knows what refreshed bounds know already
        closers.append(NodeLP(query, limits.deadline, work.candidates.rng).close)
    if work.options.method == "auto":
        closers.append(NodeMilp(query, work.options, limits.deadline, tree, work.exact).close)
    return PhaseSteps(
        query, work.candidates, work.exact, rule, refresh, implied,
        RowPool(query, work.rows) if work.rows is not None else None,
        PhaseBranching(query, rule) if rule in EVALUATED else None, closers,
    )  # fmt: skip
