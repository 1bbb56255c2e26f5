"""Closing activation regions: where every ReLU's phase is fixed one LP per open disjunct decides.

The network is affine there (Singla and Feizi 2019); the LP's safe dual bound closes the node, its optimum is a
candidate. What that LP's floats decide neither way is decided in exact arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...encodings.linear.activation_region import activation_region
from ...encodings.linear.bounds import Bounds
from ...encodings.programs.region_lp import minimise_over_region
from ...heuristics.splits.hyperplanes import first_layers
from ...instances.batch import Batch, Node
from ...instances.judges.replay import Witness
from ...instances.network import Array
from ...instances.query import Query

__all__ = ["Check", "Exact", "close_regions", "open_disjuncts"]

TOUCHING = 1e-9  # share of the margins' size below which an affine region's negative bound is only rounding
SNAP = 1e-6  # relative distance within which an LP's coordinate is taken for the end of its interval
REGION_LP_SECONDS = 10.0  # one activation region's LP; they take milliseconds

Check = Callable[[Array], Witness | None]  # replays candidate inputs [P, inputs]
Exact = Callable[[Query, Node, list[int]], tuple[float, Witness | None]]  # as ExactStep.decide


def open_disjuncts(query: Query, margins: Array) -> list[int]:
    """Disjuncts that lower bounds of the margins [rows] do not refute, most suspicious first."""
    worst = query.per_disjunct(margins[None])[0]
    return [int(k) for k in np.argsort(worst, kind="stable") if not worst[k] > 0.0]


def close_regions(
    query: Query, batch: Batch, bounds: Bounds, check: Check, half_spaces: bool = True, exact: Exact | None = None
) -> tuple[Array, Witness | None]:
    """Decide those nodes of the batch in which every ReLU is stable.

    half_spaces: the nodes carry those of their first-layer phases; exact: what to ask where floats do not decide.
    Returns ([B] proved lower bounds of the worst margin: > 0 closes, NaN where the region is affine but touches its
    boundary so closely that no float decides, and exact arithmetic does not close it either, -inf where nothing was
    learnt; a witness or None).
    Networks with sigmoids have no such regions.
    """
    proved = np.full(len(batch), -np.inf)
    if not query.network.piecewise_linear:
        return proved, None
    fixed = ((batch.pre_lower >= 0.0) | (batch.pre_upper <= 0.0) | ~query.relu).all(axis=1)
    for b in np.flatnonzero(fixed):
        proved[b], witness = _region(query, batch, bounds, int(b), check, half_spaces, exact)
        if witness:
            return proved, witness
    return proved, None


def _region(
    query: Query, batch: Batch, bounds: Bounds, b: int, check: Check, half_spaces: bool, exact: Exact | None
) -> tuple[float, Witness | None]:
    node, margins = batch.node(b), bounds.margins[b]
    cuts, coefficients, constants = node.cuts, bounds.coefficients[b], bounds.constants[b]
    missing = (node.phases != 0) & (~first_layers(query) if half_spaces else True)
    if missing.any() or not half_spaces:
        # phases of deeper layers are no half-spaces until all the others are known
        more, coefficients, constants = activation_region(query, node, missing)
        cuts = np.concatenate([cuts, more])
    bound, size, left = np.inf, 1.0 + float(np.abs(margins).max()), []
    for k in open_disjuncts(query, margins):
        rows = slice(query.starts[k], query.starts[k + 1])
        least, point = minimise_over_region(
            node.lower, node.upper, cuts, coefficients[rows], constants[rows], REGION_LP_SECONDS
        )
        bound = min(bound, least)
        if least > 0.0:
            continue
        left.append(k)
        if point is not None and (witness := check(_snapped(point, node))):
            return bound, witness
    if left and exact:
        proved, witness = exact(query, node, left)
        if witness or not proved == -np.inf:
            return proved, witness
    return (np.nan if -TOUCHING * size < bound <= 0.0 else bound), None


def _snapped(point: Array, node: Node) -> Array:
    """The LP's point, and the same moved to near ends of its box and to nearby short binary fractions: where a
    counterexample exists by equality only, it is a vertex that the LP's floats just miss."""
    near = SNAP * (1.0 + np.abs(point))
    ends = np.where(np.abs(point - node.lower) <= near, node.lower, point)
    ends = np.where(np.abs(point - node.upper) <= near, node.upper, ends)
    return np.stack([point, ends, np.round(ends * 2.0**20) / 2.0**20, np.round(ends * 2.0**10) / 2.0**10])
