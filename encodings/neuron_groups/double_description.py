"""Facets of the hull of a few dozen points that lie on many common planes, by the double description method.

Rows h = (normal, offset) that are >= 0 at all points form a cone whose extreme rays are the facets. The points are
taken in one after another (Motzkin, Raiffa, Thompson and Thrall 1953; Fukuda and Prodon, *Double description method
revisited*, 1996): rays that are negative at the new point go, and every pair of *adjacent* rays, one positive and one
negative, gives a new one, zero there. Two rays are adjacent if no third one is zero at all points where both are.

Points of ReLU graphs are degenerate by construction: whole pieces lie in y_i = 0 or y_i = z_i. Qhull, which merges or
joggles simplices, breaks down on them in six dimensions; here a point is on a plane or it is not.
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array

__all__ = ["hull_facets"]

ZERO = 1e-9  # of a row scaled to a largest entry of 1, at points of size 1: the point is on the plane
MOST_PAIRS = 2**24  # entries of the array of pairs by rays worked on at a time


def hull_facets(points: Array) -> Array:
    """[R, d + 1] rows (normal, offset), normal @ x + offset >= 0, of the hull of points [N, d] that lie in no plane.

    Points should be of size about 1. Raises LinAlgError if they lie in a plane.
    """
    lifted = np.column_stack([points, np.ones(len(points))])
    start = _simplex(lifted)
    rays = _unit(np.linalg.inv(lifted[start]).T)
    seen = list(start)
    for i in sorted(set(range(len(points))) - set(start)):
        rays = _insert(rays, lifted[seen], lifted[i])
        seen.append(i)
    return rays


def _simplex(lifted: Array) -> list[int]:
    """Points that span the space, each as far as can be from the span of the ones before."""
    rest, chosen = lifted.copy(), []
    for _ in range(lifted.shape[1]):
        size = (rest * rest).sum(axis=1)
        best = int(np.argmax(size))
        if size[best] < ZERO**2:
            raise np.linalg.LinAlgError("the points lie in a plane")
        chosen.append(best)
        direction = rest[best] / np.sqrt(size[best])
        rest = rest - np.outer(rest @ direction, direction)
    return chosen


def _insert(rays: Array, seen: Array, point: Array) -> Array:
    """The extreme rays once `point` is taken in; seen: the points so far."""
    value = rays @ point
    keep = value > -ZERO
    if keep.all():
        return rays
    above, below = np.flatnonzero(value > ZERO), np.flatnonzero(~keep)
    zeros = (np.abs(rays @ seen.T) <= ZERO).astype(np.float32)
    one, two = np.nonzero(zeros[above] @ zeros[below].T >= seen.shape[1] - 2)
    one, two = above[one], below[two]
    common = zeros[one] * zeros[two]
    need = common.sum(axis=1)
    adjacent = np.zeros(len(one), dtype=bool)
    step = max(1, MOST_PAIRS // len(rays))
    for p in range(0, len(one), step):
        holding = common[p : p + step] @ zeros.T >= need[p : p + step, None] - 0.5
        adjacent[p : p + step] = holding.sum(axis=1) == 2
    one, two = one[adjacent], two[adjacent]
    return np.vstack([rays[keep], _unit(value[one, None] * rays[two] - value[two, None] * rays[one])])


def _unit(rays: Array) -> Array:
    return rays / np.abs(rays).max(axis=1, keepdims=True)
