"""Budgets on a clock of the test's own: shares of what is left, never beyond the run's limits."""

from __future__ import annotations

import math

import pytest

from hypersplit.bab.run import budget as module
from hypersplit.bab.run import limits as limits_module
from hypersplit.bab.run.budget import SHARE_OVER, Budget
from hypersplit.bab.run.limits import Limits
from hypersplit.bab.run.options import Options


class Clock:
    """time, as far as it is asked."""

    now = 1000.0

    def monotonic(self) -> float:
        """The moment."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """For budgets and limits alike."""
    mine = Clock()
    monkeypatch.setattr(module, "time", mine)
    monkeypatch.setattr(limits_module, "time", mine)
    return mine


def whole(timeout: float = 100.3) -> Budget:
    """Of a run that begins now and must be done 100 seconds from now."""
    return Budget(Limits(Options(timeout=timeout), 1000.0))


def test_parts_are_shares_of_what_is_left(clock: Clock) -> None:
    """A half of a half, of what is left at the time; `most` caps it; a part ends no later than the whole."""
    budget = whole()
    assert budget.left == pytest.approx(100.0)
    half = budget.part(0.5)
    assert half.left == pytest.approx(50.0) and half.part(0.5).left == pytest.approx(25.0)
    assert budget.part(0.5, 7.0).left == pytest.approx(7.0) and half.part(1.0).end == half.end
    clock.now += 40.0
    assert half.left == pytest.approx(10.0) and budget.part(0.5).left == pytest.approx(30.0)
    assert half.part(5.0).end <= half.end


def test_a_budget_that_is_over_says_so(clock: Clock) -> None:
    """Its own end is its share; the run's end comes first; a negative rest has no part."""
    part = whole().part(0.5)
    assert part.exceeded() == "" and part.exceeded(nodes=10**12) == "nodes"
    clock.now += 50.1
    assert part.exceeded() == SHARE_OVER and part.left < 0.0 and part.part(0.5).left <= 0.0
    clock.now += 50.0
    assert part.exceeded() == "time"
    assert Budget(Limits(Options(timeout=1e6), clock.now), math.inf).exceeded(seconds=2e6) == "time"
