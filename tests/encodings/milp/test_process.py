"""SCIP in a process of its own: the same answers, and what goes wrong there costs a slice."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from milp_problems import MEMORY, SECONDS, bounded, wide_query
from random_instances import random_instance

from hypersplit.encodings.milp import process as milp_process
from hypersplit.encodings.milp.close import MilpResult, close
from hypersplit.encodings.milp.process import close_apart
from hypersplit.instances.batch import root
from hypersplit.instances.query import queries

AGES = 3600.0  # seconds that nothing here takes
needs_fork = pytest.mark.skipif(not milp_process.FORKS, reason="processes are not forked on this system")


def alive(process: int) -> bool:
    """Whether it runs; an orphan that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def replaced(monkeypatch: pytest.MonkeyPatch, close: Any) -> None:
    """SCIP replaced inside the process."""
    monkeypatch.setattr(milp_process, "close", lambda *_, **__: close())


@pytest.mark.parametrize("forks", [pytest.param(True, marks=needs_fork), False])
@pytest.mark.parametrize("seed", range(12))
def test_the_answer_is_that_of_a_call(seed: int, forks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status, bound and points, in a process and where there is none."""
    monkeypatch.setattr(milp_process, "FORKS", forks)
    query = queries(*(lambda i: (i.network, i.prop))(random_instance(seed)))[0]
    node = bounded(query, root(query).node(0))
    if node is None:
        pytest.skip("an empty root")
    here, apart = close(query, node, 0, SECONDS, MEMORY), close_apart(query, node, 0, SECONDS, MEMORY)
    assert (here.status, here.bound, here.nodes) == (apart.status, apart.bound, apart.nodes)
    assert np.array_equal(np.array(here.points), np.array(apart.points))


@needs_fork
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_crash_is_an_open_node(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies, we do not, and the reason names the signal."""

    def crash() -> None:
        faulthandler.disable()  # pytest's, it would print a stack
        os.kill(os.getpid(), number)

    replaced(monkeypatch, crash)
    answer = close_apart(*wide_query(), 0, SECONDS, MEMORY)
    assert (answer.status, answer.bound) == ("open", -np.inf)
    assert number.name in answer.reason


@needs_fork
def test_a_process_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets its slice and a grace, no more: without its end there would be no answer ever."""
    never, unsaid = os.pipe()  # nobody writes
    replaced(monkeypatch, lambda: os.read(never, 1))
    answer = close_apart(*wide_query(), 0, 0.1, MEMORY)
    assert answer.status == "open" and "overran" in answer.reason
    os.close(never)
    os.close(unsaid)


@pytest.mark.parametrize("forks", [pytest.param(True, marks=needs_fork), False])
def test_nobody_waits_for_what_is_no_longer_asked(forks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop from outside ends SCIP at once, whatever is left of its slice: no more is asked after the third look."""
    monkeypatch.setattr(milp_process, "FORKS", forks)
    looks: list[bool] = []

    def stop() -> bool:
        looks.append(len(looks) >= 2)
        return looks[-1]

    answer = close_apart(*wide_query(inputs=20, width=80), 0, AGES, MEMORY, stop=stop)
    assert answer.status != "refuted"
    assert looks == [False, False, True]


@needs_fork
def test_our_own_mistakes_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception inside the process is the caller's."""

    def broken() -> MilpResult:
        raise ValueError("layer 1: a MILP needs finite pre-activation bounds")

    replaced(monkeypatch, broken)
    with pytest.raises(ValueError, match="finite pre-activation bounds"):
        close_apart(*wide_query(), 0, SECONDS, MEMORY)


@needs_fork
def test_answers_do_not_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many threads ask at the same time: each answer comes when its own process has ended, not when all have."""
    answer = MilpResult("refuted", 1.0, [], 0, 0.0)
    never, unsaid = os.pipe()  # nobody writes
    monkeypatch.setattr(milp_process, "close", lambda *given, **_: (given[2] and os.read(never, 1)) or answer)
    query, node = wide_query()
    over = threading.Event()
    with ThreadPoolExecutor(16) as pool:
        slow = pool.submit(close_apart, query, node, 1, AGES, MEMORY, stop=over.is_set)  # does not end by itself
        for _ in range(4):
            quick = [pool.submit(close_apart, query, node, 0, AGES, MEMORY) for _ in range(15)]
            assert all(future.result().status == "refuted" for future in quick)
        assert not slow.done()
        over.set()
        assert "no longer asked" in slow.result().reason
    os.close(never)
    os.close(unsaid)


@needs_fork
def test_no_process_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the caller ends the process, too."""
    replaced(monkeypatch, lambda: time.sleep(60.0))
    born: list[int] = []
    real = os.fork
    monkeypatch.setattr(os, "fork", lambda: born.append(real()) or born[-1])

    def interrupted() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        close_apart(*wide_query(), 0, SECONDS, MEMORY, stop=interrupted)
    with pytest.raises(ProcessLookupError):
        os.kill(born[0], 0)


@needs_fork
def test_a_killed_parent_takes_the_process_along() -> None:
    """Whoever kills us, SCIP does not work on for nobody."""
    code = (
        "import os, time\n"
        "from hypersplit.encodings.milp import process as milp_process\n"
        "out = os.dup(1)\n"  # what the process prints goes nowhere
        "milp_process.close = lambda *_, **__: os.write(out, b'%d\\n' % os.getpid()) and time.sleep(600)\n"
        "milp_process.close_apart(None, None, 0, 600.0, 1000.0)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.kill()
    waited = time.monotonic() + 60.0
    while alive(child) and time.monotonic() < waited:
        time.sleep(0.05)
    assert not alive(child)


IN_HOOKS: list[threading.Thread] = []  # those who get a signal in the middle of a fork
os.register_at_fork(before=lambda: [signal.pthread_kill(t.ident or 0, signal.SIGALRM) for t in IN_HOOKS])


@needs_fork
def test_an_interruption_waits_until_the_fork_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that falls into Python's own hooks around a fork is raised, not lost there, and the process is ended."""

    def interrupt(number: int, frame: object) -> None:
        raise TimeoutError

    lost: list[object] = []
    born: list[int] = []
    real = os.fork
    monkeypatch.setattr(os, "fork", lambda: born.append(real()) or born[-1])
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    replaced(monkeypatch, lambda: time.sleep(60.0))
    before = signal.signal(signal.SIGALRM, interrupt)
    IN_HOOKS.append(threading.main_thread())
    try:
        with pytest.raises(TimeoutError):
            close_apart(*wide_query(), 0, SECONDS, MEMORY)
    finally:
        IN_HOOKS.clear()
        signal.signal(signal.SIGALRM, before)
    assert not lost and signal.SIGALRM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(ProcessLookupError):
        os.kill(born[0], 0)
