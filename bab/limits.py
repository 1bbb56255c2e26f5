"""Time, memory and node limits of a run, and the reason to stop when one is reached."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

from .options import Options

__all__ = ["Limits", "resident_mb"]

LEAST = 0.06  # seconds too few to begin anything with


def resident_mb() -> float:
    """Resident memory of this process in MB; the peak so far where the system tells no current value."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError):
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1e6 if sys.platform == "darwin" else 1e3)


@dataclass(eq=False)
class Limits:
    """Counts from `start`; asked once per round of the search."""

    options: Options
    start: float = field(default_factory=time.monotonic)  # time.monotonic() at the beginning of the run

    @property
    def deadline(self) -> float:
        """time.monotonic() at which the run must have its verdict: a little early, to write it down."""
        return self.start + self.options.timeout - min(0.3, 0.02 * self.options.timeout)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start

    @property
    def remaining(self) -> float:
        """Seconds to the deadline, >= 0."""
        return max(0.0, self.deadline - time.monotonic())

    def exceeded(self, nodes: int = 0) -> str:
        """Reason to stop now, "" for none."""
        if self.remaining < LEAST:
            return "time"
        if resident_mb() > self.options.memory_mb:
            return "memory"
        if nodes >= self.options.nodes:
            return "nodes"
        return ""
