"""Closing nodes by solvers: an LP where every ReLU's phase is fixed, SCIP's MILP for whole queries or leaves.

A node without unstable ReLUs is an activation region: the network is affine there (Singla and Feizi 2019) and one LP
per open disjunct decides it; its safe dual bound closes the node, its optimum is a candidate. SCIP closes only by
`refuted`, with the forbidden rows relaxed by a margin; such verdicts are marked `scip-float`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..instances.batch import Batch, Node
from ..instances.network import Array
from ..instances.query import Query
from ..instances.replay import Witness

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


def close_regions(query: Query, batch: Batch, margins: Array, check: Check) -> tuple[Array, Witness | None]:
    """Decide those nodes of the batch in which every ReLU is stable.

    Returns ([B] proved lower bounds of the worst margin: > 0 closes, NaN where the region is affine but touches its
    boundary so closely that no float decides, -inf where nothing was learnt; a witness or None).
    Networks with sigmoids have no such regions.
    """
    proved = np.full(len(batch), -np.inf)
    if not query.network.piecewise_linear:
        return proved, None
    fixed = ~((batch.pre_lower < 0.0) & (batch.pre_upper > 0.0) & query.relu).any(axis=1)
    for b in np.flatnonzero(fixed):
        proved[b], witness = _region(query, batch.node(int(b)), margins[b], check)
        if witness:
            return proved, witness
    return proved, None


def _region(query: Query, node: Node, margins: Array, check: Check) -> tuple[float, Witness | None]:
    from ..encodings.lp import TriangleLP

    lp = TriangleLP(query, node)
    bound, size = np.inf, 1.0 + float(np.abs(margins).max())
    for k in open_disjuncts(query, margins):
        answer = lp.minimise(k, REGION_LP_SECONDS)
        bound = min(bound, answer.bound)
        if answer.bound > 0.0 or answer.point is None:
            continue
        if witness := check(_snapped(answer.point, node)):
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
    query: Query, node: Node, disjuncts: list[int], seconds: Callable[[], float], memory_mb: float, seed: int,
    check: Check,
) -> MilpOutcome:  # fmt: skip
    """One big-M MILP per disjunct, twice around: first with a slice each, then with what is left of the time.

    seconds() tells the time that is left. A disjunct counts as refuted only by SCIP's proof beyond its margin; a
    solution counts only once it is replayed.
    """
    outcome, left = MilpOutcome(), list(disjuncts)
    for last_round in (False, True):
        asked, left = left, []
        for position, k in enumerate(asked):
            share = seconds() / (len(asked) - position)
            slice_seconds = share if last_round or len(asked) == 1 else FIRST_SHARE * share
            refuted = slice_seconds >= LEAST_SLICE and _one_disjunct(
                query, node, k, slice_seconds, memory_mb, seed, check, outcome
            )
            if outcome.witness:
                return outcome
            left += [] if refuted else [k]
        if len(asked) == 1:
            break
    outcome.left = left
    return outcome


def _one_disjunct(
    query: Query, node: Node, k: int, seconds: float, memory_mb: float, seed: int, check: Check, outcome: MilpOutcome
) -> bool:
    """Ask SCIP about one disjunct; True when it is refuted. Witness, bound and notes go into the outcome."""
    from ..encodings.milp import close

    answer = close(query, node, k, seconds, memory_mb, seed=seed)
    outcome.nodes += answer.nodes
    LOG.info("milp disjunct %d: %s, bound %.6g, %d nodes, %.2f s of %.2f s %s",
             k, answer.status, answer.bound, answer.nodes, answer.seconds, seconds, answer.reason)  # fmt: skip
    if answer.status == "refuted":
        return True
    outcome.bound = min(outcome.bound, answer.bound)
    if len(answer.points):
        outcome.witness = check(np.asarray(answer.points))
        if not outcome.witness and answer.status == "candidate":
            outcome.notes.append(f"SCIP's solution of disjunct {k} does not replay in the network")
    return False
