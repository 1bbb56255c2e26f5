"""Compiled: all bounds of phase nodes anew, one node at a time, the fast twin of `phase_bounds.refresh_phases`.

Layer by layer the neurons still unstable are raised by the ascent (`wide_ascent`) and evaluated (`wide_evaluation`)
in blocks of rows that fit the caches; then come the margins with plain slopes and the total multipliers of the rows
that are wanted. Cost per node: for each layer k, 2 (unstable rows of k that matter) x (weights between alive neurons of
all earlier layers) x (2 x ascent steps + 2), where an ascent's walks count a sample of the input's weights alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ...instances.network import Array
from .wide_ascent import AscentRoom, ascend, plain_numbers
from .wide_evaluation import EvaluationRoom, evaluate
from .wide_layout import LOOPS, Wide, WideNode, activate_wide, interval_ends

__all__ = ["HALF", "Fresh", "Hidden", "Sizes", "Steps", "refresh_nodes"]

HALF = 64  # neurons that walk together, each with both signs


class Steps(NamedTuple):
    """How far to ascend."""

    iterations: int
    rate: float  # first step of a slope
    decay: float  # of the steps, per iteration


class Sizes(NamedTuple):
    """Largest |W| m + |b| over all nodes of a batch: what rounding errors are relative to."""

    magnitude: Array  # flat as the values
    norms: Array  # [L + 1] its norms


class Hidden(NamedTuple):
    """Coefficients of the hidden rows of one node, block by block."""

    values: Array  # float32, flat: [alive before the layer, 2 rows] of each block, max(-coefficient, 0)
    rows: Array  # [neurons] int: rows of the blocks, one block after another
    blocks: Array  # [most, 4] int: layer, where its rows begin, how many they are, where its values begin


class Fresh(NamedTuple):
    """Arrays of `Bounds`, written in place; zeros before."""

    margins: Array  # [B, rows]
    sensitivities: Array  # [B, rows, neurons]
    totals: Array  # [B, rows, neurons]
    infeasible: Array  # [B] bool


@njit(**LOOPS)
def refresh_nodes(
    net: Wide, first: int, last: int, low: Array, high: Array, phases: Array, wanted: Array, matter: Array,
    sizes: Sizes, steps: Steps, node: WideNode, ascent: AscentRoom, room: EvaluationRoom, hidden: Hidden, out: Fresh,
) -> None:  # fmt: skip
    """Bound nodes first..last - 1 of a batch; `low` and `high` [B, neurons] are improved in place.

    wanted: [B, rows] bool, margins whose total multipliers are asked for; matter: [B, neurons] bool, whose bounds are.
    """
    layers = len(net.relu) - 1
    for b in range(first, last):
        blocks, node.kept[0] = 0, net.starts[1]
        for k in range(1, layers):
            if k > 1 and net.relu[k] and not out.infeasible[b]:
                _narrow(net, k, low[b], high[b], sizes)
                blocks = _layer(net, k, low[b], high[b], matter[b], sizes, steps, node, ascent, room, hidden, blocks)
            out.infeasible[b] |= _order(net, k, low[b], high[b])
            activate_wide(net, node, k, low[b], high[b], phases[b])
        if not out.infeasible[b]:
            _margins(net, node, low[b], high[b], sizes, ascent, room, out.margins[b], out.sensitivities[b])
            for r in range(wanted.shape[1]):
                if wanted[b, r]:
                    _total(net, node, low[b], high[b], hidden, blocks, out.sensitivities[b, r], out.totals[b, r])


@njit(**LOOPS)
def _narrow(net: Wide, k: int, low: Array, high: Array, sizes: Sizes) -> None:
    """Interval arithmetic on layer k's unstable ReLUs."""
    flat = net.starts[k] - net.starts[1]
    for i in range(net.starts[k + 1] - net.starts[k]):
        if low[flat + i] < 0.0 and high[flat + i] > 0.0:
            floor, ceiling = interval_ends(net, k, i, low, high, sizes.magnitude)
            # comparisons with a NaN are false: it proves nothing, nor does an overflow
            if low[flat + i] < floor < np.inf:
                low[flat + i] = floor
            if -np.inf < ceiling < high[flat + i]:
                high[flat + i] = ceiling


@njit(**LOOPS)
def _layer(
    net: Wide, k: int, low: Array, high: Array, matter: Array, sizes: Sizes, steps: Steps, node: WideNode,
    ascent: AscentRoom, room: EvaluationRoom, hidden: Hidden, blocks: int,
) -> int:  # fmt: skip
    """Bounds of the unstable neurons of layer k that matter; returns how many blocks of rows there are now."""
    flat, before, nothing = net.starts[k] - net.starts[1], 0, np.empty((0, 0))
    for v in range(1, k):
        before += node.kept[v]
    row = at = 0
    if blocks:
        last = hidden.blocks[blocks - 1]
        row, at = last[1] + last[2], hidden.blocks[blocks, 3]
    begin = row
    for i in range(net.starts[k + 1] - net.starts[k]):
        if matter[flat + i] and low[flat + i] < 0.0 and high[flat + i] > 0.0:
            hidden.rows[row] = i
            row += 1
    for start in range(begin, row, HALF):
        half = min(HALF, row - start)
        rows, size = hidden.rows[start : start + half], 2 * half * before
        ascend(net, node, ascent, k, rows, steps.iterations, steps.rate, steps.decay,
               hidden.values[at : at + size].reshape(before, 2 * half))  # fmt: skip
        evaluate(net, node, room, k, rows, True, ascent.best, sizes.magnitude, sizes.norms, nothing)
        for r in range(half):
            i, below, above = flat + rows[r], room.values[r], -room.values[half + r]
            # comparisons with a NaN are false: it proves nothing, nor does an overflow
            if low[i] < below < np.inf:
                low[i] = below
            if -np.inf < above < high[i]:
                high[i] = above
        block = hidden.blocks[blocks]
        block[0], block[1], block[2], block[3] = k, start, half, at
        at += size
        blocks += 1
        hidden.blocks[blocks, 3] = at
    return blocks


@njit(**LOOPS)
def _order(net: Wide, k: int, low: Array, high: Array) -> bool:
    """Whether bounds of layer k cross: the region is empty, any bounds are true, and the arithmetic stays finite."""
    flat, crossed = net.starts[k] - net.starts[1], False
    for i in range(flat, flat + net.starts[k + 1] - net.starts[k]):
        if low[i] > high[i]:
            low[i], crossed = high[i], True
    return crossed


@njit(**LOOPS)
def _margins(
    net: Wide, node: WideNode, low: Array, high: Array, sizes: Sizes, ascent: AscentRoom, room: EvaluationRoom,
    margins: Array, sensitivities: Array,
) -> None:  # fmt: skip
    """Margins with plain slopes or by interval arithmetic."""
    layers, rows = len(net.relu) - 1, np.arange(len(margins))
    for r in range(0, len(rows), 2 * HALF):
        some = rows[r : r + 2 * HALF]
        plain_numbers(net, node, layers, ascent.numbers, len(some))
        evaluate(net, node, room, layers, some, False, ascent.numbers, sizes.magnitude, sizes.norms,
                 sensitivities[r : r + len(some)])  # fmt: skip
        for i in range(len(some)):
            floor, _ = interval_ends(net, layers, r + i, low, high, sizes.magnitude)
            # comparisons with a NaN are false: it proves nothing, nor does an overflow; margins begin at -inf
            for value in (floor, room.values[i]):
                if margins[r + i] < value < np.inf:
                    margins[r + i] = value


@njit(**LOOPS)
def _total(
    net: Wide, node: WideNode, low: Array, high: Array, hidden: Hidden, blocks: int, sensitivities: Array, total: Array
) -> None:  # fmt: skip
    """Total multipliers of one margin, see `bounds.Bounds.totals`."""
    below, above = np.empty(HALF, np.float32), np.empty(HALF, np.float32)
    for i in range(len(total)):
        total[i] = max(-sensitivities[i], 0.0)
    for index in range(blocks - 1, -1, -1):
        block = hidden.blocks[index]
        k, start, half = block[0], block[1], block[2]
        used = False
        for r in range(half):
            i = net.starts[k] - net.starts[1] + hidden.rows[start + r]
            below[r] = above[r] = 0.0
            if low[i] < 0.0 and high[i] > 0.0 and total[i] > 0.0:
                width, used = high[i] - low[i], True
                below[r], above[r] = total[i] * (high[i] / width) ** 2, total[i] * (low[i] / width) ** 2
        if used:
            _spread(net, node, k, below[:half], above[:half], hidden.values[block[3] :], total)


@njit(**LOOPS)
def _spread(net: Wide, node: WideNode, k: int, below: Array, above: Array, values: Array, total: Array) -> None:
    """Add what the rows' bounds owe to the neurons before layer k."""
    half, at = len(below), 0
    for v in range(1, k):
        for i in range(node.kept[v]):
            owed = np.float32(0.0)
            for r in range(half):
                owed += below[r] * values[at + r] + above[r] * values[at + half + r]
            total[net.starts[v] - net.starts[1] + node.alive[net.starts[v] + i]] += owed
            at += 2 * half
