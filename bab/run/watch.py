"""What keeps a run's limits where its steps do not: a thread that looks at the clock and at the memory.

The steps are cut into short blocks and look themselves; this is for what nobody can cut: a library's call, a file of
an unexpected size, a step whose time was misjudged. Where a limit is passed, the main thread is interrupted first: it
raises LimitReached, keeps what is proved, and answers. Where it does not answer soon, being in a call that hears no
signal, the answer is given here, without it, and the process ends.

Nothing is decided by the interruption: it is Ctrl-C with a reason. It waits for modules that are being imported: an
import that is cut short leaves parts of a package behind, numba's for one, with which no later import of it succeeds.
What is raised where nothing can be raised (in a `__del__`, in a callback of a weak reference) Python reports and drops:
then the main thread is interrupted once more.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

from ...instances.memory import resident_mb
from .exit_codes import UNDECIDED
from .limits import LimitReached

__all__ = ["watched"]

POLL = 0.05  # seconds between two looks at the memory
SIGNAL = getattr(signal, "SIGALRM", None)  # that interrupts the main thread; None where there are no such signals
# beyond the limit, and as a share of it, where that is more: what the main thread has to answer by itself
GRACE, GRACE_SHARE = 0.25, 0.025  # seconds
GRACE_MB, GRACE_MB_SHARE = 40.0, 0.04


@contextmanager
def watched(end: float, timeout: float, memory_mb: float, answer: Callable[[str], None] | None) -> Iterator[None]:
    """Keep the limits of what is done inside.

    end: time.monotonic() at which the run must be over, `timeout` seconds after its begin. answer(reason) is called in
    a thread of its own, with "time" or "memory", where the main thread does not come back; then the process ends. None
    waits for the main thread: the process is not ours to end.
    Only the main thread can be interrupted: in others this does nothing.
    """
    if SIGNAL is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    watch = _Watch(end, max(GRACE, GRACE_SHARE * timeout), memory_mb, answer)
    before, hook = signal.signal(SIGNAL, watch.heard), sys.unraisablehook
    thread = threading.Thread(target=watch.run, daemon=True)
    try:
        sys.unraisablehook = partial(watch.dropped, hook)
        try:
            thread.start()  # the end may have come already, and with it the signal
            yield
        finally:
            watch.stop()
    finally:
        watch.stop()  # the first one may have been interrupted; there is no second signal
        sys.unraisablehook = hook
        signal.signal(SIGNAL, signal.SIG_IGN)  # drops one that is on its way: the default would end the process
        signal.signal(SIGNAL, before)


class _Watch:
    def __init__(self, end: float, grace: float, memory_mb: float, answer: Callable[[str], None] | None) -> None:
        self.end, self.grace, self.memory_mb, self.answer = end, grace, memory_mb, answer
        self.most_mb = memory_mb + max(GRACE_MB, GRACE_MB_SHARE * memory_mb)
        self.over = threading.Event()
        self.answering = threading.Lock()  # of the one who answers: the main thread, or this one
        self.reason = ""
        self.imports = _imports(sys._getframe())  # around all that is watched
        self.missed = False  # whether the signal came while a module was imported, or what it raised was dropped

    def stop(self) -> None:
        """The main thread answers; where this one has begun to, that ends the process, and there is no return."""
        with self.answering:
            self.over.set()

    def heard(self, number: int, frame: FrameType | None) -> None:
        """The signal's handler, in the main thread."""
        if self.reason and not self.over.is_set():
            if _imports(frame) > self.imports:
                self.missed = True
            else:
                raise LimitReached(self.reason)

    def dropped(self, hook: Callable[[Any], object], told: Any) -> None:
        """An exception that could not be raised: ours is raised again, others are for the hook that was there."""
        if issubclass(told.exc_type, LimitReached):
            self.missed = True
        else:
            hook(told)

    def run(self) -> None:
        """Look until the run is over."""
        main = threading.main_thread().ident
        while not self.over.wait(self._pause()):
            now, mb = time.monotonic(), resident_mb()
            if self.answer is not None and (now > self.end + self.grace or mb > self.most_mb):
                self._answer(self.answer, "time" if now > self.end else "memory")
            if self.missed:
                self.missed = False
                self._interrupt(main, self.reason)
            elif not self.reason and (now > self.end or mb > self.memory_mb):
                self._interrupt(main, "time" if now > self.end else "memory")

    def _interrupt(self, main: int | None, reason: str) -> None:
        with self.answering:
            if not self.over.is_set():
                self.reason = reason
                if main is not None and SIGNAL is not None:
                    signal.pthread_kill(main, SIGNAL)

    def _answer(self, answer: Callable[[str], None], reason: str) -> None:
        with self.answering:
            if not self.over.is_set():
                try:
                    answer(self.reason or reason)
                finally:
                    os._exit(UNDECIDED)

    def _pause(self) -> float:
        """Seconds to the next look."""
        until = self.end + (self.grace if self.reason == "time" else 0.0) - time.monotonic()
        return POLL if self.reason and self.answer is None else min(POLL, max(0.001, until))


def _imports(frame: FrameType | None) -> int:
    """How many of a frame and its callers belong to Python's import of modules."""
    count = 0
    while frame is not None:
        count += frame.f_code.co_filename.startswith("<frozen importlib")
        frame = frame.f_back
    return count
