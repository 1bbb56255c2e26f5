"""Closing activation regions: where every ReLU's phase is fixed one LP per open disjunct decides.

The network is affine there (Singla and Feizi 2019); the LP's safe dual bound closes the node, its optimum is a
candidate. What that LP's floats decide neither way is decided in exact arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from ...encodings.linear.bounds import Bounds
from ...heuristics.efforts import REGION_LP_SECONDS
from ...heuristics.splits.hyperplanes import first_layers
from ...instances.batch import Batch, Node
from ...instances.judges.replay import Witness
from ...instances.network import Array
from ...instances.query import Query
from ..tree.evidence import Evidence, State
from ..tree.search import Closing

__all__ = ["Check", "Exact", "bounded", "close_regions", "open_disjuncts"]

TOUCHING = 1e-9  # share of the margins' size below which an affine region's negative bound is only rounding
SNAP = 1e-6  # relative distance within which an LP's coordinate is taken for the end of its interval

Check = Callable[[Array], Witness | None]  # replays candidate inputs [P, inputs]


class Exact(Protocol):
    """What to ask where floats decide neither way: see `ExactStep`."""

    def decide(self, query: Query, node: Node, disjuncts: list[int], check: Check) -> tuple[int, Witness | None]:
        """A code of `Evidence` or `State`; a witness or None."""
        ...


def bounded(node: Node) -> bool:
    """Whether all pre-activation bounds are finite and none contradict each other."""
    finite = np.isfinite(node.pre_lower).all() and np.isfinite(node.pre_upper).all()
    return bool(finite and (node.pre_lower <= node.pre_upper).all())


def open_disjuncts(query: Query, margins: Array, duty: Array | None = None) -> list[int]:
    """Disjuncts that lower bounds of the margins [rows] do not refute, most suspicious first.

    duty: [disjuncts] bool, those that need refuting at all.
    """
    worst = query.per_disjunct(margins[None])[0]
    asked = [int(k) for k in np.argsort(worst, kind="stable") if not worst[k] > 0.0]
    return asked if duty is None else [k for k in asked if duty[k]]


def close_regions(
    query: Query, batch: Batch, bounds: Bounds, check: Check, exact: Exact | None, closing: Closing,
    half_spaces: bool = True,
) -> None:  # fmt: skip
    """Decide those nodes of the batch in which every ReLU is stable, and tell it in `closing`.

    half_spaces: the nodes carry those of their first-layer phases; exact: what to ask where floats do not decide. A
    node is given up where the region touches its boundary so closely that no float decides, and exact arithmetic does
    not close it either. Networks with sigmoids have no such regions.
    """
    if not query.network.piecewise_linear:
        return
    fixed = ((batch.pre_lower >= 0.0) | (batch.pre_upper <= 0.0) | ~query.relu).all(axis=1)
    for b in np.flatnonzero(fixed):
        closing.kinds[b], closing.witness = _region(query, batch, bounds, int(b), check, half_spaces, exact)
        if closing.witness:
            return


def _region(
    query: Query, batch: Batch, bounds: Bounds, b: int, check: Check, half_spaces: bool, exact: Exact | None
) -> tuple[int, Witness | None]:
    # linear programs, which an easy query has no need of
    from ...encodings.programs.activation_region import activation_region
    from ...encodings.programs.region_lp import minimise_over_region

    node, margins = batch.node(b), bounds.margins[b]
    missing = (node.phases != 0) & (~first_layers(query) if half_spaces else True)
    if missing.any() or not half_spaces:
        # phases of deeper layers are no half-spaces until all the others are known
        more, coefficients, constants = activation_region(query, node, missing)
        cuts = np.concatenate([node.cuts, more])
    else:
        cuts, coefficients, constants = node.cuts, bounds.coefficients[b], bounds.constants[b]
    bound, size, left = np.inf, 1.0 + float(np.abs(margins).max()), []
    for k in open_disjuncts(query, margins, node.duty):
        rows = slice(query.starts[k], query.starts[k + 1])
        least, point = minimise_over_region(
            node.lower, node.upper, cuts, coefficients[rows], constants[rows], REGION_LP_SECONDS, query.region.ball
        )
        bound = min(bound, least)
        if least > 0.0:
            continue
        left.append(k)
        if point is not None and (witness := check(_snapped(point, node))):
            return State.OPEN, witness
    if not left:
        return Evidence.REGION, None
    if exact:
        kind, witness = exact.decide(query, node, left, check)
        if witness or kind != State.OPEN:
            return kind, witness
    return (State.STUCK if -TOUCHING * size < bound <= 0.0 else State.OPEN), None


def _snapped(point: Array, node: Node) -> Array:
    """The LP's point, and the same moved to near ends of its box and to nearby short binary fractions: where a
    counterexample exists by equality only, it is a vertex that the LP's floats just miss."""
    near = SNAP * (1.0 + np.abs(point))
    ends = np.where(np.abs(point - node.lower) <= near, node.lower, point)
    ends = np.where(np.abs(point - node.upper) <= near, node.upper, ends)
    return np.stack([point, ends, np.round(ends * 2.0**20) / 2.0**20, np.round(ends * 2.0**10) / 2.0**10])
