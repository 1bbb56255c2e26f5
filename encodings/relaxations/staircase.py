"""Lines that touch the hull of a staircase: floor(z + c), whose graph is taken for closed at its jumps.

In t = z + c on [a, b] the steps' upper corners are (n, n) for the whole numbers n from ceil(a) to floor(b), and the
hull's upper edge goes from (a, floor(a)) to the first corner, with slope 1 to the last one, and is flat from there on;
without a corner the stairs are flat. The lower edge is the upper one of the same stairs turned by half a circle,

    ceil(t) - 1 = -floor(-t) - 1,

which is what floor(t) is with the lower value at each jump. Whatever the slope s >= 0 is, floor(t) - s t is largest at
the left end or at one of these two corners, so that the intercept is proved by three numbers.

Rounding t moves it to a whole number at worst, never past one; a corner more does not hurt.
"""

from __future__ import annotations

import numpy as np

from ...instances.curves.curve import JUMP_SLOPE
from ...instances.network import Array
from ...instances.rounding import CURVE_VALUE, ROUND_UP
from .lines import Lines

__all__ = ["stairs_supports"]


def stairs_supports(offset: float, lower: Array, upper: Array, at: Array) -> Lines:
    """Lines that enclose floor(z + offset) on [lower, upper] and touch its hull near `at`, elementwise.

    lower <= at <= upper, finite, of equal shapes; what is not finite gets lines that are not.
    """
    a, b, t = lower + offset, upper + offset, at + offset
    up, above = _line_above(a, b, t)
    down, below = _line_above(-b, -a, -t)
    return Lines(down, -below - 1.0 + down * offset - _error(down, a, b), up, above + up * offset + _error(up, a, b))


def _line_above(a: Array, b: Array, at: Array) -> tuple[Array, Array]:
    """Slope and intercept of a line above floor(t) on [a, b], up to rounding."""
    first, last, start = np.ceil(a), np.floor(b), np.floor(a)
    room = first - a
    rise = np.minimum(1.0 / np.where(room > 0.0, room, 1.0), JUMP_SLOPE)
    slope = np.where(at >= last, 0.0, np.where(at >= first, 1.0, rise))
    slope = np.where(first > last, 0.0, slope)
    corners = np.maximum((1.0 - slope) * first, (1.0 - slope) * last)
    most = np.maximum(start - slope * a, np.where(first > last, -np.inf, corners))
    return slope, np.where(np.isnan(a + b), np.nan, most)


def _error(slope: Array, a: Array, b: Array) -> Array:
    """What these sums and the line itself round, amply."""
    reach = 1.0 + np.maximum(np.abs(a), np.abs(b))
    return CURVE_VALUE * (1.0 + slope) * 4.0 * reach * ROUND_UP
