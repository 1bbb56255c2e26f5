"""A place for the exact simplex to begin, found by SoPlex in floats: it saves pivots and proves nothing.

    max t  over x in the box, t <= 1, with g_i'x + h_i >= t for every row, rows and columns scaled to size 1.
Where t is clearly positive its x satisfies all rows with room, which exact arithmetic only has to confirm. Elsewhere
the rows that are tight at the optimum make the vertex, or the contradiction, that exact arithmetic has to look at.
"""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np

from ...instances.network import Array
from ..programs.scip import BASIC, Simplex
from .rational_lp import ExactLP

__all__ = ["begin"]

ROOM = 1e-7  # t from which the point itself is the better place; the solver's own tolerance is 1e-9 or so
SECONDS = 2.0  # of SoPlex; systems of this size take milliseconds
BITS = 60  # of the point's shares of the box


def begin(lp: ExactLP, deadline: float) -> None:
    """Move a fresh system's inputs to where SoPlex ends; nothing happens where it fails, or is not done in time."""
    n = len(lp.lower)
    seconds = min(SECONDS, deadline - time.monotonic())
    if not n or not lp.rows or seconds <= 0.0:
        return
    middle = [Fraction(a + b, 2 * lp.unit) for a, b in zip(lp.lower, lp.upper, strict=True)]
    radius = [Fraction(b - a, 2 * lp.unit) for a, b in zip(lp.lower, lp.upper, strict=True)]
    rows = np.array([_scaled([*row.normal, row.offset], middle, radius) for row in lp.rows])
    simplex = Simplex()
    simplex.add_columns(np.append(np.zeros(n), -1.0), np.append(-np.ones(n), -np.inf), np.ones(n + 1))
    entries = [[*((j, v) for j, v in enumerate(g) if v), (n, -1.0)] for g in rows[:, :n].tolist()]
    simplex.add_rows(entries, -rows[:, n], np.full(len(rows), np.inf))
    if simplex.solve(seconds) != "optimal" or (basis := simplex.basis()) is None:
        return
    primal, (columns, sides) = simplex.point(), basis
    inner = set() if primal[n] > ROOM else {j for j in range(n) if columns[j] == BASIC}
    share = np.clip(primal[:n], -1.0, 1.0)
    lp.begin_at([_place(*p) for p in zip(middle, radius, share.tolist(), strict=True)])
    lp.begin_with([i for i, side in enumerate(sides) if inner and side != BASIC], inner)


def _scaled(row: list[int], middle: list[Fraction], radius: list[Fraction]) -> Array:
    """The row as a function of y in [-1, 1]^n with x = middle + radius y, divided by its largest entry."""
    *normal, offset = row
    parts = [g * r for g, r in zip(normal, radius, strict=True)]
    parts.append(offset + sum((g * m for g, m in zip(normal, middle, strict=True)), Fraction(0)))
    largest = max(abs(p) for p in parts)
    return np.array([float(p / largest) if largest else 0.0 for p in parts])


def _place(middle: Fraction, radius: Fraction, share: float) -> Fraction:
    """middle + radius share, the share with BITS bits at most."""
    return middle + radius * Fraction(round(share * 2**BITS), 2**BITS)
