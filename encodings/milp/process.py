"""`close.close`, or another task, in a process of its own: one that crashes, hangs or overruns costs its slice only.

The process is forked: it has the query, the node and every module without a copy, and its callbacks take a lock of
Python's of their own, so that SCIPs and the search do not wait for each other. What comes back is the pickled
MilpResult. Where processes cannot be forked safely SCIP runs in the calling thread.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from threading import Lock, Thread
from typing import Any

import numpy as np

from ...instances.batch import Node
from ...instances.network import Array
from ...instances.query import Query
from ..programs.scip import library
from .close import Float64Check, MilpOptions, MilpResult, close

__all__ = ["FORKS", "GRACE", "apart", "close_apart"]

FORKS = sys.platform == "linux"  # macOS's own libraries do not survive a fork
GRACE = 0.25  # seconds beyond its limit that SCIP may take to come to an end
POLL = 20  # milliseconds between two looks at `stop`
ORPHAN = 0.2  # seconds between two looks at whether the parent is still there
_FORKING = Lock()  # a child that had another one's end of a pipe would keep it open
_INTERRUPTS = {getattr(signal, name) for name in ("SIGINT", "SIGALRM") if FORKS}


def close_apart(
    query: Query, node: Node, disjunct: int, time_limit: float, memory_mb: float,
    options: MilpOptions | None = None, stop: Callable[[], bool] = lambda: False,
) -> MilpResult:  # fmt: skip
    """See `close.close`. stop() is asked some times a second; True ends SCIP at once, and its result is open.

    options: without `accept`, which would be asked in the other process. Raises what `close` raises.
    """
    options = options or MilpOptions()
    if not FORKS:
        held = Float64Check(query, [disjunct])

        def accept(points: Array) -> bool:
            return held(points) or stop()

        return close(query, node, disjunct, time_limit, memory_mb, replace(options, accept=accept))
    began = time.monotonic()
    task = partial(close, query, node, disjunct, time_limit, memory_mb, options)
    answer = apart(task, time_limit, stop)
    if isinstance(answer, str):
        return MilpResult("open", -np.inf, [], 0, time.monotonic() - began, f"SCIP {answer}")
    assert isinstance(answer, MilpResult)
    return answer


def apart(task: Callable[[], Any], seconds: float, stop: Callable[[], bool] = lambda: False) -> Any:
    """What task() returns, from a process of its own; words that say why there is nothing where it was ended.

    seconds: after which it is ended, with GRACE; stop() is asked some times a second, True ends it at once. Raises what
    the task raises. Where processes cannot be forked safely the task runs here, and keeps its time by itself.
    """
    library()  # before the fork, once for all
    import_module("scipy.sparse")  # the same: every task would load it anew
    return _Child(task).wait(seconds, stop) if FORKS else task()


class _Child:
    """A forked process and the pipe that its result comes through."""

    def __init__(self, task: Callable[[], Any]) -> None:
        self.began = time.monotonic()
        self.end = self.pid = 0
        try:
            with _FORKING, _uninterrupted():
                self._fork(task)
        except BaseException:
            if self.pid > 0:
                self._reap(kill=True)
            raise
        self.answers = select.poll()
        self.answers.register(self.end, select.POLLIN | select.POLLHUP)

    def _fork(self, task: Callable[[], Any]) -> None:
        parent = os.getpid()
        self.end, writes = os.pipe()
        try:
            self.pid = os.fork()  # a child that waits for a lock which another thread held is ended in time
            if self.pid == 0:
                _work(task, writes, parent)
        except OSError:
            os.close(self.end)
            raise
        finally:
            os.close(writes)

    def wait(self, seconds: float, stop: Callable[[], bool]) -> Any:
        """See `apart`."""
        content, reason, over = b"", "", False
        try:
            while not reason and not over:
                if self.answers.poll(POLL):
                    part = os.read(self.end, 1 << 20)
                    content, over = content + part, not part
                elif stop():
                    reason = "was ended: no longer asked"
                elif time.monotonic() - self.began > seconds + GRACE:
                    reason = "was ended: it overran its time"
        finally:
            code = self._reap(kill=not over)
        if reason or code:
            return reason or f"crashed: {_cause(code)}"
        answer: Any = pickle.loads(content)  # noqa: S301  our own child wrote it
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _reap(self, kill: bool) -> int:
        """Wait for the process to end; its exit code, negative for a signal."""
        os.close(self.end)
        if kill:
            os.kill(self.pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Signals of the calling thread wait until the end, which raises what their handlers raise.

    What a handler raises inside Python's hooks around a fork, logging's for one, is printed and lost, and locks that
    the hooks have taken are never given back.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)  # raises what came before it, blocked all the same
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(task: Callable[[], Any], writes: int, parent: int) -> None:
    """What the child does: it never returns."""
    code = 1
    try:
        # SCIP and SoPlex write warnings from C past every message handler; what matters comes through the pipe
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        # the parent hears Ctrl-C and ends us; SCIP's own handler would only print
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        Thread(target=_outlive_nobody, args=(parent,), daemon=True).start()
        left = memoryview(_packed(task))
        while left:
            left = left[os.write(writes, left) :]
        code = 0
    finally:
        os._exit(code)


def _outlive_nobody(parent: int) -> None:
    """End the process once its parent is gone, whatever ended that."""
    while os.getppid() == parent:
        time.sleep(ORPHAN)
    os._exit(1)


def _packed(task: Callable[[], Any]) -> bytes:
    try:
        return pickle.dumps(task())
    except Exception as error:
        return pickle.dumps(error)  # for the parent to raise


def _cause(code: int) -> str:
    """-11 -> "SIGSEGV"."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
