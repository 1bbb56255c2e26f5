"""Steps made of functions, for tests of the search's loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hypersplit.bab.run.budget import Budget
from hypersplit.bab.run.limits import Limits
from hypersplit.bab.run.options import Options
from hypersplit.bab.tree.evidence import Evidence
from hypersplit.bab.tree.search import Closing, Pace
from hypersplit.encodings.linear.linear_bounds import Bounds, bound
from hypersplit.heuristics.splits.splits import Splits
from hypersplit.instances.batch import Batch
from hypersplit.instances.query import Query


@dataclass
class FunctionSteps:
    """Linear bounds, no attack, no clipping, no closing and no split, but for what is given."""

    query: Query
    bounding: Callable[[Query, Batch], Bounds] = bound
    attacking: Callable[..., Any] = lambda *_: None
    evidence: Evidence = Evidence.LINEAR
    half_spaces: bool = True

    def bound(self, batch: Batch) -> tuple[Batch, Bounds]:
        """As given."""
        return batch, self.bounding(self.query, batch)

    def attack(self, batch: Batch, bounds: Bounds) -> Any:
        """As given."""
        return self.attacking(batch, bounds)

    def clip(self, batch: Batch, bounds: Bounds) -> tuple[Batch, np.ndarray]:
        """Nothing."""
        return batch, np.zeros(len(batch), dtype=bool)

    def close(self, batch: Batch, bounds: Bounds) -> Closing:
        """Nothing."""
        return Closing.nothing(batch)

    def split(self, batch: Batch, bounds: Bounds) -> Splits:
        """None."""
        return Splits.none(len(batch), self.query.network.input_size)

    def settle(self, batch: Batch, bounds: Bounds) -> Closing:
        """Nothing."""
        return Closing.nothing(batch)


def pace(batch: int, workers: int = 1, stop: Callable[[], str] = lambda: "", node_mb: float = 0.0) -> Pace:
    """So many nodes at a time, with all the time that there is."""
    return Pace(Budget(Limits(Options(timeout=600.0))), batch, workers, node_mb, stop)
