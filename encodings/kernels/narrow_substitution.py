"""Compiled: back-substitution of some rows of one node. The formulas are those of `back_substitution`.

What one node at a time allows: neurons that are inactive leave the products altogether (weights are gathered to those
that are *alive* under the node's own bounds), and everything stays in the caches. Products are BLAS calls on matrices
of a few dozen rows.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ...instances.network import Array
from ...instances.rounding import EPS, ROUND_UP, SPARE, TINY, TINY_SQUARE, UP
from .narrow_differences import take
from .narrow_layout import BLOCK, PLAIN, SUMS, Net, Room

__all__ = ["activate", "interval", "substitute"]


@njit("void(float64[:, ::1], float64[:, ::1], float64[:, ::1])", cache=True)
def _product(a: Array, b: Array, out: Array) -> None:
    """BLAS's a @ b. Its wrapper needs reference counts, hence compiled before its callers, which have none."""
    np.dot(a, b, out)


@njit(fastmath=SUMS, **PLAIN)
def interval(net: Net, room: Room, k: int, below: Array, above: Array) -> None:
    """Improve the bounds of layer k (of the margins: room's) by interval arithmetic; the terms' magnitudes."""
    starts, sources, offsets, weights, bias = net.starts, net.sources, net.offsets, net.weights, net.bias
    lower, upper = room.lower, room.upper
    begin, hidden = starts[k], k < len(net.relu) - 1
    flat = begin - starts[1]
    for i in range(starts[k + 1] - begin):
        middle, radius, magnitude = bias[begin + i], 0.0, abs(bias[begin + i])
        for e in range(net.edges[k], net.edges[k + 1]):
            at, end = starts[sources[e]], starts[sources[e] + 1]
            row = weights[offsets[e] + i * (end - at) : offsets[e] + (i + 1) * (end - at)]
            lows, highs = lower[at:end], upper[at:end]
            for j in range(end - at):
                w, low, high = row[j], lows[j], highs[j]
                middle += (0.5 * low + 0.5 * high) * w
                radius += (0.5 * high - 0.5 * low) * abs(w)
                magnitude += (abs(low) if abs(low) > abs(high) else abs(high)) * abs(w)
        error = net.interval[k] * 2.0 * magnitude + net.bias_error[k]
        room.magnitude[begin + i] = magnitude
        floor, ceiling = middle - radius - error, middle + radius + error
        if not hidden:
            lower[begin + i] = floor if floor < np.inf else -np.inf
            continue
        # comparisons with a NaN are false: it proves nothing, nor does an overflow
        if below[flat + i] < floor < np.inf:
            below[flat + i] = floor
        if -np.inf < ceiling < above[flat + i]:
            above[flat + i] = ceiling


@njit(**PLAIN)
def activate(net: Net, room: Room, k: int, lows: Array, highs: Array, parallel: bool) -> None:
    """Bounds of the value, lines of its alive neurons, weights between alive neurons, and the norms of error terms."""
    begin, relu = net.starts[k], net.relu[k]
    flat = begin - net.starts[1]
    count, spread, magnitude = 0, TINY_SQUARE, TINY_SQUARE
    for i in range(net.starts[k + 1] - begin):
        low, high = lows[flat + i], highs[flat + i]
        below = above = 1.0
        intercept = 0.0
        if relu:
            room.lower[begin + i], room.upper[begin + i] = max(low, 0.0), max(high, 0.0)
            if low < 0.0:
                if high <= 0.0:
                    continue
                above = high / (high - low)
                below = above if parallel else (1.0 if high > -low else 0.0)
                intercept = max(-above * low, (1.0 - above) * high) * ROUND_UP + TINY
        else:
            room.lower[begin + i], room.upper[begin + i] = low, high
        at = begin + count
        room.place[begin + i] = count
        room.alive[at], room.below[at], room.above[at], room.intercept[at] = i, below, above, intercept
        room.bias[at] = net.bias[begin + i]
        spread += intercept * intercept
        magnitude += room.magnitude[begin + i] * room.magnitude[begin + i]
        count += 1
    room.kept[k] = count
    room.spread[k] = np.sqrt(spread) * UP
    room.unit[k] = net.relative[k] * np.sqrt(magnitude) * UP + net.bias_error[k] * count
    for e in range(net.edges[k], net.edges[k + 1]):
        _gather(net, room, k, e)


@njit(**PLAIN)
def _gather(net: Net, room: Room, k: int, e: int) -> None:
    """Weights of an edge between the alive neurons of its ends."""
    alive, weights, gathered = room.alive, net.weights, room.gathered
    s, at = net.sources[e], net.offsets[e]
    width, kept = net.starts[s + 1] - net.starts[s], room.kept[s]
    columns = alive[net.starts[s] : net.starts[s] + kept]
    for i in range(room.kept[k]):
        first = net.offsets[e] + alive[net.starts[k] + i] * width
        row, to = weights[first : first + width], gathered[at : at + kept]
        for j in range(kept):
            to[j] = row[columns[j]]
        at += kept


@njit(**PLAIN)
def substitute(net: Net, room: Room, k: int, first: int, half: int, sensitivities: Array) -> None:
    """Walk z_k[i], and -z_k[i] behind them, back to the input, i in room.rows[first : first + half].

    Results are in pending[0], constants, errors. The margins walk one way only, and the coefficients of every ReLU on
    their way are kept in `sensitivities`.
    """
    both = k < len(net.relu) - 1
    size = 2 * half if both else half
    room.waits[:] = False
    room.bypasses[:] = False
    for e in range(net.edges[k], net.edges[k + 1]):
        _depart(net, room, e, first, half, both)
    for r in range(half):
        i = net.starts[k] + room.rows[first + r]
        room.constants[r] = net.bias[i]
        room.errors[r] = net.relative[k] * room.magnitude[i] + net.bias_error[k]
        if both:
            room.constants[half + r], room.errors[half + r] = -net.bias[i], room.errors[r]
    for v in range(k - 1, 0, -1):
        if not room.waits[v]:
            continue
        if net.partner[v] and room.waits[net.partner[v]]:
            take(net, room, v, size)
        count = room.kept[v]
        if not both and net.relu[v]:
            flat, at = net.starts[v] - net.starts[1], BLOCK * net.starts[v]
            for r in range(half):
                for i in range(count):
                    neuron = flat + room.alive[net.starts[v] + i]
                    sensitivities[room.rows[first + r], neuron] = room.pending[at + r * count + i]
        _through(net, room, v, size)
        for e in range(net.edges[v], net.edges[v + 1]):
            _back(net, room, v, e, size)
    if not room.waits[0]:
        room.pending[: size * room.kept[0]] = 0.0


@njit(**PLAIN)
def _depart(net: Net, room: Room, e: int, first: int, half: int, both: bool) -> None:
    """The rows' own weights of one edge: the first coefficients."""
    alive, pending, weights, rows = room.alive, room.pending, net.weights, room.rows
    s = net.sources[e]
    width, kept, at = net.starts[s + 1] - net.starts[s], room.kept[s], BLOCK * net.starts[s]
    columns = alive[net.starts[s] : net.starts[s] + kept]
    room.waits[s] = True
    for r in range(half):
        begin = net.offsets[e] + rows[first + r] * width
        row, to = weights[begin : begin + width], pending[at + r * kept : at + (r + 1) * kept]
        for j in range(kept):
            to[j] = row[columns[j]]
    if both:
        for i in range(at, at + half * kept):
            pending[i + half * kept] = -pending[i]


@njit(fastmath=SUMS, **PLAIN)
def _through(net: Net, room: Room, v: int, size: int) -> None:
    """Replace value v by its lines: its coefficients become those of z_v, constants and errors are updated."""
    begin, count = net.starts[v], room.kept[v]
    below, above = room.below[begin : begin + count], room.above[begin : begin + count]
    intercept, bias = room.intercept[begin : begin + count], room.bias[begin : begin + count]
    lines_error = (count + net.sums + SPARE) * EPS * room.spread[v]
    for r in range(size):
        row = room.pending[BLOCK * begin + r * count : BLOCK * begin + (r + 1) * count]
        constant, before, after = 0.0, TINY_SQUARE, TINY_SQUARE
        for i in range(count):
            c = row[i]
            before += c * c
            constant += (c if c < 0.0 else 0.0) * intercept[i]
            c *= below[i] if c > 0.0 else above[i]
            after += c * c
            constant += c * bias[i]
            row[i] = c
        if room.bypasses[v]:
            straight, after = room.straight[BLOCK * begin + r * count : BLOCK * begin + (r + 1) * count], TINY_SQUARE
            for i in range(count):
                c = straight[i]
                after += (abs(row[i]) + abs(c)) ** 2
                constant += c * bias[i]
                row[i] += c
        room.constants[r] += constant
        room.errors[r] += (lines_error * np.sqrt(before) + room.unit[v] * np.sqrt(after)) * UP


@njit(**PLAIN)
def _back(net: Net, room: Room, v: int, e: int, size: int) -> None:
    """Add (coefficients of z_v) @ W of one edge to what its source has pending."""
    s, count = net.sources[e], room.kept[v]
    kept = room.kept[s]
    to, weights = BLOCK * net.starts[s], net.offsets[e]
    if not room.waits[s]:
        room.pending[to : to + size * kept] = 0.0
    if count and kept:
        coefficients = room.pending[BLOCK * net.starts[v] : BLOCK * net.starts[v] + size * count].reshape(size, count)
        product = room.product[: size * kept].reshape(size, kept)
        _product(coefficients, room.gathered[weights : weights + count * kept].reshape(count, kept), product)
        for i in range(size * kept):
            room.pending[to + i] += room.product[i]
    room.waits[s] = True
