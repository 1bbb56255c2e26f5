"""SCIP on open nodes while the search goes on, as long as it closes them faster than the tree does.

One node of a round goes to SCIP, the shallowest, with the disjuncts that it still has to refute and the best known
point of each as a start; other threads go on with the tree, for SCIP has a process of its own. A node at depth d is
2^-d of the tree. What SCIP closes of it per second is held against what the search closes per second: SCIP gets a
small share of the time to show what it can, more only where it is faster. Slices grow as long as they fail.

What SCIP refutes is advice: the node is closed only once the `conflict_search` has refuted all that it had to, within a
slice of its own, and the time for that counts as SCIP's. With `trust_scip` SCIP's word is enough, as long as it is
faster than the tree. SCIPs that fail, crash or lie cost their slice only. Measured on 18 nodes of mnist_fc, the tree is
26 times as fast on 256x4 property 7, and on 256x6 property 12 SCIP closes none of the four that the tree closes in
15 s.
"""

from __future__ import annotations

import threading
import time
from collections import Counter

import numpy as np

from ...heuristics.efforts import NodeMilpEffort
from ...instances.batch import Batch
from ...instances.judges.replay import Witness
from ...instances.network import Array
from ...instances.query import Query
from ..run.options import Options
from ..tree.evidence import Evidence, State
from ..tree.search import Closing
from ..tree.tree import Tree
from .asking import Asking
from .exact_step import ExactStep
from .regions import Check, bounded

__all__ = ["NodeMilp"]


class NodeMilp:
    """The threads of one search share it; one of them asks at a time."""

    def __init__(
        self, query: Query, options: Options, deadline: float, tree: Tree, exact: ExactStep,
        effort: NodeMilpEffort | None = None,
    ) -> None:  # fmt: skip
        self.query, self.options, self.deadline = query, options, deadline
        self.asking = Asking(query, options, exact, deadline)
        self.tree, self.effort = tree, effort or NodeMilpEffort()
        self.started, self.seconds, self.slice = time.monotonic(), 0.0, self.effort.first_slice
        self.share = 0.0  # of the tree that SCIP refuted
        self.already = 0.0  # share of the tree that nobody here has closed
        self.counts: Counter[str] = Counter()  # of the conflict searches
        self.lock = threading.Lock()

    @property
    def closed(self) -> float:
        """Share of the tree that the search has closed, those before this one as well."""
        return self.tree.open.closed_share - self.already

    def go_on(self, before: NodeMilp | None) -> None:
        """This is one of many searches of the same query, each of a part of its tree; before: of the last one, if any.

        What those have found out about SCIP holds of this one, too.
        """
        self.already = self.tree.open.closed_share - (before.closed if before else 0.0)
        if before:
            self.started, self.seconds = before.started, before.seconds
            self.slice, self.share = before.slice, before.share

    def close(self, batch: Batch, margins: Array, check: Check, closing: Closing) -> None:
        """Ask about the shallowest node, where that pays; `closing` is told if all that it had to refute is refuted."""
        if not len(batch) or not self._pays() or not self.lock.acquire(blocking=False):
            return
        try:
            b = int(batch.depth.argmin())
            unstable = (batch.pre_lower[b] < 0.0) & (batch.pre_upper[b] > 0.0) & self.query.relu
            if unstable.sum() <= self.effort.largest and bounded(batch.node(b)):
                closing.kinds[b], closing.witness = self._node(batch, b, margins[b], check)
        finally:
            self.lock.release()

    def _pays(self) -> bool:
        now, effort = time.monotonic(), self.effort
        time_spent = (now - self.started) * self.options.jobs
        if now - self.started < effort.after or now + self.slice > self.deadline:
            return False
        if self.seconds > effort.most * time_spent:
            return False
        return self.seconds < effort.trials * time_spent or self._faster()

    def _faster(self) -> bool:
        """Whether SCIP refutes more of the tree per second than the search closes."""
        time_spent = (time.monotonic() - self.started) * self.options.jobs
        return self.share * (time_spent - self.seconds) > self.closed * self.seconds

    def _node(self, batch: Batch, b: int, margins: Array, check: Check) -> tuple[int, Witness | None]:
        """Ask about the node's duties, worst first, until one is left open."""
        began, node = time.monotonic(), batch.node(b)
        duties = np.flatnonzero(node.duty)
        duties = duties[np.argsort(self.query.per_disjunct(margins[None])[0, duties], kind="stable")]
        asked = self.asking(node, duties.tolist(), check, self.slice, self.slice)
        self.counts += asked.counts
        if asked.witness or asked.exact:
            return (State.STUCK if asked.exact else State.OPEN), asked.witness
        self.seconds += time.monotonic() - began
        if asked.left:
            self.slice *= self.effort.growth
            return State.OPEN, None
        self.share += 0.5**node.depth
        if not self.options.trust_scip:
            return Evidence.CONFLICTS, None
        return (Evidence.SCIP if self._faster() else State.OPEN), None
