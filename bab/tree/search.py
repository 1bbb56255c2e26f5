"""The search: one loop over one tree of half-spaces and phases.

The steps are handed in; the loop knows neither relaxation nor heuristic. A node leaves the tree only because a step
proved it closed; one that no step can close or split is kept aside, and forbids the verdict `unsat`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition, Thread

import numpy as np

from ...encodings.linear.linear_bounds import Bounds, smallest_margins
from ...heuristics.splits.splits import Splits
from ...instances import memory
from ...instances.batch import Batch
from ...instances.judges.replay import Witness
from ...instances.query import Query
from ..run.limits import cause
from .branching import children
from .frontier import Frontier
from .trace import End, Recorder

__all__ = ["Outcome", "Steps", "search"]

LEAST_ROUND = 0.1  # seconds that a round may take even where no more are left
ROUNDS = 2  # from which on the time of a node is foreseen
FEWEST = 16  # nodes that a worker takes where there are so many, and the others wait
BoundStep = Callable[[Query, Batch], Bounds]  # proves bounds of every node of the batch
AttackStep = Callable[[Query, Batch, Bounds], Witness | None]  # looks for a counterexample in and around the nodes
# [B] bounds by costlier means: > 0 closes, NaN gives the node up
CloseStep = Callable[[Query, Batch, Bounds], tuple[np.ndarray, Witness | None]]
SplitStep = Callable[[Query, Batch, Bounds], Splits]  # one split a node, or none where nothing can be split
ClipStep = Callable[[Query, Batch, Bounds], tuple[Batch, np.ndarray]]  # smaller regions, [B] bool: nothing left
# given the nodes so far and the seconds that the next one takes at least, the reason to stop now, "" for none
StopTest = Callable[[int, float], str]


@dataclass(frozen=True)
class Steps:
    """The seams of the search."""

    bound: BoundStep
    attack: AttackStep
    clip: ClipStep
    close: CloseStep
    split: SplitStep
    stop: StopTest
    batch: int  # nodes to take at a time
    report: Callable[[int, Frontier], None] = lambda nodes, frontier: None  # progress: nodes bounded, what is open
    record: Recorder = Recorder()  # hears what becomes of every node; with one worker only
    workers: int = 1  # threads
    left: Callable[[], float] = lambda: math.inf  # seconds
    node_mb: float = 0.0  # MB that a round needs for a node
    half_spaces: bool = True  # phases of the first layer are carried as half-spaces, too
    settle: CloseStep | None = None  # the last resort for nodes that no float can split: NaN gives them up


@dataclass(eq=False)
class Outcome:
    """Where a search ended: with a witness, with nothing left open, or stopped for a reason."""

    witness: Witness | None = None
    stopped: str = ""  # reason, "" when the frontier was emptied
    nodes: int = 0  # bounded
    deepest: int = 0
    torn: bool = False  # interrupted: the frontier may lack nodes that are open
    stuck: list[Batch] = field(default_factory=list)  # nodes that could neither be closed nor split

    @property
    def closed(self) -> bool:
        """Every node was proved closed."""
        return self.witness is None and not self.stopped and not self.stuck

    def add(self, more: Outcome) -> None:
        """Take in what another round brought."""
        self.witness, self.stopped = self.witness or more.witness, self.stopped or more.stopped
        self.nodes, self.deepest = self.nodes + more.nodes, max(self.deepest, more.deepest)
        self.stuck, self.torn = self.stuck + more.stuck, self.torn or more.torn


def search(query: Query, frontier: Frontier, steps: Steps) -> Outcome:
    """Work on the frontier until it is empty, a witness is found, or `steps.stop` says so; it keeps what is open.

    When interrupted it returns at once: what others still work on is then missing from the frontier (Outcome.torn).
    With several workers each takes a batch of its own. A node's children depend on the node alone, so the tree is the
    same in whatever order its nodes are taken.
    """
    crew = _Crew(query, frontier, steps)
    others = [Thread(target=crew.work, daemon=True) for _ in range(steps.workers - 1)]
    for thread in others:
        thread.start()
    try:
        crew.work()
    except KeyboardInterrupt as stop:  # while waiting for the others
        crew.interrupt(cause(stop))
    for thread in others:
        if not crew.outcome.torn:  # else they end with their rounds, for nobody
            thread.join()
    if crew.error:
        raise crew.error
    return crew.outcome


class _Crew:
    """Threads that take batches off one frontier and give the children back."""

    def __init__(self, query: Query, frontier: Frontier, steps: Steps) -> None:
        self.query, self.frontier, self.steps = query, frontier, steps
        self.outcome = Outcome()
        self.error: BaseException | None = None
        self.change = Condition()  # of the frontier, the outcome and who is busy
        self.busy = 0
        self.pace = 0.0  # seconds that a node took in the last round
        self.least, self.rounds = math.inf, 0  # least pace so far: the first rounds have more to set up

    def work(self) -> None:
        """Rounds until nothing is left to do."""
        while (batch := self._take()) is not None:
            done, error, started = Outcome(), None, time.monotonic()
            try:
                both = _round(self.query, batch, self.steps, done)
            except BaseException as raised:  # noqa: BLE001  kept for the thread that called
                both, error = batch, raised
            self.pace = (time.monotonic() - started) / len(batch)
            self.least, self.rounds = min(self.least, self.pace), self.rounds + 1
            self._give(both, done, error)

    def interrupt(self, reason: str) -> None:
        """Let every thread end with its round."""
        with self.change:
            self.outcome.stopped, self.outcome.torn = self.outcome.stopped or reason, True
            self.change.notify_all()

    def _take(self) -> Batch | None:
        with self.change:
            while True:
                over = self.outcome.witness or self.outcome.stopped or self.error
                if not over and len(self.frontier):
                    foreseen = self.least if self.rounds >= ROUNDS else 0.0
                    self.outcome.stopped = self.steps.stop(self.outcome.nodes, foreseen)
                    over = self.outcome.stopped
                if over or not (self.busy or len(self.frontier)):
                    self.change.notify_all()
                    return None
                fit = memory.room_mb() / (self.steps.node_mb * self.steps.workers + 1e-9)
                if len(self.frontier) and fit < 1.0:
                    self.outcome.stopped = "memory"
                    continue
                if len(self.frontier):
                    self.busy += 1
                    fair = -(-len(self.frontier) // self.steps.workers)
                    # near the end a round gets no more nodes than it has time for
                    quick = max(self.steps.left(), LEAST_ROUND) / max(self.pace, 1e-9)
                    return self.frontier.pop(max(1, int(min(self.steps.batch, quick, fit, max(fair, FEWEST)))))
                self.change.wait()

    def _give(self, both: Batch, done: Outcome, error: BaseException | None) -> None:
        with self.change:
            self.busy -= 1
            self.frontier.push(both)
            if isinstance(error, KeyboardInterrupt):
                done.stopped, done.torn = cause(error), True
            elif error:
                self.error = error
            self.outcome.add(done)
            self.steps.report(self.outcome.nodes, self.frontier)
            self.change.notify_all()


def _round(query: Query, batch: Batch, steps: Steps, outcome: Outcome) -> Batch:
    """Bound, attack, clip, close and split one batch; returns its children."""
    bounds = steps.bound(query, batch)
    outcome.nodes = len(batch)
    outcome.deepest = int(batch.depth.max())
    whole, proved = batch, bounds
    batch, bounds, _ = still_open(query, whole, proved)
    steps.record.bounded(query, whole, proved)
    if not len(batch):
        return batch
    outcome.witness = steps.attack(query, batch, bounds)
    if outcome.witness:
        return batch
    batch, empty = steps.clip(query, batch, bounds)
    steps.record.ended(batch, empty, End.CLIPPED)
    batch, bounds = batch[~empty], bounds[~empty]
    lowest, outcome.witness = steps.close(query, batch, bounds)
    batch, bounds = _sort_out(batch, bounds, lowest, steps, outcome)
    if outcome.witness or not len(batch):
        return batch
    splits = steps.split(query, batch, bounds)
    if splits.missing.any():
        _settle(query, batch[splits.missing], bounds[splits.missing], steps, outcome)
    both = children(query, batch, splits, steps.half_spaces)
    steps.record.split(batch, splits, both)
    return both


def _settle(query: Query, batch: Batch, bounds: Bounds, steps: Steps, outcome: Outcome) -> None:
    """The last resort for nodes that no float can split; those that it does not close are given up."""
    proved = np.full(len(batch), np.nan)
    if steps.settle:
        proved, outcome.witness = steps.settle(query, batch, bounds)
    _sort_out(batch, bounds, proved, steps, outcome)


def _sort_out(
    batch: Batch, bounds: Bounds, proved: np.ndarray, steps: Steps, outcome: Outcome
) -> tuple[Batch, Bounds]:
    """Put aside what `proved` closes (> 0) or gives up on (NaN); what is left goes on."""
    closed, hopeless = proved > 0.0, np.isnan(proved)
    steps.record.ended(batch, closed, End.REGION)
    steps.record.ended(batch, hopeless, End.GIVEN_UP)
    if hopeless.any():
        outcome.stuck.append(batch[hopeless])
    return batch[~closed & ~hopeless], bounds[~closed & ~hopeless]


def still_open(query: Query, batch: Batch, bounds: Bounds) -> tuple[Batch, Bounds, float]:
    """Nodes that their bounds do not close, with what was proved written into them, and the lowest closing bound."""
    batch.pre_lower, batch.pre_upper = bounds.pre_lower, bounds.pre_upper
    batch.margin = np.fmax(batch.margin, smallest_margins(query, bounds))
    keep = ~(batch.margin > 0.0)
    return batch[keep], bounds[keep], float(batch.margin[~keep].min(initial=np.inf))
