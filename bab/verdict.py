"""What the searches over a property's input sets gave, and the verdict that they make together."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np

from ..instances import memory
from ..instances.judges.real_points import inside
from ..instances.judges.replay import Witness
from ..instances.property import Property
from ..instances.query import Query
from .jobs.job import Job
from .jobs.keeper import Keeper
from .jobs.saved import add
from .run.limits import ENOUGH, INTERRUPTIONS
from .run.result import NO_CASE, NO_INPUT, Result
from .stages.answer import Answer
from .tree.evidence import Evidence, told

__all__ = ["Answers", "final"]


class Answers:
    """Of one run over a property: what is proved of it is the keeper's, what stays open is added up here."""

    def __init__(self, prop: Property, keeper: Keeper, unmodelled: str = "") -> None:
        """unmodelled: what the network computes besides what is bounded, see `Network.unmodelled`."""
        self.prop, self.keeper, self.unmodelled = prop, keeper, unmodelled
        self.statistics: Counter[str] = Counter()  # of queries that are open
        self.evidence: Counter[Evidence] = Counter()  # the same
        self.reasons: list[str] = []
        self.bound = np.inf  # below the worst margins of all input sets so far
        self.counterexample: tuple[Fraction, ...] | None = None  # of the real-valued network
        self.interrupted = ""  # why no other input set is begun with, "" where they are

    def untouched(self, job: Job | None) -> None:
        """An input set that nobody searches in this run. job: as an earlier one left it."""
        self.bound = -np.inf  # nothing is known of it
        if job:
            add(self.statistics, job.statistics)
            self.evidence.update(job.evidence)

    def searched(self, case: int, query: Query, found: Answer) -> None:
        """An input set that was searched as `query`, and holds no witness."""
        self.bound = min(self.bound, found.bound)
        if found.holds:
            return
        self.open(found)
        self.reasons.append(found.reason)
        self.interrupted = found.reason if found.reason in (*INTERRUPTIONS, ENOUGH) else ""
        point = found.counterexample
        # a query with a lift was rounded outward: its points need not be the input set's
        if point and (query.lift is None or inside(self.prop.cases[case].region, [*point])):
            self.counterexample, self.reasons = point, [found.reason, *self.reasons]

    def open(self, found: Answer) -> None:
        """Count what a query went through that did not end as proved."""
        add(self.statistics, found.statistics)
        self.evidence.update(found.evidence)

    def result(self, verdict: str, reason: str, bound: float, witness: Witness | None = None) -> Result:
        """A verdict with the counts of all runs."""
        saved, limits = self.keeper.saved, self.keeper.limits
        statistics = Counter(saved.statistics)
        add(statistics, self.statistics)
        statistics["queries"] = sum(bool(case.forbidden) for case in self.prop.cases)
        counts = final(statistics)
        if saved.runs > 1:
            counts |= {"runs": saved.runs, "all_seconds": round(saved.seconds + limits.elapsed, 2)}
        evidence = saved.evidence + self.evidence
        numbers = {kind.words: count for kind, count in sorted(evidence.items()) if count}
        return Result(
            verdict, witness, bound, reason, numbers, counts, limits.elapsed,
            real_counterexample=None if verdict == "sat" else self.counterexample,
        )  # fmt: skip

    def without_witness(self) -> Result:
        """`unsat` where all input sets hold, else `timeout` or `unknown` with the first reason."""
        saved, limits = self.keeper.saved, self.keeper.limits
        bound = min(self.bound, saved.bound)
        if saved.held.all():
            none = NO_INPUT if self.prop.contradiction else NO_CASE
            return self.result("unsat", told(saved.evidence) or none, bound)
        reason = self.reasons[0] if self.reasons else self.interrupted or limits.exceeded()
        verdict = "timeout" if "time" in (reason, limits.exceeded()) else "unknown"
        return self.result(verdict, reason, -np.inf if self.unmodelled else bound)


def final(statistics: Counter[str]) -> dict[str, float]:
    """Counts as a result tells them, with the peak of memory."""
    return {**statistics, "memory_mb": round(memory.peak_mb(), 1)}
