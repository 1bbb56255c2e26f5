"""The steps that the search is given: bounding, attacking, clipping, closing and splitting, bound to one run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ...encodings.linear.clipping import clip_batch
from ...encodings.linear.linear_bounds import Bounds, LinearBoundOptions, bound, smallest_margins
from ...encodings.slopes.optimised_bounds import OptimiseOptions
from ...encodings.slopes.phase_bounds import bound_phases, refresh_phases
from ...heuristics.attacks.attacks import (
    Elite,
    best_first,
    points_in,
    points_near_corners,
    projected_gradient,
    quasi_random,
    suspects,
)
from ...heuristics.splits.rules import PHASE_RULES
from ...heuristics.splits.splits import Splits, choose_splits
from ...instances.batch import Batch, Node
from ...instances.errors import ReplayError
from ...instances.judges.replay import Replay, Witness
from ...instances.network import Array
from ...instances.query import Query
from ..closers.exact_step import ExactStep
from ..closers.regions import close_regions, open_disjuncts
from ..run.limits import Limits
from ..tree.trace import Recorder

if TYPE_CHECKING:
    from ...encodings.slopes.implications import Implications
    from ...encodings.slopes.row_multipliers import RowPool
    from ..closers.node_lp import NodeLP
    from ..closers.node_milp import NodeMilp
    from .conflicts import Conflicts
    from .phase_branching import PhaseBranching

__all__ = ["Run"]

NEAR = 1e-5  # share of the margins' size within which float32 may still decide otherwise than float64: worth a replay
MOST_REPLAYS = 16  # candidates replayed at a time
MOST_DIVES = 256  # nodes per round inside which a few gradient steps are made
DIVE_STEPS = 8
MOST_SOBOL = 64  # inputs up to which a Sobol sequence is set up in no time and still spreads better than chance
HIDDEN_ASCENT, HIDDEN_RATE = 4, 0.4  # iterations and steps on the slopes and multipliers of phase nodes' hidden neurons
MOST_MULTIPLIER = 6e4  # of what waits in float16, which ends soon after; any multiplier >= 0 is valid
MOST_SLOPES = 131072  # numbers of a waiting node's slopes, 256 kB; beyond that its children begin without them
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
    ascent: int = 0  # phase nodes: iterations on slopes and multipliers
    refresh: bool = True  # phase nodes: bound hidden neurons anew in nodes that stay open
    node_lp: NodeLP | None = None  # phase nodes: LPs, where they are wanted
    node_milp: NodeMilp | None = None  # phase nodes: SCIPs, where they are wanted
    branching: PhaseBranching | None = None  # phase nodes: rules that need more than the bounds
    implied: Implications | None = None  # phase nodes: what phases say about others
    rows: RowPool | None = None  # phase nodes: multi-neuron rows of the root
    conflicts: Conflicts | None = None  # phase nodes: clauses, where they are learnt
    record: Recorder = Recorder()  # hears what becomes of every node
    elite: Elite = field(default_factory=Elite)  # of the attacks at the root
    exact: ExactStep = field(default_factory=ExactStep)  # where floats decide neither way

    def bound(self, query: Query, batch: Batch) -> Bounds:
        """Linear bounds, rows of a disjunct tested together."""
        options = LinearBoundOptions(
            means=self.means, conjunctions=True, hidden=self.hidden, deadline=self.limits.deadline,
            threads=self.threads, kernel=self.kernel,
        )  # fmt: skip
        return bound(query, batch, options)

    def bound_phases(self, query: Query, batch: Batch) -> Bounds:
        """Optimised slopes and multipliers from inherited hidden bounds; nodes left open get hidden bounds anew.

        The numbers found, and what is left to refute, go to the children.
        """
        self._deduce(batch)
        duty = batch.duty.copy()
        options = OptimiseOptions(iterations=self.ascent, deadline=self.limits.deadline)
        bounds, numbers = bound_phases(query, batch, options, plain=not self.refresh, pool=self.rows)
        kept = numbers[0].size <= MOST_SLOPES
        batch.slopes = _halved(numbers) if kept else np.zeros((len(batch), 0, 0), dtype=np.float16)
        batch.duty &= ~(query.per_disjunct(bounds.margins) > 0.0)
        due = np.flatnonzero(~(smallest_margins(query, bounds) > 0.0))
        if self.refresh and len(due):
            self._refresh(query, batch, bounds, due, options)
        if self.branching:
            self.branching.learn(batch, bounds)
        if self.conflicts:
            self.conflicts.learn(batch, duty, smallest_margins(query, bounds) > 0.0)
        return bounds

    def _deduce(self, batch: Batch) -> None:
        """What follows from the nodes' phases, before anything is bounded."""
        if self.implied:
            self.implied.clip(batch)
        if self.conflicts and self.conflicts.propagate(batch) and self.implied:
            self.implied.clip(batch)

    def _refresh(self, query: Query, batch: Batch, bounds: Bounds, due: Array, options: OptimiseOptions) -> None:
        """Bound the hidden neurons of the nodes `due` anew, and their margins with these."""
        some = batch[due]
        fresh = refresh_phases(query, some, replace(options, iterations=HIDDEN_ASCENT, rate=HIDDEN_RATE, signs=True))
        some.pre_lower, some.pre_upper = fresh.pre_lower, fresh.pre_upper
        better, numbers = bound_phases(query, some, options, pool=self.rows)
        better.margins = np.fmax(better.margins, fresh.margins)
        some.duty &= ~(query.per_disjunct(better.margins) > 0.0)
        for name in ("pre_lower", "pre_upper", "infeasible", "sensitivities"):
            getattr(bounds, name)[due] = getattr(fresh, name)
        bounds.margins[due] = better.margins
        bounds.totals = np.zeros_like(bounds.sensitivities)
        bounds.totals[due] = fresh.totals
        if bounds.points is not None and better.points is not None:
            bounds.points[due] = better.points
        batch.duty[due] = some.duty
        if batch.slopes.size:
            batch.slopes[due] = _halved(numbers)

    def check(self, points: Array) -> Witness | None:
        """Replay the candidates that the float64 network puts into or next to the forbidden set, best first."""
        points = points[np.isfinite(points).all(axis=1)]
        if not len(points):
            return None
        points, worst = best_first(self.query, np.clip(points, self.query.region.lower, self.query.region.upper))
        margins = self.query.network.evaluate(points[:1])
        near = worst <= NEAR * (1.0 + np.abs(margins).max())
        if self.query.network.unmodelled:
            near[:] = True  # the file's roundings may take any point anywhere
        for x in points[near][:MOST_REPLAYS]:
            if witness := self._replayed(x):
                return witness
        return None

    def _replayed(self, x: Array) -> Witness | None:
        """A file that cannot be run ends the search where a counterexample would, and nowhere else."""
        try:
            return self.replay.check(self.query.case, x, self.joint)
        except ReplayError:
            if self.replay.is_real_counterexample(self.query.case, x, self.joint):
                raise
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
        points, _ = projected_gradient(
            query, starts[picked], *box, DIVE_STEPS, targets, deadline=self.limits.deadline
        )  # fmt: skip
        return self.check(points)

    def check_minimisers(self, query: Query, batch: Batch, bounds: Bounds) -> Witness | None:
        """The points that the bounds suspect, by themselves: a descent would cost more than the nodes."""
        return self.check(suspects(query, batch, bounds))

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
        if quasi and region.size <= MOST_SOBOL:
            spread = quasi_random(lower, upper, points - len(crowd), int(self.rng.integers(2**31)))
        else:
            spread = points_in(lower, upper, points - len(crowd), self.rng)
        candidates, _ = best_first(self.query, np.concatenate([spread, crowd]))
        if witness := self.check(candidates[:MOST_REPLAYS]):
            return witness
        chosen, box = self.elite.mixed(candidates[:starts], lower, upper, self.rng), (lower, upper)
        found, worst = projected_gradient(
            self.query, chosen, *box, steps, rng=self.rng, deadline=self.limits.deadline
        )  # fmt: skip
        self.elite.add(found, worst)
        return self.check(found)

    def clip_step(self, query: Query, batch: Batch, bounds: Bounds) -> tuple[Batch, Array]:
        """Shrink the boxes, if asked to."""
        if not self.clip:
            return batch, np.zeros(len(batch), dtype=bool)
        return clip_batch(query, batch, bounds)

    def no_clip(self, query: Query, batch: Batch, bounds: Bounds) -> tuple[Batch, Array]:
        """Boxes of many inputs are not worth shrinking."""
        return batch, np.zeros(len(batch), dtype=bool)

    def close(self, query: Query, batch: Batch, bounds: Bounds) -> tuple[Array, Witness | None]:
        """Activation regions are decided by LPs."""
        return close_regions(query, batch, bounds, self.check, exact=self.exactly)

    def exactly(self, query: Query, node: Node, disjuncts: list[int]) -> tuple[float, Witness | None]:
        """Disjuncts on a node by exact arithmetic, see `ExactStep.decide`."""
        return self.exact.decide(query, node, disjuncts, self.check, self.limits.deadline)

    def settle(self, query: Query, batch: Batch, bounds: Bounds) -> tuple[Array, Witness | None]:
        """Nodes that cannot be split: [B] inf where exact arithmetic closes them, else NaN; a witness or None."""
        proved = np.full(len(batch), np.nan)
        for b in range(len(batch)):
            duties = [k for k in open_disjuncts(query, bounds.margins[b]) if batch.duty[b, k]]
            value, witness = self.exactly(query, batch.node(b), duties)
            proved[b] = value if value > 0.0 else np.nan
            if witness:
                return proved, witness
        return proved, None

    def close_phases(self, query: Query, batch: Batch, bounds: Bounds) -> tuple[Array, Witness | None]:
        """The same for nodes that carry phases and no half-spaces; others get an LP or a MILP where that pays."""
        proved, witness = close_regions(query, batch, bounds, self.check, half_spaces=False, exact=self.exactly)
        for solver in (self.node_lp, self.node_milp):
            unknown = np.flatnonzero(proved == -np.inf)
            if witness or solver is None:
                continue
            some = batch[unknown]
            proved[unknown], witness = solver.close(some, bounds.margins[unknown], self.check)
            batch.duty[unknown] = some.duty
        return proved, witness

    def split(self, query: Query, batch: Batch, bounds: Bounds) -> Splits:
        """Splits by this stage's rule; phases where a deep node with few unstable ReLUs resists.

        Next to a kink of the network halving the input set never ends, fixing the few phases does.
        """
        unstable = ((bounds.pre_lower < 0.0) & (bounds.pre_upper > 0.0) & query.relu).sum(axis=1)
        resists = (unstable > 0) & (unstable <= FEW_UNSTABLE) & (batch.depth >= PATIENCE * unstable)
        if self.rule in PHASE_RULES or not resists.any():
            scores = self.branching.scores(batch, bounds) if self.branching else None
            return choose_splits(query, batch, bounds, self.rule, scores)
        splits = choose_splits(query, batch, bounds, self.rule)
        splits[resists] = choose_splits(query, batch[resists], bounds[resists], "phases")
        return splits


def _halved(numbers: Array) -> Array:
    """Slopes, multipliers and logits in float16, for nodes that wait."""
    return np.clip(numbers, -MOST_MULTIPLIER, MOST_MULTIPLIER).astype(np.float16)
