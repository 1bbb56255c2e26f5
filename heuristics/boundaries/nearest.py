"""The nearest counterexamples that attacks find, from any side: DeepFool, refined along the decision boundary.

For every target DeepFool gives a first candidate, from which, and from where it stands at the centre, the minimum-norm
attack goes on; then descents from random starts look for candidates within a little less than the least distance so
far, which are pulled towards the centre in turn, until a round of them finds none.
"""

from __future__ import annotations

import time

import numpy as np

from ...instances.network import Array
from ..attacks.lengths import lengths
from .ball_descent import ball_descent, ball_starts
from .class_gaps import ClassGaps
from .deepfool import deepfool
from .minimal_norm import minimal_norm
from .pulling import pulled

__all__ = ["closer", "nearest"]

DEEPFOOL_STEPS, MINIMAL_STEPS, DESCENT_STEPS = 50, 150, 60
STARTS = 32  # of a round of descents
CLOSER = 0.97  # share of the least distance within which they look
ROUNDS = 10


def nearest(
    gaps: ClassGaps, centre: Array, label: int, targets: Array, norm: float, deadline: float = np.inf
) -> tuple[Array, Array]:
    """Candidates for each target: (points [T, n], distances [T], inf where none was found; then it is the last point).

    centre: [n] in the box; label: its class; targets: [T] classes, or ANY; deadline: a time.monotonic().
    """
    count = len(targets)
    aims = np.tile(targets, 2)
    centres, labels = np.tile(centre, (2 * count, 1)), np.full(2 * count, label)
    first = deepfool(gaps, centres[:count], labels[:count], targets, norm, DEEPFOOL_STEPS, deadline)
    starts = np.concatenate([first, centres[:count]])
    points, distances = minimal_norm(gaps, centres, labels, aims, norm, starts, MINIMAL_STEPS, deadline)
    side = (distances[count:] < distances[:count]).astype(np.int64)
    chosen = np.arange(count) + side * count
    return points[chosen], distances[chosen]


def closer(
    gaps: ClassGaps, centre: Array, label: int, target: int, norm: float, point: Array, rng: np.random.Generator,
    deadline: float = np.inf,
) -> Array:  # fmt: skip
    """A candidate [n] no farther from the centre [n] than this one, by descents within less than its distance."""
    for _ in range(ROUNDS):
        distance = float(lengths(point - centre, norm))
        if distance == 0.0 or time.monotonic() > deadline:
            break
        starts = ball_starts(centre, CLOSER * distance, norm, gaps.low, gaps.high, STARTS, rng)
        starts[1] = point
        centres, labels = np.tile(centre, (STARTS, 1)), np.full(STARTS, label)
        aims, radii = np.full(STARTS, target), np.full(STARTS, CLOSER * distance)
        found, gap = ball_descent(gaps, centres, radii, labels, aims, norm, starts, DESCENT_STEPS, deadline)
        hit = np.flatnonzero(gap <= 0.0)
        if not len(hit):
            break
        near = pulled(gaps, centres[hit], found[hit], labels[hit], aims[hit], norm)
        far = np.where(gaps.exact(near, labels[hit], aims[hit]) <= 0.0, lengths(near - centre, norm), np.inf)
        if not far.min() < distance:
            break
        point = near[far.argmin()]
    return point
