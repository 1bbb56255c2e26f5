"""Compiled: extremes of an affine layer's rows on a box and behind a half-space, the twin of `slopes.rows_behind`.

The formulas are explained there. Multipliers are looked for in float32, and need not be best; the bound that one of
them proves is summed up in float64, in any order, and its error is bounded by `relative` times the terms' sizes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ...instances.network import Array
from ...instances.rounding import TINY_32
from .wide_layout import LOOPS

__all__ = ["extremes_behind"]

ZERO, ONE = np.float32(0.0), np.float32(1.0)


@njit(**LOOPS)
def extremes_behind(
    w: Array, middle: Array, radius: Array, reach: Array, normal: Array, offset: float, steps: tuple[int, int, float],
    relative: float,
) -> tuple[Array, Array]:  # fmt: skip
    """Lower and upper bounds [R] of w @ x where |x - middle| <= radius and normal @ x + offset >= 0.

    w: [R, n]; reach: [n] largest |x|; steps: growths of the bracket at most, halvings, and the factor of a growth.
    """
    count, n = w.shape
    low, high = np.empty(count), np.empty(count)
    s, g, h = np.empty(n, np.float32), np.empty(n, np.float32), offset
    size = abs(offset)
    for j in range(n):
        g[j] = normal[j] * radius[j]
        h += normal[j] * middle[j]
        size += abs(normal[j]) * reach[j]
    for r in range(count):
        for j in range(n):
            s[j] = w[r, j] * radius[j]
        for side in range(2):
            sign = 1.0 - 2.0 * side
            beta = _multiplier(s, g, np.float32(h), np.float32(sign), steps)
            value, own = -beta * offset, 0.0
            for j in range(n):
                a = sign * w[r, j] - beta * normal[j]
                value += a * middle[j] - abs(a) * radius[j]
                own += abs(w[r, j]) * reach[j]
            value -= relative * (own + beta * size)
            if side == 0:
                low[r] = value
            else:
                high[r] = -value
    return low, high


@njit(**LOOPS)
def _multiplier(s: Array, g: Array, h: Any, sign: Any, steps: tuple[int, int, float]) -> float:
    """The best beta >= 0 that is met of  -beta h - sum_j |sign s_j - beta g_j|."""
    most, halvings, growth = steps
    best, at_high = ZERO, ZERO
    value, at_low = _look(s, g, h, sign, ZERO)
    if not at_low > ZERO:
        return 0.0
    total, whole = ZERO, ZERO
    for j in range(len(s)):
        total += abs(s[j])
        whole += abs(g[j])
    low, high = ZERO, total / max(whole, np.float32(TINY_32))
    for _ in range(most + 1):
        found, at_high = _look(s, g, h, sign, high)
        if found > value:
            best, value = high, found
        if not at_high > ZERO:
            break
        low, at_low, high = high, at_high, high * np.float32(growth)
    for step in range(halvings):
        place = np.float32(0.5)
        if step % 2 == 0 and at_low > at_high:  # where the slope's chord is 0
            place = min(max(at_low / (at_low - at_high), np.float32(0.1)), np.float32(0.9))
        middle = low + place * (high - low)
        found, slope = _look(s, g, h, sign, middle)
        if found > value:
            best, value = middle, found
        if slope > ZERO:
            low, at_low = middle, slope
        else:
            high, at_high = middle, slope
    return float(best)


@njit(**LOOPS)
def _look(s: Array, g: Array, h: Any, sign: Any, beta: Any) -> tuple[Any, Any]:
    """The function at beta, and its slope, in float32."""
    total, slope = ZERO, ZERO
    for j in range(len(s)):
        t = sign * s[j] - beta * g[j]
        total += abs(t)
        slope += g[j] * (ONE if t > ZERO else -ONE)
    return -total - beta * h, slope - h
