"""Independent pieces of work in processes of their own: whoever is ready first is heard first."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

from .exit_codes import UNDECIDED

__all__ = ["side_by_side"]

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(work: Callable[[T], R], tasks: Sequence[T], jobs: int) -> Iterator[R]:
    """work(task) of every task, in so many processes; with one, or for one task, here and in the order of the tasks.

    work travels to each process once, and must be importable there; an exception of it ends all of them and comes out
    here, and so does Ctrl-C.
    """
    if jobs == 1 or len(tasks) < 2:
        yield from map(work, tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _begin, (work,)) as pool:
        futures = [pool.submit(_done, task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


_WORK: list[Callable[[Any], Any]] = []  # of a process


def _begin(work: Callable[[Any], Any]) -> None:
    """In a process: Ctrl-C is the parent's to hear, and without a parent there is nothing to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _WORK[:] = [work]
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(UNDECIDED)

    threading.Thread(target=watch, daemon=True).start()


def _done(task: Any) -> Any:
    return _WORK[0](task)
