"""Lines along stairs: right in rational arithmetic at every corner, and as near to the hull as its corners allow."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from hypersplit.encodings.relaxations.staircase import stairs_supports


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_lines_hold_at_every_corner(offset: float) -> None:
    """At the ends, and on either side of every jump between them, without a tolerance."""
    rng = np.random.default_rng(1)
    middle, width = rng.normal(size=300) * 4.0, 10.0 ** rng.uniform(-16.0, 1.0, 300)
    middle[::5] = np.round(middle[::5]) - offset
    lower, upper = middle - width * rng.random(300), middle + width * rng.random(300)
    lower[::10], upper[5::10] = middle[::10], middle[5::10]  # ends at a jump
    at = lower + (upper - lower) * rng.random(300)
    found = stairs_supports(offset, lower, upper, np.clip(at, lower, upper))
    for low, high, *line in zip(lower.tolist(), upper.tolist(), *(a.tolist() for a in found), strict=True):
        below, below_at, above, above_at = map(Fraction, line)
        moved = [Fraction(end) + Fraction(offset) for end in (low, high)]
        points = [(t, t // 1) for t in moved]
        whole = range(-(-moved[0] // 1), moved[1] // 1 + 1)
        points += [(Fraction(n), Fraction(n - side)) for n in whole for side in (0, 1)]
        for t, value in points:
            z = t - Fraction(offset)
            assert below * z + below_at <= value <= above * z + above_at, (low, high, z)


def test_lines_touch_the_corners() -> None:
    """Of [0.25, 3.75]: slope 1 through the corners, flat beyond the last one, and what rises to the first before it."""
    lower, upper = np.full(3, 0.25), np.full(3, 3.75)
    found = stairs_supports(0.0, lower, upper, np.array([0.5, 2.0, 3.5]))
    assert found.upper_slope.tolist() == [1.0 / 0.75, 1.0, 0.0]
    assert found.lower_slope.tolist() == [0.0, 1.0, 1.0 / 0.75]
    assert np.allclose(found.upper_slope * [0.25, 2.0, 3.5] + found.upper_intercept, [0.0, 2.0, 3.0], atol=1e-12)
    assert np.allclose(found.lower_slope * [0.5, 2.0, 3.75] + found.lower_intercept, [0.0, 1.0, 3.0], atol=1e-12)


def test_what_is_not_finite_gets_no_line() -> None:
    """NaN and infinite ends."""
    with np.errstate(invalid="ignore"):
        found = stairs_supports(0.5, np.array([-np.inf, np.nan]), np.array([1.0, 1.0]), np.zeros(2))
    assert not np.isfinite(found.upper_slope + found.upper_intercept).any()
