"""A counterexample is pulled towards the input, as far as it stays one.

A candidate x' at the distance d is followed along its own projections onto smaller and smaller balls, p(t) = the point
of the ball of radius t d that is nearest to x': steps are scaled (l2), cut off (maximum norm) or shrunk until only the
largest are left (l1). The least t is found by bisection, on the side that stays a candidate in float64.
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array
from ..attacks.lengths import lengths, projected
from .class_gaps import ClassGaps

__all__ = ["pulled"]

HALVINGS = 30


def pulled(
    gaps: ClassGaps, centres: Array, points: Array, labels: Array, targets: Array, norm: float, halvings: int = HALVINGS
) -> Array:
    """Candidates [P, n] no farther from their centres [P, n] than before, in float64; those that are none stay."""
    distance = lengths(points - centres, norm)
    out, within = np.zeros(len(points)), np.ones(len(points))  # shares of the distance: no candidate, candidate
    found = points.copy()
    candidates = gaps.exact(points, labels, targets) <= 0.0
    for _ in range(halvings):
        share = 0.5 * (out + within)
        nearer = projected(points, centres, share * distance, norm, gaps.low, gaps.high)
        still = candidates & (gaps.exact(nearer, labels, targets) <= 0.0)
        found[still] = nearer[still]
        within, out = np.where(still, share, within), np.where(still, out, share)
    return found
