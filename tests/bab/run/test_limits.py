"""Limits of a run under a clock and a memory that the tests set."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from hypersplit.bab.run import limits
from hypersplit.bab.run.limits import Limits
from hypersplit.bab.run.options import Options

NODES = 100
MEMORY = 50.0  # MB
TIMEOUTS = (0.07, 0.5, 5.0, 15.0, 60.0, 3600.0)  # seconds


class Machine:
    """A clock and a resident memory of the test's choosing."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now, self.mb = 1000.0, 0.0
        patch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: self.now))
        patch.setattr(limits, "resident_mb", lambda: self.mb)

    def run(self, timeout: float) -> Limits:
        """A run that begins now."""
        return Limits(Options(timeout=timeout, memory_mb=MEMORY, nodes=NODES), start=self.now)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Nothing used yet."""
    return Machine(monkeypatch)


def test_nothing_stops_a_run_within_its_limits(machine: Machine) -> None:
    """The memory limit may be reached; one node below the last one is still allowed."""
    run = machine.run(60.0)
    machine.now, machine.mb = run.deadline - 1.0, MEMORY
    assert run.exceeded(NODES - 1) == "" and run.exceeded() == ""


def test_each_limit_has_its_reason(machine: Machine) -> None:
    """Alone, every limit that is passed is told by its own word."""
    run = machine.run(60.0)
    assert run.exceeded(NODES) == "nodes" and run.exceeded(NODES + 1) == "nodes"
    machine.mb = MEMORY + 0.1
    assert run.exceeded() == "memory"
    machine.now, machine.mb = run.deadline, 0.0
    assert run.exceeded() == "time"


def test_time_comes_before_memory_and_memory_before_nodes(machine: Machine) -> None:
    """Of several limits that are passed at once the first in this order is told."""
    run = machine.run(60.0)
    machine.mb = 2 * MEMORY
    assert run.exceeded(NODES) == "memory"
    machine.now = run.deadline + 5.0
    assert run.exceeded(NODES) == "time"
    machine.mb = 0.0
    assert run.exceeded(NODES) == "time"


def test_what_is_left_just_before_the_deadline_begins_nothing(machine: Machine) -> None:
    """With less than LEAST seconds to go a run stops, with more it goes on."""
    run = machine.run(60.0)
    machine.now = run.deadline - 1.01 * limits.LEAST
    assert run.exceeded() == "" and run.remaining > 0.0
    machine.now = run.deadline - 0.99 * limits.LEAST
    assert run.exceeded() == "time" and run.remaining > 0.0


@pytest.mark.parametrize("timeout", TIMEOUTS)
def test_the_deadline_leaves_a_little_of_the_timeout(machine: Machine, timeout: float) -> None:
    """A fiftieth of the timeout, never more than 0.3 s, is kept back for writing the verdict down."""
    run = machine.run(timeout)
    kept = run.start + timeout - run.deadline
    assert 0.0 < kept <= 0.3 + 1e-9
    assert kept == pytest.approx(0.02 * timeout if timeout < 15.0 else 0.3)
    assert run.exceeded() == "", "a run of this length may begin"


def test_time_runs_from_the_start_and_never_below_zero(machine: Machine) -> None:
    """Elapsed and remaining add up to the deadline; past it nothing remains, and the deadline stays where it was."""
    run = machine.run(10.0)
    deadline = run.deadline
    for passed in (0.0, 3.0, 9.0):
        machine.now = run.start + passed
        assert run.elapsed == pytest.approx(passed)
        assert run.elapsed + run.remaining == pytest.approx(deadline - run.start)
    machine.now = deadline + 7.0
    assert run.remaining == 0.0 and run.elapsed > 10.0 and run.deadline == deadline


def test_a_run_starts_when_its_limits_are_made() -> None:
    """Without a start of its own, the clock of the moment is taken, for every object anew."""
    before = time.monotonic()
    first = Limits(Options(timeout=60.0))
    between = time.monotonic()
    second = Limits(Options(timeout=60.0))
    assert before <= first.start <= between <= second.start <= time.monotonic()
    assert first.deadline < first.start + 60.0
