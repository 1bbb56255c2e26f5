"""Looking for counterexamples: candidates only; the replay alone decides.

* suspects: the minimiser of a margin's own linear lower bound, the point that the bound itself suspects;
* projected gradient (Madry et al. 2018) with restarts on the exact network gradient: each start takes one forbidden
  polyhedron and descends on the sum of its positive margins by signed steps of a share of the box, halved on failure;
* quasi-random points (Sobol).

Where the input set has a norm ball, points, starts and crossings are led into it (`ball_points`).

All of them score a point by the *worst margin*, min over polyhedra of max over rows of m(x): <= 0 for a counterexample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.norm_ball import NormBall
from ...instances.query import Query
from .attack_passes import passes_of
from .ball_points import into_ball, sparse_shares
from .gradient_attack import projected_gradient

if TYPE_CHECKING:
    from ...encodings.linear.bounds import Bounds

__all__ = ["Elite", "best_first", "points_in", "points_near_corners", "projected_gradient", "quasi_random", "suspects"]

EXACT = 24  # points whose order float64 decides: more than are ever replayed
ELITE = 8  # parents
FRESH = 0.1  # share of a crossing's inputs that come from neither parent


def suspects(query: Query, batch: Batch, bounds: Bounds) -> Array:
    """One point per node: the box's minimiser of the linear bound of the most suspicious row, or the region's of the
    most suspicious disjunct where that is known (Bounds.points). [B, inputs]."""
    per_disjunct = query.per_disjunct(bounds.margins)
    suspect = per_disjunct.argmin(axis=1)
    rows = np.empty(len(batch), dtype=np.int64)
    for k in range(query.disjuncts):
        mine = suspect == k
        part = slice(query.starts[k], query.starts[k + 1])
        rows[mine] = query.starts[k] + bounds.margins[mine, part].argmax(axis=1)
    points = batch.upper
    if bounds.functions is not None:
        points = np.where(bounds.coefficients[np.arange(len(batch)), rows] > 0.0, batch.lower, batch.upper)
    return points if bounds.points is None else np.where(np.isnan(bounds.points), points, bounds.points)


def points_in(
    lower: Array, upper: Array, count: int, rng: np.random.Generator, ball: NormBall | None = None
) -> Array:
    """`count` points of a box: its middle, then uniform ones, every fourth of them a corner. [count, inputs].

    With a ball, they are led into it: most then lie on its sphere, in l1 on faces of all dimensions.
    """
    points = rng.uniform(size=(count, len(lower)))
    points[::4] = np.round(points[::4])
    points[0] = 0.5
    return _into(_between(lower, upper, points), lower, upper, ball, rng)


def points_near_corners(
    lower: Array, upper: Array, count: int, rng: np.random.Generator, ball: NormBall | None = None
) -> Array:
    """`count` points of a box crowded towards its corners, at all scales. [count, inputs].

    A counterexample on a few monotone inputs sits beside a corner, in a pocket of a thousandth of an edge or less
    that uniform points miss (ACAS Xu 1_9 property 7: 1 in 10^7 of them, 1 in 10^3 of these). Each point has a scale
    between 1e-4 and 1; each of its inputs is within that share of the interval from one end, or, one in four, anywhere.
    """
    u = rng.uniform(size=(count, len(lower)))
    scale = 10.0 ** rng.uniform(-4.0, 0.0, size=(count, 1))
    near = np.where(rng.uniform(size=u.shape) < 0.5, u * scale, 1.0 - u * scale)
    share = np.where(rng.uniform(size=u.shape) < 0.25, u, near)
    return _into(np.clip(_between(lower, upper, share), lower, upper), lower, upper, ball, rng)


def quasi_random(lower: Array, upper: Array, count: int, seed: int, ball: NormBall | None = None) -> Array:
    """`count` scrambled Sobol points of a box (a power of two is best), led into the ball. [count, inputs]."""
    from scipy.stats import qmc

    sampler = qmc.Sobol(len(lower), scramble=True, rng=seed)
    power = sampler.random_base2(max(0, int(np.ceil(np.log2(count)))))
    return _into(_between(lower, upper, power[:count]), lower, upper, ball, np.random.default_rng(seed))


def _into(points: Array, lower: Array, upper: Array, ball: NormBall | None, rng: np.random.Generator) -> Array:
    """Points of the box led into the ball; in l1 only some of their inputs leave the centre's values first."""
    if ball is not None and ball.norm == 1:
        moved = sparse_shares(len(points), len(lower), rng)
        points = np.where(moved, points, np.clip(ball.centre, lower, upper))
    return into_ball(points, lower, upper, ball)


def _between(lower: Array, upper: Array, share: Array) -> Array:
    """lower + share (upper - lower), for widths of any size."""
    with np.errstate(over="ignore"):
        width = upper - lower
    known = np.isfinite(width)
    points = lower + share * np.where(known, width, 0.0)
    return points if known.all() else np.where(known, points, lower * (1.0 - share) + upper * share)


@np.errstate(over="ignore", invalid="ignore")  # such points are never the best ones
def best_first(query: Query, points: Array) -> tuple[Array, Array]:
    """Points sorted by their worst margin, with these; float64 for the first EXACT at least. ([P, inputs], [P])."""
    worst = np.empty(len(points))
    passes = passes_of(query.network, query.region.lower, query.region.upper)
    if len(points) > 2 * EXACT and passes.single:
        worst = query.worst(passes.margins(points))
        order = np.argsort(worst, kind="stable")
        head, tail = order[:EXACT], order[EXACT:]
    else:
        head, tail = np.arange(len(points)), np.arange(0)
    worst[head] = query.worst(query.network.evaluate(points[head]))
    order = np.concatenate([head[np.argsort(worst[head], kind="stable")], tail])
    return points[order], worst[order]


class Elite:
    """The best points that an attack has met so far, parents of later starts.

    Local minima of a network lie together: descents from crossings of good points end lower than those from fresh
    points (on marabou_cifar10, by as much as ten times the rounds bring).
    """

    def __init__(self) -> None:
        self.points = np.zeros((0, 0))
        self.worst = np.zeros(0)

    def add(self, points: Array, worst: Array) -> None:
        """Keep the best of these points [P, inputs] with their worst margins [P] and of those kept before."""
        known = np.isfinite(worst)
        points, worst = points[known], worst[known]
        if len(self.worst):
            points, worst = np.concatenate([self.points, points]), np.concatenate([self.worst, worst])
        best = np.argsort(worst, kind="stable")[:ELITE]
        self.points, self.worst = points[best], worst[best]

    def mixed(
        self, starts: Array, lower: Array, upper: Array, rng: np.random.Generator, ball: NormBall | None = None
    ) -> Array:
        """The starts [P, inputs], a random half of them replaced by crossings as soon as there are parents."""
        if not len(self.worst):
            return starts
        starts, replaced = starts.copy(), rng.permutation(len(starts))[len(starts) // 2 :]
        starts[replaced] = self.crossings(len(replaced), lower, upper, rng, ball)
        return starts

    def crossings(
        self, count: int, lower: Array, upper: Array, rng: np.random.Generator, ball: NormBall | None = None
    ) -> Array:
        """Points that take each input from one of two parents, or, one in ten, from an end of its interval."""
        first, second = (self.points[rng.integers(len(self.points), size=count)] for _ in range(2))
        child = np.where(rng.uniform(size=first.shape) < 0.5, first, second)
        ends = np.where(rng.uniform(size=first.shape) < 0.5, lower, upper)
        child = np.where(rng.uniform(size=first.shape) < FRESH, ends, child)
        return into_ball(child, lower, upper, ball)
