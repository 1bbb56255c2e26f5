"""One query on its way through the stages: what they share, and hand on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ...encodings.linear.linear_bounds import Bounds, LinearBoundOptions, bound
from ...encodings.linear.reduction import kept_neurons, reduced
from ...encodings.slopes.group_rows import GroupRows
from ...encodings.slopes.implications import Implications
from ...heuristics import policy
from ...heuristics.efforts import Efforts
from ...heuristics.policy import Facts
from ...instances.judges.replay import Witness
from ...instances.network import Array
from ...instances.query import Query
from ..closers.exact_step import ExactStep
from ..run.budget import Budget
from ..run.limits import INTERRUPTIONS, Limits
from ..run.options import Options
from ..rungs.ladder import Ladder
from ..steps.candidates import Candidates
from ..steps.inputs import InputSteps
from ..tree.evidence import Evidence
from ..tree.search import Outcome, Pace, Steps, search
from ..tree.stall import Stall
from ..tree.tree import Tree

if TYPE_CHECKING:
    from ..steps.phases import PhaseSteps
    from .habits import Habits

__all__ = ["Helpers", "Work"]


class Helpers(Protocol):
    """Who else works on a tree: processes of this machine or of others."""

    lost: str  # why they cannot be reached any more, and the run must end; "" as long as it need not

    def begin(self, case: int, query: Query) -> None:
        """A query is begun, or gone on with. case: of the property's; query: as it was asked."""
        ...

    def expect(self) -> None:
        """The root is bounded and open: there may soon be something to help with."""
        ...

    def search(self, work: Work, steps: Steps, pace: Pace) -> Outcome:
        """See `tree.search.search`; the stage at work is `work.stage`."""
        ...


@dataclass(eq=False)
class Work:
    """The tree of a query, and who works on it."""

    query: Query  # without the neurons that phases no longer need, once phases are split
    tree: Tree
    options: Options
    limits: Limits
    candidates: Candidates
    exact: ExactStep
    report: Callable[[Tree], None] = lambda tree: None
    facts: Facts | None = None  # of the root, once it is bounded
    kept: Array | None = None  # [neurons as asked] bool: those that `query` still has; None for all
    stage: int = 0  # of the plan, that is at work
    again: bool = False  # whether this tree was left by an earlier run
    stop: Callable[[Tree], str] = lambda tree: ""  # a reason to end the run, "" for none
    phases: PhaseSteps | None = None  # once phases are split
    implied: Implications | None = None  # what phases force, in the tree as it is
    ladder: Ladder | None = None  # of the search at work
    habits: Habits | None = None  # of the searches before, where this one is one of many of the same kind
    rows: GroupRows | None = None  # multi-neuron rows of the root that nodes may use
    root_seconds: float = 0.0  # that bounding the root took
    ascent_seconds: float = 0.0  # of processor time that the hidden neurons' slopes took at the root
    helpers: Helpers | None = None
    witness: Witness | None = None
    found_by: str = ""  # what brought the witness
    stopped: str = ""  # why the last stage ended
    counts: Counter[str] = field(default_factory=Counter)  # of what is no node: LPs, SCIP's nodes, ...
    efforts: Efforts = field(default_factory=lambda: policy.EFFORTS)

    @property
    def decided(self) -> bool:
        """Whether there is a witness, or nothing is left to refute."""
        return self.witness is not None or self.tree.closed

    @property
    def only_stuck(self) -> bool:
        """Whether nothing is left but nodes that can be neither closed nor split, and nobody wants the run to end."""
        if self.decided or self.exact.found or self.stopped in INTERRUPTIONS or self.stop(self.tree):
            return False
        return self.tree.count_stuck > 0 and self.tree.count_open == 0

    def found(self, witness: Witness | None, by: str) -> bool:
        """Take note of a witness, if it is one."""
        if witness is not None and self.witness is None:
            self.witness, self.found_by = witness, by
        return self.witness is not None

    def inherited(self, conjunctions: bool = False) -> Bounds:
        """The root's margins from the hidden bounds that are known. Refuted disjuncts' are +inf."""
        root = self.tree.root
        options = LinearBoundOptions(hidden=False, deadline=self.limits.deadline, conjunctions=conjunctions)
        bounds = bound(self.query, root, options)
        excused = np.repeat(~root.duty, np.diff(self.query.starts), axis=1)
        bounds.margins = np.where(excused, np.inf, bounds.margins)
        return bounds

    def refute_by_inherited(self) -> Bounds:
        """The same, with a lemma about the disjuncts that they refute."""
        bounds, duty = self.inherited(), self.tree.root.duty[0]
        refuted = (self.query.per_disjunct(bounds.margins)[0] > 0.0) & duty
        self.tree.learn(Evidence.LINEAR, refuted.nonzero()[0].tolist())
        return bounds

    def unstable(self, lower: Array, upper: Array) -> int:
        """ReLUs that bounds [B, neurons] leave unstable in some node."""
        return int(((lower < 0.0) & (upper > 0.0) & self.query.relu).any(axis=0).sum())

    def reduce(self) -> None:
        """Go on without the ReLUs that are 0 on the whole input set, and without the margins' half-spaces."""
        kept = kept_neurons(self.query, self.tree.root)
        whole = np.ones(self.query.neurons, dtype=bool) if self.kept is None else self.kept.copy()
        whole[whole] = kept
        self.query = reduced(self.query, kept)
        self.tree.rename(kept, len(self.query.region.rows))
        self.candidates = replace(self.candidates, query=self.query)
        if self.rows is not None:
            self.rows = self.rows.renamed(np.where(kept, np.cumsum(kept) - 1, -1))
        self.kept, self.implied = whole, None

    def numerics(self, why: str) -> str:
        """The reason where nothing but stuck nodes is left. why: nothing decided the last of them, "" where unknown."""
        return f"numerics: {self.tree.count_stuck} nodes that no float decides{'; ' if why else ''}{why}"

    def search(
        self, steps: InputSteps | PhaseSteps, budget: Budget, batch: int, node_mb: float, trial: int = 0
    ) -> None:
        """Grow the tree by these steps; trial: nodes from which on it ends where it hardly closes, 0: never."""
        seams: Steps = steps
        stall = Stall(trial, self.efforts.stall)

        def stop() -> str:
            return self.exact.found or self.stop(self.tree) or (stall(self.tree) if trial else "")

        pace = Pace(budget, batch, self.options.jobs, node_mb, stop, self.report)
        outcome = self.helpers.search(self, seams, pace) if self.helpers else search(self.tree, seams, pace)
        self.stopped = outcome.stopped
        if self.tree.count_stuck and not self.stopped:
            self.stopped = self.numerics(self.exact.left)
        self.found(outcome.witness, "search")
