"""The ladder: dearer relaxations for nodes that their bounds leave open, each only as far as it pays.

A rung is asked about every node, where that was chosen (`node_bounds`, `closing`), or left to its account. Then it is
tried on a few nodes of growing depth, with a small share of the time, and used on all nodes once it closes more of the
tree per second than the search: a node at depth d is 2^-d of the tree. A rung that closes nothing and hardly moves the
bounds is tried more rarely. What the account says stands in the log and in the statistics.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from ...heuristics.efforts import LadderEffort
from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.query import Query
from ..closers.regions import Check
from ..tree.evidence import State
from ..tree.search import Closing
from ..tree.tree import Tree
from .account import Account
from .rung import Climb, Rung

__all__ = ["Ladder", "Step"]

LOG = logging.getLogger(__name__)
LOOK = 0.2  # seconds


@dataclass(eq=False)
class Step:
    """A rung, and how often it is asked: about every node (None), or as its account says."""

    rung: Rung
    account: Account

    @staticmethod
    def of(rung: Rung, pays: LadderEffort | None = None) -> Step:
        """pays: what its account goes by; None: it is asked about every node."""
        return Step(rung, Account(pays))


class Ladder:
    """The rungs of one search, cheapest first; its threads share it. See `steps.closing.Closer` for `close`."""

    def __init__(self, query: Query, tree: Tree, steps: list[Step], deadline: float, threads: int = 1) -> None:
        """deadline: time.monotonic() of the run; threads: that search at a time."""
        self.query, self.tree, self.steps, self.deadline, self.threads = query, tree, steps, deadline, threads
        self.lock = threading.Lock()
        self.looked, self.share = -LOOK, 0.0  # time.monotonic() of the last look at the tree, its share that is closed

    def close(self, batch: Batch, margins: Array, check: Check, closing: Closing) -> None:
        """One rung after another on the nodes that are still open; `closing` is told what they refute."""
        for step in self.steps:
            left = np.flatnonzero(closing.kinds == State.OPEN)
            if closing.witness or not len(left):
                return
            if step.account.always:
                self._climb(step, left, self.deadline, batch, margins, check, closing)
            elif self.lock.acquire(blocking=False):  # one trial at a time
                try:
                    chosen, seconds = step.account.due(batch.depth[left], self._closed_share(), self.threads)
                    if len(chosen):
                        end = min(self.deadline, time.monotonic() + seconds)
                        self._climb(step, left[chosen], end, batch, margins, check, closing)
                finally:
                    self.lock.release()

    def _closed_share(self) -> float:
        """Of the tree; a look at all open nodes, now and then."""
        now = time.monotonic()
        if now - self.looked >= LOOK:
            self.looked, self.share = now, self.tree.open.closed_share
        return self.share

    def _climb(
        self, step: Step, some: Array, end: float, batch: Batch, margins: Array, check: Check, closing: Closing
    ) -> None:
        began, nodes = time.monotonic(), replace(batch[some], duty=closing.duty[some].copy())
        found = step.rung.climb(nodes, margins[some], check, end)
        duty = nodes.duty & ~(found.bounds > 0.0)
        ended = ~duty.any(axis=1)
        closing.kinds[some] = np.where(ended, found.evidence, closing.kinds[some])
        closing.duty[some] = duty
        moved = _moved(self.query, nodes, margins[some], found)[found.asked & ~ended]
        step.account.note(time.monotonic() - began, int(found.asked.sum()), nodes.depth[ended], moved)
        closing.witness = found.witness
        if closing.witness is None and found.points and not ended.all():
            closing.witness = check(np.array(found.points))

    def take_counts(self) -> Counter[str]:
        """What the rungs did since this was asked last, for the statistics; how they stand goes to the log."""
        counts: Counter[str] = Counter()
        for step in self.steps:
            name = step.rung.name.replace("-", "_")
            LOG.info("rung %s: %s", step.rung.name, step.account)
            counts.update({f"{name}_{word}": count for word, count in step.account.take_counts().items()})
        return +counts


def _moved(query: Query, nodes: Batch, margins: Array, found: Climb) -> Array:
    """[B] share of the way from the known worst margin to 0 by which the rung raised it."""
    known = query.per_disjunct(margins)
    before = np.where(nodes.duty, known, np.inf).min(axis=1)
    after = np.where(nodes.duty, np.fmax(known, found.bounds), np.inf).min(axis=1)
    with np.errstate(invalid="ignore", over="ignore"):
        share = (np.minimum(after, 0.0) - before) / -before
    known_share = np.isfinite(before) & (before < 0.0) & np.isfinite(share)
    return np.asarray(np.where(known_share, np.clip(share, 0.0, 1.0), 0.0))
