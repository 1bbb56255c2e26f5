"""Compiled: ascent on slopes and phases' multipliers for some neurons of one node, the twin of `slope_ascent`.

The formulas are explained there; steps are by the supergradient's sign. All in float32, as nothing here has to be
rigorous: `wide_evaluation` makes a bound of what is found. An iteration is a walk back and a walk forward, through
some of the inputs (`slopes.sampled_inputs`) where they are many.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ...instances.network import Array
from .half_space_rows import column_multipliers
from .wide_layout import LOOPS, Wide, WideNode, add_back, add_forward, depart

__all__ = ["AscentRoom", "ascend", "ascent_room", "plain_numbers"]

MULTIPLIERS = np.float32(2.0)  # a multiplier's step in units of its layer's mean coefficient
ZERO, ONE = np.float32(0.0), np.float32(1.0)


class AscentRoom(NamedTuple):
    """Float32 working memory for P columns; [values, P] arrays are flat, value v's part begins at starts[v] * P."""

    pending: Array  # coefficients of the values
    through: Array  # coefficients behind a value's lines, then values pushed forward
    numbers: Array  # slopes and multipliers at hand
    best: Array  # those of the best bounds
    product: Array
    waits: Array  # [L + 1] bool: value v has coefficients pending
    units: Array  # [L + 1, P] a multiplier's step
    highest: Array  # [P] best bounds
    betas: Array  # [P] multipliers of the half-space, as the plain walk has them best


def ascent_room(net: Wide, columns: int) -> AscentRoom:
    """Room for one thread."""
    values, layers = int(net.starts[-1]), len(net.relu)
    flat = values * columns
    return AscentRoom(
        np.empty(flat, np.float32), np.empty(flat, np.float32), np.empty(flat, np.float32), np.empty(flat, np.float32),
        np.empty(flat, np.float32), np.empty(layers, np.bool_), np.empty((layers, columns), np.float32),
        np.empty(columns, np.float32), np.zeros(columns, np.float32),
    )  # fmt: skip


@njit(**LOOPS)
def _part(net: Wide, node: WideNode, flat: Array, v: int, columns: int) -> Array:
    """[kept, P] of value v."""
    begin = net.starts[v] * columns
    return flat[begin : begin + node.kept[v] * columns].reshape(node.kept[v], columns)


@njit(**LOOPS)
def _weights(net: Wide, node: WideNode, s: int) -> Array:
    """Dense weights behind value s: of the input, those of the sample."""
    return node.sampled if s == 0 and net.sample < net.starts[1] else node.single


@njit(**LOOPS)
def plain_numbers(net: Wide, node: WideNode, k: int, numbers: Array, columns: int) -> None:
    """Plain slopes, and multipliers 0, for the layers before k."""
    for v in range(1, k):
        part = _part(net, node, numbers, v, columns)
        for i in range(node.kept[v]):
            at = net.starts[v] + i
            number = np.float32(0.0 if node.split[at] != 0.0 else node.below[at])
            for p in range(columns):
                part[i, p] = number


@njit(**LOOPS)
def ascend(
    net: Wide, node: WideNode, room: AscentRoom, k: int, rows: Array, steps: int, rate: float, decay: float,
    kept: Array,
) -> None:  # fmt: skip
    """Raise the lower bounds of z_k[rows], and of -z_k[rows] behind them; the best numbers are in room.best.

    kept: [alive neurons before k, P]: receives max(-coefficient, 0) of the plain walk, or is empty.
    """
    columns, inputs = 2 * len(rows), node.kept[0]
    node.kept[0] = net.sample  # until the walks are done
    plain_numbers(net, node, k, room.numbers, columns)
    plain_numbers(net, node, k, room.best, columns)
    room.highest[:columns] = -np.inf
    for t in range(steps + 1):
        _back(net, node, room, k, rows, t == 0)
        _keep(net, node, room, k, columns)
        if t == 0 and kept.size:
            _keep_coefficients(net, node, room, k, kept)
        if t < steps:
            _forward(net, node, room, k, columns, rate * decay**t)
    node.kept[0] = inputs


@njit(**LOOPS)
def _back(net: Wide, node: WideNode, room: AscentRoom, k: int, rows: Array, first: bool) -> None:
    """Coefficients of all values; minimisers at the input in through[0], the bounds' values in product[:P]."""
    half = len(rows)
    columns = 2 * half
    constants = np.empty(columns, np.float32)
    for r in range(half):
        constants[r] = net.single_bias[net.starts[k] + rows[r]]
        constants[half + r] = -constants[r]
    room.waits[:] = False
    for e in range(net.edges[k], net.edges[k + 1]):
        s = net.sources[e]
        depart(net, node, e, rows, True, net.single, net.single_entries, _part(net, node, room.pending, s, columns))
        room.waits[s] = True
    for v in range(k - 1, 0, -1):
        if not room.waits[v]:
            continue
        if first:
            _units(net, node, room, v, columns)
        through = _part(net, node, room.through, v, columns)
        _through(net, node, room, v, through, constants)
        for e in range(net.edges[v], net.edges[v + 1]):
            s = net.sources[e]
            to = _part(net, node, room.pending, s, columns)
            if not room.waits[s]:
                to[:] = ZERO
                room.waits[s] = True
            add_back(net, node, v, e, _weights(net, node, s), net.single_entries, through, to, room.product)
    _minimise(net, node, room, constants, first)


@njit(**LOOPS)
def _minimise(net: Wide, node: WideNode, room: AscentRoom, constants: Array, first: bool) -> None:
    """Minima over the box behind the half-space, whose multipliers are those that the first walk has best."""
    columns, factor = len(constants), np.float32(net.factor)
    coefficients, x = _part(net, node, room.pending, 0, columns), _part(net, node, room.through, 0, columns)
    beta = room.betas[:columns]
    if first:
        beta[:] = ZERO
        if node.behind[2] > 0.0:
            column_multipliers(coefficients, node.sampled_normal, node.behind[0] / net.factor, beta)
    for p in range(columns):
        constants[p] -= beta[p] * np.float32(node.behind[0])
    for j in range(coefficients.shape[0]):
        for p in range(columns):
            c = coefficients[j, p] - beta[p] * node.sampled_normal[j]
            constants[p] -= factor * abs(c)
            x[j, p] = -factor if c > ZERO else (factor if c < ZERO else ZERO)
    room.product[:columns] = constants


@njit(**LOOPS)
def _units(net: Wide, node: WideNode, room: AscentRoom, v: int, columns: int) -> None:
    """The unit of a multiplier's step: its layer's mean coefficient."""
    pending, count = _part(net, node, room.pending, v, columns), node.kept[v]
    unit = room.units[v]
    unit[:columns] = ZERO
    for i in range(count):
        for p in range(columns):
            unit[p] += abs(pending[i, p])
    unit[:columns] *= MULTIPLIERS / np.float32(max(count, 1))


@njit(**LOOPS)
def _through(net: Wide, node: WideNode, room: AscentRoom, v: int, through: Array, constants: Array) -> None:
    """Coefficients of z_v for those of value v; what is constant goes to the constants."""
    columns = through.shape[1]
    pending, numbers = _part(net, node, room.pending, v, columns), _part(net, node, room.numbers, v, columns)
    for i in range(node.kept[v]):
        at = net.starts[v] + i
        bias = net.single_bias[net.starts[v] + node.alive[at]]
        above, intercept = np.float32(node.above[at]), np.float32(node.intercept[at])
        if node.free[at]:
            for p in range(columns):
                a = pending[i, p]
                c = a * (numbers[i, p] if a > ZERO else above)
                constants[p] += (ZERO if a > ZERO else a * intercept) + c * bias
                through[i, p] = c
        else:
            split = np.float32(node.split[at])
            for p in range(columns):
                c = pending[i, p] * above - split * numbers[i, p]
                constants[p] += c * bias
                through[i, p] = c


@njit(**LOOPS)
def _keep(net: Wide, node: WideNode, room: AscentRoom, k: int, columns: int) -> None:
    """Remember what gave the best value of each column (they are in product)."""
    better = room.product[:columns] > room.highest[:columns]
    if not better.any():
        return
    for p in range(columns):
        if better[p]:
            room.highest[p] = room.product[p]
    for v in range(1, k):
        numbers, best = _part(net, node, room.numbers, v, columns), _part(net, node, room.best, v, columns)
        for i in range(node.kept[v]):
            for p in range(columns):
                best[i, p] = numbers[i, p] if better[p] else best[i, p]


@njit(**LOOPS)
def _keep_coefficients(net: Wide, node: WideNode, room: AscentRoom, k: int, kept: Array) -> None:
    """max(-coefficient, 0) of every alive neuron before layer k."""
    columns, at = kept.shape[1], 0
    for v in range(1, k):
        pending, waits = _part(net, node, room.pending, v, columns), room.waits[v]
        for i in range(node.kept[v]):
            for p in range(columns):
                kept[at, p] = max(-pending[i, p], ZERO) if waits else ZERO
            at += 1


@njit(**LOOPS)
def _forward(net: Wide, node: WideNode, room: AscentRoom, k: int, columns: int, rate: float) -> None:
    """Push the minimisers forward through the lines in force, and step on every number."""
    length = np.float32(rate)
    for v in range(1, k):
        values = _part(net, node, room.through, v, columns)
        for i in range(node.kept[v]):
            bias = net.single_bias[net.starts[v] + node.alive[net.starts[v] + i]]
            for p in range(columns):
                values[i, p] = bias
        for e in range(net.edges[v], net.edges[v + 1]):
            source = _part(net, node, room.through, net.sources[e], columns)
            add_forward(net, node, v, e, _weights(net, node, net.sources[e]), source, values, room.product)
        if room.waits[v]:
            _step(net, node, room, v, values, length)
        else:  # nothing above reads it
            values[:] = ZERO


@njit(**LOOPS)
def _step(net: Wide, node: WideNode, room: AscentRoom, v: int, values: Array, rate: np.float32) -> None:
    """d bound / d alpha = max(a, 0) z, d bound / d beta = -s z: a step by their signs; z becomes the value."""
    columns, unit = values.shape[1], room.units[v]
    pending, numbers = _part(net, node, room.pending, v, columns), _part(net, node, room.numbers, v, columns)
    for i in range(node.kept[v]):
        at = net.starts[v] + i
        above, intercept = np.float32(node.above[at]), np.float32(node.intercept[at])
        if node.free[at]:
            for p in range(columns):
                z, number, positive = values[i, p], numbers[i, p], pending[i, p] > ZERO
                values[i, p] = z * number if positive else z * above + intercept
                moved = number + (rate if z > ZERO else (-rate if z < ZERO else ZERO))
                numbers[i, p] = min(max(moved, ZERO), ONE) if positive else number
        elif node.split[at] != 0.0:
            split = np.float32(node.split[at])
            for p in range(columns):
                z = values[i, p]
                values[i, p] = z * above
                direction = ONE if split * z < ZERO else (-ONE if split * z > ZERO else ZERO)
                numbers[i, p] = max(numbers[i, p] + rate * unit[p] * direction, ZERO)
        else:
            for p in range(columns):
                values[i, p] *= above
