"""Extremes behind a half-space, compiled: what nobody rounds, sides that have nothing to win, and empty rows."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit.encodings.kernels.half_space_rows import column_multipliers, extremes_behind

STEPS = (3, 6, 4.0)


def extremes(w: list[list[float]], normal: list[float], offset: float) -> tuple[list[float], list[float]]:
    """On the box [-1, 1]^2."""
    one, nothing = np.ones(2), np.zeros(2)
    low, high = extremes_behind(
        np.array(w), np.arange(len(w)), nothing, one, one, np.array(normal), offset, STEPS, 1e-15
    )
    return low.tolist(), high.tolist()


def test_a_corner() -> None:
    """x + y >= 1 leaves a triangle: x and y from 0 to 1, their sum from 1 to 2, their difference from -1 to 1."""
    low, high = extremes([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -1.0]], [1.0, 1.0], -1.0)
    assert low == pytest.approx([0.0, 0.0, 1.0, -1.0], abs=0.05)
    assert high == pytest.approx([1.0, 1.0, 2.0, 1.0], abs=0.05)
    assert np.array(low).max() <= 1.0 and min(high) >= 1.0


def test_half_spaces_that_hold_everywhere_win_nothing() -> None:
    """The box's own extremes; and rows of zeros are zero."""
    low, high = extremes([[1.0, 2.0], [0.0, 0.0]], [1.0, 1.0], 5.0)
    assert low == pytest.approx([-3.0, 0.0], abs=1e-12) and high == pytest.approx([3.0, 0.0], abs=1e-12)


def test_no_rows() -> None:
    """Nothing asked, nothing said."""
    one, nothing = np.ones(2), np.zeros(0, dtype=int)
    low, high = extremes_behind(
        np.zeros((0, 2)), nothing, np.zeros(2), one, one, one, 0.0, STEPS, 0.0
    )
    assert len(low) == len(high) == 0


@pytest.mark.parametrize("seed", range(20))
def test_multipliers_of_columns_are_nearly_best(seed: int) -> None:
    """Against a fine grid; none where the half-space holds everywhere."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(300, 7)).astype(np.float32)
    normal = (rng.normal(size=300) + 0.5 * columns[:, 0]).astype(np.float32)
    offset, beta = float(rng.uniform(-0.9, 0.4) * np.abs(normal).sum()), np.empty(7, np.float32)
    column_multipliers(columns, normal, offset, beta)
    grid = np.linspace(0.0, 20.0, 4001)

    def value(b: np.ndarray, p: int) -> np.ndarray:
        return np.asarray(-b * offset - np.abs(columns[:, p, None] - b * normal[:, None].astype(float)).sum(axis=0))

    for p in range(7):
        values = value(grid, p)
        found, best, nothing = value(np.array([float(beta[p])]), p)[0], values.max(), values[0]
        assert beta[p] >= 0.0 and found >= nothing - 1e-3
        assert found >= best - 0.1 * (best - nothing) - 1e-3
    column_multipliers(columns, normal, float(2.0 * np.abs(normal).sum()), beta)
    assert not beta.any()
