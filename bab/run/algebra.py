"""One thread for numpy's linear algebra as long as a run is at work, and afterwards what the caller had.

The search's own threads and processes are the parallelism; two kinds of them get in each other's way. The command line
says so in the environment before numpy starts, which a program that calls the library has done long ago. OpenBLAS,
which numpy and scipy bring along, can be told later, too, through functions of its own; other libraries stay as they
are. What is loaded in the middle of a run reads the environment then, and gets its number of threads at the end.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["one_thread_of_algebra"]

VARIABLE = "OPENBLAS_NUM_THREADS"
# numpy's and scipy's wheels rename the functions; with 64 bits for indices they end otherwise
NAMES = [(f"{first}openblas", last) for first in ("scipy_", "") for last in ("64_", "", "_64")]
_lock = threading.Lock()
_inside: set[object] = set()  # runs at work, of all threads
_before: dict[str, int] = {}  # threads of libraries by their paths, before the first of these runs
_ours = False  # whether the variable is ours, and what the libraries were told


@contextmanager
def one_thread_of_algebra() -> Iterator[None]:
    """Inside, OpenBLAS works with one thread, unless the environment says a number of its own.

    Runs that overlap, in several threads, count as one.
    """
    run = object()
    try:
        _enter(run)  # which an interruption may end half way
        yield
    finally:
        _leave(run)


def _enter(run: object) -> None:
    global _ours
    with _lock:
        _inside.add(run)
        if VARIABLE not in os.environ:
            _ours = True
            os.environ[VARIABLE] = "1"
            for path, (get, put) in _libraries().items():
                _before[path] = get()
                put(1)


def _leave(run: object) -> None:
    global _ours
    with _lock:
        _inside.discard(run)
        if _inside or not _ours:
            return
        _ours = False
        os.environ.pop(VARIABLE, None)
        usual = max(_before.values(), default=0)  # 0: nothing was told to use one
        for path, (_, put) in _libraries().items():
            if threads := _before.get(path, usual):
                put(threads)
        _before.clear()


def _libraries() -> dict[str, tuple[Callable[[], int], Callable[[int], object]]]:
    """Of every OpenBLAS that this process has loaded: what tells and what sets its threads; none where nobody knows."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    known = {}
    for path in sorted({line.split(maxsplit=5)[5] for line in lines if "openblas" in line}):
        try:
            library = ctypes.CDLL(path)
        except OSError:  # replaced since it was loaded
            continue
        for first, last in NAMES:
            get = getattr(library, f"{first}_get_num_threads{last}", None)
            put = getattr(library, f"{first}_set_num_threads{last}", None)
            if get is not None and put is not None:
                known[path] = get, put
                break
    return known
