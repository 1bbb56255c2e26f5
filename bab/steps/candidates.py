"""Candidate inputs: where they come from, and the replay that makes a witness of one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...encodings.linear.bounds import Bounds
from ...encodings.linear.norm_ball_bounds import split_by_ball
from ...heuristics import policy
from ...heuristics.attacks.attacks import (
    Elite,
    best_first,
    points_in,
    points_near_corners,
    projected_gradient,
    quasi_random,
    suspects,
)
from ...heuristics.attacks.halfspace_projection import repaired
from ...heuristics.efforts import CandidateEffort
from ...instances.batch import Batch
from ...instances.errors import ReplayError
from ...instances.judges.replay import Replay, Witness
from ...instances.network import Array
from ...instances.property import Case
from ...instances.query import Query
from ..run.limits import Limits

__all__ = ["Candidates"]

NEAR = 1e-5  # share of the margins' size within which float32 may still decide otherwise than float64: worth a replay
MOST_KEPT = 80  # candidates up to which those on a ball's very surface are replayed as they are, too


@dataclass(eq=False)
class Candidates:
    """Attacks on one query."""

    query: Query
    replay: Replay
    joint: bool
    limits: Limits
    rng: np.random.Generator
    elite: Elite = field(default_factory=Elite)  # of the attacks at the root
    effort: CandidateEffort = field(default_factory=lambda: policy.EFFORTS.candidates)

    def check(self, points: Array) -> Witness | None:
        """Replay the candidates that the float64 network puts into or next to the forbidden set, best first."""
        points = points[np.isfinite(points).all(axis=1)]
        if not len(points):
            return None
        points, worst = best_first(self.query, self._inside(points))
        margins = self.query.network.evaluate(points[:1])
        near = worst <= NEAR * (1.0 + np.abs(margins).max())
        if self.query.network.unmodelled:
            near[:] = True  # the file's roundings may take any point anywhere
        for x in points[near][: self.effort.replays]:
            if witness := self._replayed(x):
                return witness
        return None

    def _inside(self, points: Array) -> Array:
        """The points moved into the input set's box, half-spaces and ball, the ball's for the type of numbers that the
        file takes."""
        region = self.query.region
        points = np.clip(points, region.lower, region.upper)
        if region.ball is None:
            return repaired(self.query, points)
        dtype = np.float64 if self.replay.model is None else np.float32
        moved = repaired(self.query, region.ball.inward(points, region.lower, region.upper, dtype))
        if len(region.rows):  # half-spaces lead out of the ball, as the ball leads out of half-spaces
            moved = np.concatenate([moved, region.ball.inward(moved, region.lower, region.upper, dtype)])
        if len(points) > MOST_KEPT:
            return moved
        # half-spaces may leave nothing but a point of the surface
        near = moved[: len(points)]
        kept = [bool((x != y).any()) and region.ball.contains(x) for x, y in zip(points, near, strict=True)]
        return np.concatenate([moved, points[kept]])

    def _descend(
        self, starts: Array, lower: Array, upper: Array, steps: int, targets: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[Array, Array]:  # fmt: skip
        """Points and worst margins where projected gradient ends in the boxes, [n] or [P, n], and in the ball where
        there is one: there steps go to minimisers over both."""
        ball, deadline = self.query.region.ball, self.limits.deadline
        if ball is None:
            return projected_gradient(self.query, starts, lower, upper, steps, targets, rng=rng, deadline=deadline)
        from ...heuristics.attacks.frank_wolfe import frank_wolfe

        low, high = (np.broadcast_to(end, starts.shape) for end in (lower, upper))

        def minimisers(gradient: Array, part: Array) -> Array:
            return split_by_ball(ball, low[part], high[part], gradient[:, None])[1][:, 0]

        return frank_wolfe(self.query, starts, lower, upper, minimisers, steps, targets, deadline)

    def _replayed(self, x: Array) -> Witness | None:
        return self._replayed_for(self.query.case, self.query.lifted(x))

    def _replayed_for(self, case: Case, x: Array) -> Witness | None:
        """A file that cannot be run ends the search where a counterexample would, and nowhere else."""
        try:
            return self.replay.check(case, x, self.joint)
        except ReplayError:
            if self.replay.is_real_counterexample(case, x, self.joint):
                raise
            return None

    def dive(self, batch: Batch, bounds: Bounds) -> Witness | None:
        """A short descent inside each of the most suspicious nodes, from the point that its bound suspects.

        Every node gets one start, up to a number: about a tenth of what bounding it costs.
        """
        starts = suspects(self.query, batch, bounds)
        if witness := self.check(starts):
            return witness
        picked = np.argsort(batch.margin, kind="stable")[: self.effort.dives]
        targets = self.query.per_disjunct(bounds.margins[picked]).argmin(axis=1)
        box = batch.lower[picked], batch.upper[picked]
        points, _ = self._descend(starts[picked], *box, self.effort.dive_steps, targets)
        return self.check(points)

    def minimisers(self, batch: Batch, bounds: Bounds) -> Witness | None:
        """The points that the bounds suspect, by themselves: a descent would cost more than the nodes."""
        return self.check(suspects(self.query, batch, bounds))

    def attack_root(
        self, starts: int, steps: int, points: int, quasi: bool = False, reach: float = np.inf
    ) -> Witness | None:
        """Projected gradient from the best `starts` of so many points of the input set, no coordinate beyond `reach`
        that need not be.

        Of them half are uniform, with some corners (or Sobol's), and half crowd towards the corners. From the second
        call on a part of the starts are crossings of the best points met before.
        """
        region = self.query.region
        # the part of the box next to 0
        lower, upper = (np.clip(end, region.lower, region.upper) for end in (-reach, reach))
        crowd = points_near_corners(lower, upper, points // 2, self.rng)
        if quasi and region.size <= self.effort.sobol_inputs:
            spread = quasi_random(lower, upper, points - len(crowd), int(self.rng.integers(2**31)))
        else:
            spread = points_in(lower, upper, points - len(crowd), self.rng)
        candidates, _ = best_first(self.query, self._inside(np.concatenate([spread, crowd])))
        if witness := self.check(candidates[: self.effort.replays]):
            return witness
        chosen, box = self.elite.mixed(candidates[:starts], lower, upper, self.rng), (lower, upper)
        found, worst = self._descend(chosen, *box, steps, rng=self.rng)
        self.elite.add(found, worst)
        return self.check(found)
