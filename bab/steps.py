"""The steps that the search is given: bounding, attacking, clipping, closing and splitting, bound to one run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..encodings.clipping import clip_batch
from ..encodings.linear_bounds import Bounds, LinearBoundOptions, bound, smallest_margins
from ..encodings.optimised_bounds import OptimiseOptions, Slopes, optimise_from
from ..heuristics.attacks import best_first, points_in, points_near_corners, projected_gradient, quasi_random, suspects
from ..heuristics.splits import Splits, choose_splits
from ..instances.batch import Batch
from ..instances.network import Array
from ..instances.query import Query
from ..instances.replay import Replay, Witness
from .closing import close_regions
from .limits import Limits
from .trace import Recorder

__all__ = ["Run"]

NEAR = 1e-5  # share of the margins' size within which float32 may still decide otherwise than float64: worth a replay
MOST_REPLAYS = 16  # candidates replayed at a time
MOST_DIVES = 256  # nodes per round inside which a few gradient steps are made
DIVE_STEPS = 8
MOST_SOBOL = 64  # inputs up to which a Sobol sequence is set up in no time and still spreads better than chance
PATIENCE = 2  # splits per unstable ReLU after which a node with few of them resists
FEW_UNSTABLE = 16  # unstable ReLUs up to which a resisting node's phases are split


@dataclass(eq=False)
class Run:
    """One query's steps with all that they share."""

    query: Query
    replay: Replay
    joint: bool
    limits: Limits
    rng: np.random.Generator
    rule: str = "inputs"
    means: bool = False  # whether the split rule wants the hidden neurons' mean functions
    clip: bool = True
    threads: int = 1  # of the compiled kernel
    kernel: str = "auto"  # see LinearBoundOptions
    hidden: bool = True  # re-bound hidden neurons in every node
    ascent: int = 0  # iterations on slopes and multipliers of nodes that plain bounds leave open
    record: Recorder = Recorder()  # hears what becomes of every node

    def bound(self, query: Query, batch: Batch) -> Bounds:
        """Linear bounds, rows of a disjunct tested together; what they leave open gets optimised slopes, if asked."""
        deadline = self.limits.deadline
        options = LinearBoundOptions(
            means=self.means, conjunctions=True, hidden=self.hidden, deadline=deadline, threads=self.threads,
            kernel=self.kernel,
        )  # fmt: skip
        bounds = bound(query, batch, options)
        left = np.flatnonzero(~(smallest_margins(query, bounds) > 0.0))
        if self.ascent and len(left):
            self._optimise(query, batch, bounds, left)
        return bounds

    def _optimise(self, query: Query, batch: Batch, bounds: Bounds, left: Array) -> None:
        """Raise the margins of nodes `left`, in place, and keep their slopes for the children."""
        start = Slopes(batch.slopes[left]) if batch.slopes.size else None
        options = OptimiseOptions(iterations=self.ascent, conjunctions=True, deadline=self.limits.deadline)
        better, slopes = optimise_from(query, batch[left], bounds[left], options, start)
        # the choice of the next split goes by the plain functions: at the ascent's optimum all phases look alike
        bounds.margins[left] = better.margins
        if not batch.slopes.size:
            batch.slopes = np.full((len(batch), query.rows, query.neurons), np.nan, dtype=np.float16)
        batch.slopes[left] = slopes.halved().values

    def check(self, points: Array) -> Witness | None:
        """Replay the candidates that the float64 network puts into or next to the forbidden set, best first."""
        points = points[np.isfinite(points).all(axis=1)]
        if not len(points):
            return None
        points, worst = best_first(self.query, np.clip(points, self.query.region.lower, self.query.region.upper))
        margins = self.query.network.evaluate(points[:1])
        near = worst <= NEAR * (1.0 + np.abs(margins).max())
        for x in points[near][:MOST_REPLAYS]:
            if witness := self.replay.check(self.query.case, x, self.joint):
                return witness
        return None

    def attack(self, query: Query, batch: Batch, bounds: Bounds) -> Witness | None:
        """A short descent inside each of the most suspicious nodes, from the point that its bound suspects.

        Every node gets one start (up to MOST_DIVES): about a tenth of what bounding it costs.
        """
        starts = suspects(query, batch, bounds)
        if witness := self.check(starts):
            return witness
        picked = np.argsort(batch.margin, kind="stable")[:MOST_DIVES]
        targets = query.per_disjunct(bounds.margins[picked]).argmin(axis=1)
        box = batch.lower[picked], batch.upper[picked]
        points, _ = projected_gradient(query, starts[picked], *box, DIVE_STEPS, targets)
        return self.check(points)

    def attack_root(self, starts: int, steps: int, points: int, quasi: bool = False) -> Witness | None:
        """Projected gradient from the best `starts` of so many points of the input set.

        Of them half are uniform, with some corners (or Sobol's), and half crowd towards the corners.
        """
        region = self.query.region
        crowd = points_near_corners(region.lower, region.upper, points // 2, self.rng)
        if quasi and region.size <= MOST_SOBOL:
            spread = quasi_random(region.lower, region.upper, points - len(crowd), int(self.rng.integers(2**31)))
        else:
            spread = points_in(region.lower, region.upper, points - len(crowd), self.rng)
        candidates, _ = best_first(self.query, np.concatenate([spread, crowd]))
        if witness := self.check(candidates[:MOST_REPLAYS]):
            return witness
        found, _ = projected_gradient(self.query, candidates[:starts], region.lower, region.upper, steps)
        return self.check(found)

    def clip_step(self, query: Query, batch: Batch, bounds: Bounds) -> tuple[Batch, Array]:
        """Shrink the boxes, if asked to."""
        if not self.clip:
            return batch, np.zeros(len(batch), dtype=bool)
        return clip_batch(query, batch, bounds)

    def close(self, query: Query, batch: Batch, bounds: Bounds) -> tuple[Array, Witness | None]:
        """Activation regions are decided by LPs."""
        return close_regions(query, batch, bounds, self.check)

    def split(self, query: Query, batch: Batch, bounds: Bounds) -> Splits:
        """Splits by this stage's rule; phases where a deep node with few unstable ReLUs resists.

        Next to a kink of the network halving the input set never ends, fixing the few phases does.
        """
        unstable = ((bounds.pre_lower < 0.0) & (bounds.pre_upper > 0.0) & query.relu).sum(axis=1)
        resists = (unstable > 0) & (unstable <= FEW_UNSTABLE) & (batch.depth >= PATIENCE * unstable)
        if self.rule == "phases" or not resists.any():
            return choose_splits(query, batch, bounds, self.rule)
        splits = choose_splits(query, batch, bounds, self.rule)
        splits[resists] = choose_splits(query, batch[resists], bounds[resists], "phases")
        return splits
