"""The iterative fast gradient sign method (Kurakin, Goodfellow and Bengio 2017), in l2 and the maximum norm.

    x_{k+1} = P(x_k + alpha d(grad L(x_k))),    d: sign(g) in the maximum norm, g / ||g||_2 in l2,

with L the cross-entropy of the label, P the projection onto ball and box, and alpha a fixed share of the radius.
One path from the input itself, without randomness: what most networks that can be fooled are fooled by.
"""

from __future__ import annotations

import time

import numpy as np

from ...instances.network import Array
from ..attacks.lengths import projected, steepest
from .class_gaps import ClassGaps

__all__ = ["iterative_gradient"]

REACH = 2.5  # radii that all steps together could go


def iterative_gradient(
    gaps: ClassGaps, centres: Array, radii: Array, labels: Array, norm: float, steps: int, deadline: float = np.inf
) -> tuple[Array, Array]:
    """(the points of the least gaps [P, n], their gaps [P], rounded as the passes are).

    centres: [P, n] in the box; radii: [P]; norm: 1, 2 or inf, in l1 with the sparse steps of `lengths.steepest`.
    A path ends at its first candidate, all of them at the deadline, a time.monotonic().
    """
    x = centres.copy()
    best, least = centres.copy(), np.full(len(centres), np.inf)
    for number in range(steps + 1):
        moving = np.flatnonzero(least > 0.0)
        if not len(moving) or time.monotonic() > deadline:
            break
        gap, gradient = gaps.soft(x[moving], labels[moving])
        better = moving[gap < least[moving]]
        best[better], least[better] = x[better], gap[gap < least[moving]]
        if number == steps:
            break
        size = radii[moving] * REACH / steps
        ahead = x[moving] + size[:, None] * steepest(gradient, norm)
        x[moving] = projected(ahead, centres[moving], radii[moving], norm, gaps.low, gaps.high)
    return best, least
