"""The time of a stage: a share of what is left of the run, handed down and divided."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from .limits import Limits

__all__ = ["Budget", "SHARE_OVER"]

SHARE_OVER = "its share of time"  # why a stage ends that is not the last one


@dataclass(frozen=True, eq=False)
class Budget:
    """Until `end`, time.monotonic(), and never longer than the run's limits."""

    limits: Limits
    end: float = math.inf

    @property
    def left(self) -> float:
        """Seconds, negative once it is over."""
        return min(self.end, self.limits.deadline) - time.monotonic()

    def part(self, share: float, most: float = math.inf) -> Budget:
        """A share of what is left, `most` seconds at most."""
        seconds = min(most, share * max(0.0, self.left))
        return Budget(self.limits, min(self.end, time.monotonic() + seconds))

    def exceeded(self, nodes: int = 0, seconds: float = 0.0) -> str:
        """Reason not to begin what takes `seconds` once there are so many nodes, "" for none."""
        return self.limits.exceeded(nodes, seconds) or (SHARE_OVER if time.monotonic() >= self.end else "")
