"""The search over ReLU phases, on the network without the ReLUs that are 0 on the whole input set.

A node that stays open gets hidden bounds of its own (*refreshed*) or keeps its parent's (*inherited*). The first
makes trees of hundreds of nodes where the second leaves a hundred thousand open (mnist_fc, eran_mnist, oval21 deep), at
ten to a hundred nodes a second; on large networks a refreshed node takes seconds, and only inherited bounds get
anywhere. The time that the same ascent took at the root decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...encodings.linear.reduction import kept_neurons, reduced, restrict
from ...encodings.slopes.group_rows import GroupRows
from ...encodings.slopes.implications import implications
from ...encodings.slopes.phase_bounds import phase_node_mb
from ...encodings.slopes.row_multipliers import RowPool
from ...instances.batch import Batch
from ...instances.query import Query
from ..closers.node_lp import NodeLP
from ..closers.node_milp import NodeMilp
from ..run.options import Options
from ..run.result import SCIP_FLOAT, SPLITS
from ..steps.conflicts import Conflicts
from ..steps.phase_branching import EVALUATED, PhaseBranching
from ..steps.steps import Run
from ..tree.frontier import Frontier
from ..tree.search import Outcome, Steps, search

__all__ = ["PhaseSearch"]

ASCENT = 8  # iterations on the slopes and multipliers of every node's margins
BATCH = 32  # nodes at a time
IMPLICATIONS = 0.02  # share of the time that the table of implications may take
LEARNING = 0.0  # share of the search's time for conflict clauses; 0: none, they win about what they cost
QUICK_ASCENT = 1.0  # seconds of the hidden neurons' ascent at the root up to which nodes get one, too


class PhaseSearch:
    """One query's tree of phases."""

    def __init__(
        self, whole: Query, root: Batch, run: Run, options: Options, ascent_seconds: float, rule: str = "phases",
        milp: bool = False, rows: GroupRows | None = None,
    ) -> None:  # fmt: skip
        kept = kept_neurons(whole, root)
        self.query, self.options = reduced(whole, kept), options
        pool = RowPool(self.query, rows.renamed(np.where(kept, np.cumsum(kept) - 1, -1))) if rows else None
        own = len(whole.region.rows)  # half-spaces of the property; margins' bounds are not carried here
        root = restrict(replace(root, cuts=root.cuts[:, :own], margin=root.margin.copy()), kept)
        deadline = run.limits.deadline
        implied = implications(self.query, root, deadline=time.monotonic() + IMPLICATIONS * run.limits.remaining)
        implied.settle(root)
        conflicts = Conflicts(self.query, replace(root), deadline, implied, LEARNING) if LEARNING else None
        self.frontier = Frontier(root)
        # bounds of a single hidden layer are the box's, whatever the phases; its slopes' optimum is the LP's
        single = sum(kind != "identity" for kind in self.query.kinds) == 1
        refresh = ascent_seconds < QUICK_ASCENT and not single
        # an LP knows what refreshed bounds know already
        node_lp = None if refresh or single else NodeLP(self.query, deadline, run.rng)
        branching = PhaseBranching(self.query, rule) if rule in EVALUATED else None
        self.run = replace(
            run, query=self.query, rule=rule, ascent=ASCENT, refresh=refresh, node_lp=node_lp, branching=branching,
            node_milp=NodeMilp(self.query, options, deadline, self.frontier) if milp else None,
            implied=implied, conflicts=conflicts, rows=pool,
        )  # fmt: skip

    @property
    def proof(self) -> str:
        """What an empty frontier rests on."""
        return SCIP_FLOAT if self.run.node_milp and self.run.node_milp.closed else SPLITS

    def search(self, end: float, report: Callable[[int, Frontier], None]) -> Outcome:
        """Go on with the tree until `end`."""
        run, limits, options = self.run, self.run.limits, self.options

        def stop(nodes: int, seconds: float) -> str:
            over = limits.exceeded(nodes, seconds) or run.exact.found
            return over or ("its share of time" if time.monotonic() >= end else "")

        workers = 1 if options.picture else options.jobs  # a recorder hears one round at a time
        steps = Steps(
            run.bound_phases, run.check_minimisers, run.no_clip, run.close_phases, run.split, stop,
            options.batch or BATCH, report, run.record, workers,
            lambda: min(end - time.monotonic(), limits.remaining), phase_node_mb(self.query), half_spaces=False,
            settle=run.settle,
        )  # fmt: skip
        return search(self.query, self.frontier, steps)
