"""`propagation` in numpy: the passes over rows, the margins' functions and the nogoods, one node at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import FEW_ROUNDINGS, TINY
from ..linear.clipping import shrink_box

if TYPE_CHECKING:
    from ...instances.sparse import Rows
    from .state import Nogoods, State

__all__ = ["contract_plain"]


def contract_plain(
    query: Query, rows: Rows, cuts: Array, nogoods: Nogoods, state: State, widths: Array, rounds: int, worth: float
) -> bool:
    """See `Propagation.contract`; rounds: passes at most, worth: share of `widths` that keeps them going."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what overflows bounds nothing
        for _ in range(rounds):
            before = _widths(rows, state), _phases(state)
            if _pass(query, rows, cuts, state):
                return True
            found = _unit(nogoods, state)
            if found is None:
                return True
            won = ((before[0] - _widths(rows, state)) > worth * widths).any() or _phases(state) != before[1]
            if not won and not found:
                return False
    return False


def _widths(rows: Rows, state: State) -> Array:
    n = rows.inputs
    return np.concatenate([state.high[:n] - state.low[:n], state.z_high - state.z_low])


def _phases(state: State) -> int:
    """How many are decided."""
    return int((state.z_low >= 0.0).sum() + (state.z_high <= 0.0).sum())


def _pass(query: Query, rows: Rows, cuts: Array, state: State) -> bool:
    """Forwards, the margins, backwards."""
    n, low, high = rows.inputs, state.low, state.high
    normals, offsets = cuts[None, :, :n], cuts[None, :, n]
    box = shrink_box(low[None, :n], high[None, :n], normals, offsets)
    low[:n], high[:n] = box[0][0], box[1][0]
    sizes = np.zeros(rows.neurons)
    for part in query.slices:
        sums = _sums(rows, part, low, high)
        state.z_low[part] = np.fmax(state.z_low[part], sums[0] + rows.bias[part] - sums[3])
        state.z_high[part] = np.fmin(state.z_high[part], sums[1] + rows.bias[part] + sums[3])
        sizes[part] = sums[2]
        _values(query, rows, part, state)
    if _empty(rows, state):
        return True
    for r in range(rows.neurons, len(rows.bias)):
        one = slice(r, r + 1)
        if _function(rows, r, state, sizes) or (low > high).any():
            return True
        sums = _sums(rows, one, low, high)
        if (sums[0] + rows.bias[one] - sums[3] > 0.0).any():
            return True
        _terms(rows, one, np.array([-np.inf]), np.zeros(1), low, high, sums)
    for part in reversed(query.slices):
        relu = rows.relu[part]
        y_low, y_high = low[n + part.start : n + part.stop], high[n + part.start : n + part.stop]
        if (relu & (y_high < 0.0)).any():
            return True
        state.z_high[part] = np.fmin(state.z_high[part], y_high)
        state.z_low[part] = np.fmax(state.z_low[part], np.where(relu & ~(y_low > 0.0), -np.inf, y_low))
        if _empty(rows, state):
            return True
        _terms(rows, part, state.z_low[part], state.z_high[part], low, high, _sums(rows, part, low, high))
    return _empty(rows, state)


def _empty(rows: Rows, state: State) -> bool:
    n = rows.inputs
    return bool((state.z_low > state.z_high).any() or (state.low[:n] > state.high[:n]).any())


def _values(query: Query, rows: Rows, part: slice, state: State) -> None:
    """y from z."""
    own, relu = slice(rows.inputs + part.start, rows.inputs + part.stop), rows.relu[part]
    state.low[own] = np.where(relu, np.maximum(state.z_low[part], 0.0), state.z_low[part])
    state.high[own] = np.where(relu, np.maximum(state.z_high[part], 0.0), state.z_high[part])


def _entries(rows: Rows, part: slice) -> tuple[slice, Array]:
    """Where the entries of some rows are, and the row of each, counted from the first."""
    ends = rows.ends[part.start : part.stop + 1]
    return slice(int(ends[0]), int(ends[-1])), np.repeat(np.arange(part.stop - part.start), np.diff(ends))


def _sums(rows: Rows, part: slice, low: Array, high: Array) -> tuple[Array, Array, Array, Array]:
    """Least, most and size of W v + b of some rows, errors not taken off, and the error."""
    where, row = _entries(rows, part)
    a, b = (rows.weights[where] * v[rows.columns[where]] for v in (low, high))
    count = part.stop - part.start
    least, most = (np.bincount(row, f(a, b), count) for f in (np.minimum, np.maximum))
    size = np.bincount(row, np.maximum(np.abs(a), np.abs(b)), count) + np.abs(rows.bias[part])
    return least, most, size, rows.relative[part] * size + rows.error[part] + TINY


def _terms(
    rows: Rows, part: slice, floor: Array, ceiling: Array, low: Array, high: Array,
    sums: tuple[Array, Array, Array, Array],
) -> None:  # fmt: skip
    """Tighten the values that the rows read by floor <= W v + b <= ceiling."""
    least, most, _, error = sums
    where, row = _entries(rows, part)
    w, columns = rows.weights[where], rows.columns[where]
    over = ceiling - rows.bias[part] - least + error + FEW_ROUNDINGS * np.abs(ceiling)
    under = floor - rows.bias[part] - most - error - FEW_ROUNDINGS * np.abs(floor)
    a, b = w * low[columns], w * high[columns]
    one, other = (over[row] + np.minimum(a, b)) / w, (under[row] + np.maximum(a, b)) / w
    top, bottom = np.where(w > 0.0, one, other), np.where(w > 0.0, other, one)
    slack = rows.relative[part][row]
    np.fmin.at(high, columns, top + slack * np.abs(top) + TINY)
    np.fmax.at(low, columns, bottom - slack * np.abs(bottom) - TINY)


def _function(rows: Rows, r: int, state: State, sizes: Array) -> bool:
    """Tighten the inputs by the linear function below margin r; True where it is positive all over the box.

    Walked back neuron by neuron as the kernel does: rows of one layer are independent of each other.
    """
    n, low, high, z_low, z_high = rows.inputs, state.low, state.high, state.z_low, state.z_high
    a = np.zeros(n + rows.neurons)
    where, _ = _entries(rows, slice(r, r + 1))
    np.add.at(a, rows.columns[where], rows.weights[where])
    magnitude = np.maximum(np.abs(low), np.abs(high))
    constant, shift = float(rows.bias[r]), float(rows.error[r])
    size = abs(constant) + float(np.abs(a) @ magnitude)
    for i in range(rows.neurons - 1, -1, -1):
        c = float(a[n + i])
        if c == 0.0:
            continue
        if rows.relu[i] and z_low[i] < 0.0:
            if z_high[i] <= 0.0 or (c > 0.0 and z_high[i] <= -z_low[i]):
                continue
            if c < 0.0:
                # any slope in [0, 1] with an intercept that lifts the line over both ends of the ReLU
                slope = min(float(z_high[i] / (z_high[i] - z_low[i])), 1.0)
                lift = max(-slope * z_low[i], z_high[i] - slope * z_high[i])
                lift += FEW_ROUNDINGS * (abs(slope * z_low[i]) + z_high[i]) + TINY
                constant, size, c = constant + c * lift, size + abs(c * lift), c * slope
        constant, size, shift = constant + c * rows.bias[i], size + abs(c) * sizes[i], shift + abs(c) * rows.error[i]
        where = slice(int(rows.ends[i]), int(rows.ends[i + 1]))
        a[rows.columns[where]] += c * rows.weights[where]
    a = a[:n]
    at_low, at_high = a * low[:n], a * high[:n]
    size += float(np.abs(a) @ magnitude[:n])
    least = float(np.minimum(at_low, at_high).sum())
    error = rows.back * size + 2.0 * shift + TINY
    if constant + least - error > 0.0:
        return True
    limit = (error - constant - least + np.minimum(at_low, at_high)) / a
    slack = FEW_ROUNDINGS * np.abs(limit) + TINY
    high[:n] = np.where(a > 0.0, np.fmin(high[:n], limit + slack), high[:n])
    low[:n] = np.where(a < 0.0, np.fmax(low[:n], limit - slack), low[:n])
    return bool((low[:n] > high[:n]).any())


def _unit(nogoods: Nogoods, state: State) -> bool | None:
    """Whether a phase followed from a nogood; None for a conflict."""
    if not len(nogoods):
        return False
    neuron, inactive = nogoods.literals >> 1, (nogoods.literals & 1).astype(bool)
    held = np.where(inactive, state.z_high[neuron] <= 0.0, state.z_low[neuron] >= 0.0)
    missing = np.add.reduceat((~held).astype(np.int64), nogoods.starts[:-1])
    if (missing == 0).any():
        return None
    found = False
    of = np.repeat(np.arange(len(nogoods)), np.diff(nogoods.starts))
    for e in np.flatnonzero(~held & (missing == 1)[of]).tolist():
        i = int(neuron[e])
        if not inactive[e] and state.z_high[i] > 0.0:
            state.z_high[i], found = 0.0, True
        elif inactive[e] and state.z_low[i] < 0.0:
            state.z_low[i], found = 0.0, True
    return found
