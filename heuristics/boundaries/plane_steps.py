"""The least step within a box that takes a linear function down by a given amount, in l1, l2 or the maximum norm.

With a_i = |g_i| and the room r_i that input i has in the direction that lowers g'x, the sizes s of the step solve
    min ||s||_p   with   a's >= gap,   0 <= s <= r
(Croce and Hein 2020, the projection of FAB). By optimality the inputs move together until each meets the box,
    l2: s_i = min(t a_i, r_i),    l-inf: s_i = min(t, r_i),
t from the breakpoints r_i / a_i or r_i; in l1 the inputs of the largest a_i go as far as they can, one after another.
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array

__all__ = ["least_steps"]


@np.errstate(invalid="ignore", divide="ignore", over="ignore")  # rooms may be infinite
def least_steps(gap: Array, gradients: Array, points: Array, norm: float, low: Array, high: Array) -> Array:
    """Steps [P, n] from points [P, n] after which gap [P] + gradients [P, n] @ step is 0.

    Where the box does not go that far the step takes all of its room. Where the gradient is 0, so is the step.
    """
    a = np.abs(gradients)
    room = np.maximum(np.where(gradients > 0.0, points - low, high - points), 0.0)
    room = np.where(a > 0.0, room, 0.0)
    sizes = _one_by_one(gap, a, room) if norm == 1 else _together(gap, a, a if norm == 2 else np.ones_like(a), room)
    return -np.sign(gradients) * np.where(np.isfinite(sizes), sizes, 0.0)


def _one_by_one(gap: Array, a: Array, room: Array) -> Array:
    order = np.argsort(-a, axis=1, kind="stable")
    slope, space = np.take_along_axis(a, order, axis=1), np.take_along_axis(room, order, axis=1)
    gain = np.where(slope > 0.0, slope * space, 0.0)
    before = np.concatenate([np.zeros((len(a), 1)), np.cumsum(gain, axis=1)[:, :-1]], axis=1)
    wanted = np.where(slope > 0.0, np.maximum(gap[:, None] - before, 0.0) / slope, 0.0)
    sizes = np.zeros_like(a)
    np.put_along_axis(sizes, order, np.minimum(wanted, space), axis=1)
    return sizes


def _together(gap: Array, a: Array, speed: Array, room: Array) -> Array:
    """s_i = min(t speed_i, room_i) with the t that gains `gap`."""
    ends = np.where(a > 0.0, room / speed, np.inf)
    order = np.argsort(ends, axis=1, kind="stable")
    ends = np.take_along_axis(ends, order, axis=1)
    rate = np.take_along_axis(a * speed, order, axis=1)
    full = np.take_along_axis(np.where(a > 0.0, a * room, 0.0), order, axis=1)
    rest = np.cumsum(rate[:, ::-1], axis=1)[:, ::-1]  # gain a unit of t of those that still move
    before = np.concatenate([np.zeros((len(a), 1)), np.cumsum(full, axis=1)[:, :-1]], axis=1)
    t = (gap[:, None] - before) / rest
    reached = (t <= ends) & (rest > 0.0)
    first = reached.argmax(axis=1)
    chosen = np.where(reached.any(axis=1), t[np.arange(len(a)), first], np.inf)
    moving = np.where(a > 0.0, speed, 0.0)
    return np.where(moving > 0.0, np.minimum(chosen[:, None] * moving, room), 0.0)
