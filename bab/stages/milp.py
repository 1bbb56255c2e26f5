"""Many one-thread SCIPs on the leaves of a small tree of phases, and the proof of what they say.

A question is a node and one of its disjuncts. SCIP gets a slice of the time; what it leaves open is split at the neuron
with the highest score, both halves get bounds of their own, and those that linear bounds leave open are asked with a
slice GROWTH times as long. The slices grow geometrically, so restarts cost a part of the whole; easy questions are
answered in their first slice, and a single hard one soon keeps all cores busy. Each SCIP has a process of its own.

SCIP computes in floats: where it refutes a disjunct, that is advice. What counts is the `conflict_search` on the same
node and disjunct, which is asked side by side with SCIP, in slices of its own: it refutes rigorously, or the disjunct
stays open, with SCIP's word as the reason. Only with `trust_scip` SCIP's word closes a disjunct; the verdict says so. A
SCIP that fails, crashes or contradicts a known point has cost its slice: it is logged, and its question is split.
"""

from __future__ import annotations

import heapq
import itertools
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from threading import Condition, Thread

import numpy as np

from ...encodings.linear.linear_bounds import LinearBoundOptions, bound
from ...heuristics.splits.splits import choose_splits
from ...instances.batch import Node
from ...instances.judges.replay import Witness
from ...instances.query import Query
from ..closers.refutation import refute_apart
from ..closers.regions import Check
from ..run.options import Options
from ..tree.branching import children

__all__ = ["NOT_PROVED", "MilpOutcome", "close_by_milp"]

LOG = logging.getLogger(__name__)
FIRST_SHARE = 0.25  # of its fair share of the time, that a question gets at first
GROWTH = 2.0  # of a slice where the one before was not enough
LEAST_SLICE = 0.05  # seconds below which nobody is asked
NOT_PROVED = "SCIP refutes it, not re-proved"


@dataclass(eq=False)
class MilpOutcome:
    """What became of the disjuncts of a node."""

    witness: Witness | None = None
    point: tuple[Fraction, ...] | None = None  # a counterexample of the real-valued network, in exact arithmetic
    left: list[int] = field(default_factory=list)  # disjuncts that are still open
    trusted: list[int] = field(default_factory=list)  # disjuncts that only SCIP's word closed, as `trust_scip` asks
    bound: float = np.inf  # lowest bound over all questions that SCIP left open, in floats
    nodes: int = 0  # of SCIP's own trees
    questions: int = 0  # that SCIP was asked
    counts: Counter[str] = field(default_factory=Counter)  # of the conflict searches
    doubts: int = 0  # solutions of SCIP's that do not replay in the network
    claimed: list[int] = field(default_factory=list)  # disjuncts that SCIP refutes and nothing else

    @property
    def reason(self) -> str:
        """Why disjuncts are open."""
        notes = [NOT_PROVED] if self.claimed else ["SCIP's time"]
        if self.doubts:
            notes.append(f"solutions of SCIP that do not replay in the network: {self.doubts}")
        return "; ".join(notes)


def close_by_milp(
    query: Query, node: Node, disjuncts: list[int], seconds: Callable[[], float], options: Options, check: Check
) -> MilpOutcome:
    """Refute the disjuncts on the node, or find a counterexample.

    seconds() tells the time that is left; options: jobs (processes at a time), memory_mb, seed, trust_scip. A solution
    counts only once it is replayed.
    """
    crew = _Crew(query, node, seconds, options, check)
    crew.alone = len(disjuncts) == 1
    first = FIRST_SHARE * min(1.0, crew.jobs / max(1, len(disjuncts))) * seconds()
    if options.method == "milp":  # plain: one SCIP a disjunct, without a tree around it
        first = np.inf
    for k in disjuncts:
        crew.push(node, k, first)
    if query.network.piecewise_linear and not options.trust_scip:
        for k in disjuncts:
            crew.push_proof(k, first)
    crew.run()
    return crew.finished(disjuncts)


@dataclass(order=True)
class _Question:
    """What is in the queue, shortest slices first."""

    seconds: float
    order: int
    node: Node = field(compare=False)
    disjunct: int = field(compare=False)
    proof: bool = field(compare=False, default=False)  # for the conflict search, not for SCIP


class _Crew:
    """Threads that take questions off one queue and give the halves back."""

    def __init__(
        self, query: Query, node: Node, seconds: Callable[[], float], options: Options, check: Check
    ) -> None:  # fmt: skip
        self.query, self.node, self.seconds, self.options, self.check = query, node, seconds, options, check
        self.jobs = max(1, options.jobs)
        # nothing but a refutation or a counterexample counts
        self.strategy = "best-first" if options.method == "milp" else "depth-first"
        self.outcome = MilpOutcome()
        self.queue: list[_Question] = []
        self.order = itertools.count()
        self.open: Counter[int] = Counter()  # disjunct -> SCIP's questions that are not answered
        self.floats: set[int] = set()  # disjuncts of which SCIP refuted some part
        self.proved: set[int] = set()
        self.alone = False  # one disjunct: its proof needs no slices
        self.busy = 0
        self.error: BaseException | None = None
        self.change = Condition()  # of the queue, the outcome and who is busy

    def push(self, node: Node, k: int, seconds: float) -> None:
        """One more question for SCIP."""
        heapq.heappush(self.queue, _Question(seconds, next(self.order), node, k))
        self.open[k] += 1

    def push_proof(self, k: int, seconds: float) -> None:
        """The disjunct on the whole node, for the conflict search."""
        heapq.heappush(self.queue, _Question(seconds, next(self.order), self.node, k, True))

    def run(self) -> None:
        """Until every disjunct is decided, a counterexample is found or the time is over."""
        others = [Thread(target=self._work, daemon=True) for _ in range(self.jobs - 1)]
        for thread in others:
            thread.start()
        self._work()
        for thread in others:
            thread.join()
        if self.error:
            raise self.error

    def finished(self, disjuncts: list[int]) -> MilpOutcome:
        """The outcome with its account of the disjuncts."""
        outcome = self.outcome
        answered = [k for k in disjuncts if not self.open[k] and k not in self.proved]
        # where linear bounds closed all leaves SCIP has no part in it
        self.proved.update(k for k in answered if k not in self.floats)
        claimed = [k for k in answered if k in self.floats]
        outcome.trusted = claimed if self.options.trust_scip else []
        outcome.left = [k for k in disjuncts if k not in self.proved and k not in outcome.trusted]
        outcome.claimed = [k for k in outcome.left if k in claimed]
        return outcome

    def _over(self) -> bool:
        outcome = self.outcome
        found = outcome.witness is not None or outcome.point is not None
        return found or self.error is not None or self.seconds() < -LEAST_SLICE

    def _done(self, question: _Question) -> bool:
        """Whether nobody needs its answer any more."""
        k = question.disjunct
        return k in self.proved or (question.proof and not self.open[k] and k not in self.floats)

    def _work(self) -> None:
        while (question := self._take()) is not None:
            try:
                if question.proof:
                    self._prove(question)
                halves = None if question.proof else self._answer(question)
            except BaseException as raised:  # noqa: BLE001  kept for the thread that called
                halves, self.error = None, raised
            with self.change:
                self.busy -= 1
                if halves is not None:  # else it stays open for good
                    self.open[question.disjunct] -= 1
                    for half in halves:
                        self.push(*half)
                self.change.notify_all()

    def _take(self) -> _Question | None:
        with self.change:
            while not self._over() and (self.queue or self.busy) and self.seconds() >= LEAST_SLICE:
                if self.queue:
                    question = heapq.heappop(self.queue)
                    if self._done(question):
                        continue
                    self.busy += 1
                    return question
                self.change.wait(timeout=max(LEAST_SLICE, self.seconds()))
            self.change.notify_all()
            return None

    # ---------------------------------------------------------------- SCIP

    def _answer(self, question: _Question) -> list[tuple[Node, int, float]] | None:
        """Ask SCIP; what is left to ask, or None where nothing more can be done."""
        node, k, seconds = question.node, question.disjunct, question.seconds
        if self._ask(question):
            return []
        if (halves := self._halves(node, k)) is not None:
            return [(half, k, GROWTH * seconds) for half in halves]
        if seconds == np.inf:
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

    def _ask(self, question: _Question) -> bool:
        """Ask SCIP about one question; True where it refutes it."""
        from ...encodings.milp.process import close_apart

        node, k, seconds = question.node, question.disjunct, min(question.seconds, self.seconds())
        if self._over() or seconds < LEAST_SLICE:
            return False

        def stop() -> bool:
            return self._over() or self._done(question)

        memory = self.options.memory_mb / self.jobs
        answer = close_apart(self.query, node, k, seconds, memory, self.options.seed, stop, self.strategy)
        LOG.info("milp disjunct %d, depth %d: %s, bound %.6g, %d nodes, coefficients %.3g to %.3g, %.2f s of %.2f s %s",
                 k, node.depth, answer.status, answer.bound, answer.nodes, *answer.coefficients, answer.seconds,
                 seconds, answer.reason)  # fmt: skip
        with self.change:
            self.outcome.nodes += answer.nodes
            self.outcome.questions += 1
            if answer.status == "refuted":
                self.floats.add(k)
                return True
            self.outcome.bound = min(self.outcome.bound, answer.bound)
            if len(answer.points) and self.outcome.witness is None:
                self.outcome.witness = self.check(np.asarray(answer.points))
                self.outcome.doubts += answer.status == "candidate" and not self.outcome.witness
        return False

    # ---------------------------------------------------------------- proofs

    def _prove(self, question: _Question) -> None:
        """A conflict search on the whole node; it is asked again with a longer slice where this one was too short."""
        k, seconds = question.disjunct, self.seconds() if self.alone else min(question.seconds, self.seconds())
        if self._over() or seconds < LEAST_SLICE:
            return
        answer = refute_apart(self.query, self.node, k, seconds, lambda: self._over() or self._done(question))
        LOG.info("conflict search, disjunct %d: %s, %s, %.2f s %s", k, answer.status, dict(answer.counts), seconds,
                 answer.reason)  # fmt: skip
        with self.change:
            self.outcome.counts += answer.counts
            if answer.status == "refuted":
                self.proved.add(k)
                return
            if answer.points and self.outcome.witness is None:
                self.outcome.witness = self.check(np.asarray(answer.points))
            if answer.exact is not None and self.outcome.point is None:
                self.outcome.point = tuple(answer.exact)
            if answer.status == "open" and answer.unfinished and question.seconds < np.inf:
                self.push_proof(k, GROWTH * question.seconds)
