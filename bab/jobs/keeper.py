"""The keeper of a run: knows at any time what would go into its file, and writes it now and then.

It hears of every round of the search. A file that cannot be written is a note of the result, and nothing else: the
next time it is tried again. Writing takes no more than a twentieth of the time.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...instances.errors import InputError
from ...instances.query import Query
from ..run.limits import Limits
from ..run.result import Result
from ..stages.work import Work
from ..tree.evidence import Evidence
from ..tree.tree import Tree
from .job import Job
from .run import Outcome, job_of
from .saved import Decided, Saved, add, save, with_job
from .shelf import Shelf

__all__ = ["Keeper"]

LOG = logging.getLogger(__name__)
REST = 20.0  # times as long as the last writing took, before the next
FIRST = 0.1  # share of the run's time after which it is written at the latest: then it is known how long that takes
LAST = 1.5  # times as long as the last writing took, kept at the end for another


class Keeper:
    """What one run of a property has found out so far, and the file for it, if there is one."""

    def __init__(self, saved: Saved, limits: Limits, path: Path | None = None, kind: str = "checkpoint") -> None:
        self.saved, self.limits, self.path, self.kind = saved, limits, path, kind
        saved.runs += 1
        self.before = saved.seconds
        self.rng = saved.generator
        self.note = ""
        self.dropped = 0  # nodes of queries that are over and open, and whose jobs nobody needs
        self.shelf = Shelf(limits.options.spill)  # for all queries of the run
        self.stop: Callable[[Tree], str] = lambda tree: ""  # see `stages.work.Work`
        self.broad = False  # see `tree.tree.Tree`
        self.wanted = path is not None  # whether jobs are needed; else their nodes' memory is
        self._work: Work | None = None
        self._query: Query | None = None  # as asked
        self._case = -1
        self._incomplete = False  # whether nodes of a query that is over are missing: the file knows more of them
        self._settled: Callable[[], tuple[list[int], Counter[Evidence], Counter[str]]] | None = None
        first = min(limits.options.every, FIRST * limits.options.timeout)
        self._due = time.monotonic() + first

    def watch(self, work: Work, case: int, query: Query) -> None:
        """A query is begun, or gone on with. query: as it was asked."""
        self._work, self._case, self._query = work, case, query
        work.tree.broad = self.broad

    def watch_sets(self, settled: Callable[[], tuple[list[int], Counter[Evidence], Counter[str]]]) -> None:
        """Many input sets are asked at once; settled(): those that hold, by what, and counts."""
        self._settled = settled

    def report(self, tree: Tree) -> None:
        """A round is over, and nobody else changes the tree at present."""
        if self.path is not None and time.monotonic() >= self._due:
            self.write()

    def job(self, case: int) -> Job | None:
        """What an earlier run has left of a case."""
        return next((job for job in self.saved.jobs if job.case == case), None)

    @property
    def nodes(self) -> int:
        """Nodes of all queries so far, those of earlier runs too."""
        saved, here = self.saved, self._work.tree.size if self._work else 0
        together = self._settled()[2]["nodes"] if self._settled else 0
        case = self._case if self._work else -1
        begun = sum(job.size for job in saved.jobs if not saved.held[job.case] and job.case != case)
        return saved.statistics["nodes"] + together + self.dropped + begun + here

    def over(self, case: int, outcome: Outcome) -> None:
        """A query holds, or the run goes on without having decided it."""
        self._work = None
        if outcome.answer.holds:
            _hold(self.saved, [case], outcome.answer.bound, outcome.answer.evidence, outcome.answer.statistics)
        elif outcome.job is None and not outcome.answer.witness:
            self._incomplete = True
        kept = None if outcome.answer.holds or not self.wanted else outcome.job
        if not outcome.answer.holds and kept is None:
            self.dropped += outcome.answer.statistics["nodes"]
        self.saved = with_job(self.saved, kept, case)

    def over_empty(self, case: int) -> None:
        """A case has no input: its equalities contradict each other, or the bounds."""
        _hold(self.saved, [case], 0.0, Counter({Evidence.EMPTY: 1}), Counter())

    def over_together(
        self, cases: list[int], evidence: Counter[Evidence], statistics: Counter[str], done: bool
    ) -> None:  # fmt: skip
        """Many sets were asked at once: these hold; done: the others are asked one by one."""
        self._settled = None
        _hold(self.saved, cases, 0.0 if cases else np.inf, evidence, statistics)
        self.saved.together = done

    def last(self, result: Result | None) -> None:
        """The run ends, decided or not: what a later one needs to know."""
        if self.path is None:
            return
        if result and result.verdict in ("sat", "unsat"):
            self._work, self._incomplete = None, False
            self.saved = replace(self.saved, decided=Decided.of(result), jobs=[])
        elif self._work:
            self._work.tree.recall()
        self.write()

    def write(self) -> None:
        """Write the file, if every node is there; a failure is noted."""
        assert self.path is not None
        if self._incomplete and self.path.exists():
            self.note = f"{self.path}: not written, and stays what it was: not every open node is there"
            return
        began = time.monotonic()
        try:
            if (now := self.now()) is not None:
                save(self.path, self.kind, now)
                self.note = ""
        except (OSError, MemoryError, InputError) as error:
            why = getattr(error, "strerror", None) or error
            self.note = f"{self.path}: not written: {why}"
            LOG.warning("%s", self.note)
        took = time.monotonic() - began
        self._due = began + max(self.limits.options.every, REST * took)
        self.limits.reserve = min(LAST * took, FIRST * self.limits.options.timeout)

    def now(self) -> Saved | None:
        """What is known; None where an interruption has left the tree in a state that nobody can go on from."""
        saved = replace(self.saved, rng=dict(self.rng.bit_generator.state), seconds=self.before + self.limits.elapsed)
        if self._settled:
            cases, evidence, statistics = self._settled()
            saved = replace(saved, held=saved.held.copy(), evidence=Counter(saved.evidence),
                            statistics=Counter(saved.statistics))  # fmt: skip
            _hold(saved, cases, 0.0 if cases else np.inf, evidence, statistics)
        saved.jobs = [job for job in saved.jobs if not saved.held[job.case]]
        if self._work is None:
            return saved
        job = job_of(self._work, self._case)
        if job is None or self._query is None:
            return None
        try:
            job.check(self._query, cold=False)  # they were read or written here
        except InputError as error:
            LOG.info("nothing to write: %s", error)
            return None
        return with_job(saved, job, self._case)


def _hold(
    saved: Saved, cases: list[int], bound: float, evidence: Counter[Evidence], statistics: Counter[str]
) -> None:  # fmt: skip
    """Nothing is left to refute of these cases."""
    saved.held[cases] = True
    saved.bound = min(saved.bound, bound)
    saved.evidence.update(evidence)
    add(saved.statistics, statistics)
