"""Compiled twin of `propagation`: interval contraction of one node to a fixpoint, with nogoods.

Flat layout: value v of `columns` is input v for v < n, else y = act(z) of neuron v - n. Row i < neurons is
z_i = W v + b, the others are the margins of one disjunct. Formulas and rounding are those of the twin.
"""

from __future__ import annotations

from numba import njit

from ...instances.network import Array
from ...instances.rounding import EPS, FEW_ROUNDINGS, SPARE, TINY
from ...instances.sparse import Rows
from .narrow_layout import PLAIN

__all__ = ["contract_node"]


@njit(**PLAIN)
def _value(rows: Rows, i: int, low: Array, high: Array, z_low: Array, z_high: Array) -> None:
    """y_i from z_i."""
    v = rows.inputs + i
    if rows.relu[i]:
        low[v], high[v] = max(z_low[i], 0.0), max(z_high[i], 0.0)
    else:
        low[v], high[v] = z_low[i], z_high[i]


@njit(**PLAIN)
def _forward(rows: Rows, i: int, low: Array, high: Array, sums: Array) -> None:
    """sums[:3]: least, most and size of W v + b of row i, errors not yet taken off; sums[3]: their error."""
    least, most, size = 0.0, 0.0, abs(rows.bias[i])
    for e in range(rows.ends[i], rows.ends[i + 1]):
        w, v = rows.weights[e], rows.columns[e]
        a, b = w * low[v], w * high[v]
        least += min(a, b)
        most += max(a, b)
        size += max(abs(a), abs(b))
    sums[0], sums[1], sums[2] = least, most, size
    sums[3] = rows.relative[i] * size + rows.error[i] + TINY


@njit(**PLAIN)
def _terms(
    rows: Rows, i: int, floor: float, ceiling: float, low: Array, high: Array, sums: Array
) -> bool:  # fmt: skip
    """Tighten the values that row i reads by floor <= W v + b <= ceiling; True where one has nothing left."""
    least, most, error = sums[0], sums[1], sums[3]
    over = ceiling - rows.bias[i] - least + error + FEW_ROUNDINGS * abs(ceiling)
    under = floor - rows.bias[i] - most - error - FEW_ROUNDINGS * abs(floor)
    slack, empty = rows.relative[i], False
    for e in range(rows.ends[i], rows.ends[i + 1]):
        w, v = rows.weights[e], rows.columns[e]
        a, b = w * low[v], w * high[v]
        top, bottom = (over + min(a, b)) / w, (under + max(a, b)) / w
        if w < 0.0:
            top, bottom = bottom, top
        top += slack * abs(top) + TINY
        bottom -= slack * abs(bottom) + TINY
        if top < high[v]:
            high[v] = top
        if bottom > low[v]:
            low[v] = bottom
        empty |= low[v] > high[v]
    return bool(empty)


@njit(**PLAIN)
def _function(
    rows: Rows, r: int, low: Array, high: Array, z_low: Array, z_high: Array, sizes: Array, a: Array
) -> bool:
    """Tighten the inputs by the linear function below margin r, a'x + c <= 0; True where nothing is left."""
    n = rows.inputs
    a[:] = 0.0
    constant, size, shift = rows.bias[r], abs(rows.bias[r]), rows.error[r]
    for e in range(rows.ends[r], rows.ends[r + 1]):
        v = rows.columns[e]
        a[v] += rows.weights[e]
        size += abs(rows.weights[e]) * max(abs(low[v]), abs(high[v]))
    for i in range(rows.neurons - 1, -1, -1):
        c = a[n + i]
        if c == 0.0:
            continue
        if rows.relu[i] and z_low[i] < 0.0:
            if z_high[i] <= 0.0:
                continue
            if c > 0.0:
                if z_high[i] <= -z_low[i]:
                    continue
            else:
                # any slope in [0, 1] with an intercept that lifts the line over both ends of the ReLU
                slope = min(z_high[i] / (z_high[i] - z_low[i]), 1.0)
                lift = max(-slope * z_low[i], z_high[i] - slope * z_high[i])
                lift += FEW_ROUNDINGS * (abs(slope * z_low[i]) + z_high[i]) + TINY
                constant += c * lift
                size += abs(c * lift)
                c *= slope
        constant += c * rows.bias[i]
        size += abs(c) * sizes[i]
        shift += abs(c) * rows.error[i]
        for e in range(rows.ends[i], rows.ends[i + 1]):
            a[rows.columns[e]] += c * rows.weights[e]
    least = 0.0
    for j in range(n):
        least += min(a[j] * low[j], a[j] * high[j])
        size += abs(a[j]) * max(abs(low[j]), abs(high[j]))
    error = rows.back * size + 2.0 * shift + TINY
    if constant + least - error > 0.0:
        return True
    over, empty = error - constant - least, False
    for j in range(n):
        w = a[j]
        if w != 0.0:
            limit = (over + min(w * low[j], w * high[j])) / w
            limit_slack = FEW_ROUNDINGS * abs(limit) + TINY
            if w > 0.0 and limit + limit_slack < high[j]:
                high[j] = limit + limit_slack
            elif w < 0.0 and limit - limit_slack > low[j]:
                low[j] = limit - limit_slack
            empty |= low[j] > high[j]
    return empty


@njit(**PLAIN)
def _nogoods(ends: Array, literals: Array, z_low: Array, z_high: Array) -> int:
    """Take in nogoods, literal 2 i for z_i >= 0, 2 i + 1 for z_i <= 0: 1 where a phase followed, 2 for a conflict."""
    found = 0
    for c in range(len(ends) - 1):
        missing, last = 0, -1
        for e in range(ends[c], ends[c + 1]):
            i = literals[e] >> 1
            if (literals[e] & 1 == 0 and z_low[i] >= 0.0) or (literals[e] & 1 == 1 and z_high[i] <= 0.0):
                continue
            missing, last = missing + 1, literals[e]
            if missing > 1:
                break
        if missing == 0:
            return 2
        if missing == 1:
            i = last >> 1
            if last & 1 == 0 and z_high[i] > 0.0:
                z_high[i], found = 0.0, 1
            elif last & 1 == 1 and z_low[i] < 0.0:
                z_low[i], found = 0.0, 1
    return found


@njit(**PLAIN)
def _cuts(cuts: Array, low: Array, high: Array) -> bool:
    """Half-spaces g'x + h >= 0 on the box; True where nothing is left."""
    empty = False
    for k in range(len(cuts)):
        n = cuts.shape[1] - 1
        most, size = cuts[k, n], abs(cuts[k, n])
        for j in range(n):
            a, b = cuts[k, j] * low[j], cuts[k, j] * high[j]
            most += max(a, b)
            size += max(abs(a), abs(b))
        error = 2.0 * (n + SPARE) * EPS * size + TINY
        if most + error < 0.0:
            return True
        for j in range(n):
            g = cuts[k, j]
            if g == 0.0:
                continue
            limit = -(most - max(g * low[j], g * high[j]) + error) / g
            slack = FEW_ROUNDINGS * abs(limit) + TINY
            if g > 0.0 and limit - slack > low[j]:
                low[j] = limit - slack
            elif g < 0.0 and limit + slack < high[j]:
                high[j] = limit + slack
            empty |= low[j] > high[j]
    return empty


@njit(nogil=True, **PLAIN)
def contract_node(
    rows: Rows, cuts: Array, starts: Array, literals: Array, low: Array, high: Array, z_low: Array, z_high: Array,
    widths: Array, sizes: Array, work: Array, sums: Array, rounds: int, worth: float,
) -> bool:  # fmt: skip
    """Contract one node in place; True where it is empty.

    low, high: [inputs + neurons] values, the inputs' part is the box; z_low, z_high: [neurons]; starts: [C + 1] where
    the nogoods' `literals` begin; widths: [inputs + neurons] of the whole problem, what `worth` is a
    share of; sizes: [neurons], work: [inputs + neurons] and sums: [4] working memory.
    """
    n, neurons, margins = rows.inputs, rows.neurons, len(rows.bias)
    for _ in range(rounds):
        won = False
        if _cuts(cuts, low, high):
            return True
        for i in range(neurons):
            _forward(rows, i, low, high, sums)
            sizes[i] = sums[2]
            floor, ceiling = sums[0] + rows.bias[i] - sums[3], sums[1] + rows.bias[i] + sums[3]
            if floor > z_low[i]:
                won |= floor - z_low[i] > worth * widths[n + i] or (z_low[i] < 0.0 and floor >= 0.0)
                z_low[i] = floor
            if ceiling < z_high[i]:
                won |= z_high[i] - ceiling > worth * widths[n + i] or (z_high[i] > 0.0 and ceiling <= 0.0)
                z_high[i] = ceiling
            if z_low[i] > z_high[i]:
                return True
            _value(rows, i, low, high, z_low, z_high)
        before = 0.0
        for j in range(n):
            before += (high[j] - low[j]) / widths[j]
        for r in range(neurons, margins):
            if _function(rows, r, low, high, z_low, z_high, sizes, work):
                return True
            _forward(rows, r, low, high, sums)
            if sums[0] + rows.bias[r] - sums[3] > 0.0:
                return True
            if _terms(rows, r, -1e300, 0.0, low, high, sums):
                return True
        for i in range(neurons - 1, -1, -1):
            v = n + i
            if rows.relu[i]:
                if high[v] < 0.0:
                    return True
                if low[v] > 0.0 and low[v] > z_low[i]:
                    won |= z_low[i] < 0.0
                    z_low[i] = low[v]
            elif low[v] > z_low[i]:
                z_low[i] = low[v]
            if high[v] < z_high[i]:
                won |= z_high[i] - high[v] > worth * widths[v] or high[v] == 0.0
                z_high[i] = high[v]
            if z_low[i] > z_high[i]:
                return True
            _forward(rows, i, low, high, sums)
            if _terms(rows, i, z_low[i], z_high[i], low, high, sums):
                return True
        after = 0.0
        for j in range(n):
            after += (high[j] - low[j]) / widths[j]
        won |= before - after > worth
        found = _nogoods(starts, literals, z_low, z_high)
        if found == 2:
            return True
        if not won and found == 0:
            return False
    return False
