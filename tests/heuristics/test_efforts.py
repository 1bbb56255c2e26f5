"""The policy's numbers as records: shares are shares, and derived amounts keep to their limits."""

from __future__ import annotations

import pytest

from hypersplit.heuristics.efforts import AttackEffort, Efforts, InputEffort, PhaseEffort


def test_records_are_frozen_and_shares_are_shares() -> None:
    """Nobody changes a number under way; what is called a share lies in [0, 1], seconds and counts are not negative."""
    for record in (getattr(Efforts(), name) for name in Efforts._fields):
        for name, value in record._asdict().items():
            if "share" in name:
                assert 0.0 <= value <= 1.0, name
            elif isinstance(value, (int, float)):
                assert value >= 0, name
        with pytest.raises(AttributeError):
            setattr(record, record._fields[0], 1)


def test_starts_keep_to_the_work_and_the_limits() -> None:
    """Fewer on larger networks, within the least and the most; a round looks at four points a start at least."""
    effort = AttackEffort()
    counts = [effort.starts(False, weights) for weights in (1, 10**3, 10**5, 10**7, 10**9)]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1]) == (effort.most_starts, effort.least_starts)
    for weights in (10**3, 10**5):
        starts = effort.starts(False, weights)
        most = effort.starts_work / (effort.steps * weights)
        assert effort.least_starts <= starts <= max(most, effort.least_starts)
        assert effort.points(False, weights, starts) == 4 * starts <= effort.points(True, weights, starts)
    assert effort.starts(True, 1) == effort.few_starts and effort.rounds(True) == effort.few_rounds


def test_what_is_too_dear_is_left_out() -> None:
    """Hidden bounds in every node only where the root's were quick; a single hidden layer is never bounded anew."""
    inputs, phases = InputEffort(), PhaseEffort()
    assert inputs.rows(True, inputs.most_functions) and not inputs.rows(True, inputs.most_functions + 1)
    assert not inputs.rows(False, 1) and inputs.hidden(True, 1e9) and not inputs.hidden(False, inputs.quick_bound)
    assert phases.refreshes(0.0, 2) and not phases.refreshes(phases.quick_ascent, 2) and not phases.refreshes(0.0, 1)
    assert phases.wants_lps(False, 2) and not phases.wants_lps(True, 2) and not phases.wants_lps(False, 1)
