"""The range of a curve on an interval: its values at the ends, at turns, and on either side of jumps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .curve import Curve

__all__ = ["curve_range"]

Array = NDArray[Any]


def curve_range(told: Curve, lower: Array, upper: Array, error: float) -> tuple[Array, Array]:
    """Bounds of the curve on [lower, upper], elementwise.

    error: of a value v, times 1 + |v|, by which they are moved outwards. What touches a gap has none: -inf and inf.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # of what is not finite or not defined
        return _range(told, lower, upper, error)


def _range(told: Curve, lower: Array, upper: Array, error: float) -> tuple[Array, Array]:
    low, high = _on_stairs(told.stairs, lower, upper) if told.stairs is not None else _between(told, lower, upper)
    low, high = low - error * (1.0 + np.abs(low)), high + error * (1.0 + np.abs(high))
    for known, ends in ((told.beyond, told.limits), (told.touches, (-np.inf, np.inf))):
        which = known(lower, upper)
        low, high = np.where(which, ends[0], low), np.where(which, ends[1], high)
    return low, high


def _between(told: Curve, lower: Array, upper: Array) -> tuple[Array, Array]:
    ends = told.value(lower), told.value(upper)
    low, high = np.minimum(*ends), np.maximum(*ends)
    for turn in told.turns:
        inside = (lower < turn) & (turn < upper)
        value = float(told.value(np.array(turn)))
        low, high = np.where(inside, np.minimum(low, value), low), np.where(inside, np.maximum(high, value), high)
    for place, *sides in told.jumps:
        inside = (lower <= place) & (place <= upper)
        low = np.where(inside, np.minimum(low, min(sides)), low)
        high = np.where(inside, np.maximum(high, max(sides)), high)
    return low, high


def _on_stairs(stairs: float, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Adding rounds to a whole number at worst, and there both steps count."""
    return np.ceil(lower + stairs) - 1.0, np.floor(upper + stairs)
