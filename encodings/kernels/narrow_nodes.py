"""Linear bounds of narrow networks, one node at a time, compiled by numba: the fast twin of `back_substitution`.

The formulas, their rounding terms and their order are those of the twin, where they are explained; the tests hold the
two against each other. What one node at a time allows: neurons that are inactive leave the products altogether
(weights are gathered to those that are *alive* under the node's own bounds), stable neurons are never bounded again,
and everything stays in the caches. Products are BLAS calls on matrices of a few dozen rows.

Cost per node: for each layer k, 2 (unstable rows of k) x (weights between alive neurons of all earlier layers).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ...instances.network import Array
from .narrow_differences import between, gather_pairs, is_difference, open_rows
from .narrow_layout import BLOCK, PLAIN, Box, Net, Out, Room
from .narrow_programs import refute_disjuncts
from .narrow_regions import concretise, misses
from .narrow_substitution import activate, interval, substitute

__all__ = ["bound_nodes"]


@njit(nogil=True, **PLAIN)
def bound_nodes(
    net: Net, first: int, last: int, lower: Array, upper: Array, cuts: Array, pre_lower: Array, pre_upper: Array,
    phases: Array, changed: Array, hidden: bool, parallel: bool, first_layer: int, conjunctions: bool, room: Room,
    out: Out,
) -> None:  # fmt: skip
    """Bound nodes first..last - 1 of a batch; `pre_lower` and `pre_upper` are improved in place."""
    layers = len(net.relu) - 1
    for b in range(first, last):
        box = lower[b], upper[b]
        used = _start(net, room, box, cuts[b])
        empty = misses(box, cuts[b])
        low, high = pre_lower[b], pre_upper[b]
        for k in range(1, layers):
            interval(net, room, k, low, high)
            paired = is_difference(net, k)
            if paired:
                between(net, room, k, low, high)
            if (net.relu[k] or paired) and hidden and k >= first_layer and changed[b] <= k and not empty:
                used = _bound_layer(net, room, k, box, used, phases[b], low, high, b, out)
            empty |= _order(net, k, low, high)
            if paired:
                gather_pairs(net, room, k, low, high)
            else:
                activate(net, room, k, low, high, parallel)
        out.infeasible[b] = empty
        _margins(net, room, b, box, used, out)
        if conjunctions and not empty and not _closed(net, out.margins[b]):
            refute_disjuncts(net, room, b, box, used, out)
            out.together[b] = _closed(net, out.margins[b])


@njit(**PLAIN)
def _closed(net: Net, margins: Array) -> bool:
    """Whether every disjunct has a positive margin."""
    for k in range(len(net.disjuncts) - 1):
        refuted = False
        for r in range(net.disjuncts[k], net.disjuncts[k + 1]):
            refuted |= margins[r] > 0.0
        if not refuted:
            return False
    return True


@njit(**PLAIN)
def _bound_layer(
    net: Net, room: Room, k: int, box: Box, used: int, phases: Array, low: Array, high: Array, b: int, out: Out
) -> int:  # fmt: skip
    """Back-substitution for the neurons of layer k that are unstable so far, or whose phase a split demanded.

    The latter give half-spaces, U(x) >= z >= 0 or L(x) <= z <= 0, to all that comes after. Returns how many
    half-spaces there are now.
    """
    at, n = net.starts[k] - net.starts[1], net.starts[1]
    paired = is_difference(net, k)
    unstable = open_rows(net, room, k, low, high) if paired else 0
    for i in range(0 if paired else net.starts[k + 1] - net.starts[k]):
        if low[at + i] < 0.0 and high[at + i] > 0.0:
            room.rows[unstable] = i
            unstable += 1
    count = unstable
    if _is_deep(net, k):
        for i in range(net.starts[k + 1] - net.starts[k]):
            if phases[at + i] != 0 and used + count - unstable < len(room.cuts):
                room.rows[count] = i
                count += 1
    for begin in range(0, count, BLOCK // 2):
        half = min(count - begin, BLOCK // 2)
        substitute(net, room, k, begin, half, out.sensitivities[b])
        concretise(net, room, 2 * half, box, used)
        if len(out.means) and not paired:
            _keep(net, room, k, begin, min(half, unstable - begin), half, box, out.means[b], out.spreads[b])
        for r in range(half):
            i = at + room.rows[begin + r]
            # an overflow proves nothing
            if low[i] < room.values[r] < np.inf:
                low[i] = room.values[r]
            if -np.inf < -room.values[half + r] < high[i]:
                high[i] = -room.values[half + r]
            if begin + r >= unstable:
                side = half + r if phases[i] > 0 else r
                for j in range(n):
                    room.cuts[used, j] = -room.pending[side * n + j]
                room.cuts[used, n] = -room.constants[side]
                used += 1
    return used


@njit(**PLAIN)
def _is_deep(net: Net, k: int) -> bool:
    """Whether layer k takes in more than the input: half-spaces of the others are exact and part of the split."""
    for e in range(net.edges[k], net.edges[k + 1]):
        if net.sources[e] != 0:
            return True
    return False


@njit(**PLAIN)
def _order(net: Net, k: int, low: Array, high: Array) -> bool:
    """Whether bounds of layer k cross: the region is empty, any bounds are true, and ordered ones keep what follows
    finite."""
    crossed = False
    for i in range(net.starts[k] - net.starts[1], net.starts[k + 1] - net.starts[1]):
        if low[i] > high[i]:
            crossed = True
            low[i] = high[i]
    return crossed


@njit(**PLAIN)
def _start(net: Net, room: Room, box: Box, cuts: Array) -> int:
    """The input's bounds; half-spaces that are not void, newest first. Returns how many they are."""
    for j in range(net.starts[1]):
        room.lower[j], room.upper[j], room.alive[j] = box[0][j], box[1][j], j
    room.kept[0] = net.starts[1]
    used = 0
    for k in range(len(cuts) - 1, -1, -1):
        void = True
        for j in range(cuts.shape[1]):
            room.cuts[used, j] = cuts[k, j]
            void &= cuts[k, j] == 0.0
        used += not void
    return used


@njit(**PLAIN)
def _keep(
    net: Net, room: Room, k: int, first: int, count: int, half: int, box: Box, means: Array,
    spreads: Array,
) -> None:  # fmt: skip
    """Mean of each row's lower and upper function, and half their largest distance over the box."""
    lower, upper = box
    n, pending, constants = net.starts[1], room.pending, room.constants
    for r in range(count):
        i = net.starts[k] - n + room.rows[first + r]
        up = half + r
        spread = -0.5 * (constants[up] + constants[r])
        means[i, n] = 0.5 * (constants[r] - constants[up])
        for j in range(n):
            a, c = pending[r * n + j], pending[up * n + j]
            means[i, j] = 0.5 * (a - c)
            gap = -0.5 * (a + c)
            spread += gap * upper[j] if gap > 0.0 else gap * lower[j]
        spreads[i] = max(spread, 0.0) if np.isfinite(spread) else np.inf


@njit(**PLAIN)
def _margins(net: Net, room: Room, b: int, box: Box, used: int, out: Out) -> None:
    """Linear bounds of the margins, and their minima."""
    k, n = len(net.relu) - 1, net.starts[1]
    begin = net.starts[k]
    margins, constants, coefficients = out.margins, out.constants, out.coefficients
    interval(net, room, k, margins[b], margins[b])
    count = net.starts[k + 1] - begin
    for i in range(count):
        room.rows[i] = i
    for first in range(0, count, BLOCK):
        size = min(BLOCK, count - first)
        substitute(net, room, k, first, size, out.sensitivities[b])
        concretise(net, room, size, box, used)
        for r in range(size):
            floor, value = room.lower[begin + first + r], room.values[r]
            margins[b, first + r] = value if floor < value < np.inf else floor
            constants[b, first + r] = room.constants[r]
            for j in range(n):
                coefficients[b, first + r, j] = room.pending[r * n + j]
