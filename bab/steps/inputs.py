"""The steps of a search that splits the input set: by hyperplanes of weight rows, by axes, by phases that resist."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...encodings.linear.clipping import clip_batch
from ...encodings.linear.linear_bounds import Bounds, LinearBoundOptions, bound
from ...heuristics.efforts import InputEffort
from ...heuristics.splits.rules import PHASE_RULES
from ...heuristics.splits.splits import Splits, choose_splits
from ...instances.batch import Batch
from ...instances.judges.replay import Witness
from ...instances.network import Array
from ...instances.query import Query
from ..closers.exact_step import ExactStep
from ..closers.regions import close_regions
from ..tree.evidence import Evidence
from ..tree.search import Closing
from .candidates import Candidates
from .closing import Closer, close_by

__all__ = ["InputSteps"]


@dataclass(eq=False)
class InputSteps:
    """See `tree.search.Steps`."""

    query: Query
    candidates: Candidates
    exact: ExactStep
    rule: str = "inputs"
    means: bool = False  # whether the split rule wants the hidden neurons' mean functions
    hidden: bool = True  # re-bound hidden neurons in every node
    clipping: bool = True
    threads: int = 1  # of the compiled kernel
    kernel: str = "auto"  # see LinearBoundOptions
    certificates: bool = False  # whether boxes are certified before they are bounded
    evidence: Evidence = Evidence.LINEAR
    closers: list[Closer] = field(default_factory=list)  # LPs and MILPs of nodes, in order
    half_spaces: bool = True
    effort: InputEffort = InputEffort()

    def bound(self, batch: Batch) -> tuple[Batch, Bounds]:
        """Linear bounds, rows of a disjunct tested together; certificates before them, if asked for."""
        options = LinearBoundOptions(
            means=self.means, conjunctions=True, hidden=self.hidden, deadline=self.candidates.limits.deadline,
            threads=self.threads, kernel=self.kernel,
        )  # fmt: skip
        if self.certificates:
            from .certified import bound_uncertified

            return batch, bound_uncertified(self.query, batch, options)
        return batch, bound(self.query, batch, options)

    def attack(self, batch: Batch, bounds: Bounds) -> Witness | None:
        """Short descents inside the nodes."""
        return self.candidates.dive(batch, bounds)

    def clip(self, batch: Batch, bounds: Bounds) -> tuple[Batch, Array]:
        """Shrink the boxes, if asked to."""
        if not self.clipping:
            return batch, np.zeros(len(batch), dtype=bool)
        return clip_batch(self.query, batch, bounds)

    def close(self, batch: Batch, bounds: Bounds) -> Closing:
        """Activation regions are decided by LPs; then the closers, as far as nodes are left."""
        closing, check = Closing.nothing(batch), self.candidates.check
        close_regions(self.query, batch, bounds, check, self.exact, closing)
        close_by(self.closers, batch, bounds.margins, check, closing)
        return closing

    def settle(self, batch: Batch, bounds: Bounds) -> Closing:
        """Exact arithmetic for nodes that cannot be split."""
        return self.exact.settle(self.query, batch, bounds, self.candidates.check)

    def split(self, batch: Batch, bounds: Bounds) -> Splits:
        """Splits by this stage's rule; phases where a deep node with few unstable ReLUs resists.

        Next to a kink of the network halving the input set never ends, fixing the few phases does.
        """
        unstable = ((bounds.pre_lower < 0.0) & (bounds.pre_upper > 0.0) & self.query.relu).sum(axis=1)
        few, patience = self.effort.few_unstable, self.effort.patience
        resists = (unstable > 0) & (unstable <= few) & (batch.depth >= patience * unstable)
        splits = choose_splits(self.query, batch, bounds, self.rule)
        if self.rule not in PHASE_RULES and resists.any():
            splits[resists] = choose_splits(self.query, batch[resists], bounds[resists], "phases")
        if bounds.hopeless is not None and bounds.hopeless.any():  # no part of them is ever closed
            splits[bounds.hopeless] = Splits.none(int(bounds.hopeless.sum()), self.query.network.input_size)
        return splits
