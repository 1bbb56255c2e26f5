"""Candidate inputs: where they come from, and the replay that makes a witness of one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...encodings.linear.bounds import Bounds
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
        points = np.clip(points, self.query.region.lower, self.query.region.upper)
        points, worst = best_first(self.query, repaired(self.query, points))
        margins = self.query.network.evaluate(points[:1])
        near = worst <= NEAR * (1.0 + np.abs(margins).max())
        if self.query.network.unmodelled:
            near[:] = True  # the file's roundings may take any point anywhere
        for x in points[near][: self.effort.replays]:
            if witness := self._replayed(x):
                return witness
        return None

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
        points, _ = projected_gradient(
            self.query, starts[picked], *box, self.effort.dive_steps, targets, deadline=self.limits.deadline
        )  # fmt: skip
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
        candidates, _ = best_first(self.query, repaired(self.query, np.concatenate([spread, crowd])))
        if witness := self.check(candidates[: self.effort.replays]):
            return witness
        chosen, box = self.elite.mixed(candidates[:starts], lower, upper, self.rng), (lower, upper)
        found, worst = projected_gradient(
            self.query, chosen, *box, steps, rng=self.rng, deadline=self.limits.deadline
        )  # fmt: skip
        self.elite.add(found, worst)
        return self.check(found)
