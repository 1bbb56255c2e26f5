"""Points pulled into the half-spaces of an input set, all at once.

Component-averaged projections (Censor, Gordon and Gordon 2001): with the violations v = max(r - (G x + h), 0),
    x <- clip(x + RELAXED G^T (v / w)),    w_g = sum_j s_j G_gj^2,
s_j the number of half-spaces that input j is part of. Sparse half-spaces then move as far as if each were alone. The
room r, a share of how far each half-space's function runs over the box, is what rounding to float32 may take away; sets
that are thinner are aimed at without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import TINY

__all__ = ["IN_DESCENT", "Halfspaces", "halfspaces_of", "repaired"]

RELAXED = 1.8  # longer steps than to the hyperplane, which converge as long as they are below twice as long
ROOM = 1e-4  # share of a half-space's run over the box
SWEEPS = 200
IN_DESCENT = 4  # sweeps after each step of a descent
WORK = 2e9  # products of all sweeps of one call together


class Halfspaces:
    """{x : G x + h >= 0} for columns of points."""

    def __init__(self, query: Query, dtype: Any = np.float64) -> None:
        region = query.region
        rows: Array = region.rows
        self.rows: Array = rows.astype(dtype)
        self.offsets: Array = region.offsets.astype(dtype)[:, None]
        shares = np.count_nonzero(rows, axis=0)
        self.steps: Array = (RELAXED / (rows**2 @ shares + TINY)).astype(dtype)[:, None]
        self.room: Array = (ROOM * np.abs(rows) @ (0.5 * region.upper - 0.5 * region.lower)).astype(dtype)[:, None]

    @np.errstate(over="ignore", invalid="ignore")  # such points are never the best ones
    def pulled(self, x: Array, lower: Array, upper: Array, sweeps: int, room: bool = True) -> Array:
        """Points x [n, P], moved towards the half-spaces within lower, upper [n, 1] or [n, P]."""
        wanted = self.room if room else np.zeros_like(self.room)
        for _ in range(sweeps):
            violation = wanted - (self.rows @ x + self.offsets)
            if not (violation > 0.0).any():
                break
            np.maximum(violation, 0.0, out=violation)
            x = np.clip(x + self.rows.T @ (violation * self.steps), lower, upper)
        return x

    def violated(self, x: Array) -> Array:
        """[P] which of the points x [n, P] lie outside of some half-space."""
        return np.asarray(~(self.rows @ x + self.offsets >= 0.0).all(axis=0))


def halfspaces_of(query: Query, dtype: Any = np.float64) -> Halfspaces | None:
    """Those of the input set, None where it has none."""
    return Halfspaces(query, dtype) if len(query.region.rows) else None


def repaired(query: Query, points: Array) -> Array:
    """Points [P, n] of the box, those outside of the input set's half-spaces moved towards them."""
    if not len(query.region.rows) or not len(points):
        return points
    spaces = Halfspaces(query)
    lower, upper = query.region.lower[:, None], query.region.upper[:, None]
    outside = np.flatnonzero(spaces.violated(points.T))
    sweeps = int(np.clip(WORK / (spaces.rows.size * max(len(outside), 1)), 1, SWEEPS))
    if len(outside):
        points = points.copy()
        points[outside] = spaces.pulled(points[outside].T, lower, upper, sweeps).T
        thin = outside[spaces.violated(points[outside].T)]
        points[thin] = spaces.pulled(points[thin].T, lower, upper, sweeps, room=False).T
    return points
