"""What searches of one query by the same stage, one after another, have in common: an errand of a worker is such a one.

Each would find out anew which rungs pay, in its first seconds and at the price of trials, and build its LPs again. So
rungs whose models stay warm, rows of several neurons, and the accounts of what pays go from one search to the next, as
if all of them were one; the time between two of them does not count.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ..closers.node_lp import NodeLP
from ..closers.node_milp import NodeMilp
from ..rungs.kept_rows import KeptRows
from ..rungs.ladder import Step

__all__ = ["Habits"]


@dataclass(eq=False)
class Habits:
    """Of one query, and one rule that splits it."""

    steps: dict[str, Step] = field(default_factory=dict)  # rungs by their names
    kept: KeptRows | None = None
    node_lp: NodeLP | None = None
    node_milp: NodeMilp | None = None
    left: float = 0.0  # time.monotonic() at which the last search ended

    def go_on(self) -> None:
        """Another search begins."""
        pause = time.monotonic() - self.left
        for step in self.steps.values():
            step.account.go_on(pause)
        for closer in (self.node_lp, self.node_milp):
            if closer is not None:
                closer.started += pause

    def leave(self) -> None:
        """The search has ended."""
        self.left = time.monotonic()
