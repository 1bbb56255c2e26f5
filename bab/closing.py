"""Closing nodes by solvers: an LP where every ReLU's phase is fixed, SCIP's MILP for whole queries or leaves.

A node without unstable ReLUs is an activation region: the network is affine there (Singla and Feizi 2019) and one LP
per open disjunct decides it; its safe dual bound closes the node, its optimum is a candidate. SCIP closes only by
`refuted`, with the forbidden rows relaxed by a margin; such verdicts are marked `scip-float`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Event, Lock

import numpy as np

from ..encodings.activation_region import activation_region
from ..encodings.bounds import Bounds
from ..encodings.region_lp import minimise_over_region
from ..heuristics.hyperplanes import first_layers
from ..instances.batch import Batch, Node
from ..instances.network import Array
from ..instances.query import Query
from ..instances.replay import Witness
from .options import Options

__all__ = ["MilpOutcome", "close_by_milp", "close_regions", "open_disjuncts"]

LOG = logging.getLogger(__name__)
TOUCHING = 1e-9  # share of the margins' size below which an affine region's negative bound is only rounding
SNAP = 1e-6  # relative distance within which an LP's coordinate is taken for the end of its interval
FIRST_SHARE = 0.25  # of a disjunct's fair share of the time, in the first round over several
LEAST_SLICE = 0.05  # seconds below which SCIP is not asked
REGION_LP_SECONDS = 10.0  # one activation region's LP; they take milliseconds

Check = Callable[[Array], Witness | None]  # replays candidate inputs [P, inputs]


def open_disjuncts(query: Query, margins: Array) -> list[int]:
    """Disjuncts that lower bounds of the margins [rows] do not refute, most suspicious first."""
    worst = query.per_disjunct(margins[None])[0]
    return [int(k) for k in np.argsort(worst, kind="stable") if not worst[k] > 0.0]


def close_regions(
    query: Query, batch: Batch, bounds: Bounds, check: Check, half_spaces: bool = True
) -> tuple[Array, Witness | None]:
    """Decide those nodes of the batch in which every ReLU is stable.

    half_spaces: the nodes carry those of their first-layer phases. Returns ([B] proved lower bounds of the worst
    margin: > 0 closes, NaN where the region is affine but touches its boundary so closely that no float decides,
    -inf where nothing was learnt; a witness or None).
    Networks with sigmoids have no such regions.
    """
    proved = np.full(len(batch), -np.inf)
    if not query.network.piecewise_linear:
        return proved, None
    fixed = ~((batch.pre_lower < 0.0) & (batch.pre_upper > 0.0) & query.relu).any(axis=1)
    for b in np.flatnonzero(fixed):
        proved[b], witness = _region(query, batch, bounds, int(b), check, half_spaces)
        if witness:
            return proved, witness
    return proved, None


def _region(
    query: Query, batch: Batch, bounds: Bounds, b: int, check: Check, half_spaces: bool
) -> tuple[float, Witness | None]:
    node, margins = batch.node(b), bounds.margins[b]
    cuts, coefficients, constants = node.cuts, bounds.coefficients[b], bounds.constants[b]
    missing = (node.phases != 0) & (~first_layers(query) if half_spaces else True)
    if missing.any() or not half_spaces:
        # phases of deeper layers are no half-spaces until all the others are known
        more, coefficients, constants = activation_region(query, node, missing)
        cuts = np.concatenate([cuts, more])
    bound, size = np.inf, 1.0 + float(np.abs(margins).max())
    for k in open_disjuncts(query, margins):
        rows = slice(query.starts[k], query.starts[k + 1])
        least, point = minimise_over_region(
            node.lower, node.upper, cuts, coefficients[rows], constants[rows], REGION_LP_SECONDS
        )
        bound = min(bound, least)
        if least > 0.0 or point is None:
            continue
        if witness := check(_snapped(point, node)):
            return bound, witness
    return (np.nan if -TOUCHING * size < bound <= 0.0 else bound), None


def _snapped(point: Array, node: Node) -> Array:
    """The LP's point, and the same moved to near ends of its box and to nearby short binary fractions: where a
    counterexample exists by equality only, it is a vertex that the LP's floats just miss."""
    near = SNAP * (1.0 + np.abs(point))
    ends = np.where(np.abs(point - node.lower) <= near, node.lower, point)
    ends = np.where(np.abs(point - node.upper) <= near, node.upper, ends)
    return np.stack([point, ends, np.round(ends * 2.0**20) / 2.0**20, np.round(ends * 2.0**10) / 2.0**10])


@dataclass(eq=False)
class MilpOutcome:
    """What SCIP made of a node."""

    witness: Witness | None = None
    left: list[int] = field(default_factory=list)  # disjuncts that are still open
    bound: float = np.inf  # lowest bound over all disjuncts that SCIP was asked about
    nodes: int = 0  # of SCIP's own trees
    notes: list[str] = field(default_factory=list)  # what went wrong, for the reason of an `unknown`


def close_by_milp(
    query: Query, node: Node, disjuncts: list[int], seconds: Callable[[], float], options: Options, check: Check
) -> MilpOutcome:
    """One big-M MILP per disjunct, twice around: first with a slice each, then with what is left of the time.

    seconds() tells the time that is left; options: jobs (MILPs at a time, in threads: SCIP runs without Python's lock),
    memory_mb, seed. A disjunct counts as refuted only by SCIP's proof beyond its margin; a solution counts only once
    it is replayed.
    """
    outcome, left = MilpOutcome(), list(disjuncts)
    jobs = max(1, min(options.jobs, len(left)))
    asks = _Asks(query, node, replace(options, memory_mb=options.memory_mb / jobs), check, outcome)
    with ThreadPoolExecutor(jobs) as pool:
        for share in (FIRST_SHARE, 1.0) if len(left) > 1 else (1.0,):
            # a MILP that begins when others are done gets its part of what is left then
            waiting = Counter(left)

            def one(k: int, share: float = share, waiting: Counter[int] = waiting) -> bool:
                fair = min(1.0, jobs / max(1, waiting.total()))
                del waiting[k]
                return asks.refuted(k, share * fair * seconds())

            try:
                refuted = list(pool.map(one, left))
            except BaseException:
                asks.stop.set()
                raise
            left = [k for k, done in zip(left, refuted, strict=True) if not done]
            if outcome.witness or not left:
                break
    outcome.left = left
    return outcome


@dataclass(eq=False)
class _Asks:
    """Questions to SCIP about one node's disjuncts; several threads may ask at a time."""

    query: Query
    node: Node
    options: Options
    check: Check
    outcome: MilpOutcome  # witness, bounds and notes are collected here
    stop: Event = field(default_factory=Event)  # once set, every MILP ends at its next LP
    lock: Lock = field(default_factory=Lock)  # of the outcome and the replay

    def refuted(self, k: int, seconds: float) -> bool:
        """Ask SCIP about one disjunct; True when it is refuted."""
        from ..encodings.milp import close

        if seconds < LEAST_SLICE or self.stop.is_set():
            return False

        def accept(points: Array) -> bool:
            margins = self.query.network.evaluate(points)
            return self.stop.is_set() or bool((self.query.per_disjunct(margins)[:, k] <= 0.0).any())

        answer = close(
            self.query, self.node, k, seconds, self.options.memory_mb, seed=self.options.seed, accept=accept
        )
        LOG.info("milp disjunct %d: %s, bound %.6g, %d nodes, %.2f s of %.2f s %s", k, answer.status, answer.bound,
                 answer.nodes, answer.seconds, seconds, answer.reason)  # fmt: skip
        with self.lock:
            self.outcome.nodes += answer.nodes
            if answer.status == "refuted":
                return True
            self.outcome.bound = min(self.outcome.bound, answer.bound)
            if len(answer.points) and not self.stop.is_set():
                self.outcome.witness = self.check(np.asarray(answer.points))
                if self.outcome.witness:
                    self.stop.set()
                elif answer.status == "candidate":
                    self.outcome.notes.append(f"SCIP's solution of disjunct {k} does not replay in the network")
        return False
