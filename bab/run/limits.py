"""Time, memory and node limits of a run, and the reason to stop when one is reached."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ...instances.memory import resident_mb
from .options import Options

__all__ = ["ENOUGH", "INTERRUPTIONS", "LimitReached", "Limits", "cause"]

INTERRUPTIONS = ("interrupted", "time", "memory")  # reasons after which no other stage begins
ENOUGH = "enough open nodes"  # why a search ends that is to be exported

LEAST = 0.06  # seconds too few to begin anything with


class LimitReached(KeyboardInterrupt):
    """Ctrl-C of our own: raised anywhere in the main thread where a limit is passed between two looks (`watch`)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason  # "time" or "memory"


def cause(stop: BaseException) -> str:
    """Why the run was interrupted, as a reason of its result."""
    return stop.reason if isinstance(stop, LimitReached) else "interrupted"


@dataclass(eq=False)
class Limits:
    """Counts from `start`; asked once per round of the search."""

    options: Options
    start: float = field(default_factory=time.monotonic)  # time.monotonic() at the beginning of the run
    reserve: float = 0.0  # seconds kept for what is written at the end

    @property
    def deadline(self) -> float:
        """time.monotonic() at which the run must have its verdict: a little early, to write it down."""
        return self.start + self.options.timeout - min(0.3, 0.02 * self.options.timeout) - self.reserve

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start

    @property
    def remaining(self) -> float:
        """Seconds to the deadline, >= 0."""
        return max(0.0, self.deadline - time.monotonic())

    def exceeded(self, nodes: int = 0, seconds: float = 0.0) -> str:
        """Reason not to begin what takes `seconds`, "" for none."""
        if self.remaining < max(LEAST, seconds):
            return "time"
        if resident_mb() > self.options.memory_mb:
            return "memory"
        if nodes >= self.options.nodes:
            return "nodes"
        return ""
