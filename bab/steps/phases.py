"""The steps of a search over ReLU phases, for networks of many inputs.

A node that its first bounds leave open gets hidden bounds of its own (*refreshed*) or keeps its parent's (*inherited*).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ...encodings.linear.linear_bounds import Bounds, smallest_margins
from ...encodings.slopes.implications import Implications
from ...encodings.slopes.optimised_bounds import OptimiseOptions
from ...encodings.slopes.phase_bounds import bound_phases, refresh_phases
from ...encodings.slopes.row_multipliers import RowPool
from ...heuristics.efforts import PhaseEffort
from ...heuristics.splits.splits import Splits, choose_splits
from ...instances.batch import Batch
from ...instances.judges.replay import Witness
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
        if self.refresh and len(due):
            self._refresh(batch, bounds, due, options)
        if self.branching:
            self.branching.learn(replace(batch, margin=parents), bounds)
        return batch, bounds

    def _refresh(self, batch: Batch, bounds: Bounds, due: Array, options: OptimiseOptions) -> None:
        """Bound the hidden neurons of the nodes `due` anew, and their margins with these."""
        query, some = self.query, batch[due]
        kernel = self.candidates.limits.options.kernel
        fresh = refresh_phases(query, some, ascent(self.effort.hidden, options.deadline), kernel)
        some.pre_lower, some.pre_upper = fresh.pre_lower, fresh.pre_upper
        better, numbers = bound_phases(query, some, options, pool=self.rows)
        better.margins = np.fmax(better.margins, fresh.margins)
        for name in ("pre_lower", "pre_upper", "infeasible", "sensitivities"):
            getattr(bounds, name)[due] = getattr(fresh, name)
        bounds.margins[due] = better.margins
        bounds.totals = np.zeros_like(bounds.sensitivities)
        bounds.totals[due] = fresh.totals
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
        close_regions(self.query, batch, bounds, check, self.exact, closing, half_spaces=False)
        close_by(self.closers, batch, bounds.margins, check, closing)
        return closing

    def settle(self, batch: Batch, bounds: Bounds) -> Closing:
        """Exact arithmetic for nodes that cannot be split."""
        return self.exact.settle(self.query, batch, bounds, self.candidates.check)

    def split(self, batch: Batch, bounds: Bounds) -> Splits:
        """The phase with the best score."""
        scores = self.branching.scores(batch, bounds) if self.branching else None
        return choose_splits(self.query, batch, bounds, self.rule, scores)

