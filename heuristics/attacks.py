"""Looking for counterexamples: candidates only; the replay alone decides.

* suspects: the minimiser of a margin's own linear lower bound, the point that the bound itself suspects;
* projected gradient (Madry et al. 2018) with restarts on the exact network gradient: each start takes one forbidden
  polyhedron and descends on the sum of its positive margins by signed steps of a share of the box, halved on failure;
* quasi-random points (Sobol).

All of them score a point by the *worst margin*, min over polyhedra of max over rows of m(x): <= 0 for a counterexample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..instances.batch import Batch
from ..instances.network import Array
from ..instances.query import Query

if TYPE_CHECKING:
    from ..encodings.bounds import Bounds

__all__ = ["best_first", "points_in", "points_near_corners", "projected_gradient", "quasi_random", "suspects"]

STEP_SHARE = 0.25  # first step of the descent, as a share of each input's interval
HARDEN = 0.15  # a start keeps descending until its margins are below -HARDEN * (their first spread): room for float32


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
    coefficients = bounds.coefficients[np.arange(len(batch)), rows]
    points = np.where(coefficients > 0.0, batch.lower, batch.upper)
    return points if bounds.points is None else np.where(np.isnan(bounds.points), points, bounds.points)


def points_in(lower: Array, upper: Array, count: int, rng: np.random.Generator) -> Array:
    """`count` points of a box: its middle, then uniform ones, every fourth of them a corner. [count, inputs]."""
    points = rng.uniform(size=(count, len(lower)))
    points[::4] = np.round(points[::4])
    points[0] = 0.5
    return lower + points * (upper - lower)


def points_near_corners(lower: Array, upper: Array, count: int, rng: np.random.Generator) -> Array:
    """`count` points of a box crowded towards its corners, at all scales. [count, inputs].

    A counterexample on a few monotone inputs sits beside a corner, in a pocket of a thousandth of an edge or less
    that uniform points miss (ACAS Xu 1_9 property 7: 1 in 10^7 of them, 1 in 10^3 of these). Each point has a scale
    between 1e-4 and 1; each of its inputs is within that share of the interval from one end, or, one in four, anywhere.
    """
    u = rng.uniform(size=(count, len(lower)))
    scale = 10.0 ** rng.uniform(-4.0, 0.0, size=(count, 1))
    near = np.where(rng.uniform(size=u.shape) < 0.5, u * scale, 1.0 - u * scale)
    share = np.where(rng.uniform(size=u.shape) < 0.25, u, near)
    return np.clip(lower + share * (upper - lower), lower, upper)


def quasi_random(lower: Array, upper: Array, count: int, seed: int) -> Array:
    """`count` scrambled Sobol points of a box (a power of two is best). [count, inputs]."""
    from scipy.stats import qmc

    sampler = qmc.Sobol(len(lower), scramble=True, rng=seed)
    power = sampler.random_base2(max(0, int(np.ceil(np.log2(count)))))
    return lower + power[:count] * (upper - lower)


def best_first(query: Query, points: Array) -> tuple[Array, Array]:
    """Points sorted by their worst margin (float64), with these. ([P, inputs], [P])."""
    worst = query.worst(query.network.evaluate(points))
    order = np.argsort(worst, kind="stable")
    return points[order], worst[order]


def projected_gradient(
    query: Query, starts: Array, lower: Array, upper: Array, steps: int, targets: Array | None = None
) -> tuple[Array, Array]:
    """Descend from every start and return the best point met on each path.

    starts: [P, inputs]; lower, upper: [inputs] or [P, inputs], the box to stay in; targets: [P] index of the polyhedron
    that each start aims at, by default in turn over all of them. Returns (points [P, inputs], worst margins [P]).
    """
    count = len(starts)
    targets = np.arange(count) % query.disjuncts if targets is None else targets
    aimed = np.zeros((count, query.rows))
    for k in range(query.disjuncts):
        aimed[np.ix_(targets == k, np.arange(query.starts[k], query.starts[k + 1]))] = 1.0
    x = np.clip(starts, lower, upper)
    step = np.full((count, 1), STEP_SHARE)
    best, best_worst = x.copy(), np.full(count, np.inf)
    best_loss = np.full(count, np.inf)
    floor = None
    for _ in range(steps):
        values, pre = query.network.values(x)
        margins = values[-1]
        if floor is None:
            floor = -HARDEN * np.abs(margins).max(axis=1, keepdims=True)
        worst = query.worst(margins)
        lower_worst = worst < best_worst
        best[lower_worst], best_worst[lower_worst] = x[lower_worst], worst[lower_worst]
        loss = (aimed * np.maximum(margins, floor)).sum(axis=1)
        step = np.where((loss < best_loss)[:, None], step * 1.1, step * 0.7)
        best_loss = np.minimum(loss, best_loss)
        gradient = query.network.pullback(pre, aimed * (margins > floor))
        x = np.clip(x - step * (upper - lower) * np.sign(gradient), lower, upper)
    return best, best_worst
