"""The steps of a search over ReLU phases, for networks of many inputs.

A node that its first bounds leave open gets hidden bounds of its own (*refreshed*) or keeps its parent's (*inherited*).
In networks of few layers it is first *supposed* to hold a counterexample, whose first layer lies in narrower bounds
(`slopes.supposed_bounds`); there the disjuncts are refuted in subtrees of their own, for what several of them leave
open together is nearly all of the input set.

What was supposed is part of a node's region from then on, as its phases are: its bounds, and those of all nodes below
it, are those of the counterexamples in it. So whoever takes a stable ReLU's phase for granted in a region
(`close_regions`, exact arithmetic) gets it as a demand.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ...encodings.linear.linear_bounds import Bounds, smallest_margins
from ...encodings.slopes.implications import Implications
from ...encodings.slopes.increasing_neurons import bounds_matter
from ...encodings.slopes.optimised_bounds import OptimiseOptions
from ...encodings.slopes.phase_bounds import bound_phases, refresh_phases
from ...encodings.slopes.row_multipliers import RowPool
from ...encodings.slopes.rows_behind import HalfSpaces
from ...encodings.slopes.supposed_bounds import suppose
from ...heuristics.efforts import PhaseEffort
from ...heuristics.splits.splits import Splits, choose_splits, halved_duty
from ...instances.batch import Batch
from ...instances.judges.replay import Witness
from ...instances.multipliers import Multipliers
from ...instances.network import Array
from ...instances.query import Query
from ..closers.exact_step import ExactStep
from ..closers.regions import close_regions
from ..tree.evidence import Evidence
from ..tree.search import Closing
from .ascents import ascent
from .candidates import Candidates
from .closing import Closer, close_by
from .phase_branching import PhaseBranching

__all__ = ["PhaseSteps"]


@dataclass(eq=False)
class PhaseSteps:
    """See `tree.search.Steps`."""

    query: Query
    candidates: Candidates
    exact: ExactStep
    rule: str = "phases"
    refresh: bool = True  # bound hidden neurons anew in nodes that stay open
    supposed: bool = False  # suppose a counterexample in those first
    open_at_root: Array = field(default_factory=lambda: np.zeros(0, dtype=bool))  # [neurons] bool, where it is supposed
    implied: Implications | None = None  # what phases say about others
    rows: RowPool | None = None  # multi-neuron rows of the root
    branching: PhaseBranching | None = None  # rules that need more than the bounds
    closers: list[Closer] = field(default_factory=list)  # LPs and MILPs of nodes, in order
    evidence: Evidence = Evidence.SLOPES
    effort: PhaseEffort = PhaseEffort()
    half_spaces: bool = False  # multipliers of the phases do as much where there are many inputs, and cost less

    def bound(self, batch: Batch) -> tuple[Batch, Bounds]:
        """Optimised slopes and multipliers from inherited hidden bounds; nodes left open get hidden bounds anew.

        The numbers found, and what is left to refute, go to the children.
        """
        query, parents = self.query, batch.margin
        batch = replace(batch)
        if self.implied:
            self.implied.clip(batch)
        options = ascent(self.effort.margins, self.candidates.limits.deadline)
        bounds, numbers = bound_phases(query, batch, options, plain=not self.refresh, pool=self.rows)
        batch.multipliers = numbers.halved() if numbers.width <= self.effort.most_numbers else None
        batch.duty = batch.duty & ~(query.per_disjunct(bounds.margins) > 0.0)
        due = np.flatnonzero(~(smallest_margins(query, bounds) > 0.0))
        behind = None
        if self.supposed and len(due):
            due, behind = self._suppose(batch, bounds, numbers, due, options.deadline)
        if len(due):
            self._again(batch, bounds, due, options, behind)
        if self.branching:
            self.branching.learn(replace(batch, margin=parents), bounds)
        return batch, bounds

    def _suppose(
        self, batch: Batch, bounds: Bounds, numbers: Multipliers, due: Array, deadline: float
    ) -> tuple[Array, HalfSpaces]:
        """Bound the first layer of the nodes `due` behind their own half-spaces; those that are to be bounded again."""
        kernel = self.candidates.limits.options.kernel
        lower, upper, new, behind = suppose(self.query, batch[due], numbers[due], self.rows, kernel, deadline)
        empty = (lower > upper).any(axis=1)
        batch.pre_lower, batch.pre_upper = batch.pre_lower.copy(), batch.pre_upper.copy()
        batch.pre_lower[due], batch.pre_upper[due] = np.minimum(lower, upper), upper
        bounds.pre_lower, bounds.pre_upper = batch.pre_lower, batch.pre_upper
        bounds.infeasible[due] |= empty
        bounds.margins[due[empty]] = np.inf
        again = ~empty & (new | self.refresh)
        return due[again], behind.of(again)

    def _again(
        self, batch: Batch, bounds: Bounds, due: Array, options: OptimiseOptions, behind: HalfSpaces | None
    ) -> None:
        """Bound the margins of the nodes `due` once more, behind hidden neurons that are bounded anew."""
        query, some = self.query, batch[due]
        fresh = None
        if self.refresh:
            kernel = self.candidates.limits.options.kernel
            matter = None if self.rows else bounds_matter(query, some.duty)
            hidden = ascent(self.effort.hidden, options.deadline)
            fresh = refresh_phases(query, some, hidden, kernel, behind, matter)
            some.pre_lower, some.pre_upper = fresh.pre_lower, fresh.pre_upper
        better, numbers = bound_phases(query, some, options, plain=not self.refresh, pool=self.rows)
        if fresh is not None:
            better.margins = np.fmax(better.margins, fresh.margins)
            bounds.totals = np.zeros_like(bounds.sensitivities)
            bounds.totals[due] = fresh.totals
        for name in ("pre_lower", "pre_upper", "infeasible", "sensitivities"):
            getattr(bounds, name)[due] = getattr(better if fresh is None else fresh, name)
        bounds.margins[due] = better.margins
        if bounds.points is not None and better.points is not None:
            bounds.points[due] = better.points
        batch.duty[due] = some.duty & ~(query.per_disjunct(better.margins) > 0.0)
        if batch.multipliers is not None:
            batch.multipliers[due] = numbers.halved()

    def attack(self, batch: Batch, bounds: Bounds) -> Witness | None:
        """The points that the bounds suspect."""
        return self.candidates.minimisers(batch, bounds)

    def clip(self, batch: Batch, bounds: Bounds) -> tuple[Batch, Array]:
        """Boxes of many inputs are not worth shrinking."""
        return batch, np.zeros(len(batch), dtype=bool)

    def close(self, batch: Batch, bounds: Bounds) -> Closing:
        """Activation regions by LPs, then the closers, as far as nodes are left."""
        closing, check = Closing.nothing(batch), self.candidates.check
        close_regions(self.query, self._demanding(batch), bounds, check, self.exact, closing, half_spaces=False)
        # relaxations keep to a node's bounds anyway, and know its splits by its phases
        close_by(self.closers, batch, bounds.margins, check, closing)
        return closing

    def settle(self, batch: Batch, bounds: Bounds) -> Closing:
        """Exact arithmetic for nodes that cannot be split."""
        return self.exact.settle(self.query, self._demanding(batch), bounds, self.candidates.check)

    def split(self, batch: Batch, bounds: Bounds) -> Splits:
        """The phase with the best score; where counterexamples are supposed, a node's duty first."""
        scores = self.branching.scores(batch, bounds) if self.branching else None
        splits = choose_splits(self.query, batch, bounds, self.rule, scores)
        several = np.flatnonzero(batch.duty.sum(axis=1) > 1)
        if self.supposed and len(several):
            splits[several] = halved_duty(batch.duty[several], self.query.network.input_size)
        return splits

    def _demanding(self, batch: Batch) -> Batch:
        """The nodes with the phases of all ReLUs that are stable in them, but were not at the root."""
        if not self.supposed:
            return batch
        stable = (batch.pre_lower >= 0.0).astype(np.int8) - (batch.pre_upper <= 0.0).astype(np.int8)
        return replace(batch, phases=np.where((batch.phases == 0) & self.open_at_root, stable, batch.phases))
