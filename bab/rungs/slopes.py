"""Optimised slopes for nodes that plain linear bounds leave open: hidden neurons first, then the margins.

Nodes of input splits are bounded by plain back-substitution; here each row's slopes and multipliers ascend
(`encodings.slopes.optimised_bounds`, Xu et al. 2021, Wang et al. 2021). Nodes of phases have such bounds already.
"""

from __future__ import annotations

import time

import numpy as np

from ...encodings.linear.linear_bounds import LinearBoundOptions, bound
from ...encodings.slopes.optimised_bounds import OptimiseOptions, optimise, tighten
from ...heuristics.efforts import SlopeRungEffort
from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.query import Query
from ..closers.regions import Check
from ..tree.evidence import Evidence
from .rung import Climb

__all__ = ["SlopeRung"]


class SlopeRung:
    """See `Rung`; the whole batch at a time."""

    name = "slopes"

    def __init__(self, query: Query, effort: SlopeRungEffort | None = None) -> None:
        self.query, self.effort = query, effort or SlopeRungEffort()

    def climb(self, batch: Batch, margins: Array, check: Check, deadline: float) -> Climb:
        """See `Rung`."""
        query, found = self.query, Climb.nothing(batch, Evidence.SLOPES)
        known = bound(query, batch, LinearBoundOptions(hidden=False, deadline=deadline))
        if self.effort.hidden:
            known = tighten(query, batch, known, OptimiseOptions(self.effort.hidden, deadline=deadline))
        better = optimise(query, batch, known, OptimiseOptions(self.effort.margins, deadline=deadline))
        if time.monotonic() >= deadline and not np.isfinite(better.margins).any():
            return found
        found.asked[:] = True
        found.bounds = np.where(better.infeasible[:, None], np.inf, query.per_disjunct(better.margins))
        return found
