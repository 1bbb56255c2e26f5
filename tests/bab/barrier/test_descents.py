"""Descents within a distance: what they find is confirmed, and next to the boundary of an affine network."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit.bab.barrier.descents import descend, least_attacked
from hypersplit.bab.robustness.question import whole_range
from hypersplit.bab.robustness.upper_side import UpperSide
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.network import Layer, Network

WEIGHTS = np.array([[1.0, -2.0], [-1.0, 0.0]])


def upper_side(low: float = -np.inf, high: float = np.inf) -> UpperSide:
    """y = W x at (1, 0.25): the margin 2 x_0 - 2 x_1 = 1.5 reaches 0 at a distance of 0.375 in the maximum norm."""
    network = Network(2, (Layer((0,), (WEIGHTS,), np.zeros(2), "identity", "y"),))
    x = np.array([1.0, 0.25])
    return UpperSide(Replay(network), x, 0, np.inf, whole_range(2, low, high), np.random.default_rng(0))


def test_within_and_beyond() -> None:
    """A counterexample is found beyond the exact distance, none within it."""
    upper = upper_side()
    assert not descend(upper, [1], 0.37)
    assert descend(upper, [1], 0.38)
    best = upper.best([1])
    assert best is not None and best.output[1] >= best.output[0] and 0.375 - 1e-6 <= best.distance <= 0.3801


def test_the_least_distance() -> None:
    """Bisection comes as near to the exact distance as is asked for."""
    found = least_attacked(upper_side(), [1], 0.01, 1e-4, 16.0)
    assert found == pytest.approx(0.375, abs=2e-4) and found >= 0.375 - 1e-6


def test_no_counterexample_in_the_range() -> None:
    """Where the range holds none the distance is infinite."""
    assert least_attacked(upper_side(0.2, 1.0), [1], 0.01, 1e-4, 16.0) == pytest.approx(0.375, abs=2e-4)
    upper = upper_side()
    upper.limits.low[:], upper.limits.high[:] = [0.9, 0.0], [1.1, 0.3]
    assert np.inf == least_attacked(upper, [1], 0.01, 1e-4, 16.0)
