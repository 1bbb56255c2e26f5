"""The triangle LP of phase nodes that linear bounds leave open.

Deep in a tree of phases whose hidden bounds are inherited most open nodes are empty: no input has all these phases.
Ascent on multipliers finds that out slowly, as its value has to grow without limit; the simplex finds a Farkas proof in
some ten milliseconds. So every few levels an open node gets an LP, as long as the LPs close enough nodes or take
little of the time. What counts is the safe bound (`encodings.safe_lp`), and the LP's point is a candidate for a
counterexample; from its phases a descent on the sum of infeasibilities (`heuristics.infeasibilities`) looks for one now
and then, on the same model.
"""

from __future__ import annotations

import logging
import time

import numpy as np

from ...encodings.programs.thread_lps import ThreadLPs
from ...heuristics.attacks.infeasibilities import Infeasibilities, phase_pattern
from ...heuristics.efforts import NodeLPEffort
from ...instances.batch import Batch, Node
from ...instances.judges.replay import Witness
from ...instances.network import Array
from ...instances.query import Query
from ..tree.evidence import Evidence
from ..tree.search import Closing
from .regions import Check, bounded

__all__ = ["NodeLP"]

LOG = logging.getLogger(__name__)


class NodeLP:
    """One model a thread, warm from node to node."""

    def __init__(
        self, query: Query, deadline: float, rng: np.random.Generator, effort: NodeLPEffort | None = None
    ) -> None:
        self.query, self.deadline, self.rng, self.effort = query, deadline, rng, effort or NodeLPEffort()
        self.models = ThreadLPs(query)
        self.started, self.seconds, self.descents = time.monotonic(), 0.0, 0.0
        self.solved = self.closed = 0

    def close(self, batch: Batch, margins: Array, check: Check, closing: Closing) -> None:
        """LPs of nodes that are due, as long as they pay; `closing` is told what they refute."""
        for b in np.flatnonzero((batch.depth % self.effort.every == 0) & (batch.depth > 0)).tolist():
            if not (seconds := self._seconds()) > 0.0:
                break
            if not bounded(batch.node(b)):
                continue
            least, disjunct, point = self._node(batch, b, margins[b], closing.duty[b], seconds)
            if least > 0.0:
                closing.kinds[b] = Evidence.LP
            elif point is not None:
                closing.witness = check(point[None]) or self._descend(batch.node(b), disjunct, point, check)
                if closing.witness:
                    return

    def _seconds(self) -> float:
        """That the next LP may take, 0 where none is worth it.

        As long as LPs do not pay, that is what is left of their share of the time, or a little more: on some networks
        one of them takes as long as a hundred nodes, and closes nothing.
        """
        now, effort = time.monotonic(), self.effort
        left, most = effort.share * (now - self.started) - self.seconds, min(effort.seconds, self.deadline - now)
        if self.closed > effort.worth * self.solved:
            return most
        return min(most, max(left, effort.least)) if left > 0.0 else 0.0

    def _descend(self, node: Node, disjunct: int, point: Array, check: Check) -> Witness | None:
        """From the network's own phases at the LP's point, on the model that the LP has left."""
        began = time.monotonic()
        if self.descents > self.effort.descent_share * (began - self.started):
            return None
        search = Infeasibilities(self.query, self.models.last, node, self.rng)
        seconds = min(self.effort.seconds, max(self.deadline - began, 0.01))
        outcome = search.search(phase_pattern(self.query, point), check, self.effort.flips, seconds)
        self.descents += time.monotonic() - began
        LOG.info("disjunct %d: sum of infeasibilities %.3g after %d LPs, %s", disjunct, outcome.least, outcome.solves,
                 outcome.status)  # fmt: skip
        found: Witness | None = outcome.found
        return found

    def _node(
        self, batch: Batch, b: int, margins: Array, duty: Array, seconds: float
    ) -> tuple[float, int, Array | None]:  # fmt: skip
        """The worst duty's LP; the other duties' too as long as they are refuted. (Bound, last duty, LP's point.)

        duty: [disjuncts] bool, of which those refuted are taken off; seconds: of one LP at most.
        """
        began, node, query = time.monotonic(), batch.node(b), self.query
        duties = np.flatnonzero(batch.duty[b])
        duties = duties[np.argsort(query.per_disjunct(margins[None])[0, duties], kind="stable")]
        model = self.models.at(node)
        least, point, k = np.inf, None, -1
        for k in duties.tolist():
            answer = model.minimise(k, min(seconds, max(self.deadline - time.monotonic(), 0.01)))
            least, point = min(least, answer.bound), answer.point
            if answer.bound == np.inf:  # the region is empty
                least = np.inf
                break
            if not answer.bound > 0.0:
                break
            duty[k] = False
        self.seconds += time.monotonic() - began
        self.solved += 1
        self.closed += least > 0.0
        return float(least), k, None if least > 0.0 else point
