"""The search: one loop over one tree of half-spaces and phases.

The steps are handed in; the loop knows neither relaxation nor heuristic. A node leaves the tree only because a step
proved it closed; one that no step can close or split is kept aside, and forbids the verdict `unsat`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ...encodings.linear.linear_bounds import Bounds, smallest_margins
from ...heuristics.splits.splits import Splits
from ...instances import memory
from ...instances.batch import Batch
from ...instances.judges.replay import Witness
from ...instances.network import Array
from ...instances.query import Query
from ..run.budget import Budget
from ..run.limits import cause
from .branching import children
from .crew import run_crew
from .evidence import Evidence, State
from .tree import Round, Tree

__all__ = ["Closing", "Outcome", "Pace", "Steps", "search", "sift"]

LEAST_ROUND = 0.1  # seconds that a round may take even where no more are left
ROUNDS = 2  # from which on the time of a node is foreseen
FEWEST = 16  # nodes that a worker takes where there are so many, and the others wait


@dataclass(eq=False)
class Closing:
    """What a step found out about B nodes beyond their bounds."""

    kinds: Array  # [B] int8: an Evidence that ends the node, State.STUCK to give it up, State.OPEN to go on
    duty: Array  # [B, disjuncts] what is left to refute
    witness: Witness | None = None

    @staticmethod
    def nothing(batch: Batch) -> Closing:
        """Every node goes on."""
        return Closing(np.full(len(batch), State.OPEN, dtype=np.int8), batch.duty.copy())


class Steps(Protocol):
    """The seams of the search. None of them changes the batch that it is given."""

    query: Query
    evidence: Evidence  # of nodes that `bound` closes
    half_spaces: bool  # whether phases of the first layer are carried as half-spaces, too

    def bound(self, batch: Batch) -> tuple[Batch, Bounds]:
        """Proved bounds of every node, and the nodes with what else was learnt."""
        ...

    def attack(self, batch: Batch, bounds: Bounds) -> Witness | None:
        """A counterexample in or around the nodes."""
        ...

    def clip(self, batch: Batch, bounds: Bounds) -> tuple[Batch, Array]:
        """Smaller regions; [B] bool: nothing left."""
        ...

    def close(self, batch: Batch, bounds: Bounds) -> Closing:
        """Costlier means."""
        ...

    def split(self, batch: Batch, bounds: Bounds) -> Splits:
        """One split a node, or none where nothing can be split."""
        ...

    def settle(self, batch: Batch, bounds: Bounds) -> Closing:
        """The last resort for nodes without a split; what goes on from here is given up."""
        ...


@dataclass(frozen=True, eq=False)
class Pace:
    """How much at a time, by how many, and for how long."""

    budget: Budget
    batch: int  # nodes to take at a time
    workers: int = 1  # threads
    node_mb: float = 0.0  # MB that a round needs for a node
    stop: Callable[[], str] = lambda: ""  # another reason to stop, "" for none
    report: Callable[[Tree], None] = lambda tree: None  # progress


@dataclass(eq=False)
class Outcome:
    """Where a search ended: with a witness, stopped for a reason, or with nothing left open."""

    witness: Witness | None = None
    stopped: str = ""  # reason, "" when nothing is open


def search(tree: Tree, steps: Steps, pace: Pace) -> Outcome:
    """Work on the tree until nothing is open, a witness is found, or the budget says so.

    When interrupted it returns at once: what others still work on is open again. With several workers each takes a
    batch of its own. A node's children depend on the node alone, but for what an ascent on slopes makes of roundings:
    sums are rounded otherwise beside other nodes, and, where the input set is split, in a `Skeleton` that other nodes
    were the first to need. So the tree is the same in whatever order its nodes are taken, or by slopes another one that
    proves the same; over phases, one node at a time, it is the same by slopes, too.
    """
    source = _Nodes(tree, steps, pace)
    try:
        run_crew(source, pace.workers)
    except KeyboardInterrupt as stop:
        tree.recall()
        source.outcome.stopped = cause(stop)
    source.outcome.stopped = source.outcome.stopped or tree.open.lost_nodes
    return source.outcome


class _Nodes:
    """A crew's source: batches of open nodes, whose children come back."""

    def __init__(self, tree: Tree, steps: Steps, pace: Pace) -> None:
        self.tree, self.steps, self.pace = tree, steps, pace
        self.outcome = Outcome()
        self.seconds = 0.0  # that a node took in the last round
        self.least, self.rounds = math.inf, 0  # least seconds so far: the first rounds have more to set up

    def over(self) -> bool:
        """A reason to stop, if there is anything to do."""
        outcome, pace = self.outcome, self.pace
        self.tree.open.cool()
        if not (outcome.witness or outcome.stopped) and len(self.tree.open):
            foreseen = self.least if self.rounds >= ROUNDS else 0.0
            outcome.stopped = pace.budget.exceeded(self.tree.size, foreseen) or pace.stop()
            if not outcome.stopped and memory.room_mb() < pace.node_mb * pace.workers:
                outcome.stopped = "memory"
        return bool(outcome.witness or outcome.stopped)

    def take(self) -> Batch | None:
        """As many nodes as are fair, fit, and have time; near the end a round gets fewer."""
        pace = self.pace
        self.tree.open.warm(1)  # what is lost is no work
        if not len(self.tree.open):
            return None
        fit = memory.room_mb() / (pace.node_mb * pace.workers + 1e-9)
        fair = -(-len(self.tree.open) // pace.workers)
        quick = max(pace.budget.left, LEAST_ROUND) / max(self.seconds, 1e-9)
        return self.tree.take(max(1, int(min(pace.batch, quick, fit, max(fair, FEWEST)))))

    def do(self, batch: Batch) -> Round:
        """Bound, attack, clip, close and split."""
        started = time.monotonic()
        found = _round(self.steps, replace(batch))
        self.seconds = (time.monotonic() - started) / len(batch)
        self.least, self.rounds = min(self.least, self.seconds), self.rounds + 1
        return found

    def give(self, batch: Batch, found: Round) -> None:
        """The tree writes it down."""
        self.tree.give(batch, found)
        self.outcome.witness = self.outcome.witness or found.witness
        self.pace.report(self.tree)

    def put_back(self, batch: Batch) -> None:
        """After an exception."""
        self.tree.put_back(batch)


def _round(steps: Steps, batch: Batch) -> Round:
    """What becomes of one batch."""
    done = Round()
    batch, bounds = sift(steps.query, *steps.bound(batch), steps.evidence, done)
    if not len(batch):
        return done
    done.witness = steps.attack(batch, bounds)
    if not done.witness:
        batch, empty = steps.clip(batch, bounds)
        done.end(batch, empty, Evidence.CLIPPED)
        batch, bounds = _sort_out(batch[~empty], bounds[~empty], steps.close, done)
    if done.witness or not len(batch):
        done.open.append(batch)
        return done
    splits = steps.split(batch, bounds)
    if (missing := splits.missing).any():
        left, _ = _sort_out(batch[missing], bounds[missing], steps.settle, done)
        (done.open if done.witness else done.stuck).append(left)
    done.split = batch[~missing], splits[~missing], children(steps.query, batch, splits, steps.half_spaces)
    return done


def sift(query: Query, batch: Batch, bounds: Bounds, evidence: Evidence, done: Round) -> tuple[Batch, Bounds]:
    """Nodes that their bounds leave open, with what was proved written into them; the others end in `done`.

    What a node need not refute counts as refuted.
    """
    if not batch.duty.all():
        excused = np.repeat(~batch.duty, np.diff(query.starts), axis=1)
        bounds.margins = np.where(excused, np.inf, bounds.margins)
    margin = np.fmax(batch.margin, smallest_margins(query, bounds))
    batch = replace(batch, pre_lower=bounds.pre_lower, pre_upper=bounds.pre_upper, margin=margin)
    closed = margin > 0.0
    kinds = np.full(len(batch), evidence, dtype=np.int8)
    if bounds.together is not None:
        kinds[bounds.together] = Evidence.TOGETHER
    if bounds.certified is not None:
        kinds[bounds.certified] = Evidence.CERTIFICATE
    kinds[bounds.infeasible] = Evidence.EMPTY
    done.end(batch, closed, kinds)
    return batch[~closed], bounds[~closed]


def _sort_out(
    batch: Batch, bounds: Bounds, close: Callable[[Batch, Bounds], Closing], done: Round
) -> tuple[Batch, Bounds]:
    """Put aside what `close` ends or gives up on; what is left goes on."""
    if not len(batch):
        return batch, bounds
    closing = close(batch, bounds)
    done.witness = closing.witness
    batch = replace(batch, duty=closing.duty)
    ended, hopeless = closing.kinds >= min(Evidence), closing.kinds == State.STUCK
    done.end(batch, ended, closing.kinds)
    if hopeless.any():
        done.stuck.append(batch[hopeless])
    goes_on = ~ended & ~hopeless
    return batch[goes_on], bounds[goes_on]
