"""The account of a rung: what it closed, how much it moved the others, what that cost, and whether that pays.

Held against each other are shares of the tree per second: what the rung closed in its time, and what the search closed
lately in all of its time. One share of the tree is as good as another, so the comparison needs no model of either.
"""

from __future__ import annotations

import threading
import time
from collections import Counter

import numpy as np

from ...heuristics.efforts import GROWTH, LadderEffort
from ...instances.network import Array

__all__ = ["Account"]


class Account:
    """What one rung did in one search. pays: what it goes by; None: the rung is asked about every node."""

    def __init__(self, pays: LadderEffort | None = None) -> None:
        self.effort, self.always = pays, pays is None
        self.started, self.seconds, self.share = time.monotonic(), 0.0, 0.0
        self.tried = self.closed = 0
        self.moved = 0.0  # sum over the nodes that it did not close
        self.depth = 0  # from which on the next trial's nodes are
        self.slice = pays.slice if pays else 0.0  # seconds that a trial is expected to take
        self.marks: list[tuple[float, float]] = []  # (time, share of the tree closed), the search's progress
        self.told = Counter[str]()
        self.lock = threading.Lock()

    def go_on(self, pause: float) -> None:
        """Another search of the same query begins, `pause` seconds after the last one: its tree is another one."""
        self.started += pause
        self.marks.clear()

    def due(self, depths: Array, closed_share: float, threads: int = 1) -> tuple[Array, float]:
        """Which nodes [B] of these depths are asked about now, and for how many seconds at most.

        closed_share: of the tree, so far; threads: that search at a time.
        """
        nobody, effort, now = np.zeros(0, dtype=np.intp), self.effort, time.monotonic()
        assert effort is not None
        spent = (now - self.started) * threads
        self._mark(now, closed_share)
        if now - self.started < effort.after:
            return nobody, 0.0
        if self.pays(threads) and self.seconds < effort.most * spent:
            return np.arange(len(depths)), max(effort.most * spent - self.seconds, self.slice)
        share = effort.share * (1.0 if self.moves else 0.25)
        if self.seconds + self.slice > share * spent:
            return nobody, 0.0
        deep = np.flatnonzero(depths >= self.depth)
        if not len(deep):
            self.depth = int(depths.min())
            return nobody, 0.0
        order = deep[np.argsort(depths[deep], kind="stable")]
        return order[: effort.few], max(self.slice, share * spent - self.seconds)

    def pays(self, threads: int = 1) -> bool:
        """Whether it closes more of the tree per second than the search has closed lately."""
        effort = self.effort
        if effort is None or self.tried < effort.least or not self.closed or len(self.marks) < 2:
            return False
        (t0, s0), (t1, s1) = self.marks[0], self.marks[-1]
        rate = max(s1 - s0, 0.0) / max((t1 - t0) * threads, 1e-9)
        return self.share > effort.faster * rate * self.seconds

    @property
    def moves(self) -> bool:
        """Whether what it did not close was at least brought nearer."""
        least = self.effort.moves if self.effort else 0.0
        return self.closed > 0 or self.moved >= least * self.tried

    def note(self, seconds: float, tried: int, depths: Array, moved: Array) -> None:
        """A trial of so many nodes. depths: of those that it closed; moved: shares of the others' way to 0."""
        with self.lock:
            self.seconds += seconds
            self.tried += tried
            self.closed += len(depths)
            self.share += float((0.5 ** depths.astype(float)).sum())
            self.moved += float(moved.sum())
            self.told.update(tried=tried, closed=len(depths), ms=round(1000 * seconds))
            if self.effort is not None:
                self.slice = max(seconds, self.slice / GROWTH)
                self.depth = 0 if len(depths) else self.depth + self.effort.deeper

    def take_counts(self) -> Counter[str]:
        """Nodes tried and closed, and milliseconds, since this was asked last."""
        with self.lock:
            told, self.told = self.told, Counter()
        return told

    def __str__(self) -> str:
        left = self.tried - self.closed
        mean = self.moved / left if left else 0.0
        how = "every node" if self.always else "used" if self.pays() else f"tried, next from depth {self.depth}"
        return (
            f"{how}; {self.tried} nodes in {self.seconds:.3g} s, {self.closed} closed, {self.share:.3g} of the tree; "
            f"the others moved by {mean:.2g} of their way"
        )

    def _mark(self, now: float, closed_share: float) -> None:
        """Keep the search's progress over the last half of its time, or a little more."""
        self.marks.append((now, closed_share))
        half = self.started + 0.5 * (now - self.started)
        if len(self.marks) > 3 and self.marks[1][0] <= half:
            del self.marks[0]
        if len(self.marks) > 64:
            del self.marks[1::2]
