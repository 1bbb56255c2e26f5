"""What the command line sets for its own process: threads of algebra, garbage, warnings, signals, and its end."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

__all__ = ["collect_rarely", "leave", "single_threaded_environment", "process_age", "quiet", "terminable"]

# objects made between two looks for circles of them: what is imported stays, and searches leave few (ACAS Xu: 821)
CIRCLES = 50_000


def collect_rarely() -> None:
    """Look for circles of objects once in a while only: while modules are imported nothing else is found."""
    gc.set_threshold(CIRCLES)


def process_age() -> float:
    """Seconds since this process was started; where /proc does not tell, those of the processor it used."""
    try:
        started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return max(0.0, uptime - started / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return time.process_time()


def single_threaded_environment() -> None:
    """Linear algebra by one thread, said before numpy starts; in a run that has started see `bab.run.algebra`."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


@contextlib.contextmanager
def quiet(verbose: bool) -> Iterator[None]:
    """Libraries' warnings are silenced, unless `verbose`, which also shows our own log on stderr."""
    log = logging.getLogger("hypersplit")
    handler = logging.StreamHandler() if verbose else logging.NullHandler()
    level = log.level
    log.addHandler(handler)
    if verbose:
        log.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            if not verbose:
                warnings.simplefilter("ignore")
            yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM counts as Ctrl-C: what is proved so far is written down before the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def leave(code: int, own_process: bool) -> int:
    """The exit code; our own process ends here where threads still work for a run that was interrupted."""
    if own_process and threading.active_count() > 1:
        sys.stdout.flush()
        os._exit(code)
    return code
