"""Stage `milp`: SCIP on the root's open disjuncts, and the proof of what it says.

Each disjunct is asked twice, side by side: SCIP, whose word is advice and whose solutions are candidates, and the
`conflict_search`, which refutes rigorously. Each question gets a slice of the time; where the slice was too short it is
asked again with a longer one: restarts cost a part of the whole, easy questions are answered in their
first slice, and a single hard one soon keeps all cores busy. Every SCIP and every conflict search has a process of its
own.

What the conflict search refutes is refuted for the whole tree. Where only SCIP refutes a disjunct it stays open, with
SCIP's word as the reason; with `trust_scip` it counts, and the verdict says so. A SCIP that fails, crashes or
contradicts a known point has cost its slice: it is logged.
"""

from __future__ import annotations

import heapq
import itertools
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from ...heuristics.efforts import MilpEffort
from ...heuristics.policy import Stage
from ...instances.batch import Node
from ...instances.judges.replay import Witness
from ...instances.memory import room_mb
from ...instances.query import Query
from ..closers.refutation import refute_apart
from ..closers.regions import Check, bounded, open_disjuncts
from ..run.budget import Budget
from ..run.options import Options
from ..tree.crew import run_crew
from ..tree.evidence import Evidence
from .work import Work

__all__ = ["NOT_PROVED", "NO_MEMORY", "MilpOutcome", "close_by_milp", "milp"]

LOG = logging.getLogger(__name__)
NOT_PROVED = "SCIP refutes it, not re-proved"
NO_MEMORY = "the conflict-driven search ran out of memory"


def milp(work: Work, stage: Stage, budget: Budget) -> None:
    """Ask about the root; what is refuted there is refuted in every node."""
    bounds = work.refute_by_inherited()
    query, root = work.query, work.tree.root
    asked = open_disjuncts(query, bounds.margins[0], root.duty[0])
    if not bounded(root.node(0)):
        work.stopped = "SCIP: no finite bounds"
        return
    outcome = close_by_milp(
        query, root.node(0), asked, lambda: budget.left, work.options, work.candidates.check, work.efforts.milp
    )
    work.counts["scip_nodes"] += outcome.nodes
    work.counts["scip_runs"] += outcome.questions
    for name, count in outcome.counts.items():
        work.counts[f"conflict_{name}"] += count
    work.tree.learn(Evidence.CONFLICTS, outcome.proved)
    if outcome.trusted:
        work.tree.learn(Evidence.SCIP, outcome.trusted)
    work.stopped = outcome.reason
    work.found(outcome.witness, "milp")
    if outcome.point is not None and not outcome.witness:
        work.found(work.exact.take(query, outcome.point, work.candidates.check, budget.end), "milp")


@dataclass(eq=False)
class MilpOutcome:
    """What became of the disjuncts of a node."""

    witness: Witness | None = None
    point: tuple[Fraction, ...] | None = None  # a counterexample of the real-valued network, in exact arithmetic
    proved: list[int] = field(default_factory=list)  # disjuncts that the conflict search refuted
    trusted: list[int] = field(default_factory=list)  # disjuncts that only SCIP's word closed, as `trust_scip` asks
    left: list[int] = field(default_factory=list)  # disjuncts that are still open
    nodes: int = 0  # of SCIP's own trees
    questions: int = 0  # that SCIP was asked
    counts: Counter[str] = field(default_factory=Counter)  # of the conflict searches
    memory: int = 0  # conflict searches that ended for want of it
    doubts: int = 0  # solutions of SCIP's that do not replay in the network
    claimed: list[int] = field(default_factory=list)  # disjuncts that SCIP refutes and nothing else

    @property
    def reason(self) -> str:
        """Why disjuncts are open."""
        notes = [NOT_PROVED] if self.claimed else ["SCIP's time"]
        if self.memory:
            notes.append(NO_MEMORY)
        if self.doubts:
            notes.append(f"solutions of SCIP that do not replay in the network: {self.doubts}")
        return "; ".join(notes)


def close_by_milp(
    query: Query, node: Node, disjuncts: list[int], seconds: Callable[[], float], options: Options, check: Check,
    effort: MilpEffort | None = None,
) -> MilpOutcome:  # fmt: skip
    """Refute the disjuncts on the node, or find a counterexample.

    seconds() tells the time that is left; options: jobs (processes at a time), memory_mb, seed, trust_scip. A solution
    counts only once it is replayed.
    """
    effort = effort or MilpEffort()
    source = _Questions(query, node, disjuncts, seconds, options, check, effort)
    run_crew(source, source.jobs, patience=effort.least_slice)
    return source.finished(disjuncts)


@dataclass(order=True)
class _Question:
    """What is in the queue, shortest slices first."""

    seconds: float
    order: int
    disjunct: int = field(compare=False)
    proof: bool = field(compare=False)  # for the conflict search, not for SCIP


class _Questions:
    """A crew's source: the disjuncts, each for SCIP and for the conflict search."""

    def __init__(
        self, query: Query, node: Node, disjuncts: list[int], seconds: Callable[[], float], options: Options,
        check: Check, effort: MilpEffort,
    ) -> None:  # fmt: skip
        self.effort = effort
        self.query, self.node, self.seconds, self.options, self.check = query, node, seconds, options, check
        self.jobs = max(1, options.jobs)
        # nothing but a refutation or a counterexample counts, unless a plain MILP was asked for
        self.strategy = "best-first" if options.method == "milp" else "depth-first"
        self.outcome = MilpOutcome()
        self.queue: list[_Question] = []
        self.order = itertools.count()
        self.refuted: set[int] = set()  # by SCIP
        self.proved: set[int] = set()
        proofs = query.network.piecewise_linear and not options.trust_scip
        first = effort.first_share * min(1.0, self.jobs / max(1, (1 + proofs) * len(disjuncts))) * seconds()
        alone = len(disjuncts) == 1  # then slices would only interrupt
        for proof in (False, True)[: 1 + proofs]:
            whole = options.method == "milp" or (alone and (proof or self.jobs > 1))
            for k in disjuncts:
                self._push(np.inf if whole else first, k, proof)

    def finished(self, disjuncts: list[int]) -> MilpOutcome:
        """The outcome with its account of the disjuncts."""
        outcome = self.outcome
        outcome.proved = [k for k in disjuncts if k in self.proved]
        claimed = [k for k in disjuncts if k in self.refuted and k not in self.proved]
        outcome.trusted = claimed if self.options.trust_scip else []
        outcome.left = [k for k in disjuncts if k not in self.proved and k not in outcome.trusted]
        outcome.claimed = [k for k in outcome.left if k in claimed]
        return outcome

    def over(self) -> bool:
        """A counterexample, or no time to ask anything."""
        outcome = self.outcome
        return outcome.witness is not None or outcome.point is not None or self.seconds() < self.effort.least_slice

    def take(self) -> _Question | None:
        """The next one whose answer somebody needs."""
        while self.queue:
            question = heapq.heappop(self.queue)
            if not self._answered(question):
                return question
        return None

    def put_back(self, question: _Question) -> None:
        """It may be asked again."""
        heapq.heappush(self.queue, question)

    def do(self, question: _Question) -> Callable[[], None]:
        """Ask; what is to be noted of the answer."""
        seconds = min(question.seconds, self.seconds())
        return self._prove(question, seconds) if question.proof else self._ask(question, seconds)

    def give(self, question: _Question, note: Callable[[], None]) -> None:
        """Note the answer."""
        note()

    def _push(self, seconds: float, k: int, proof: bool) -> None:
        heapq.heappush(self.queue, _Question(seconds, next(self.order), k, proof))

    def _answered(self, question: _Question) -> bool:
        k = question.disjunct
        return k in self.proved or (not question.proof and k in self.refuted)

    def _stop(self, question: _Question) -> Callable[[], bool]:
        """Whether a question that is being asked has become pointless; the limit itself is its own."""
        outcome = self.outcome
        return lambda: outcome.witness is not None or outcome.point is not None or self._answered(question)

    def _ask(self, question: _Question, seconds: float) -> Callable[[], None]:
        """SCIP."""
        from ...encodings.milp.close import MilpOptions
        from ...encodings.milp.process import close_apart

        k, memory = question.disjunct, self.options.memory_mb / self.jobs
        asked = MilpOptions(seed=self.options.seed, strategy=self.strategy)
        answer = close_apart(self.query, self.node, k, seconds, memory, asked, self._stop(question))
        LOG.info("milp disjunct %d: %s, bound %.6g, %d nodes, coefficients %.3g to %.3g, %.2f s of %.2f s %s", k,
                 answer.status, answer.bound, answer.nodes, *answer.coefficients, answer.seconds, seconds,
                 answer.reason)  # fmt: skip
        witness = self.check(np.asarray(answer.points)) if len(answer.points) else None

        def note() -> None:
            outcome = self.outcome
            outcome.nodes += answer.nodes
            outcome.questions += 1
            outcome.witness = outcome.witness or witness
            if answer.status == "refuted":
                self.refuted.add(k)
                return
            outcome.doubts += answer.status == "candidate" and not witness
            if not witness and question.seconds < np.inf:
                self._push(self.effort.growth * question.seconds, k, False)

        return note

    def _prove(self, question: _Question, seconds: float) -> Callable[[], None]:
        """The conflict search."""
        k, memory = question.disjunct, room_mb() / self.jobs
        answer = refute_apart(
            self.query, self.node, k, seconds, self._stop(question), probing=self.options.probing, memory_mb=memory
        )
        LOG.info("conflict search, disjunct %d: %s, %s, %.2f s %s", k, answer.status, dict(answer.counts), seconds,
                 answer.reason)  # fmt: skip
        witness = self.check(np.asarray(answer.points)) if answer.points else None

        def note() -> None:
            outcome = self.outcome
            outcome.counts += answer.counts
            outcome.memory += answer.reason == "memory"
            outcome.witness = outcome.witness or witness
            if answer.status == "refuted":
                self.proved.add(k)
            if answer.exact is not None and outcome.point is None:
                outcome.point = tuple(answer.exact)
            if answer.status == "open" and answer.unfinished and question.seconds < np.inf:
                self._push(self.effort.growth * question.seconds, k, True)

        return note
