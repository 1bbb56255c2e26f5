"""A tree that is shared among a team: errands go out, reports come back, and only here is written down what they say.

The search begins in this process, and goes on here until somebody is ready and there are nodes enough. From then on

    give     to everybody who is free an even part of the open nodes, those with the largest shares of the tree, and
             no more than a slice of time has room for, by the seconds that a node took so far
    ask      where somebody is free and nothing waits, the errand with the largest open share to come back
    take in  a report, if it is one of the errand's and its account is right; replay what it calls a counterexample

Nodes that were given are open until their report is taken in. One that never comes costs what was done on them: they
are given to somebody else, TRIES times in all, and then stay open with the reason.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ...instances import memory
from ...instances.batch import Batch
from ...instances.errors import InputError
from ...instances.judges.replay import Witness
from ...instances.query import Query
from ..jobs.job import Job
from ..jobs.run import job_of
from ..run.limits import cause
from ..stages.work import Work
from ..tree.cold import size_mb
from ..tree.search import Outcome, Pace, Steps, search
from .errands import Errand, Report, digest_of, frame_of, grown, idle, opened, sent
from .team import Event, Team, TeamError

__all__ = ["Sharing"]

LOG = logging.getLogger(__name__)
TRIES = 3  # times that nodes are given to somebody before they are kept
SLICE = 5.0  # seconds of an errand: what a checkpoint, or a worker that dies, may lose
ERRAND_SHARE = 1 / 64  # of this process's memory for an errand's nodes: they are there again as bytes, for each worker
LEAST = 0.25  # seconds that an errand works before it is asked to come back: else nodes only travel
PARTS = 2  # errands' worth of open nodes, for each of the team, from which on there is enough to share
FIRST = 16  # members for whom there must be enough, where a team has more: a stack of nodes may never hold more
LOOK = 0.1  # seconds between two looks at the limits
SHARED = "others go on"  # why the search in this process ends


@dataclass(eq=False)
class _Given:
    """An errand at work."""

    batch: Batch
    digest: str
    share: float  # of the tree, that is open of it
    tries: int
    began: float
    asked: bool = False


class Sharing:
    """See `stages.work.Helpers`; one for all queries of a run."""

    def __init__(
        self, gather: Callable[[], Team], suits: Callable[[float, float], bool], ahead: bool = False,
        memory_mb: float = math.inf,
    ) -> None:  # fmt: skip
        """gather(): makes the team, raises TeamError; suits(seconds of search so far, seconds a node): whether now.

        ahead: whether it can be made before the search begins, as nobody waits for its start;
        memory_mb: what this process may have beside the team, before open nodes go to the disk.
        """
        self.gather, self.suits, self.ahead, self.memory_mb = gather, suits, ahead, memory_mb
        self.team: Team | None = None
        self.lost, self.alone = "", ""  # alone: why nobody helps
        self.keys = 0
        self.case = 0
        self.query: Query | None = None

    def begin(self, case: int, query: Query) -> None:
        """See `Helpers`."""
        self.case, self.query = case, query

    def expect(self) -> None:
        """See `Helpers`."""
        if self.ahead and self.team is None and not self.alone:
            try:
                self.team = self.gather()
                LOG.info("workers: %s, ahead of the search", self.team.name)
            except TeamError as error:
                self._give_up(str(error))

    def search(self, work: Work, steps: Steps, pace: Pace) -> Outcome:
        """See `Helpers`."""
        tree, began, first = work.tree, time.monotonic(), work.tree.size

        def enough() -> str:
            if stopped := pace.stop():
                return stopped
            spent = time.monotonic() - began
            return SHARED if self._ready(spent, spent / (1 + tree.size - first), len(tree.open)) else ""

        while True:
            outcome = search(tree, steps, replace(pace, stop=enough))
            if outcome.stopped != SHARED or self.team is None or self.query is None:
                return outcome
            node_seconds = (time.monotonic() - began) * pace.workers / (1 + tree.size - first)
            try:
                return _Shared(self, self.team, work, self.query, steps, pace, node_seconds).run()
            except TeamError as error:
                self._give_up(str(error))
                if self.lost:
                    return Outcome(stopped=self.lost)

    def close(self) -> None:
        """Send the team home."""
        if self.team is not None:
            self.team.close()
            self.team = None

    def _ready(self, seconds: float, node_seconds: float, count: int) -> bool:
        """Whether the team goes on; it is gathered here, and what is open is worked on until somebody is ready."""
        if self.alone:
            return False
        try:
            if self.team is None:
                if not self.suits(seconds, node_seconds):
                    return False
                self.team = self.gather()
                LOG.info("workers: %s, after %.1f s of %.3g s a node", self.team.name, seconds, node_seconds)
            self.team.wait(0.0)
            return self.team.free() > 0 and count >= PARTS * min(self.team.free(), FIRST)
        except TeamError as error:
            self._give_up(str(error))
            return False

    def _give_up(self, why: str) -> None:
        LOG.warning("%s", why)
        self.alone = why
        if self.team is not None:
            if self.team.essential:
                self.lost = why
            self.close()


class _Shared:
    """The search of one stage by a team."""

    def __init__(
        self, sharing: Sharing, team: Team, work: Work, query: Query, steps: Steps, pace: Pace, node_seconds: float
    ) -> None:  # fmt: skip
        self.sharing, self.team, self.work, self.tree = sharing, team, work, work.tree
        self.query, self.steps, self.pace, self.node_seconds = query, steps, pace, node_seconds
        job = job_of(work, sharing.case)
        assert job is not None, "nobody else works on the tree"
        self.job: Job = frame_of(job)
        self.frame = sent("frame", self.job)
        self.given: dict[int, _Given] = {}
        self.again: list[tuple[Batch, int]] = []  # failed, and how often
        self.kept: list[Batch] = []  # failed too often
        self.why = ""  # they did
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """See `Helpers.search`. Raises TeamError; then every node is open again."""
        try:
            while not self._over():
                self._give()
                self._ask()
                for event in self.team.wait(LOOK):
                    self._hear(event)
        except KeyboardInterrupt as stop:
            self.outcome.stopped = cause(stop)
        finally:
            self.tree.recall()
        if self.given:
            self.team.drop()
        return self.outcome

    def _over(self) -> bool:
        outcome, tree = self.outcome, self.tree
        with memory.ceiling(min(self.sharing.memory_mb, self.work.options.memory_mb)):
            tree.open.cool()
        if not outcome.witness and not outcome.stopped:
            waits = len(tree.open) or self.given or self.again
            if waits:
                outcome.stopped = self.pace.budget.exceeded(tree.size) or self.pace.stop()
            elif self.kept:
                outcome.stopped = f"{sum(map(len, self.kept))} nodes given {TRIES} times: {self.why}"
            else:
                outcome.stopped = tree.open.lost_nodes
            return bool(outcome.stopped) or not waits
        return True

    def _give(self) -> None:
        """Errands for everybody who is free."""
        while free := self.team.free():
            if self.again:
                batch, tries = self.again.pop()
            elif count := len(self.tree.open):
                fair = -(-count // max(free, PARTS * self.team.size()))
                try:
                    batch, tries = self.tree.take_shares(min(fair, self._most())), 0
                except IndexError:  # what was there is lost
                    return
            else:
                return
            self._send(batch, tries)

    def _most(self) -> int:
        """Nodes that a slice has time for, were none of them split, and that take little of the memory."""
        room = ERRAND_SHARE * self.sharing.memory_mb / max(size_mb(self.tree.root), 1e-9)
        return max(1, int(min(SLICE / max(self.node_seconds, 1e-9), room)))

    def _send(self, batch: Batch, tries: int) -> None:
        budget, options, tree = self.pace.budget, self.work.options, self.tree
        room = max(1, (options.nodes - tree.size) // self.team.size())
        nodes = replace(batch, number=np.arange(len(batch)))
        self.sharing.keys += 1
        key = self.sharing.keys
        seconds = max(LOOK, self.work.limits.remaining)
        errand = sent("errand", Errand(
            nodes, seconds, min(seconds, max(LOOK, budget.left)), SLICE, len(batch) + min(room, 10**15),
            options.seed + key & (1 << 62) - 1,
        ))  # fmt: skip
        share = float((0.5**batch.depth).sum())
        self.given[key] = _Given(batch, digest_of(errand), share, tries + 1, time.monotonic())
        self.team.send(key, self.frame, errand)

    def _ask(self) -> None:
        """The largest open shares to come back, for those who have nothing to do."""
        idle = self.team.free()
        asked = sum(g.asked for g in self.given.values())
        now = time.monotonic()
        busy = [(g.share, key) for key, g in self.given.items() if not g.asked and now > g.began + LEAST]
        for _, key in sorted(busy, reverse=True)[: max(0, idle - asked)]:
            self.given[key].asked = True
            self.team.ask(key)

    def _hear(self, event: Event) -> None:
        given = self.given.get(event.key)
        if given is None:  # of a stage that is over
            return
        if event.share is not None:
            given.share = event.share
            return
        del self.given[event.key]
        why = event.failure
        if event.report is not None:
            try:
                report = opened("report", Report, event.report, "report")
                tree = grown(report, self.job, self.query, given.digest, len(given.batch))
                witness = self._witness(report)
            except InputError as error:
                why = str(error)
            else:
                if not (idle(report) and witness is None):
                    self.tree.adopt(given.batch, tree)
                    self._taken(report, witness)
                else:
                    why = report.stopped or "nothing was done"
        if why:
            LOG.info("errand %d of %d nodes, given %d times: %s", event.key, len(given.batch), given.tries, why)
            self.why = why
            if given.tries < TRIES:
                self.again.append((given.batch, given.tries))
            else:
                self.kept.append(given.batch)
        self.pace.report(self.tree)

    def _witness(self, report: Report) -> Witness | None:
        """The counterexample, replayed here. Raises InputError where it is none."""
        if report.witness is None:
            return None
        candidates, case = self.work.candidates, self.query.case  # of the inputs as asked
        if report.witness.shape == (case.region.size,):
            if witness := candidates.replay.check(case, report.witness, candidates.joint):
                return witness
        raise InputError("an input that is no counterexample was called one")

    def _taken(self, report: Report, witness: Witness | None) -> None:
        """What the report says besides."""
        exact, done = self.work.exact, report.size - sum(map(len, report.open))
        self.work.counts.update(report.counts)
        exact.left = report.left or exact.left
        if report.exact and exact.counterexample is None:  # checked before it is told, see `stages.answer`
            exact.counterexample = tuple(Fraction(x) for x in report.exact)
        self.outcome.witness = self.outcome.witness or witness
        if done > 0:
            self.node_seconds = report.seconds / done
