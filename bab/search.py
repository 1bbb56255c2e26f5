"""The search: one loop over one tree of half-spaces and phases.

The steps are handed in; the loop knows neither relaxation nor heuristic. A node leaves the tree only because a step
proved it closed; one that no step can close or split is kept aside, and forbids the verdict `unsat`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..encodings.linear_bounds import Bounds, smallest_margins
from ..heuristics.splits import Splits
from ..instances.batch import Batch
from ..instances.query import Query
from ..instances.replay import Witness
from .branching import children
from .frontier import Frontier
from .trace import End, Recorder

__all__ = ["Outcome", "Steps", "search"]

BoundStep = Callable[[Query, Batch], Bounds]  # proves bounds of every node of the batch
AttackStep = Callable[[Query, Batch, Bounds], Witness | None]  # looks for a counterexample in and around the nodes
# [B] bounds by costlier means: > 0 closes, NaN gives the node up
CloseStep = Callable[[Query, Batch, Bounds], tuple[np.ndarray, Witness | None]]
SplitStep = Callable[[Query, Batch, Bounds], Splits]  # one split a node, or none where nothing can be split
ClipStep = Callable[[Query, Batch, Bounds], tuple[Batch, np.ndarray]]  # smaller regions, [B] bool: nothing left
StopTest = Callable[[int], str]  # given the nodes so far, the reason to stop now, "" for none


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
    record: Recorder = Recorder()  # hears what becomes of every node


@dataclass(eq=False)
class Outcome:
    """Where a search ended: with a witness, with nothing left open, or stopped for a reason."""

    witness: Witness | None = None
    stopped: str = ""  # reason, "" when the frontier was emptied
    nodes: int = 0  # bounded
    deepest: int = 0
    stuck: list[Batch] = field(default_factory=list)  # nodes that could neither be closed nor split

    @property
    def closed(self) -> bool:
        """Every node was proved closed."""
        return self.witness is None and not self.stopped and not self.stuck


def search(query: Query, frontier: Frontier, steps: Steps) -> Outcome:
    """Work on the frontier until it is empty, a witness is found, or `steps.stop` says so; it keeps what is open."""
    outcome = Outcome()
    while len(frontier):
        if reason := steps.stop(outcome.nodes):
            outcome.stopped = reason
            break
        batch = frontier.pop(steps.batch)
        try:
            outcome.witness = _round(query, frontier, batch, steps, outcome)
        except KeyboardInterrupt:
            frontier.push(batch)
            outcome.stopped = "interrupted"
            break
        if outcome.witness:
            break
        steps.report(outcome.nodes, frontier)
    return outcome


def _round(query: Query, frontier: Frontier, batch: Batch, steps: Steps, outcome: Outcome) -> Witness | None:
    """Bound, attack, clip, close and split one batch; its children go onto the frontier."""
    bounds = steps.bound(query, batch)
    outcome.nodes += len(batch)
    outcome.deepest = max(outcome.deepest, int(batch.depth.max()))
    whole, proved = batch, bounds
    batch, bounds, _ = still_open(query, whole, proved)
    steps.record.bounded(query, whole, proved)
    if not len(batch):
        return None
    if witness := steps.attack(query, batch, bounds):
        return witness
    batch, empty = steps.clip(query, batch, bounds)
    steps.record.ended(batch, empty, End.CLIPPED)
    batch, bounds = batch[~empty], bounds[~empty]
    lowest, witness = steps.close(query, batch, bounds)
    batch, bounds = _sort_out(batch, bounds, lowest, steps, outcome)
    if witness or not len(batch):
        return witness
    splits = steps.split(query, batch, bounds)
    if splits.missing.any():
        outcome.stuck.append(batch[splits.missing])
        steps.record.ended(batch, splits.missing, End.GIVEN_UP)
    both = children(query, batch, splits)
    steps.record.split(batch, splits, both)
    frontier.push(both)
    return None


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
