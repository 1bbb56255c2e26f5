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

__all__ = ["dual_lengths", "lengths", "projected", "steepest"]

SPARSE_SHARE = 0.02  # of the inputs that a step in l1 is shared among
HALVINGS = 50  # of the shrinking's interval: to the last bits of float64


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

    points, centres: [P, n], the centres inside the box; radii: [P], >= 0; low, high: [n], may be infinite. In
    coordinates s = x - c the nearest point shrinks all steps by one multiplier and cuts them off at the box,
        l2: clip(s / (1 + t)),    l1: clip(sign(s) max(|s| - t, 0)),    l-inf: clip(s, -r, r), clipped again,
    since the conditions of optimality are separable for a fixed t; t is found by bisection, from the inside.
    """
    radius = radii[:, None]
    if norm == np.inf:
        return np.clip(np.clip(points, centres - radius, centres + radius), low, high)
    found = np.clip(points, low, high)
    out = np.flatnonzero(lengths(found - centres, norm) > radii)
    if len(out):
        steps, middle = points[out] - centres[out], centres[out]
        inside, outside = np.ones(len(out)), np.zeros(len(out))  # shares that are kept away, 1: everything
        for _ in range(HALVINGS):
            share = 0.5 * (inside + outside)
            kept = np.clip(middle + _shrunk(steps, share, norm), low, high) - middle
            fits = lengths(kept, norm) <= radii[out]
            inside, outside = np.where(fits, share, inside), np.where(fits, outside, share)
        found[out] = np.clip(middle + _shrunk(steps, inside, norm), low, high)
    return found


def _shrunk(steps: Array, share: Array, norm: float) -> Array:
    """The steps less a share of themselves (l2), or less that share of the largest one (l1)."""
    if norm == 2:
        return np.asarray(steps * (1.0 - share[:, None]))
    size = np.abs(steps)
    return np.asarray(np.sign(steps) * np.maximum(size - share[:, None] * size.max(axis=1, keepdims=True), 0.0))
