"""Limits that are passed between two looks of the steps: the watch interrupts, and in the end answers itself."""

from __future__ import annotations

import importlib
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType, SimpleNamespace

import numpy as np
import pytest
from search_steps import FunctionSteps, pace

from hypersplit import verify
from hypersplit.bab.run import watch
from hypersplit.bab.run.budget import Budget
from hypersplit.bab.run.exit_codes import UNDECIDED
from hypersplit.bab.run.limits import LimitReached, Limits
from hypersplit.bab.run.options import Options
from hypersplit.bab.run.watch import GRACE, GRACE_MB, GRACE_MB_SHARE, _Watch, watched
from hypersplit.bab.steps.candidates import Candidates
from hypersplit.bab.steps.inputs import InputSteps
from hypersplit.bab.tree import search
from hypersplit.bab.tree.tree import Tree
from hypersplit.encodings.linear.linear_bounds import Bounds, bound
from hypersplit.instances import memory
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.families.random_networks import random_network, random_property
from hypersplit.instances.query import Query, queries

LONG = 1e6  # seconds of a limit whose share of grace no test outlasts
PLENTY = 1e9  # MB


class Ended(BaseException):
    """Instead of the process's end."""


def no_answer(reason: str) -> None:
    """For watches that must not answer."""
    raise AssertionError(reason)


def work_for_ever() -> None:
    """A step that never looks at the clock."""
    while True:
        time.sleep(0.01)


@pytest.mark.skipif(watch.SIGNAL is None, reason="no signals here")
def test_the_main_thread_is_interrupted_at_the_limit() -> None:
    """A step that never looks is left with LimitReached, which says why."""
    with pytest.raises(LimitReached) as stop, watched(time.monotonic(), LONG, PLENTY, no_answer):
        work_for_ever()
    assert stop.value.reason == "time"


@pytest.mark.skipif(watch.SIGNAL is None, reason="no signals here")
def test_a_process_that_is_not_ours_is_not_ended() -> None:
    """Without an answer the watch waits for the main thread, long after the grace."""
    with pytest.raises(LimitReached), watched(time.monotonic() - LONG, 0.0, PLENTY, None):
        try:
            work_for_ever()
        finally:
            time.sleep(10 * watch.POLL)  # looks of the watch


class Lasting:
    """Takes for ever to be deleted."""

    def __del__(self) -> None:
        work_for_ever()


class Failing:
    """Cannot be deleted."""

    def __del__(self) -> None:
        raise ZeroDivisionError


@pytest.mark.skipif(watch.SIGNAL is None, reason="no signals here")
def test_a_limit_that_python_drops_is_raised_again() -> None:
    """Raised in a `__del__`, it ends that, and then what comes behind it; what others raise there is still reported."""
    hook, others = sys.unraisablehook, []
    sys.unraisablehook = others.append
    try:
        with pytest.raises(LimitReached), watched(time.monotonic(), LONG, PLENTY, no_answer):
            Lasting()
            work_for_ever()
        assert not others and sys.unraisablehook == others.append
        with watched(time.monotonic() + LONG, LONG, PLENTY, no_answer):
            Failing()
        assert [told.exc_type for told in others] == [ZeroDivisionError]
    finally:
        sys.unraisablehook = hook


@pytest.mark.skipif(watch.SIGNAL is None, reason="no signals here")
def test_a_signal_on_leaving_leaves_the_watch_stopped() -> None:
    """The limit is passed while the watch is being stopped: it is stopped all the same, and the handler restored."""
    before, real, raised = signal.getsignal(watch.SIGNAL), _Watch.stop, []

    def stop(self: _Watch) -> None:
        if not raised:
            raised.append(self)
            raise LimitReached("time")
        real(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Watch, "stop", stop)
        with pytest.raises(LimitReached), watched(time.monotonic() + LONG, LONG, PLENTY, no_answer):
            pass
    assert raised[0].over.is_set() and signal.getsignal(watch.SIGNAL) == before


SLOW = """
import time
from heard_signals import heard, mb
mb.append(1001.0)
until = time.monotonic() + 100
while not heard and time.monotonic() < until:
    time.sleep(0.01)
done = True
"""
ASKING = """
from heard_signals import ask
ask()
"""


@pytest.mark.skipif(watch.SIGNAL is None, reason="no signals here")
@pytest.mark.parametrize("inside", [False, True], ids=["by itself", "inside an import"])
def test_an_import_is_not_cut_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inside: bool) -> None:
    """A module that is being imported when the limit is passed is whole, and then the main thread is interrupted."""
    heard, mb = list[int](), [0.0]
    real = _Watch.heard

    def hear(self: _Watch, number: int, frame: FrameType | None) -> None:
        heard.append(number)
        real(self, number, frame)

    def ask() -> None:
        with pytest.raises(LimitReached), watched(time.monotonic() + LONG, LONG, 1000.0, no_answer):
            importlib.import_module("slow_module")
            work_for_ever()

    monkeypatch.setattr(watch, "resident_mb", lambda: mb[-1])
    monkeypatch.setattr(_Watch, "heard", hear)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "heard_signals", SimpleNamespace(heard=heard, mb=mb, ask=ask))
    (tmp_path / "slow_module.py").write_text(SLOW)
    (tmp_path / "asking_module.py").write_text(ASKING)
    try:
        ask() if not inside else importlib.import_module("asking_module")
        assert sys.modules["slow_module"].done and len(heard) > 1
    finally:
        for name in ("slow_module", "asking_module"):
            sys.modules.pop(name, None)


@pytest.mark.skipif(watch.SIGNAL is None, reason="no signals here")
def test_memory_over_the_limit_interrupts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A little over the limit the main thread has its chance to answer."""
    monkeypatch.setattr(watch, "resident_mb", lambda: 1001.0)
    with pytest.raises(LimitReached) as stop, watched(time.monotonic() + LONG, LONG, 1000.0, no_answer):
        work_for_ever()
    assert stop.value.reason == "memory"


def ended(monkeypatch: pytest.MonkeyPatch, end: float, memory_mb: float, mb: float) -> list[str]:
    """What a watch answers in place of a main thread that does not come back; its exit code last."""
    said: list[str] = []

    def leave(code: int) -> None:
        said.append(str(code))
        raise Ended

    monkeypatch.setattr(watch, "os", SimpleNamespace(_exit=leave))
    monkeypatch.setattr(watch, "resident_mb", lambda: mb)
    monkeypatch.setattr(watch, "signal", SimpleNamespace(pthread_kill=lambda *_: None))
    with pytest.raises(Ended):
        _Watch(end, GRACE, memory_mb, said.append).run()
    return said


def test_a_main_thread_that_does_not_come_back_is_answered_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some time or memory after the limit the reason is given and the process ends, undecided."""
    assert ended(monkeypatch, time.monotonic() - 2 * GRACE, PLENTY, 0.0) == ["time", str(UNDECIDED)]
    much = 2000.0 * (1.0 + GRACE_MB_SHARE) + 1.0
    assert ended(monkeypatch, time.monotonic() + LONG, 2000.0, much) == ["memory", str(UNDECIDED)]
    assert ended(monkeypatch, time.monotonic() + LONG, 100.0, 101.0 + GRACE_MB) == ["memory", str(UNDECIDED)]


def test_a_run_that_is_over_is_neither_interrupted_nor_answered_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the main thread has left, a late signal does nothing, and the watch ends by itself."""
    monkeypatch.setattr(watch, "resident_mb", lambda: 0.0)
    late = _Watch(time.monotonic() - 1.0, 0.0, PLENTY, no_answer)
    late.reason = "time"
    with pytest.raises(LimitReached):
        late.heard(0, None)
    late.stop()
    late.heard(0, None)
    late.run()


@pytest.mark.parametrize(
    ("error", "verdict", "reason"),
    [(LimitReached("time"), "timeout", "time"), (LimitReached("memory"), "unknown", "memory"),
     (MemoryError(), "unknown", "memory")],
)  # fmt: skip
def test_an_interrupted_root_says_why(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, verdict: str, reason: str
) -> None:
    """Neither exception leaves `verify`; nothing is claimed, and the peak of the memory is told."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(InputSteps, "bound", fail)
    network = random_network((3, 12, 12, 2), seed=4)
    result = verify(network, random_property(network, seed=6, radius=0.5, slack=0.3), timeout=60)
    assert (result.verdict, result.reason, result.bound) == (verdict, reason, -np.inf)
    assert result.statistics["memory_mb"] == pytest.approx(memory.peak_mb(), abs=5.0)


def test_an_attack_without_memory_leaves_the_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the attack would need may be more than what a proof needs."""

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Candidates, "attack_root", fail)
    network = random_network((3, 12, 12, 2), seed=4)
    assert verify(network, random_property(network, seed=6, radius=0.5, slack=0.3), timeout=60).verdict == "unsat"


def test_a_search_whose_nodes_do_not_fit_stops_with_its_frontier_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The foreseen memory of a single node decides, and no step begins; with some room rounds are smaller."""
    network = random_network((3, 12, 12, 2), seed=4)
    query = queries(network, random_property(network, seed=6, radius=0.5, slack=0.3))[0]
    taken: list[int] = []

    def note(asked: object, batch: object) -> None:
        taken.append(len(batch))  # type: ignore[arg-type]
        raise Ended

    steps, asked = FunctionSteps(query, note), pace(8, node_mb=10.0)  # type: ignore[arg-type]
    monkeypatch.setattr(memory, "resident_mb", lambda: 100.0)
    tree = Tree(root(query)[np.zeros(8, dtype=np.intp)])
    with memory.ceiling(109.0):
        outcome = search.search(tree, steps, asked)
    assert (outcome.stopped, len(tree.open), taken) == ("memory", 8, [])
    with memory.ceiling(135.0), pytest.raises(Ended):
        search.search(tree, steps, asked)
    assert taken == [3] and len(tree.open) == 8


def test_a_node_that_takes_longer_than_what_is_left_does_not_begin() -> None:
    """After some rounds the stop test hears the least time that a node took; before, nothing is foreseen."""
    network = random_network((3, 12, 12, 2), seed=4)
    query = queries(network, random_property(network, seed=6, radius=0.5, slack=0.3))[0]
    heard: list[float] = []

    class Foreseeing(Budget):
        def exceeded(self, nodes: int = 0, seconds: float = 0.0) -> str:
            heard.append(seconds)
            return "time" if seconds > 0.0 else ""

    def bound_one(asked: Query, batch: Batch) -> Bounds:
        bounds = bound(asked, batch)
        bounds.infeasible[:] = True
        return bounds

    tree = Tree(root(query)[np.zeros(8, dtype=np.intp)])
    asked = search.Pace(Foreseeing(Limits(Options(timeout=60.0))), 1)
    outcome = search.search(tree, FunctionSteps(query, bound_one), asked)
    assert heard[: search.ROUNDS] == [0.0] * search.ROUNDS and heard[-1] > 0.0
    assert (outcome.stopped, tree.ended.total(), tree.count_open) == ("time", search.ROUNDS, 8 - search.ROUNDS)


def test_an_interrupted_search_waits_for_no_other_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread in a long round is left behind, and its nodes are open again."""
    network = random_network((3, 12, 12, 2), seed=4)
    query = queries(network, random_property(network, seed=6, radius=0.5, slack=0.3))[0]
    main, busy, free = threading.current_thread(), threading.Event(), threading.Event()

    def bound_one(*_: object) -> None:
        if threading.current_thread() is main:
            busy.wait()
            raise LimitReached("time")
        busy.set()
        free.wait()

    steps = FunctionSteps(query, bound_one)  # type: ignore[arg-type]
    tree = Tree(root(query)[np.zeros(8, dtype=np.intp)])
    outcome = search.search(tree, steps, pace(1, workers=2))
    free.set()
    assert outcome.stopped == "time" and tree.count_open == 8
