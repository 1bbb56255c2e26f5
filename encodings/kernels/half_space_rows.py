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

__all__ = ["column_multipliers", "extremes_behind"]

FIRST, GROWTH = 0.25, 4.0  # a bracket's first end, in units of the column's size over the normal's, and its growth
LOOKS = 6
ZERO, ONE = np.float32(0.0), np.float32(1.0)


@njit(**LOOPS)
def extremes_behind(
    w: Array, rows: Array, middle: Array, radius: Array, reach: Array, normal: Array, offset: float,
    steps: tuple[int, int, float], relative: float,
) -> tuple[Array, Array]:  # fmt: skip
    """Lower and upper bounds [R] of w[rows] @ x where |x - middle| <= radius and normal @ x + offset >= 0.

    w: [m, n]; rows: [R]; reach: [n] largest |x|; steps: growths of the bracket at most, halvings, and the factor of a
    growth.
    """
    count, n = len(rows), w.shape[1]
    low, high = np.empty(count), np.empty(count)
    s, g, h = np.empty(n, np.float32), np.empty(n, np.float32), offset
    size = abs(offset)
    for j in range(n):
        g[j] = normal[j] * radius[j]
        h += normal[j] * middle[j]
        size += abs(normal[j]) * reach[j]
    for r in range(count):
        row = w[rows[r]]
        for j in range(n):
            s[j] = row[j] * radius[j]
        for side in range(2):
            sign = 1.0 - 2.0 * side
            beta = _multiplier(s, g, np.float32(h), np.float32(sign), steps)
            value, own = -beta * offset, 0.0
            for j in range(n):
                a = sign * row[j] - beta * normal[j]
                value += a * middle[j] - abs(a) * radius[j]
                own += abs(row[j]) * reach[j]
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


@njit(**LOOPS)
def column_multipliers(columns: Array, normal: Array, offset: Any, beta: Array) -> None:
    """Nearly best beta >= 0 [P] of  -beta offset - sum_j |c_jp - beta g_j|  for columns c [n, P], in float32.

    As `_multiplier`, all columns at a time: what belongs to an input is one number in the inner loops.
    """
    count, h, whole = columns.shape[1], np.float32(offset), np.float32(TINY_32)
    low, high, place = np.zeros(count, np.float32), np.zeros(count, np.float32), np.zeros(count, np.float32)
    at_low, at_high, slope = np.empty(count, np.float32), np.zeros(count, np.float32), np.empty(count, np.float32)
    best, value = np.empty(count, np.float32), np.empty(count, np.float32)
    for j in range(len(normal)):
        whole += abs(normal[j])
    beta[:] = ZERO
    _look_at(columns, normal, h, beta, best, at_low)
    for p in range(count):
        high[p] = -np.float32(FIRST) * best[p] / whole
    if not at_low.max() > ZERO:
        return
    for step in range(LOOKS):
        for p in range(count):
            if not at_low[p] > ZERO:  # 0 is best
                continue
            share = np.float32(0.5)
            if not at_high[p] < ZERO:  # no end yet
                share = ONE
            elif step % 2 == 0:  # where the slope's chord is 0
                share = min(max(at_low[p] / (at_low[p] - at_high[p]), np.float32(0.1)), np.float32(0.9))
            place[p] = low[p] + share * (high[p] - low[p])
        _look_at(columns, normal, h, place, value, slope)
        for p in range(count):
            if value[p] > best[p]:
                best[p], beta[p] = value[p], place[p]
            if not slope[p] > ZERO:
                high[p], at_high[p] = place[p], slope[p]
            elif at_high[p] < ZERO:
                low[p], at_low[p] = place[p], slope[p]
            else:
                low[p], at_low[p], high[p] = place[p], slope[p], high[p] * np.float32(GROWTH)


@njit(**LOOPS)
def _look_at(columns: Array, normal: Array, h: Any, beta: Array, value: Array, slope: Array) -> None:
    """The functions at beta, and their slopes."""
    for p in range(len(beta)):
        value[p], slope[p] = -beta[p] * h, -h
    for j in range(len(normal)):
        g = normal[j]
        for p in range(len(beta)):
            t = columns[j, p] - beta[p] * g
            value[p] -= abs(t)
            slope[p] += g if t > ZERO else -g
