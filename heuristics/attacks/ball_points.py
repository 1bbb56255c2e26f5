"""Points in the part of a norm ball that lies in a box: starts of attacks, and what leads points back into it.

The box may be any part of the ball's own, as the nodes of a search are: then the nearest point of the box to the
centre, c' = clip(c), takes the centre's place. Where even c' is outside the ball, nothing is left in the box.
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array
from ...instances.norm_ball import NormBall

__all__ = ["into_ball", "sparse_shares"]

HALVINGS = 40


def into_ball(points: Array, lower: Array, upper: Array, ball: NormBall | None) -> Array:
    """Points [P, n] of the box moved into the ball: projected, clipped, and where that leaves the ball, towards c'.

    lower, upper: [n] or [P, n]. Rounding may leave points just outside the ball; where ball and box have no point in
    common, c' is what is returned.
    """
    if ball is None:
        return points
    found = np.clip(ball.project(points), lower, upper)
    out = np.flatnonzero(ball.distances(found) > ball.radius)
    if len(out):
        middle = np.broadcast_to(np.clip(ball.centre, lower, upper), points.shape)[out]
        found[out] = _between(middle, found[out], ball)
    return found


def sparse_shares(count: int, size: int, rng: np.random.Generator) -> Array:
    """Which inputs of each point move at all: [count, size] bool, numbers of them at all scales from 1 to all."""
    number = size ** rng.uniform(size=(count, 1))
    chosen = rng.uniform(size=(count, size)) < number / size
    chosen[np.arange(count), rng.integers(size, size=count)] = True
    return chosen


def _between(middle: Array, points: Array, ball: NormBall) -> Array:
    """The farthest points in the ball on the way from `middle` to `points`, both in the box, which is convex."""
    within, out = np.zeros(len(points)), np.ones(len(points))
    for _ in range(HALVINGS):
        share = 0.5 * (within + out)
        inside = ball.distances(middle + share[:, None] * (points - middle)) <= ball.radius
        within, out = np.where(inside, share, within), np.where(inside, out, share)
    return np.asarray(middle + within[:, None] * (points - middle))
