"""A team on a Dask cluster: of this machine, behind a scheduler that runs already, or as a file says.

The question travels to each worker once, as a future that errands depend on; so does a stage's frame. An errand is a
task with a name; what it returns is a report's bytes. Workers may join and leave while the search runs: there is room
for as many errands as they have threads. A worker that is lost loses its errands, which Dask then tells.

A cluster of this machine listens at 127.0.0.1 only, and has no page. Dask itself runs what its scheduler is sent by
whoever reaches it: a scheduler that others reach belongs behind TLS, whose files the .yaml names.
"""

from __future__ import annotations

import logging
import os
import queue
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ...instances.errors import InputError
from ...instances.files import read_model_bytes
from ...instances.network import Network
from ...instances.property import Property
from ..jobs.digests import digest
from .cluster_file import Asked, read_cluster_file
from .cluster_task import do
from .errands import Question, sent
from .team import Event, TeamError

__all__ = ["Place"]

NEEDS = "needs the extra `cluster` (dask and distributed)"
COMING = 30.0  # seconds that a scheduler may take to answer
LOOPBACK = "127.0.0.1"


class Place:
    """Where a cluster is, as an option says; nothing is started or reached yet."""

    def __init__(self, where: str, jobs: int) -> None:
        """jobs: workers of this machine, where `where` does not say how many. Raises InputError."""
        try:
            import distributed  # noqa: F401
        except ImportError as error:
            raise InputError(f"option cluster = {where}: {NEEDS}: {error}") from error
        kind, _, number = where.partition(":")
        if kind == "local":
            self.asked = Asked(workers=int(number or jobs))
        elif where.endswith((".yaml", ".yml")):
            self.asked = read_cluster_file(Path(where))
        else:
            self.asked = Asked(address=where)
        self.where = where

    def gather(self, network: Network, prop: Property, options: dict[str, Any]) -> Cluster:
        """Reach it, or start it. Raises InputError where it cannot be, or network or property have no file."""
        for name, what in (("network", network), ("property", prop)):
            if not what.source:
                raise InputError(f"option cluster = {self.where}: the {name} was built in memory, and cannot travel")
        if len(prop.networks) > 1:
            raise InputError(f"option cluster = {self.where}: the property is of several networks; expected one")
        question = Question(
            _bytes(read_model_bytes(network.source)), _bytes(prop.text.encode()), digest(network), digest(prop), options
        )  # fmt: skip
        for name in ("distributed", "distributed.client"):  # what is lost is told by its errands, in one line
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            return Cluster(self.asked, sent("question", question), self.where)
        except (OSError, RuntimeError, ValueError, TypeError, ImportError) as error:
            raise InputError(f"option cluster = {self.where}: cannot be reached: {error}") from error


class _Data:
    """Bytes that errands depend on, as a task and not scattered: what is lost with all who had it is made once more."""

    def __init__(self, client: Any, data: bytes) -> None:
        self._client, self.data = client, data
        self._future: Any = None

    @property
    def future(self) -> Any:
        """Another task where the last one has failed: its worker may have been killed at that moment."""
        if self._future is None or self._future.status not in ("pending", "finished"):
            name = f"hypersplit-data-{os.urandom(8).hex()}"
            self._future = self._client.submit(_same, self.data, key=name, pure=False)
        return self._future


def _same(data: bytes) -> bytes:
    return data


def _bytes(data: bytes) -> np.ndarray:
    return np.frombuffer(data, dtype=np.uint8)


class Cluster:
    """See `Team`."""

    essential = True

    def __init__(self, asked: Asked, question: bytes, where: str) -> None:
        import distributed

        self.where, self.run = where, os.urandom(8).hex()
        self._cluster = asked.started(LOOPBACK)
        security = asked.security_of() if self._cluster is None else None
        self._client = distributed.Client(
            self._cluster if self._cluster is not None else asked.address, security=security, timeout=COMING,
            set_as_default=False, name=f"hypersplit-{self.run}",
        )  # fmt: skip
        self._question, self._frame = _Data(self._client, question), _Data(self._client, b"")
        self._tasks: dict[int, Any] = {}  # futures by their keys
        self._heard: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._looked, self._threads = 0.0, 0
        self.name = f"cluster {where}, {self.size()} workers"

    def size(self) -> int:
        """See `Team`; looked up now and then, for workers come and go."""
        if time.monotonic() > self._looked + 1.0:
            self._reached()
            try:
                workers = self._client.scheduler_info(n_workers=-1)["workers"]
            except (OSError, RuntimeError) as error:
                raise TeamError(f"cluster {self.where}: the scheduler is gone: {error}") from error
            self._threads, self._looked = sum(w["nthreads"] for w in workers.values()), time.monotonic()
        return max(1, self._threads)

    def free(self) -> int:
        """See `Team`."""
        self.size()
        return max(0, self._threads - len(self._tasks))

    def send(self, key: int, frame: bytes, errand: bytes) -> None:
        """See `Team`."""
        self._reached()
        if frame != self._frame.data:
            self._frame = _Data(self._client, frame)
        name = self._name(key)
        future = self._client.submit(
            do, self._question.future, self._frame.future, errand, name, key=name, pure=False, retries=0
        )  # fmt: skip
        self._tasks[key] = future
        future.add_done_callback(lambda done: self._heard.put((key, done)))

    def ask(self, key: int) -> None:
        """See `Team`; a scheduler that is gone is not waited for."""
        import distributed

        if not self._there():
            return
        with suppress(OSError, RuntimeError, ValueError):
            distributed.Event(self._name(key), client=self._client).set()

    def wait(self, seconds: float) -> list[Event]:
        """See `Team`."""
        self._reached()
        events: list[Event] = []
        with suppress(queue.Empty):
            events.append(self._ended(*self._heard.get(timeout=max(0.001, seconds))))
            while True:
                events.append(self._ended(*self._heard.get_nowait()))
        return events

    def drop(self) -> None:
        """See `Team`."""
        for key in list(self._tasks):
            self.ask(key)

    def close(self) -> None:
        """See `Team`."""
        if self._cluster is None:  # others may go on with theirs
            self.drop()
        for part in (self._client, self._cluster):
            with suppress(Exception):  # what is gone already cannot be closed
                if part is not None:
                    part.close(timeout=5)

    def _name(self, key: int) -> str:
        return f"hypersplit-{self.run}-errand-{key}"

    def _ended(self, key: int, future: Any) -> Event:
        self._tasks.pop(key, None)
        if future.status == "finished":
            told = self._answered(future.result)
            if isinstance(told, bytes):
                return Event(key, told)
            return Event(key, failure=f"a worker sent a {type(told).__name__}")
        self._reached()
        if future.status != "error":
            return Event(key, failure=f"its task is {future.status}")
        error = self._answered(future.exception)
        return Event(key, failure=f"a worker failed: {type(error).__name__}: {error}")

    def _answered(self, ask: Callable[..., Any]) -> Any:
        """What the scheduler answers. Raises TeamError where the connection breaks over it."""
        try:
            return ask(timeout=COMING)
        except OSError as error:
            raise TeamError(f"cluster {self.where}: the scheduler is gone: {error}") from error

    def _reached(self) -> None:
        """Raises TeamError where the scheduler is gone."""
        if not self._there():
            raise TeamError(f"cluster {self.where}: the scheduler is gone ({self._client.status})")

    def _there(self) -> bool:
        """Whether the scheduler answers, as far as is known."""
        return bool(self._client.status == "running")
