"""Compiled: rigorous lower bounds of some rows of one node, their slopes and multipliers given.

The formulas and rounding terms are those of `back_substitution` and `first_layer_ball`, where they are explained.
Neurons that are 0 on the node are left out: they contribute nothing to any sum.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ...instances.network import Array
from ...instances.rounding import EPS, EPS_32, LAST_ROUNDINGS, SPARE, TINY_SQUARE, UP
from .half_space_rows import column_multipliers
from .wide_layout import LOOPS, Wide, WideNode, add_back, depart

__all__ = ["EvaluationRoom", "evaluate", "evaluation_room"]

HALF_SPACE = 4.0  # roundings of a half-space's coefficient: to float32, in the product, in the difference


class EvaluationRoom(NamedTuple):
    """Working memory for P columns; [values, P] arrays are flat, value v's part begins at starts[v] * P."""

    pending: Array  # float64 coefficients of the values
    product: Array
    first: Array  # float32, of the first layer
    inputs: Array  # float32
    waits: Array  # [L + 1] bool: value v has coefficients pending
    constants: Array  # [P]
    errors: Array  # [P]
    before: Array  # [P] squared norms
    after: Array  # [P]
    values: Array  # [P] the bounds


def evaluation_room(net: Wide, columns: int) -> EvaluationRoom:
    """Room for one thread."""
    values, widest = int(net.starts[-1]), int(np.diff(net.starts).max())
    inputs, first = (int(net.starts[v + 1] - net.starts[v]) for v in (0, 1))
    return EvaluationRoom(
        np.empty(values * columns), np.empty(widest * columns), np.empty(first * columns, np.float32),
        np.empty(inputs * columns, np.float32), np.empty(len(net.relu), np.bool_),
        *(np.empty(columns) for _ in range(5)),
    )  # fmt: skip


@njit(**LOOPS)
def evaluate(
    net: Wide, node: WideNode, room: EvaluationRoom, k: int, rows: Array, both: bool, numbers: Array,
    magnitude: Array, norms: Array, sensitivities: Array,
) -> None:  # fmt: skip
    """Lower bounds of z_k[rows], and of -z_k[rows] behind them where `both`, in room.values.

    numbers: flat float32 [values, P], as in `wide_ascent`; magnitude: flat as the values, largest |W| m + |b|;
    norms: [L + 1] of it; sensitivities: [rows, hidden neurons], receives coefficients of ReLUs, or is empty.
    """
    half = len(rows)
    columns = 2 * half if both else half
    _begin(net, node, room, k, rows, both, magnitude)
    for v in range(k - 1, 0, -1):
        if not room.waits[v]:
            continue
        begin = net.starts[v] * columns
        pending = room.pending[begin : begin + node.kept[v] * columns].reshape(node.kept[v], columns)
        if net.relu[v]:
            if sensitivities.size:
                for i in range(node.kept[v]):
                    neuron = net.starts[v] - net.starts[1] + node.alive[net.starts[v] + i]
                    for p in range(columns):
                        sensitivities[p, neuron] = pending[i, p]
            _through(net, node, room, v, pending, numbers[begin : begin + pending.size], norms[v])
        _multiply(net, node, room, v, pending, norms[v])
        if v == 1:
            _minimise(net, node, room, pending)
            return
        for e in range(net.edges[v], net.edges[v + 1]):
            s = net.sources[e]
            at = net.starts[s] * columns
            to = room.pending[at : at + node.kept[s] * columns].reshape(node.kept[s], columns)
            if not room.waits[s]:
                to[:] = 0.0
                room.waits[s] = True
            add_back(net, node, v, e, node.weights, net.entries, pending, to, room.product)
    for p in range(columns):  # nothing depends on the input
        room.values[p] = room.constants[p] - room.errors[p] * UP - LAST_ROUNDINGS * abs(room.constants[p])


@njit(**LOOPS)
def _begin(
    net: Wide, node: WideNode, room: EvaluationRoom, k: int, rows: Array, both: bool, magnitude: Array
) -> None:  # fmt: skip
    """The rows' own weights, biases and errors."""
    half = len(rows)
    columns = 2 * half if both else half
    for r in range(half):
        at = net.starts[k] + rows[r]
        room.constants[r] = net.bias[at]
        room.errors[r] = net.relative[k] * magnitude[at] + net.bias_error[k]
        if both:
            room.constants[half + r], room.errors[half + r] = -net.bias[at], room.errors[r]
    room.waits[:] = False
    for e in range(net.edges[k], net.edges[k + 1]):
        s = net.sources[e]
        at = net.starts[s] * columns
        to = room.pending[at : at + node.kept[s] * columns].reshape(node.kept[s], columns)
        depart(net, node, e, rows, both, net.weights, net.entries, to)
        room.waits[s] = True


@njit(**LOOPS)
def _through(
    net: Wide, node: WideNode, room: EvaluationRoom, v: int, pending: Array, numbers: Array, norm: float
) -> None:  # fmt: skip
    """Replace value v by its lines and add the multipliers of its phases; constants and errors are updated."""
    count, columns = pending.shape
    given = numbers.reshape(count, columns)
    room.before[:columns], room.after[:columns] = TINY_SQUARE, TINY_SQUARE
    bent, intercepts, splits = 0, TINY_SQUARE, False
    for i in range(count):
        at = net.starts[v] + i
        above, intercept = node.above[at], node.intercept[at]
        if node.free[at]:
            bent += 1
            intercepts += intercept * intercept
            for p in range(columns):
                a = pending[i, p]
                slope = float(given[i, p])
                slope = 1.0 if slope > 1.0 else (slope if slope > 0.0 else 0.0)
                room.before[p] += a * a
                room.constants[p] += (a if a < 0.0 else 0.0) * intercept
                a *= slope if a > 0.0 else above
                room.after[p] += a * a
                pending[i, p] = a
        else:
            splits |= node.split[at] != 0.0
            for p in range(columns):
                pending[i, p] *= above
                room.after[p] += pending[i, p] * pending[i, p]
    lines_error = (bent + net.sums + SPARE) * EPS * np.sqrt(intercepts) * UP
    # the roundings of the coefficients are relative to them, not to the difference with the multipliers
    split_error = (2 + SPARE) * EPS * norm if splits else 0.0
    for p in range(columns):
        room.errors[p] += (lines_error * np.sqrt(room.before[p]) + split_error * np.sqrt(room.after[p])) * UP
    if splits:
        for i in range(count):
            split = node.split[net.starts[v] + i]
            if split != 0.0:
                for p in range(columns):
                    multiplier = float(given[i, p])
                    pending[i, p] -= split * multiplier if multiplier > 0.0 else 0.0


@njit(**LOOPS)
def _multiply(net: Wide, node: WideNode, room: EvaluationRoom, v: int, pending: Array, norm: float) -> None:
    """Biases, and the rounding of the product with layer v's weights. Layer 1's bias is in the middle of the ball."""
    count, columns = pending.shape
    room.after[:columns] = TINY_SQUARE
    for i in range(count):
        bias = net.bias[net.starts[v] + node.alive[net.starts[v] + i]] if v > 1 else 0.0
        for p in range(columns):
            c = pending[i, p]
            room.after[p] += c * c
            room.constants[p] += c * bias
    size = net.starts[v + 1] - net.starts[v]
    unit = net.relative[v] * norm + net.bias_error[v] * size
    for p in range(columns):
        room.errors[p] += np.sqrt(room.after[p]) * UP * unit


@njit(**LOOPS)
def _minimise(net: Wide, node: WideNode, room: EvaluationRoom, pending: Array) -> None:
    """Minima over the box of functions of the first layer's pre-activations, as `first_layer_ball` does.

    Behind a half-space beta times it is taken from them first: float32's errors are those of its coefficients, too.
    """
    count, columns = pending.shape
    single = room.first[: count * columns].reshape(count, columns)
    inputs = room.inputs[: net.starts[1] * columns].reshape(net.starts[1], columns)
    inputs[:] = np.float32(0.0)
    spread, value, rounding = room.before, room.values, room.after
    for p in range(columns):
        spread[p], value[p], rounding[p] = 0.0, room.constants[p], 0.0
    for i in range(count):
        neuron = node.alive[net.starts[1] + i]
        middle, factor = net.middle[neuron], net.rounding[neuron]
        for p in range(columns):
            c = pending[i, p]
            single[i, p] = c
            value[p] += c * middle
            rounding[p] += abs(c) * factor
    product = np.empty(inputs.size, np.float32)
    for e in range(net.edges[1], net.edges[2]):
        add_back(net, node, 1, e, node.single, net.single_entries, single, inputs, product)
    beta = np.zeros(columns, np.float32)
    if node.behind[2] > 0.0:
        column_multipliers(inputs, node.normal, node.behind[0], beta)
    for j in range(inputs.shape[0]):
        for p in range(columns):
            spread[p] += abs(inputs[j, p] - beta[p] * node.normal[j])
    for p in range(columns):
        total = spread[p] * (1.0 + net.spread_error) + net.underflow + rounding[p] * UP
        times = float(beta[p])
        if times > 0.0:
            value[p] -= times * node.behind[0]
            total += times * (node.behind[1] + HALF_SPACE * EPS_32 * node.behind[2]) + (1.0 + times) * net.underflow
        value[p] -= total + room.errors[p] * UP * UP + LAST_ROUNDINGS * (abs(room.constants[p]) + total)
