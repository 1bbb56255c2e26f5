"""Teams of processes: what a process that dies, fails, hangs or cannot begin costs, and what it never costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from job_problems import PLAIN, problem
from worker_teams import searched, steady

import hypersplit
from hypersplit.bab.run.options import Options
from hypersplit.bab.workers import process_worker, processes
from hypersplit.bab.workers.gather import options_of_workers
from hypersplit.bab.workers.processes import Processes
from hypersplit.bab.workers.team import Event, TeamError

LONG = 120.0  # seconds that nothing here takes


@pytest.fixture(autouse=True)
def small_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `worker_teams.steady`."""
    steady(monkeypatch)


def team(count: int = 2, memory_mb: float = 4000.0, kind: type[Processes] = Processes) -> Processes:
    """Processes for the problem, all of them ready."""
    made = kind(*problem(0.02), options_of_workers(Options(**PLAIN, rule="axes"), memory_mb), count)
    until = time.monotonic() + LONG
    while made.free() < count and time.monotonic() < until:
        made.wait(0.1)
    assert made.free() == count
    return made


class Harmed(Processes):
    """Something happens to a process when its errand is sent, the first `times` times."""

    times = 1
    harm: Callable[[Any], None] = staticmethod(lambda member: os.kill(member.process.pid, signal.SIGKILL))

    def send(self, key: int, frame: bytes, errand: bytes) -> None:
        """See `Team`."""
        before = {m.key for m in self.members}
        super().send(key, frame, errand)
        if self.times and key not in before:
            self.times -= 1
            self.harm(next(m for m in self.members if m.key == key))


def found(made: Processes) -> Any:
    """What a search with the team comes to, and the same alone."""
    network, prop = problem(0.02)
    shared = searched(network, prop, lambda options: made, rule="axes")
    alone = searched(network, prop, None, rule="axes")
    return shared, alone


def test_processes_grow_the_same_tree() -> None:
    """The nodes and the evidence of a search alone, and no process is left."""
    made = team()
    pids = [m.process.pid for m in made.members]
    shared, alone = found(made)
    assert shared.answer.holds and shared.answer.evidence == alone.answer.evidence
    assert shared.answer.statistics["nodes"] == alone.answer.statistics["nodes"]
    assert made.members == []
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_process_that_is_killed_costs_its_errand(times: int) -> None:
    """kill -9 once or some times, on one errand or several: the tree is that of a search alone."""
    made = team(kind=Harmed)
    made.times = times  # type: ignore[attr-defined]
    first = {m.process.pid for m in made.members}
    network, prop = problem(0.02)
    shared = searched(network, prop, lambda options: made, rule="axes")
    assert first - {m.process.pid for m in made.members}
    if times <= 2:  # no errand three times
        alone = searched(network, prop, None, rule="axes")
        assert shared.answer.holds and shared.answer.evidence == alone.answer.evidence
    else:
        job = shared.job
        assert job is not None and job.size == job.inner + job.ended.total() + sum(map(len, (*job.open, *job.stuck)))


def test_nodes_that_kill_every_process_stay_open() -> None:
    """Given three times, then kept, with the signal as the reason."""
    made = team(kind=Harmed)
    made.times = 10**9  # type: ignore[attr-defined]
    network, prop = problem(0.02)
    shared = searched(network, prop, lambda options: made, rule="axes")
    assert not shared.answer.holds and shared.answer.statistics["open_nodes"] > 0
    assert "given 3 times: a worker was ended by SIGKILL" in shared.answer.reason


def test_a_process_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was stopped and says nothing is replaced, and its errand given to another."""
    made = team(kind=Harmed)
    made.harm = lambda member: os.kill(member.process.pid, signal.SIGSTOP)  # type: ignore[attr-defined]
    stopped = [m.process.pid for m in made.members]
    monkeypatch.setattr(processes, "PATIENCE", 5.0)
    shared, alone = found(made)
    assert shared.answer.holds and shared.answer.evidence == alone.answer.evidence
    for pid in stopped:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="nobody tells what a process does")
def test_a_process_that_waits_for_a_processor_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that says nothing and computes has its time by the processor's clock; one that sleeps, by the wall's."""
    asleep = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        until = time.monotonic() + LONG
        while processes._work_of(asleep.pid)[0] and time.monotonic() < until:
            time.sleep(0.05)
        members = []
        for pid in (os.getpid(), asleep.pid):
            member = processes._Member.__new__(processes._Member)
            member.process = SimpleNamespace(pid=pid)  # type: ignore[assignment]
            member.hear()
            members.append(member)
        assert not any(member.hangs for member in members)
        for member in members:
            member.heard -= 2.0 * processes.PATIENCE
        assert [member.hangs for member in members] == [False, True]
        members[0].spent -= 2.0 * processes.PATIENCE
        assert members[0].hangs
    finally:
        asleep.kill()
        asleep.wait()


def test_a_process_that_fails_says_why() -> None:
    """An errand that is damaged on the way: one line, and the process goes on."""
    made = team(count=1)
    made.send(1, b"no frame", b"no errand")
    events: list[Event] = []
    until = time.monotonic() + LONG
    while not events and time.monotonic() < until:
        events = made.wait(0.1)
    assert events[0].key == 1 and events[0].failure.startswith("a worker failed: InputError: errand: damaged")
    assert made.free() == 1
    made.close()


def test_workers_that_cannot_begin_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """After some tries, TeamError; a search goes on by itself then."""
    monkeypatch.setattr(processes, "_PROGRAM", "raise SystemExit(7)")
    made = Processes(*problem(0.02), options_of_workers(Options(**PLAIN, rule="axes"), 4000.0), 2)
    with pytest.raises(TeamError, match="cannot be started: the last one ended with exit code 7"):
        until = time.monotonic() + LONG
        while time.monotonic() < until:
            made.wait(0.1)
    made.close()
    fresh = Processes(*problem(0.02), options_of_workers(Options(**PLAIN, rule="axes"), 4000.0), 2)
    shared, _ = found(fresh)
    assert shared.answer.holds


def test_where_no_process_can_be_started_the_search_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's word is the reason why there is no team, and nobody else notices."""

    def refused(*_: Any, **__: Any) -> None:
        raise BlockingIOError(11, "no more processes")

    monkeypatch.setattr(processes.subprocess, "Popen", refused)
    with pytest.raises(TeamError, match="cannot be started: .*no more processes"):
        Processes(*problem(0.02), options_of_workers(Options(**PLAIN, rule="axes"), 4000.0), 2)
    network, prop = problem(0.02)
    result = hypersplit.verify(network, prop, **(PLAIN | {"rule": "axes", "workers": "processes", "jobs": 2}))
    assert result.verdict == "unsat"


def test_a_process_begins_while_nobody_looks() -> None:
    """It reads the question by itself, and says that it is ready: that is heard with the first look."""
    made = Processes(*problem(0.02), options_of_workers(Options(**PLAIN, rule="axes"), 4000.0), 1)
    try:
        assert made.members[0].pipe.poll(LONG)
        made.wait(0.0)
        assert made.free() == 1
    finally:
        made.close()


def test_no_memory_is_a_reason() -> None:
    """Workers that have none come back with their nodes."""
    made = team(memory_mb=1.0)
    network, prop = problem(0.02)
    shared = searched(network, prop, lambda options: made, rule="axes")
    assert not shared.answer.holds and shared.answer.statistics["open_nodes"] > 0
    assert "given 3 times: " in shared.answer.reason and "emory" in shared.answer.reason


def test_one_that_leaves_gets_no_errand() -> None:
    """A worker without memory says so before its report, and the team counts it as free no more, ended or not."""

    class Desk:
        short = True

        def do(self, *_: object) -> bytes:
            return b"told"

    class Pipe:
        said: ClassVar[list[tuple[str, int]]] = []

        def recv(self) -> tuple[str, int, bytes]:
            return "errand", 7, b""

        def send(self, message: tuple[str, int, Any]) -> None:
            self.said.append(message[:2])

    process_worker._work(Pipe(), Desk())  # type: ignore[arg-type]
    assert Pipe.said == [("leaves", 7), ("report", 7)]
    made = team()
    try:
        made.members[0].key = 7
        for what, key in Pipe.said:
            made._take(made.members[0], what, key, b"told")
        assert made.free() == 1 and [e.key for e in made.wait(0.0)] == [7]
    finally:
        made.close()


def test_processes_end_with_their_parent() -> None:
    """kill -9 of the one who started them leaves nobody behind."""
    code = (
        f"import sys, time; sys.path[:0] = {sys.path!r}\n"
        "from job_problems import PLAIN, problem\n"
        "from hypersplit.bab.run.options import Options\n"
        "from hypersplit.bab.workers.gather import options_of_workers\n"
        "from hypersplit.bab.workers.processes import Processes\n"
        "made = Processes(*problem(0.02), options_of_workers(Options(**PLAIN), 4000.0), 2)\n"
        "while made.free() < 2: made.wait(0.1)\n"
        "print(*(m.process.pid for m in made.members), flush=True); time.sleep(1000)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 2
    parent.kill()
    parent.wait()
    until = time.monotonic() + LONG
    while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
