"""One crew of workers for every stage: threads that take work off one source and give back what they found.

The source is asked and told under one lock, and works without it. An exception in any thread ends them all and is
raised where the crew was called, the work it belongs to put back first; so does Ctrl-C, or a limit that interrupts the
calling thread: then nobody waits for the other threads, and what they find afterwards is dropped.
"""

from __future__ import annotations

from threading import Condition, Thread
from typing import Generic, Protocol, TypeVar

__all__ = ["Source", "run_crew"]

Work = TypeVar("Work")
Found = TypeVar("Found")


class Source(Protocol[Work, Found]):
    """Where work comes from and where its results go."""

    def over(self) -> bool:
        """Whether nobody need begin anything more; asked under the lock."""
        ...

    def take(self) -> Work | None:
        """The next piece of work, None where there is none at present; under the lock."""
        ...

    def do(self, work: Work, /) -> Found:
        """Work, without the lock."""
        ...

    def give(self, work: Work, found: Found, /) -> None:
        """Take in what was found; under the lock."""
        ...

    def put_back(self, work: Work, /) -> None:
        """Nothing came of it; under the lock."""
        ...


def run_crew(source: Source[Work, Found], workers: int, patience: float = 1.0) -> None:
    """Work until the source is over, or has no work and nobody is busy. patience: seconds between two looks at it.

    Raises what a worker raised.
    """
    crew = _Crew(source, patience)
    others = [Thread(target=crew.work, daemon=True) for _ in range(workers - 1)]
    try:
        for thread in others:
            thread.start()
        crew.work()
        if not isinstance(crew.error, KeyboardInterrupt):  # else they end with their work, for nobody
            for thread in others:
                thread.join()
    except BaseException as stop:  # noqa: BLE001  an interruption, wherever it comes
        crew.fail(stop)
    if crew.error:
        raise crew.error


class _Crew(Generic[Work, Found]):
    def __init__(self, source: Source[Work, Found], patience: float) -> None:
        self.source, self.patience = source, patience
        self.change = Condition()  # of the source and of who is busy
        self.busy = 0
        self.error: BaseException | None = None

    def work(self) -> None:
        """Take, do and give until nothing is left. Whatever is raised on the way ends the crew."""
        try:
            while (work := self._take()) is not None:
                self._finish(work)
        except BaseException as raised:  # noqa: BLE001  kept for the thread that called
            self.fail(raised)

    def _finish(self, work: Work) -> None:
        try:
            found = self.source.do(work)
        except BaseException:
            with self.change:
                if not self.error:
                    self.source.put_back(work)
            raise
        with self.change:
            if not self.error:
                self.source.give(work, found)
            self.busy -= 1
            self.change.notify_all()

    def fail(self, error: BaseException) -> None:
        """Let every thread end with its work."""
        with self.change:
            self.error = self.error or error
            self.change.notify_all()

    def _take(self) -> Work | None:
        with self.change:
            while not self.error and not self.source.over():
                work = self.source.take()
                if work is not None:
                    self.busy += 1
                    return work
                if not self.busy:
                    break
                self.change.wait(self.patience)
            self.change.notify_all()
            return None
