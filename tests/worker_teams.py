"""Teams for tests: errands that are done at once, and gone wrong on purpose; what a search with a team comes to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from job_problems import PLAIN

from hypersplit.bab.jobs.job import Job
from hypersplit.bab.jobs.run import Outcome, candidates_of, run
from hypersplit.bab.run.limits import Limits
from hypersplit.bab.run.options import Options
from hypersplit.bab.stages import answer
from hypersplit.bab.stages.work import Work
from hypersplit.bab.workers import sharing
from hypersplit.bab.workers.desk import Desk
from hypersplit.bab.workers.gather import options_of_workers
from hypersplit.bab.workers.sharing import Sharing
from hypersplit.bab.workers.team import Event, Team
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.network import Network
from hypersplit.instances.property import Property

__all__ = ["AtOnce", "searched", "steady"]


class AtOnce:
    """A team of `count` that does every errand in this process when it is waited for, the last one first.

    change(number of the errand, frame, errand, report): what is heard in place of the report; a text is a failure.
    """

    name: str = "at once"
    essential: bool = False

    def __init__(
        self, network: Network, prop: Property, options: Options, count: int = 2,
        change: Callable[[int, bytes, bytes, bytes], bytes | str] = lambda number, frame, errand, report: report,
    ) -> None:  # fmt: skip
        self.desk = Desk(network, prop, options_of_workers(options, 8000.0))
        self.count, self.change, self.sent = count, change, 0
        self.tasks: dict[int, tuple[bytes, bytes]] = {}
        self.closed = False
        self.asked: set[int] = set()

    def size(self) -> int:
        """See `Team`."""
        return self.count

    def free(self) -> int:
        """See `Team`."""
        return self.count - len(self.tasks)

    def send(self, key: int, frame: bytes, errand: bytes) -> None:
        """See `Team`."""
        self.tasks[key], self.sent = (frame, errand), self.sent + 1

    def ask(self, key: int) -> None:
        """See `Team`."""
        self.asked.add(key)

    def wait(self, seconds: float) -> list[Event]:
        """See `Team`."""
        if not self.tasks:
            return []
        key, (frame, errand) = self.tasks.popitem()
        rounds = iter(range(4))  # then it comes back, so that much travels
        report = self.desk.do(frame, errand, lambda: next(rounds, None) is None)
        told = self.change(self.sent, frame, errand, report)
        return [Event(key, told) if isinstance(told, bytes) else Event(key, failure=told)]

    def drop(self) -> None:
        """See `Team`."""
        self.tasks.clear()

    def close(self) -> None:
        """See `Team`."""
        self.closed = True


def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees do not depend on how long the root took, and whoever is free gets something from the first split on."""
    bound_root = answer._bound_root

    def quick(work: Work) -> None:
        bound_root(work)
        work.root_seconds = 0.01

    monkeypatch.setattr(answer, "_bound_root", quick)
    monkeypatch.setattr(sharing, "PARTS", 1)


def searched(
    network: Network, prop: Property, gather: Callable[[Options], Team] | None, **options: Any
) -> Outcome:  # fmt: skip
    """A job's outcome; gather(options) makes the team that helps from the first round on, None for nobody."""
    chosen = Options(**(PLAIN | options))
    candidates = candidates_of(0, Replay(network), prop, Limits(chosen), np.random.default_rng(0))
    assert candidates is not None
    helpers = None if gather is None else Sharing(lambda: gather(chosen), lambda seconds, node_seconds: True)
    try:
        return run(Job.fresh(0, candidates.query), candidates, helpers=helpers)
    finally:
        if helpers is not None:
            helpers.close()
