"""Compiled: lines around differences of ReLUs of networks that are nearly one. The formulas are those of
`relaxations/differences.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ...instances.network import Array
from ...instances.rounding import EPS, FEW_ROUNDINGS, ROUND_UP, SPARE, TINY, TINY_SQUARE, UP
from .narrow_layout import BLOCK, PLAIN, Net, Room

__all__ = ["between", "gather_pairs", "is_difference", "open_rows", "take"]


@njit(**PLAIN)
def is_difference(net: Net, k: int) -> bool:
    """Whether layer k holds differences of neurons."""
    return net.differing[k] != 0 and net.partner[k] == 0


@njit(**PLAIN)
def between(net: Net, room: Room, k: int, low: Array, high: Array) -> None:
    """Improve the bounds of the differences in layer k by those of the neurons they are of."""
    n, pairs = net.starts[1], net.pairs[net.starts[k] : net.starts[k + 1]]
    at = net.starts[k] - n
    for i in range(len(pairs)):
        z, w = pairs[i, 0] - n, pairs[i, 1] - n
        floor = low[z] - high[w] - FEW_ROUNDINGS * (abs(low[z]) + abs(high[w]))
        ceiling = high[z] - low[w] + FEW_ROUNDINGS * (abs(high[z]) + abs(low[w]))
        # comparisons with a NaN are false: it proves nothing, nor does an overflow
        if low[at + i] < floor < np.inf:
            low[at + i] = floor
        if -np.inf < ceiling < high[at + i]:
            high[at + i] = ceiling


@njit(**PLAIN)
def open_rows(net: Net, room: Room, k: int, low: Array, high: Array) -> int:
    """Into room.rows, the differences in layer k that count: no neuron is inactive, nor are both active."""
    n, pairs = net.starts[1], net.pairs[net.starts[k] : net.starts[k + 1]]
    at, count = net.starts[k] - n, 0
    for i in range(len(pairs)):
        z, w = pairs[i, 0] - n, pairs[i, 1] - n
        if low[at + i] < high[at + i] and high[z] > 0.0 and high[w] > 0.0 and (low[z] < 0.0 or low[w] < 0.0):
            room.rows[count] = i
            count += 1
    return count


@njit(**PLAIN)
def _gap(low: Any, high: Any) -> Any:
    return -low * (high / (high - low)) if low < 0.0 < high else 0.0


@njit(**PLAIN)
def gather_pairs(net: Net, room: Room, k: int, low: Array, high: Array) -> None:
    """Lines of the differences in layer k that are worth it, at their places among alive neurons."""
    n, pairs = net.starts[1], net.pairs[net.starts[k] : net.starts[k + 1]]
    at, begin, count, spread = net.starts[k] - n, net.starts[k], 0, TINY_SQUARE
    for i in range(len(pairs)):
        z, w = pairs[i, 0] - n, pairs[i, 1] - n
        least, most = low[at + i], high[at + i]
        if not (high[z] > 0.0 and high[w] > 0.0 and (low[z] < 0.0 or low[w] < 0.0)):
            continue
        if not max(-least, most) < _gap(low[z], high[z]) + _gap(low[w], high[w]):
            continue
        below, above = 1.0 if most <= 0.0 else 0.0, 1.0 if least >= 0.0 else 0.0
        drop = rise = 0.0
        if least < 0.0 < most:
            below, above = -least / (most - least), most / (most - least)
            drop = max(below * most, -(1.0 - below) * least) * ROUND_UP + TINY
            rise = max(-above * least, (1.0 - above) * most) * ROUND_UP + TINY
        to = begin + count
        room.partners[to, 0], room.partners[to, 1] = room.place[pairs[i, 0]], room.place[pairs[i, 1]]
        room.below[to], room.above[to], room.intercept[to], room.bias[to] = below, above, rise, drop
        spread += (rise + drop) ** 2
        count += 1
    room.kept[k] = count
    room.spread[k] = np.sqrt(spread) * UP


@njit(**PLAIN)
def take(net: Net, room: Room, v: int, size: int) -> None:
    """Take multiples of differences from what values v and its partner have pending, and add lines over their
    pre-activations; constants and errors are updated."""
    k, first = net.differing[v], net.partner[v]
    one, other, begin = net.starts[first], net.starts[v], net.starts[k]
    counts, pairs = (room.kept[first], room.kept[v]), room.kept[k]
    room.straight[BLOCK * one : BLOCK * one + size * counts[0]] = 0.0
    room.straight[BLOCK * other : BLOCK * other + size * counts[1]] = 0.0
    room.bypasses[first] = room.bypasses[v] = True
    lines_error = (pairs + net.sums + SPARE) * EPS * room.spread[k]
    for r in range(size):
        constant, norm = 0.0, TINY_SQUARE
        for i in range(begin, begin + pairs):
            a = BLOCK * one + r * counts[0] + room.partners[i, 0]
            b = BLOCK * other + r * counts[1] + room.partners[i, 1]
            if not room.pending[a] * room.pending[b] < 0.0:
                continue
            common = min(abs(room.pending[a]), abs(room.pending[b]))
            if room.pending[a] > 0.0:
                constant -= common * room.bias[i]
                slope = common * room.below[i]
            else:
                constant -= common * room.intercept[i]
                common = -common
                slope = common * room.above[i]
            room.pending[a] -= common
            room.pending[b] += common
            room.straight[a], room.straight[b] = slope, -slope
            norm += common * common
        room.constants[r] += constant
        room.errors[r] += lines_error * np.sqrt(norm) * UP
