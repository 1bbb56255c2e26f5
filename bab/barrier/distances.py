"""The largest distance at which a relaxation proves that an input keeps its class, by bisection.

LP-GREEDY: doubling, then halving down to 1e-5. The others begin where the one before them ends, in steps of a twentieth
of LP-GREEDY's distance until one fails (Salman, Yang, Zhang, Hsieh and Zhang 2019, Appendix L), then halve the last
step twice.
"""

from __future__ import annotations

import time

import numpy as np

from ...instances.batch import Node
from ...instances.network import Array, Network
from ...instances.query import Query, queries
from ..robustness.question import Range, question
from ..studies.frame import Row
from .relaxations import Relaxations

__all__ = ["STEP", "Distances"]

FIRST, TOLERANCE, MOST = 0.01, 1e-5, 16.0  # of LP-GREEDY
STEP = 0.05  # of LP-GREEDY's distance
PARTS = 4  # of the last step


class Distances:
    """What relaxations prove around one input [n] within the maximum norm."""

    def __init__(self, network: Network, x: Array, label: int, limits: Range) -> None:
        self.network, self.x, self.label, self.limits = network, x, label, limits
        self.greedy, self.parts = 0.0, 0  # proved so far: greedy, and so many parts of a step beyond it

    @property
    def best(self) -> float:
        """The largest distance that is proved so far."""
        return self._after(self.parts)

    def at(self, epsilon: float) -> tuple[Query, Node]:
        """The question at a distance, and its input set with LP-GREEDY's hidden bounds."""
        query = self._query(epsilon)
        return query, Relaxations(query).node

    def largest(self, name: str, deadline: float) -> Row:
        """epsilon, grid (the largest multiple of a twentieth of LP-GREEDY's distance), questions, stopped, seconds.

        To be asked in the order of RELAXATIONS. deadline: time.monotonic() at which it stops with what is proved.
        """
        began, self.questions, self.deadline = time.monotonic(), 0, deadline
        if name == "LP-GREEDY":
            self._greedy()
        elif self.greedy > 0.0:
            self._from_there(name)
        return {
            "epsilon": self.best, "grid": self._after(self.parts - self.parts % PARTS), "questions": self.questions,
            "stopped": int(time.monotonic() >= deadline), "seconds": time.monotonic() - began,
        }  # fmt: skip

    def _greedy(self) -> None:
        low, high = 0.0, FIRST
        while high <= MOST and self._proves("LP-GREEDY", high):
            low, high = high, 2.0 * high
        while high - low > TOLERANCE:
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self._proves("LP-GREEDY", middle) else (low, middle)
        self.greedy = low

    def _from_there(self, name: str) -> None:
        high = self.parts - self.parts % PARTS + PARTS
        while self._proves(name, self._after(high)):
            self.parts, high = high, high + PARTS
        while high - self.parts > 1:
            middle = (self.parts + high) // 2
            if self._proves(name, self._after(middle)):
                self.parts = middle
            else:
                high = middle

    def _after(self, parts: int) -> float:
        return self.greedy * (1.0 + STEP * parts / PARTS)

    def _proves(self, name: str, epsilon: float) -> bool:
        """False at the deadline."""
        if epsilon > MOST or time.monotonic() >= self.deadline:
            return False
        self.questions += 1
        return Relaxations(self._query(epsilon), self.deadline).proves(name)

    def _query(self, epsilon: float) -> Query:
        classes = self.network.output_size
        others = [j for j in range(classes) if j != self.label]
        prop = question(self.x, epsilon, np.inf, self.label, others, classes, self.limits)
        return queries(self.network, prop)[0]
