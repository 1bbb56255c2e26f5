"""Many one-thread SCIPs on the leaves of a small tree of phases.

A question is a node and one of its disjuncts. It gets a slice of the time; what SCIP leaves open is split at the neuron
with the highest score, both halves get bounds of their own, and those that linear bounds leave open are asked with a
slice GROWTH times as long. The slices grow geometrically, so restarts cost a part of the whole; easy questions are
answered in their first slice, and a single hard one soon keeps all cores busy. Each SCIP has a process of its own. The
bounds that it tightened in its slice go to the halves.

SCIP closes only by `refuted`, with the forbidden rows relaxed by a margin; verdicts that rest on it are `scip-float`. A
SCIP that fails, crashes or contradicts a known point has cost its slice: it is logged, and its question is split.
"""

from __future__ import annotations

import heapq
import itertools
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Condition, Thread

import numpy as np

from ..encodings.linear_bounds import LinearBoundOptions, bound
from ..heuristics.splits import choose_splits
from ..instances.batch import Node
from ..instances.query import Query
from ..instances.replay import Witness
from .branching import children
from .closing import Check
from .options import Options

__all__ = ["MilpOutcome", "close_by_milp"]

LOG = logging.getLogger(__name__)
FIRST_SHARE = 0.25  # of its fair share of the time, that a question gets at first
GROWTH = 2.0  # of a slice where the one before was not enough
LEAST_SLICE = 0.05  # seconds below which SCIP is not asked


@dataclass(eq=False)
class MilpOutcome:
    """What SCIP made of a node."""

    witness: Witness | None = None
    left: list[int] = field(default_factory=list)  # disjuncts that are still open
    bound: float = np.inf  # lowest bound over all questions that SCIP left open
    nodes: int = 0  # of SCIP's own trees
    questions: int = 0  # that SCIP was asked
    notes: list[str] = field(default_factory=list)  # what went wrong, for the reason of an `unknown`


def close_by_milp(
    query: Query, node: Node, disjuncts: list[int], seconds: Callable[[], float], options: Options, check: Check
) -> MilpOutcome:
    """Refute the disjuncts on the node, or find a counterexample.

    seconds() tells the time that is left; options: jobs (SCIPs at a time), memory_mb, seed. A disjunct counts as
    refuted only once SCIP or linear bounds have refuted all leaves; a solution counts only once it is replayed.
    """
    crew = _Crew(query, seconds, options, check)
    first = FIRST_SHARE * min(1.0, crew.jobs / max(1, len(disjuncts))) * seconds()
    if options.method == "milp":  # plain: one SCIP a disjunct, without a tree around it
        first = np.inf
    for k in disjuncts:
        crew.push(node, k, first)
    crew.run()
    crew.outcome.left = [k for k in disjuncts if crew.open[k]]
    return crew.outcome


class _Crew:
    """Threads that take questions off one queue, shortest slices first, and give the halves back."""

    def __init__(self, query: Query, seconds: Callable[[], float], options: Options, check: Check) -> None:
        self.query, self.seconds, self.options, self.check = query, seconds, options, check
        self.jobs = max(1, options.jobs)
        # nothing but a refutation or a counterexample counts
        self.strategy = "best-first" if options.method == "milp" else "depth-first"
        self.outcome = MilpOutcome()
        self.queue: list[tuple[float, int, Node, int]] = []
        self.order = itertools.count()
        self.open: Counter[int] = Counter()  # disjunct -> questions that are not answered
        self.busy = 0
        self.error: BaseException | None = None
        self.change = Condition()  # of the queue, the outcome and who is busy

    def push(self, node: Node, k: int, slice_seconds: float) -> None:
        """One more question."""
        heapq.heappush(self.queue, (slice_seconds, next(self.order), node, k))
        self.open[k] += 1

    def run(self) -> None:
        """Until every question is answered, a counterexample is found or the time is over."""
        others = [Thread(target=self._work, daemon=True) for _ in range(self.jobs - 1)]
        for thread in others:
            thread.start()
        self._work()
        for thread in others:
            thread.join()
        if self.error:
            raise self.error

    def _over(self) -> bool:
        return self.outcome.witness is not None or self.error is not None or self.seconds() < -LEAST_SLICE

    def _work(self) -> None:
        while (question := self._take()) is not None:
            try:
                halves = self._answer(*question)
            except BaseException as raised:  # noqa: BLE001  kept for the thread that called
                halves, self.error = None, raised
            with self.change:
                self.busy -= 1
                if halves is not None:  # else it stays open for good
                    self.open[question[1]] -= 1
                    for half in halves:
                        self.push(*half)
                self.change.notify_all()

    def _take(self) -> tuple[Node, int, float] | None:
        with self.change:
            while not self._over() and (self.queue or self.busy) and self.seconds() >= LEAST_SLICE:
                if self.queue:
                    slice_seconds, _, node, k = heapq.heappop(self.queue)
                    self.busy += 1
                    return node, k, slice_seconds
                self.change.wait(timeout=max(LEAST_SLICE, self.seconds()))
            self.change.notify_all()
            return None

    def _answer(self, node: Node, k: int, slice_seconds: float) -> list[tuple[Node, int, float]] | None:
        """Ask SCIP; what is left to ask, or None where nothing more can be done."""
        left = self._ask(node, k, min(slice_seconds, self.seconds()))
        if left is None:
            return []
        if (halves := self._halves(left, k)) is not None:
            return [(half, k, GROWTH * slice_seconds) for half in halves]
        if slice_seconds == np.inf:
            return None
        return [(node, k, np.inf)]  # no phase is left to split: all the time there is

    def _halves(self, node: Node, k: int) -> list[Node] | None:
        """The children that linear bounds leave open; None where nothing can be split."""
        query, batch = self.query, node.batch
        batch.changed[:] = len(query.network.layers) + 1
        bounds = bound(query, batch, LinearBoundOptions(hidden=False, kernel="plain"))
        if bounds.infeasible[0] or query.per_disjunct(bounds.margins)[0, k] > 0.0:
            return []
        bounds.margins[:, np.arange(query.rows) < query.starts[k]] = np.inf
        bounds.margins[:, np.arange(query.rows) >= query.starts[k + 1]] = np.inf
        splits = choose_splits(query, batch, bounds, "phases")
        if (splits.neuron < 0).any():
            return None
        both = children(query, batch, splits)
        found = bound(query, both, LinearBoundOptions(kernel="plain"))
        both.pre_lower, both.pre_upper = found.pre_lower, found.pre_upper
        still = ~found.infeasible & ~(query.per_disjunct(found.margins)[:, k] > 0.0)
        return [both.node(b) for b in np.flatnonzero(still).tolist()]

    def _ask(self, node: Node, k: int, seconds: float) -> Node | None:
        """Ask SCIP about one question; None where it is refuted, else the node with the bounds that SCIP tightened."""
        from ..encodings.milp_process import close_apart

        if self._over() or seconds < LEAST_SLICE:
            return node
        memory = self.options.memory_mb / self.jobs
        answer = close_apart(self.query, node, k, seconds, memory, self.options.seed, self._over, self.strategy)
        LOG.info("milp disjunct %d, depth %d: %s, bound %.6g, %d nodes, %.2f s of %.2f s %s", k, node.depth,
                 answer.status, answer.bound, answer.nodes, answer.seconds, seconds, answer.reason)  # fmt: skip
        with self.change:
            self.outcome.nodes += answer.nodes
            self.outcome.questions += 1
            if answer.status == "refuted":
                return None
            self.outcome.bound = min(self.outcome.bound, answer.bound)
            if len(answer.points) and self.outcome.witness is None:
                self.outcome.witness = self.check(np.asarray(answer.points))
                if not self.outcome.witness and answer.status == "candidate":
                    self.outcome.notes.append(f"SCIP's solution of disjunct {k} does not replay in the network")
        return node if answer.learnt is None else replace(node, pre_lower=answer.learnt[0], pre_upper=answer.learnt[1])
