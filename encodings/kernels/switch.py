"""Which of two twins works, and how kernels get compiled without anybody waiting.

Compiling takes about a minute, once: a process of its own does it, while the run that first wanted the kernels goes on
with numpy, and changes over as soon as their family is ready. That process may die with the run (where all processes
of a container or a job are killed): the lock that it held says so at once, and the next run goes on where it was. It
keeps the run's priority: what it compiles is ten times as fast as what it takes a core from.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from .cache import Family, kernel_folder, kernels_ready
from .lock import is_held

__all__ = ["POLL", "Switch", "await_kernels", "begin_compilation", "compilation_lock", "compiling"]

TRIES = 2  # compilers that a process starts at most: one may be lost, more than that will not get through
POLL = 0.1  # seconds between two looks at what others compile
_WORKER = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from hypersplit.encodings.slopes.compile_kernels import compile_kernels
compile_kernels(sys.argv[2])
"""
_STARTED: list[subprocess.Popen[bytes]] = []  # by this process
_STARTING = threading.Lock()


def compilation_lock() -> Path:
    """The file that whoever compiles into the folder holds, see `lock.holding`."""
    return kernel_folder() / "compiling.lock"


def compiling() -> bool:
    """Whether a process compiles kernels now, or has just been started by this one to do so."""
    return any(process.poll() is None for process in _STARTED) or is_held(compilation_lock())


def begin_compilation(first: Family) -> None:
    """Start a process that compiles all kernels, one family first; it outlives this one.

    Nothing is started where another process compiles, or where nothing can be kept.
    """
    with _STARTING:  # threads share the switches
        if len(_STARTED) >= TRIES or compiling():
            return
        try:
            kernel_folder().mkdir(parents=True, exist_ok=True)
            if os.access(kernel_folder(), os.W_OK):
                _STARTED.append(subprocess.Popen(
                    [sys.executable, "-c", _WORKER, json.dumps(sys.path), first], start_new_session=True,
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                ))  # fmt: skip
        except OSError:
            return  # nowhere to keep the result, or no more processes: numpy it is


def await_kernels(family: Family) -> None:
    """Return when a family is ready; before, where nobody can be got to compile it: then its first call does."""
    while not kernels_ready(family):
        begin_compilation(family)
        if not compiling():
            return
        time.sleep(POLL)


class Switch:
    """Which of two twins works on a query: numpy at first, the kernel once numpy has taken long enough to repay the
    import of numba."""

    def __init__(self, family: Family, suited: bool, after: float) -> None:
        self.family: Family = family
        self.suited, self.after = suited, after  # suited: whether the kernel can do it; after: seconds of numpy's work
        self.seconds = 0.0  # to be added to by whoever works
        self.ready = "numba" in sys.modules and kernels_ready(family)

    def compiled(self, choice: str) -> bool:
        """Whether the next batch goes to the kernel. choice: see `bounds.LinearBoundOptions.kernel`.

        "compiled" waits until it can.
        """
        if choice == "plain" or not self.suited:
            return False
        if choice == "compiled" and not self.ready:
            await_kernels(self.family)
            self.ready = True
        if not self.ready and self.seconds > self.after:
            self.ready = kernels_ready(self.family)
            if not self.ready:
                begin_compilation(self.family)
        return self.ready
