"""MILPs of nodes: with binaries for the few ReLUs that matter most, or for all of them.

The node's box, half-spaces, phases and bounds go into SCIP's model (`encodings.milp`); a partial MILP also gets the
rows of several neurons that hold on the node. What SCIP refutes is proved by the conflict search, or stays open
(`closers.asking`); only with `trust_scip` its word ends a node, and the evidence says so.
"""

from __future__ import annotations

import time

import numpy as np

from ...heuristics.efforts import MilpRungEffort
from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.query import Query
from ..closers.asking import Asking
from ..closers.regions import Check, bounded
from ..tree.evidence import Evidence
from .kept_rows import KeptRows
from .rung import Climb, duties_of

__all__ = ["MilpRung"]


class MilpRung:
    """See `Rung`. Partial where it is given rows."""

    def __init__(
        self, query: Query, asking: Asking, partial: KeptRows | None = None, effort: MilpRungEffort | None = None
    ) -> None:
        self.query, self.asking, self.partial, self.effort = query, asking, partial, effort or MilpRungEffort()
        self.name = "milp" if partial is None else "partial-milp"

    def climb(self, batch: Batch, margins: Array, check: Check, deadline: float) -> Climb:
        """See `Rung`."""
        found = Climb.nothing(batch, Evidence.CONFLICTS)
        unstable = ((batch.pre_lower < 0.0) & (batch.pre_upper > 0.0) & self.query.relu).sum(axis=1)
        for b in range(len(batch)):
            node, seconds = batch.node(b), min(self.effort.seconds, deadline - time.monotonic())
            if seconds <= 0.0:
                break
            if not bounded(node) or unstable[b] > self.effort.largest:
                continue
            found.asked[b] = True
            rows = None if self.partial is None else self.partial.holding(batch, b)
            binaries = None if self.partial is None else self.effort.binaries
            duties = duties_of(self.query, batch, b, margins)
            asked = self.asking(node, duties, check, seconds, seconds, binaries, rows if rows else None)
            if asked.trusted:
                found.evidence[b] = Evidence.SCIP
            if not asked.trusted or not asked.left:  # what ends the node later will not tell what SCIP said
                found.bounds[b, asked.refuted] = np.inf
            found.witness = asked.witness
            if asked.witness or asked.exact:
                break
        return found
