"""The memory of this process: what it has, what it had at most, and a ceiling that steps look at before they allocate.

A step that is about to need much says so by `claim`, with a figure foreseen from its sizes; the claim fails with
MemoryError where it would break through the ceiling, before anything is allocated. Memory belongs to the process, and
so does its ceiling: there is one, in force as long as a run is.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["SMALL", "ceiling", "claim", "confine", "peak_mb", "resident_mb", "room_mb", "trim"]

_KB = 1024 / 1e6  # the system counts in units of 1024 bytes, we in MB of 10^6
SMALL = 1.0  # MB below which a claim is not worth a look
UNFORESEEN = 64.0  # MB beyond its ceiling at which the system refuses a confined process: threads' stacks, libraries

_ceiling = math.inf  # MB


def resident_mb() -> float:
    """Resident memory of this process in MB; the peak so far where the system tells no current value."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError):
        return _peak_by_rusage()


def peak_mb() -> float:
    """The most resident memory that this process has had so far, in MB; its children are not counted."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * _KB for line in file if line.startswith("VmHWM:"))
    except (OSError, ValueError, StopIteration):
        return _peak_by_rusage()


def _peak_by_rusage() -> float:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * _KB


@contextmanager
def ceiling(mb: float) -> Iterator[None]:
    """Claims fail from here on where they would bring the resident memory over `mb`."""
    global _ceiling
    before, _ceiling = _ceiling, mb
    try:
        yield
    finally:
        _ceiling = before


def confine(mb: float) -> None:
    """Give this process, from here to its end, `mb` more than it has: for one that was forked with a share of its own.

    Claims keep to it; what claims nothing meets MemoryError from the system a little later, where that is Linux.
    """
    global _ceiling
    _ceiling = min(_ceiling, resident_mb() + mb)
    if mb < math.inf and (data := _private_mb()) < math.inf:
        import resource

        least, most = int((data + mb + UNFORESEEN) * 1e6), resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (least if most < 0 else min(least, most), most))


def _private_mb() -> float:
    """What RLIMIT_DATA counts, +inf where the system does not tell."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * _KB for line in file if line.startswith("VmData:"))
    except (OSError, ValueError, StopIteration):
        return math.inf


def room_mb() -> float:
    """MB that may still be allocated, >= 0."""
    return max(0.0, _ceiling - resident_mb()) if _ceiling < math.inf else math.inf


def claim(mb: float) -> None:
    """Raise MemoryError where another `mb` would not stay under the ceiling."""
    if mb >= SMALL and mb > (room := room_mb()):
        raise MemoryError(f"a step needs {mb:.0f} MB, {room:.0f} MB are left")


def trim() -> None:
    """Give the system back what was freed and is kept for later, where the C library can."""
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
