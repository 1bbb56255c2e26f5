"""Projected gradient in l1, l2 or the maximum norm from many starts (Madry et al. 2018; l1: Tramer and Boneh 2019).

    x_{k+1} = P(x_k + s_k d(grad gap(x_k)) + MOMENTUM (x_k - x_{k-1})),

d the steepest direction of the norm among the inputs that have room in the box, P the projection onto ball and box, and
s_k a share of the radius that falls linearly to 0. Each start aims at a rival of its own, or at the nearest one.
"""

from __future__ import annotations

import time

import numpy as np

from ...instances.network import Array
from ..attacks.lengths import lengths, projected, steepest
from .class_gaps import ClassGaps

__all__ = ["ball_descent", "ball_starts"]

STEP_SHARE = 0.5  # first step, as a share of the radius
MOMENTUM = 0.25
CENTRAL = 4  # one of so many starts is the centre itself


def ball_starts(
    centre: Array, radius: float, norm: float, low: Array, high: Array, count: int, rng: np.random.Generator
) -> Array:
    """`count` points of a ball around centre [n] within the box: the centre, and points on and inside the sphere."""
    n = len(centre)
    steps = rng.laplace(size=(count, n)) if norm == 1 else rng.normal(size=(count, n))
    if norm == np.inf:
        steps = rng.uniform(-1.0, 1.0, size=(count, n))
        steps[1::2] = np.sign(steps[1::2])
    size = lengths(steps, norm)
    share = np.where(np.arange(count) % 2 == 1, 1.0, rng.uniform(size=count))
    steps *= (radius * share / np.where(size > 0.0, size, 1.0))[:, None]
    steps[::CENTRAL] = 0.0
    return np.clip(centre + steps, low, high)


def ball_descent(
    gaps: ClassGaps, centres: Array, radii: Array, labels: Array, targets: Array, norm: float, starts: Array,
    steps: int, deadline: float = np.inf,
) -> tuple[Array, Array]:  # fmt: skip
    """(the points of the least gaps met on each path [P, n], these gaps [P], rounded as the passes are).

    centres, starts: [P, n] in the box; radii, labels, targets: [P]; norm: 1, 2 or inf; a path ends at its first
    candidate, all of them at the deadline, a time.monotonic().
    """
    x = projected(starts, centres, radii, norm, gaps.low, gaps.high)
    before, best, least = x.copy(), x.copy(), np.full(len(x), np.inf)
    for number in range(steps + 1):
        some = np.flatnonzero(least > 0.0)
        if not len(some) or time.monotonic() > deadline:
            break
        gap, gradient = gaps(x[some], labels[some], targets[some])
        better = gap < least[some]
        best[some[better]], least[some[better]] = x[some[better]], gap[better]
        if number == steps:
            break
        room = np.where(gradient > 0.0, x[some] > gaps.low, x[some] < gaps.high)
        size = STEP_SHARE * (1.0 - number / steps) * radii[some]
        ahead = x[some] + size[:, None] * steepest(gradient, norm, room) + MOMENTUM * (x[some] - before[some])
        before[some] = x[some]
        x[some] = projected(ahead, centres[some], radii[some], norm, gaps.low, gaps.high)
    return best, least
