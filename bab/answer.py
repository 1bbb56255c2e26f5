"""One query from its root to its answer: the stages of the policy, one after another, on one frontier.

Stages that many queries never reach are imported when they begin: they take as long as an easy query.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from ..encodings.linear.linear_bounds import LinearBoundOptions, bound
from ..encodings.linear.number_range import BEYOND, in_range
from ..heuristics.policy import FEW_INPUTS, Facts, Stage, batch_size, facts, node_mb, plan
from ..heuristics.splits.rules import PHASE_RULES
from ..instances.batch import Batch, root
from ..instances.judges.replay import Witness
from ..instances.network import Array
from .closers.exact_step import not_reproduced
from .closers.regions import open_disjuncts
from .run.limits import INTERRUPTIONS, LimitReached
from .run.options import Options
from .run.result import CONFLICTS, EXACT, GROUPS, LINEAR, OPTIMISED, POSITIVE, SCIP_FLOAT, SPLITS
from .steps.steps import Run
from .tree.frontier import Frontier
from .tree.search import Outcome, Steps, search, still_open

if TYPE_CHECKING:
    from ..encodings.slopes.group_rows import GroupRows
    from .stages.phase_search import PhaseSearch

__all__ = ["Answer", "answer"]

LOG = logging.getLogger(__name__)
QUICK_STARTS, QUICK_STEPS = 16, 10  # the first attack, before any bound
STEPS = 40  # of one round of the attack stage
FIRST_STARTS = 128  # of the first round
STARTS_WORK = 5e8  # products of a round over all starts and steps: a fraction of a second
FEW_STARTS = 64  # where the search attacks inside its nodes anyway: points are cheaper than descents
ROOT_ASCENT = 10  # iterations on the slopes of every hidden neuron
QUICK_BOUND = 0.5  # seconds of the root's bounds up to which every node bounds its hidden neurons anew
POINTS_WORK = 1.2e8  # products of a round over all points that are only evaluated
FEW_ROUNDS = 1  # rounds where the search attacks inside its nodes anyway
MOST_ROUNDS = 10_000
SOBOL_SECONDS = 3.0  # left to the attack from which on a second's import is worth it
# largest coordinates of an attack where an input set may reach beyond what anything but its middle can be searched
REACHES = (1.0, 10.0, 1e2, 1e3, 1e4, 1e6, 1e8, 1e12, 1e16, 1e24, 1e32, 1e64, 1e128, np.inf)
MOST_FUNCTIONS = 200_000  # weights of a network up to which rows of deeper layers are worth their memory


@dataclass(eq=False)
class Answer:
    """What became of one query."""

    witness: Witness | None = None
    holds: bool = False
    how: str = ""  # what closed it, or why it is open
    bound: float = -np.inf  # proved lower bound of the worst margin
    statistics: Counter[str] = field(default_factory=Counter)
    counterexample: tuple[Fraction, ...] | None = None  # of the real-valued network, which no replay confirms


def answer(run: Run, options: Options, report: Callable[[int, Frontier], None]) -> Answer:
    """Attack, bound the root, then go through the stages until one decides or the time is over."""
    result = _Query(run, options, report).answer()
    result.statistics.update(run.exact.statistics)
    return result


class _Query:
    def __init__(self, run: Run, options: Options, report: Callable[[int, Frontier], None]) -> None:
        self.run, self.options, self.report = run, options, report
        self.query, self.limits = run.query, run.limits
        self.result = Answer()
        self.batch = root(self.query)
        self.frontier = Frontier(self.batch)
        self.stopped, self.torn = "", False  # torn: see `Outcome`
        self.stuck = 0
        self.phases: PhaseSearch | None = None  # once phases are split
        self.rows: GroupRows | None = None  # multi-neuron rows of the root that nodes may use
        self.ascent_seconds = 0.0  # that the hidden neurons' slopes took at the root
        self.root_seconds = 0.0  # that bounding the root took

    def answer(self) -> Answer:
        """See `answer` of the module."""
        result = self.result
        try:
            return self._stages()
        except MemoryError as error:  # told before anything was allocated
            LOG.info("stopped: %s", error)
            self.stopped = "memory"
        except LimitReached as stop:
            self.stopped, self.torn = stop.reason, True
        return result if self._decided else self._open()

    def _stages(self) -> Answer:
        result = self.result
        if self._attack(QUICK_STARTS, QUICK_STEPS, 4 * QUICK_STARTS):
            return result
        if not in_range(self.query):
            return self._only_attack()
        batch = self._bound_root(self.batch)
        if not len(batch):
            LOG.info("root: bound %.6g closes it", self.result.bound)
            return self._holds(LINEAR, self.result.bound)
        self.batch, self.frontier = batch, Frontier(batch)
        known = facts(self.query, batch)
        result.statistics["unstable"] = known.unstable
        LOG.info("root: bound %.6g, %s", float(batch.margin[0]), known)
        for stage in plan(known, self.options.method, self.options.rule, self.options.rows):
            if self.limits.exceeded():
                break
            if stage.closed > (share := self.frontier.closed_share):
                LOG.info("stage %s %s left out: %.3g of the tree is closed", stage.name, stage.rule, share)
                continue
            started = time.monotonic()
            self._stage(stage, known)
            LOG.info("stage %s %s (%s): %.2f s, %s", stage.name, stage.rule, stage.why,
                     time.monotonic() - started, "decided" if self._decided else f"open, {self.stopped}")  # fmt: skip
            if self._decided:
                return result
            if self.stopped in INTERRUPTIONS or self.run.exact.found:
                break
        return self._open()

    def _open(self) -> Answer:
        """Nothing decided it: the reason, and what is proved."""
        result, interrupted = self.result, self.stopped if self.stopped in INTERRUPTIONS else ""
        # nodes that were given up are in no frontier
        whole = len(self.frontier) and not self.torn and not self.stuck
        result.bound = max(float(self.batch.margin[0]), self.frontier.margin if whole else -np.inf)
        result.how = interrupted or self.limits.exceeded() or self.stopped or "no stage decided"
        if point := self.run.exact.counterexample:
            from .closers.exact_closing import is_counterexample

            # trees of phases know a reduced network, which is the whole one where a counterexample can be
            if any(is_counterexample(self.query, point, k) for k in range(self.query.disjuncts)):
                result.counterexample, result.how = point, not_reproduced(self.run.replay)
            else:
                result.how = "numerics: an exact point of the reduced network that the whole one does not confirm"
        return result

    def _only_attack(self) -> Answer:
        """Nothing can be proved: look for a counterexample in parts of the input set that grow from 0."""
        for reach in REACHES:
            if self.limits.exceeded() or self._attack(QUICK_STARTS, STEPS, 8 * QUICK_STARTS, reach=reach):
                break
        if not self._decided:
            self.result.how = self.limits.exceeded() or BEYOND
        return self.result

    @property
    def _inherited(self) -> LinearBoundOptions:
        """Margins from the hidden bounds that are known."""
        return LinearBoundOptions(hidden=False, deadline=self.limits.deadline)

    @property
    def _decided(self) -> bool:
        return self.result.holds or self.result.witness is not None

    def _holds(self, how: str, bound: float = POSITIVE) -> Answer:
        self.result.holds, self.result.how, self.result.bound = True, how, bound
        return self.result

    def _bound_root(self, batch: Batch) -> Batch:
        """The root with its bounds, empty where they close it; the result's bound is set."""
        started = time.monotonic()
        bounds = self.run.bound(self.query, batch)
        self.root_seconds = time.monotonic() - started
        self.result.statistics["nodes"] += 1
        whole = batch
        batch, _, closing = still_open(self.query, whole, bounds)
        self.run.record.bounded(self.query, whole, bounds)
        alone = len(self.query.starts) == self.query.rows + 1  # else rows of a disjunct were tested together
        self.result.bound = float(batch.margin[0]) if len(batch) else closing if alone else POSITIVE
        return batch

    def _stage(self, stage: Stage, known: Facts) -> None:
        seconds = min(stage.most, stage.share * self.limits.remaining)
        if stage.name == "attack":
            self._attack_rounds(seconds, known)
        elif stage.name == "split":
            self._split(stage, known, seconds)
        elif stage.name == "slopes":
            self._slopes(seconds)
        elif stage.name == "groups":
            self._groups(seconds)
        elif stage.name == "milp":
            self._milp(seconds)

    def _attack(
        self, starts: int, steps: int, points: int, quasi: bool = False, reach: float = np.inf
    ) -> bool:
        try:
            self.result.witness = self.run.attack_root(starts, steps, points, quasi, reach)
        except MemoryError as error:  # no attack: the bounds may need less
            LOG.info("attack left out: %s", error)
        self.result.how = "attack"
        return self.result.witness is not None

    def _attack_rounds(self, seconds: float, known: Facts) -> None:
        """Rounds of growing size, as long as the next one is likely to end in time."""
        end = time.monotonic() + seconds
        few = known.open_inputs <= FEW_INPUTS
        most = int(np.clip(STARTS_WORK / (STEPS * known.weights), 16, FEW_STARTS if few else 2048))
        starts, took = min(most, FIRST_STARTS), 0.0
        for number in range(FEW_ROUNDS if few else MOST_ROUNDS):
            left = end - time.monotonic()
            if left <= took:
                break
            points = max(4 * starts, min(8192, int(POINTS_WORK / known.weights)) if few else 0)
            # spread-out starts in every second round, where there is time to import scipy's sampler
            if self._attack(starts, STEPS, points, quasi=number % 2 == 1 and left > SOBOL_SECONDS):
                break
            took, grown = time.monotonic() - end + left, min(2 * starts, most)
            took, starts = took * grown / starts, grown

    def _split(self, stage: Stage, known: Facts, seconds: float) -> None:
        if stage.rule in PHASE_RULES and known.piecewise_linear:
            self._split_phases(seconds, stage.rule)
        else:
            self._split_inputs(stage, known, seconds)

    def _split_phases(self, seconds: float, rule: str) -> None:
        """Phases of ReLUs, where there are many inputs."""
        from .stages.phase_search import PhaseSearch

        if self.phases is None:
            bounds = bound(self.query, self.batch, self._inherited)
            self.batch.duty &= ~(self.query.per_disjunct(bounds.margins) > 0.0)
            milp = self.options.method == "auto"
            self.phases = PhaseSearch(
                self.query, self.batch, self.run, self.options, self.ascent_seconds, rule, milp, self.rows
            )
        outcome = self.phases.search(time.monotonic() + seconds, self.report)
        self._count(outcome)
        kind = "refreshed" if self.phases.run.refresh else "inherited"
        LOG.info("phases, %s bounds: %d nodes, depth %d, %d open", kind, outcome.nodes, outcome.deepest,
                 len(self.phases.frontier))  # fmt: skip
        if outcome.closed and not self.stuck:
            self._holds(self._with_exact(self.phases.proof))

    def _with_exact(self, how: str) -> str:
        """What a proof by search rests on, where some nodes were closed in exact arithmetic."""
        exact = self.run.exact.statistics["exact"] and how != SCIP_FLOAT
        return f"{how}, {EXACT}" if exact else how

    def _count(self, outcome: Outcome) -> None:
        """Take an outcome of a search into the result."""
        statistics = self.result.statistics
        statistics["nodes"] += outcome.nodes
        statistics["depth"] = max(statistics["depth"], outcome.deepest)
        self.stuck += sum(len(b) for b in outcome.stuck)
        self.torn |= outcome.torn
        numerics = f"numerics: {self.stuck} nodes that no float decides; {self.run.exact.left}" if self.stuck else ""
        self.stopped = outcome.stopped or numerics
        self.result.witness, self.result.how = outcome.witness, "search"

    def _split_inputs(self, stage: Stage, known: Facts, seconds: float) -> None:
        end = time.monotonic() + seconds
        few = known.open_inputs <= FEW_INPUTS and known.weights <= MOST_FUNCTIONS
        # a recorder hears one round at a time
        workers = 1 if self.options.picture else self.options.jobs
        run = replace(
            self.run, rule=stage.rule, threads=self.options.jobs // workers,
            means=few and stage.rule in ("inputs", "rows", "rows-composed"),
            hidden=few or self.root_seconds < QUICK_BOUND,
        )  # fmt: skip

        def stop(nodes: int, seconds: float) -> str:
            over = self.limits.exceeded(nodes, seconds) or run.exact.found
            return over or ("its share of time" if time.monotonic() >= end else "")

        steps = Steps(
            run.bound, run.attack, run.clip_step, run.close, run.split, stop,
            self.options.batch or batch_size(known, self.query), self.report, run.record,
            workers, lambda: min(end - time.monotonic(), self.limits.remaining), node_mb(self.query, run.means),
            settle=run.settle,
        )  # fmt: skip
        outcome = search(self.query, self.frontier, steps)
        self._count(outcome)
        if outcome.closed and not self.stuck:
            self._holds(self._with_exact(SPLITS))

    def _slopes(self, seconds: float) -> None:
        """Hidden neurons' bounds at the root by optimised slopes."""
        from ..encodings.slopes.optimised_bounds import OptimiseOptions, tighten

        started = time.monotonic()
        deadline = started + seconds
        known = bound(self.query, self.batch, replace(self._inherited, conjunctions=True))
        options = OptimiseOptions(iterations=ROOT_ASCENT, conjunctions=True, deadline=deadline)
        bounds = tighten(self.query, self.batch, known, options)
        self.ascent_seconds = time.monotonic() - started
        before, after = (self._unstable(b.pre_lower, b.pre_upper) for b in (known, bounds))
        batch, _, _ = still_open(self.query, self.batch, bounds)
        LOG.info("slopes: bound %.6g, %d of %d unstable ReLUs left", bounds.margins.min(), after, before)
        if not len(batch):
            self._holds(OPTIMISED)
            return
        self.batch, self.frontier = batch, Frontier(batch)

    def _unstable(self, lower: Array, upper: Array) -> int:
        return int(((lower < 0.0) & (upper > 0.0) & self.query.relu).any(axis=0).sum())

    def _groups(self, seconds: float) -> None:
        """Disjuncts closed by multi-neuron rows at the root; tighter hidden bounds stay."""
        from .stages.groups import LAYERWISE, close_by_groups
        from .stages.root_rows import refine_root

        bounds = bound(self.query, self.batch, self._inherited)
        few = self._unstable(self.batch.pre_lower, self.batch.pre_upper) <= LAYERWISE
        outcome = (
            close_by_groups(self.query, self.batch.node(0), bounds, seconds) if few
            else refine_root(self.query, self.batch, bounds, seconds)
        )  # fmt: skip
        left = [k for k in open_disjuncts(self.query, bounds.margins[0]) if k not in outcome.closed]
        if outcome.empty or not left:
            self._holds(GROUPS)
            return
        if outcome.points:
            self.result.witness, self.result.how = self.run.check(np.array(outcome.points)), GROUPS
        self.batch.pre_lower, self.batch.pre_upper = outcome.node.pre_lower[None], outcome.node.pre_upper[None]
        self.batch.duty[0, outcome.closed] = False
        self.frontier, self.phases, self.rows = Frontier(self.batch), None, outcome.pool

    def _milp(self, seconds: float) -> None:
        """SCIP on the root's open disjuncts."""
        from .stages.milp import close_by_milp

        end = time.monotonic() + seconds
        bounds = bound(self.query, self.batch, self._inherited)
        open_now = [k for k in open_disjuncts(self.query, bounds.margins[0]) if self.batch.duty[0, k]]
        outcome = close_by_milp(
            self.query, self.batch.node(0), open_now, lambda: end - time.monotonic(), self.options, self.run.check
        )
        self.result.witness, self.result.how = outcome.witness, "milp"
        self.result.statistics["scip_nodes"] += outcome.nodes
        self.result.statistics["scip_runs"] += outcome.questions
        for name, count in outcome.counts.items():
            self.result.statistics[f"conflict_{name}"] += count
        self.stopped = outcome.reason
        if outcome.point is not None and not outcome.witness:
            self.result.witness = self.run.exact.take(self.query, outcome.point, self.run.check, end)
        elif not outcome.left and not outcome.witness:
            self._holds(SCIP_FLOAT if outcome.trusted else CONFLICTS)
