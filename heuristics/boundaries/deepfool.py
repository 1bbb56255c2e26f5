"""DeepFool (Moosavi-Dezfooli, Fawzi and Frossard, CVPR 2016): from one linear model of the classifier to the next.

At x_k every rival j is taken for linear, gap_j(x_k + r) = gap_j + g_j'r; the rival whose plane is nearest in the norm,
    min_j |gap_j| / ||g_j||_q,
is gone to by the least step there is (in the box: `plane_steps`), a little too far so that the plane is crossed.
"""

from __future__ import annotations

import time

import numpy as np

from ...instances.network import Array
from ..attacks.lengths import lengths
from .class_gaps import ANY, ClassGaps
from .plane_steps import least_steps

__all__ = ["deepfool"]

OVERSHOOT = 0.02  # share of the gap that a step goes beyond the plane
RIVALS = 10  # classes that are looked at in every step, the likeliest ones
LEAST_GAP = 1e-9  # share of the outputs' size that a step gains at least: at a tie there is no gap to go by


def deepfool(
    gaps: ClassGaps, points: Array, labels: Array, targets: Array, norm: float, steps: int, deadline: float = np.inf
) -> Array:
    """The first candidate on each path, or where the path ended. [P, n].

    points: [P, n] within the box; labels, targets: [P], a target ANY takes the nearest rival anew in each step;
    norm: 1, 2 or inf; deadline: time.monotonic() after which no step begins.
    """
    x = points.copy()
    moving = np.arange(len(x))
    for _ in range(steps):
        if not len(moving) or time.monotonic() > deadline:
            break
        step, gap = _steps(gaps, x[moving], labels[moving], targets[moving], norm)
        candidate = gap <= 0.0
        x[moving] = np.where(candidate[:, None], x[moving], np.clip(x[moving] + step, gaps.low, gaps.high))
        moving = moving[~candidate & step.any(axis=1)]
    return x


def _steps(gaps: ClassGaps, x: Array, labels: Array, targets: Array, norm: float) -> tuple[Array, Array]:
    """(the step to the nearest plane [P, n], the gap there is now [P])."""
    step, gap = np.zeros_like(x), np.empty(len(x))
    aimed = targets != ANY
    if aimed.any():
        gap[aimed], g = gaps(x[aimed], labels[aimed], targets[aimed])
        step[aimed] = least_steps(_beyond(gap[aimed]), g, x[aimed], norm, gaps.low, gaps.high)
    free = np.flatnonzero(~aimed)
    if len(free):
        _, each, g = gaps.nearest(x[free], labels[free], RIVALS)
        gap[free] = each[:, 0]
        count, size = each.shape[1], x.shape[1]
        wide = np.repeat(x[free], count, axis=0)
        steps = least_steps(_beyond(each.ravel()), g.reshape(-1, size), wide, norm, gaps.low, gaps.high)
        gained = -(g.reshape(-1, size) * steps).sum(axis=1)
        far = np.where(gained >= each.ravel(), lengths(steps, norm), np.inf).reshape(-1, count)
        step[free] = steps.reshape(-1, count, size)[np.arange(len(free)), far.argmin(axis=1)]
    return step, gap


def _beyond(gap: Array) -> Array:
    return np.maximum(gap, 0.0) * (1.0 + OVERSHOOT) + LEAST_GAP
