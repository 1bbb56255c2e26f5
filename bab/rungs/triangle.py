"""The triangle LP of a node, by its safe dual bound (`encodings.programs.lp`).

A node's half-spaces are rows, its phases fix columns, and its box and hidden bounds are the LP's own: one model a
thread is changed in place from node to node, whatever split them.
"""

from __future__ import annotations

import time

import numpy as np

from ...encodings.programs.thread_lps import ThreadLPs
from ...heuristics.efforts import LP_SECONDS
from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.query import Query
from ..closers.regions import Check, bounded
from ..tree.evidence import Evidence
from .rung import Climb, duties_of

__all__ = ["TriangleRung"]


class TriangleRung:
    """See `Rung`."""

    name = "lp"

    def __init__(self, query: Query, seconds: float = LP_SECONDS) -> None:
        """seconds: of one LP."""
        self.query, self.seconds = query, seconds
        self.models = ThreadLPs(query)

    def climb(self, batch: Batch, margins: Array, check: Check, deadline: float) -> Climb:
        """See `Rung`."""
        found = Climb.nothing(batch, Evidence.LP)
        for b in range(len(batch)):
            node = batch.node(b)
            if time.monotonic() >= deadline:
                break
            if not bounded(node):
                continue
            found.asked[b] = True
            model = self.models.at(node)
            for k in duties_of(self.query, batch, b, margins):
                answer = model.minimise(k, min(self.seconds, max(deadline - time.monotonic(), 0.01)))
                found.bounds[b, k] = answer.bound
                if answer.bound == np.inf:  # no input is left, whatever is asked
                    found.bounds[b] = np.inf
                if answer.bound == np.inf or not answer.bound > 0.0:
                    found.points += [] if answer.point is None else [answer.point]
                    break
        return found
