"""Steps measured in l1, l2 or the maximum norm: lengths, steepest directions, projections onto a ball within a box.

For a gradient g the direction d of unit length with the least g'd is, by Hoelder's inequality,

    l-inf: -sign(g),    l2: -g / ||g||_2,    l1: -sign(g_i) e_i with i the largest |g_i|,

and the slope there is -||g||_q, with the dual norm q, 1/p + 1/q = 1. In l1 a step along one coordinate at a time would
take as many steps as there are inputs, so it is shared out among the largest few of those that can still move
(Tramer and Boneh 2019, "sparse l1 descent").
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array
from ...instances.rounding import TINY

__all__ = ["dual_lengths", "lengths", "projected", "steepest"]

SPARSE_SHARE = 0.02  # of the inputs that a step in l1 is shared among
SLACKS = (0.0, 1e-15, 1e-12, 1e-9, 1e-6)  # shares of the ball given up until a point lies in it for all roundings
FAR = 1e150  # a point is taken for no farther than this: squares stay finite


def lengths(steps: Array, norm: float) -> Array:
    """||step||_norm of steps [..., n]. norm: 1, 2 or inf."""
    return np.asarray(np.linalg.norm(steps, ord=norm, axis=-1))


def dual_lengths(gradients: Array, norm: float) -> Array:
    """||gradient||_q of gradients [..., n], q dual to `norm`: how fast a function falls along `steepest`."""
    return lengths(gradients, {1: np.inf, 2: 2, np.inf: 1}[norm])


def steepest(gradients: Array, norm: float, room: Array | None = None) -> Array:
    """Descent directions of unit length in `norm`, 0 where the gradient is. gradients: [P, n].

    room: [P, n] bool, the inputs that can move at all; the others are left where they are.
    """
    g = gradients if room is None else np.where(room, gradients, 0.0)
    if norm == np.inf:
        return -np.sign(g)
    if norm == 2:
        size = lengths(g, 2)[:, None]
        return -g / np.where(size > 0.0, size, 1.0)
    count = max(1, int(SPARSE_SHARE * g.shape[1]))
    size = np.abs(g)
    least = np.partition(size, -count, axis=1)[:, -count, None]
    d = -np.sign(g) * (size >= least)
    number = np.abs(d).sum(axis=1, keepdims=True)
    return np.asarray(d / np.where(number > 0.0, number, 1.0))


def projected(points: Array, centres: Array, radii: Array, norm: float, low: Array, high: Array) -> Array:
    """The nearest points, in l2, of ball and box together. [P, n].

    points, centres: [P, n], the centres inside the box; radii: [P], >= 0; low, high: [n], may be infinite. Points may
    be anything: an infinite one is far away, and where it is NaN its centre stands for it. In
    coordinates s = x - c the nearest point shrinks all steps by one multiplier and cuts them off at the box,
        l2: clip(s / (1 + t)),    l1: clip(sign(s) max(|s| - t, 0)),    l-inf: clip(s, -r, r), clipped again,
    since the conditions of optimality are separable for a fixed t (`_shrink`); the points found lie inside.
    """
    radius, points = radii[:, None], np.where(np.isnan(points), centres, np.clip(points, -FAR, FAR))
    if norm == np.inf:
        return np.clip(np.clip(points, centres - radius, centres + radius), low, high)
    found = np.clip(points, low, high)
    out = np.flatnonzero(lengths(found - centres, norm) > radii)
    for slack in SLACKS:
        if not len(out):
            return found
        steps, middle = points[out] - centres[out], centres[out]
        room = np.where(steps > 0.0, high - middle, middle - low)
        kept = _shrink(np.abs(steps), room, radii[out] * (1.0 - slack), norm)
        found[out] = np.clip(middle + np.copysign(kept, steps), low, high)
        out = out[lengths(found[out] - middle, norm) > radii[out]]
    found[out] = centres[out]
    return found


def _shrink(size: Array, room: Array, radii: Array, norm: float) -> Array:
    """What is kept of steps of these sizes [P, n], each cut off at its room, for a total length of `radii` [P].

    Their length falls with t, and is simple between two breakpoints: there it is known which steps are cut off and
    which are gone. These are found by halving the list of breakpoints. size, room: >= 0, longer than `radii` uncut.
    Where steps are far longer than the ball is wide, 1 less a share taken away, and large sizes less a large t, have
    few digits: so in l2 -t is the share kept, and in l1 sizes are counted from the largest.
    """
    if norm == 2:
        marks = -np.divide(room, size, out=np.full_like(size, np.inf), where=size > room)
        first, last = -np.ones((len(size), 1)), np.zeros((len(size), 1))
    else:
        most = size.max(axis=1, keepdims=True)
        size, first, last = size - most, -most, np.zeros((len(size), 1))
        marks = np.concatenate([size, size - room], axis=1)
    marks = np.concatenate([first, np.sort(np.maximum(marks, first), axis=1), last], axis=1)
    low, high = np.zeros(len(size), dtype=np.intp), np.full(len(size), marks.shape[1] - 1)
    each = np.arange(len(size))
    while (high - low > 1).any():
        middle = (low + high) // 2
        fits = lengths(_left(size, room, marks[each, middle], norm), norm) <= radii
        low, high = np.where(fits, low, middle), np.where(fits, middle, high)
    ends = marks[each, low], marks[each, high]
    free = _left(size, np.inf, 0.5 * ends[0] + 0.5 * ends[1], norm)
    cut, free_ones = free >= room, (free > 0.0) & (free < room)
    if norm == 2:
        rest = radii**2 - np.square(np.where(cut, room, 0.0)).sum(axis=1)
        t = -np.sqrt(np.maximum(rest, 0.0) / np.maximum(np.square(size * free_ones).sum(axis=1), TINY))
    else:
        rest = radii - np.where(cut, room, 0.0).sum(axis=1)
        t = ((size * free_ones).sum(axis=1) - rest) / np.maximum(free_ones.sum(axis=1), 1)
    return _left(size, room, np.clip(t, *ends), norm)


def _left(size: Array, room: Array | float, t: Array, norm: float) -> Array:
    """The share -t of steps of these sizes (l2), or what exceeds t of them (l1), cut off at their room."""
    shrunk = size * -t[:, None] if norm == 2 else np.maximum(size - t[:, None], 0.0)
    return np.asarray(np.minimum(shrunk, room))
