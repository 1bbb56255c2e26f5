"""One query from its root to its answer: the stages of the policy, one after another, on one tree.

Stages that many queries never reach are imported when they begin: they take as long as an easy query.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from ...encodings.linear.linear_bounds import smallest_margins
from ...encodings.linear.number_range import BEYOND, in_range, outside_domains
from ...heuristics.policy import Facts, Stage, asks_scip, begin_again, facts, plan
from ...heuristics.splits.rules import PHASE_RULES
from ...instances.judges.replay import Witness
from ...instances.query import Query
from ..closers.exact_step import not_reproduced
from ..run.budget import Budget
from ..run.limits import INTERRUPTIONS, LimitReached
from ..steps.inputs import InputSteps
from ..tree.evidence import Evidence
from ..tree.search import sift
from ..tree.tree import Round
from .attack import attack_everywhere, attack_quickly
from .work import Work

__all__ = ["Answer", "answer", "stage_of"]

LOG = logging.getLogger(__name__)


@dataclass(eq=False)
class Answer:
    """What became of one query."""

    witness: Witness | None = None
    holds: bool = False
    reason: str = ""  # what found the witness, or why the query is open
    bound: float = -np.inf  # proved lower bound of the worst margin
    evidence: Counter[Evidence] = field(default_factory=Counter)  # nodes, and disjuncts refuted at the root
    statistics: Counter[str] = field(default_factory=Counter)
    counterexample: tuple[Fraction, ...] | None = None  # of the real-valued network, which no replay confirms


def answer(work: Work, query: Query) -> Answer:
    """Attack, bound the root, then go through the stages until one decides or the time is over.

    query: as it was asked; a tree of an earlier run may know a reduced one. Such a tree goes on where it was left.
    """
    try:
        _decide(work)
    except MemoryError as error:  # told before anything was allocated
        LOG.info("stopped: %s", error)
        work.stopped = "memory"
    except LimitReached as stop:
        work.stopped = stop.reason
        work.tree.recall()
    return _answered(work, query)


def _decide(work: Work) -> None:
    if work.tree.closed or (work.facts is None and not _begun(work)):
        return
    known, options = work.facts, work.options
    assert known is not None
    if work.helpers is not None:
        work.helpers.expect()
    stages = plan(known, options.method, options.rule, options.rows)
    first = begin_again(stages, work.stage, work.kept is not None) if work.again else 0
    for number, stage in enumerate(stages[first:], start=first):
        if work.limits.exceeded():
            break
        started, work.stage = time.monotonic(), number
        most = stage.seconds(work.limits.elapsed)
        stage_of(stage, known)(work, stage, Budget(work.limits).part(stage.share_of(work.limits.remaining), most))
        if work.only_stuck and asks_scip(options.closing, options.method):
            from .stuck import close_stuck

            last = number == len(stages) - 1
            close_stuck(work, Budget(work.limits).part(1.0 if last else work.efforts.stuck.share))
        LOG.info("stage %s %s (%s): %.2f s, %s", stage.name, stage.rule, stage.why, time.monotonic() - started,
                 "decided" if work.decided else f"open, {work.stopped}")  # fmt: skip
        work.report(work.tree)
        if work.decided or work.stopped in INTERRUPTIONS or work.exact.found or work.stop(work.tree):
            break


def _begun(work: Work) -> bool:
    """A first look and the root's bounds; whether there is more to do."""
    if attack_quickly(work):
        return False
    if not in_range(work.query):
        work.stopped = BEYOND
        attack_everywhere(work)
        return False
    _bound_root(work)
    if work.tree.closed:
        return False
    work.facts = facts(work.query, work.tree.root)
    work.counts["unstable"] = work.facts.unstable
    LOG.info("root: bound %.6g, %s", work.tree.margin, work.facts)
    return True


def stage_of(stage: Stage, known: Facts) -> Callable[[Work, Stage, Budget], None]:
    """The function of a stage, imported now."""
    if stage.name == "attack":
        from .attack import attack as run
    elif stage.name == "slopes":
        from .slopes import slopes as run
    elif stage.name == "groups":
        from .rows import rows as run
    elif stage.name == "milp":
        from .milp import milp as run
    elif stage.name != "split":
        raise ValueError(f"stage {stage.name!r}: expected attack, slopes, groups, milp or split")
    elif stage.rule in PHASE_RULES and known.piecewise_linear:
        from .split_phases import split_phases as run
    else:
        from .split_inputs import split_inputs as run
    return run


def _bound_root(work: Work) -> None:
    """The root with its bounds; it ends where they close it."""
    started, tree = time.monotonic(), work.tree
    steps = InputSteps(work.query, work.candidates, work.exact, threads=work.options.jobs, kernel=work.options.kernel)
    taken, found = tree.take(1), Round()
    nodes, bounds = steps.bound(taken)
    nodes, _ = sift(work.query, nodes, bounds, Evidence.LINEAR, found)
    found.open.append(nodes)
    tree.give(taken, found)
    if len(nodes):
        tree.root = nodes
    else:
        # rows tested together tell the sign only
        alone = bounds.together is None or not bounds.together[0]
        tree.root.margin = smallest_margins(work.query, bounds) if alone else np.zeros(1)
    work.root_seconds = time.monotonic() - started


def _answered(work: Work, query: Query) -> Answer:
    """The account of the tree."""
    tree = work.tree
    result = Answer(work.witness, work.witness is None and tree.closed, work.found_by, evidence=tree.evidence)
    result.statistics = Counter(
        nodes=tree.size, open_nodes=tree.count_open, stuck_nodes=tree.count_stuck, depth=tree.deepest
    )
    result.statistics.update(work.counts)
    result.statistics.update(work.exact.statistics)
    margin = float(tree.root.margin[0])
    if result.holds:
        # by search only the sign is known: of parts that were clipped away, and of rows tested together
        result.bound = max(0.0, margin)
    elif not result.witness:
        result.bound = max(margin, tree.margin)
        interrupted = work.stopped if work.stopped in INTERRUPTIONS else ""
        result.reason = interrupted or work.limits.exceeded() or work.stopped or "no stage decided"
        if interrupted in ("", "time") and (where := outside_domains(work.query, tree.root.node(0))):
            result.reason += f"; {where}"
        if point := work.exact.counterexample:
            from ..closers.exact_closing import is_counterexample

            # trees of phases know a reduced network, which is the whole one where a counterexample can be
            if any(is_counterexample(query, point, k) for k in range(query.disjuncts)):
                result.counterexample = query.lifted_exactly(point)
                result.reason = not_reproduced(work.candidates.replay)
            else:
                result.reason = "numerics: an exact point of the reduced network that the whole one does not confirm"
    return result
