"""Compiled: minima of linear functions over box and half-spaces. The formulas are those of `halfspaces`."""

from __future__ import annotations

import numpy as np
from numba import njit

from ...instances.network import Array
from ...instances.rounding import EPS, SPARE, TINY, TINY_SQUARE, UP
from .narrow_layout import PASSES, PLAIN, Box, Net, Room

__all__ = ["concretise", "misses", "reach_of"]


@njit(**PLAIN)
def misses(box: Box, cuts: Array) -> bool:
    """Some half-space misses the box."""
    lower, upper = box
    n = len(lower)
    for k in range(len(cuts)):
        top, size = cuts[k, n], abs(cuts[k, n])
        for j in range(n):
            g = cuts[k, j]
            top += max(g * lower[j], g * upper[j])
            size += abs(g) * max(abs(lower[j]), abs(upper[j]))
        if top + (n + SPARE) * EPS * size + TINY < 0.0:
            return True
    return False


@njit(**PLAIN)
def concretise(net: Net, room: Room, size: int, box: Box, used: int) -> None:
    """Minima over box and half-spaces into room.values; constants get their errors subtracted."""
    n, reach, row, pending = net.starts[1], reach_of(box), room.row, room.pending
    for r in range(size):
        norm = TINY_SQUARE
        for j in range(n):
            a = pending[r * n + j]
            row[j] = a
            norm += a * a
        error = (room.errors[r] + net.input_relative * (np.sqrt(norm) * UP * reach + abs(room.constants[r]))) * UP
        room.values[r] = _minimum(net, room, room.constants[r], box, used, reach) - error
        room.constants[r] -= error


@njit(**PLAIN)
def reach_of(box: Box) -> float:
    """Largest norm of a point of the box."""
    total = TINY_SQUARE
    for j in range(len(box[0])):
        total += max(abs(box[0][j]), abs(box[1][j])) ** 2
    return np.sqrt(total) * UP


@njit(**PLAIN)
def _minimum(net: Net, room: Room, constant: float, box: Box, used: int, reach: float) -> float:
    """Minimum over the region of room.row @ x + constant; room.cuts[:used] are taken in by multipliers, which
    change room.row."""
    lower, upper = box
    row = room.row
    error = 0.0
    if used:
        constant, error = _absorb(room, constant, box, used)
    value, norm = constant, TINY_SQUARE
    for j in range(len(lower)):
        a = row[j]
        norm += a * a
        value += a * lower[j] if a > 0.0 else a * upper[j]
    return value - (error + net.input_relative * (np.sqrt(norm) * UP * reach + abs(constant))) * UP


@njit(**PLAIN)
def _absorb(room: Room, constant: float, box: Box, used: int) -> tuple[float, float]:
    """Coordinate ascent over the multipliers of the half-spaces, newest first; room.row is changed in place.

    Returns the new constant and the rounding error of the change.
    """
    lower, upper = box
    n, a, error, betas, cuts = len(lower), room.row, 0.0, room.betas, room.cuts
    betas[:used] = 0.0
    for _ in range(PASSES if used > 1 else 1):
        moved = False
        for k in range(used):
            beta = betas[k]
            value = cuts[k, n]
            for j in range(n):
                value += cuts[k, j] * (lower[j] if a[j] > 0.0 else upper[j])
            if not (value < 0.0 or (value > 0.0 and beta > 0.0)):
                continue
            change = beta - _multiplier(room, beta, box, k)
            if change == 0.0:
                continue
            moved = True
            scale = 0.0
            for j in range(n):
                scale += (abs(a[j]) + abs(change) * abs(cuts[k, j])) * max(abs(lower[j]), abs(upper[j]))
                a[j] += change * cuts[k, j]
            constant += change * cuts[k, n]
            betas[k] = beta - change
            error += SPARE * EPS * (scale + abs(change) * abs(cuts[k, n]) + abs(constant))
        if not moved:
            break
    return constant, error


@njit(**PLAIN)
def _multiplier(room: Room, beta: float, box: Box, k: int) -> float:
    """The best multiplier of one half-space, all others held: the kink where the concave function stops rising."""
    lower, upper = box
    row, kinks, order, cuts = room.row, room.kinks, room.order, room.cuts
    n, count = len(lower), 0
    slope = -cuts[k, n]
    for j in range(n):
        g = cuts[k, j]
        a = row[j] + beta * g
        slope -= g * (lower[j] if a > 0.0 else upper[j])
        if g == 0.0:
            continue
        kink = 0.0 if a == 0.0 and g < 0.0 else a / g
        if kink < 0.0 or (kink == 0.0 and g > 0.0):
            continue
        at = count
        while at > 0 and kinks[at - 1] > kink:
            kinks[at], order[at] = kinks[at - 1], order[at - 1]
            at -= 1
        kinks[at], order[at] = kink, j
        count += 1
    if not slope > 0.0:
        return 0.0
    best = 0.0
    for p in range(count):
        j = order[p]
        best = kinks[p]
        slope -= abs(cuts[k, j]) * (upper[j] - lower[j])
        if slope <= 0.0:
            break
    return best if np.isfinite(best) else 0.0
