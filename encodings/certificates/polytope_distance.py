"""The distance of the origin from a polyhedron {y : A y + v >= 0} in l1, l2, l-infinity, with a proved lower bound.

Any multipliers w >= 0 of the rows prove, for every y of the polyhedron, 0 <= w'(A y + v), so by Hoelder
    ||y||_p >= -w'v / ||A'w||_q,    1/p + 1/q = 1.
The best w is the dual optimum: of a linear program in l1 and l-infinity, in l2 of the least-distance program, which is
a nonnegative least-squares problem (Lawson and Hanson, *Solving Least Squares Problems*, 1974, chapter 23). Solvers are
believed for w only; the quotient is evaluated here, errors of the rows and values included. Where the nearest point of
the furthest hyperplane satisfies all other rows, it is the answer and nothing is solved. An empty polyhedron's w have
A'w = 0, and so bounds beyond all others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...instances.network import Array
from ...instances.rounding import TINY, UP, gamma
from ..programs.scip import Simplex, failed
from .norms import at_least_ratio, at_most_norm, dual, nearest_on_hyperplane

__all__ = ["Rows", "nearest"]

SATISFIED = 1e-9  # by how much, of the distance, rows may be missed by a point that is only a candidate
STEPS = 3  # of active sets, times the number of rows, until one is taken as it is
SMALL = 1e-12  # slopes below it are rounding, rows being of length 1
LP_SECONDS = 10.0  # of one linear program; they take milliseconds


@dataclass(eq=False)
class Rows:
    """m affine functions A y + v of a step y, and what is not known of them."""

    normals: Array  # [m, n]
    values: Array  # [m]
    normal_errors: Array  # [m] in the dual norm
    value_errors: Array  # [m]

    def __getitem__(self, index: Array) -> Rows:
        return Rows(self.normals[index], self.values[index], self.normal_errors[index], self.value_errors[index])

    def reversed(self) -> Rows:
        """The same functions with the other sign."""
        return Rows(-self.normals, -self.values, self.normal_errors, self.value_errors)

    @staticmethod
    def stacked(parts: list[Rows]) -> Rows:
        """One below the other."""
        names = ("normals", "values", "normal_errors", "value_errors")
        return Rows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def hyperplanes(self, norm: float) -> Array:
        """[m] at most the distances of the origin from the hyperplanes {A_i y + v_i = 0}, from either side."""
        reach = at_most_norm(self.normals, dual(norm)) + self.normal_errors
        return at_least_ratio(np.abs(self.values) - self.value_errors, reach + TINY)


def nearest(rows: Rows, norm: float) -> tuple[float, Array | None]:
    """(at most the distance of the origin from {A y + v >= 0}, a step y [n] about as near, or None).

    The step satisfies the rows up to SATISFIED only; there is none where the solver found the polyhedron empty.
    """
    alone = np.where(rows.values < 0.0, rows.hyperplanes(norm), 0.0)
    worst = int(np.argmax(alone)) if len(alone) else 0
    best = float(alone[worst]) if len(alone) else 0.0
    if not best > 0.0 and not (rows.values < -rows.value_errors).any():
        return 0.0, np.zeros(rows.normals.shape[1])
    step: Array | None = nearest_on_hyperplane(rows.normals[worst], float(rows.values[worst]), norm)
    lengths = np.sqrt(np.einsum("mn,mn->m", rows.normals, rows.normals))
    least = -SATISFIED * lengths * best
    if step is not None and np.isfinite(step).all() and (rows.normals @ step + rows.values >= least).all():
        return best, step
    used = lengths > 0.0
    scale = max(best, float(np.max(-rows.values[used] / lengths[used], initial=0.0)))
    if not (used.any() and 0.0 < scale < np.inf):
        return best, None
    normals, values = rows.normals[used] / lengths[used, None], rows.values[used] / lengths[used] / scale
    weights, step = _least_distance(normals, values) if norm == 2.0 else _linear_program(normals, values, norm)
    if weights is not None:
        whole = np.zeros(len(alone))
        whole[used] = np.maximum(np.where(np.isfinite(weights), weights, 0.0), 0.0) / lengths[used]
        best = max(best, _proved(rows, whole, norm))
    if step is not None and not np.isfinite(step).all():
        step = None
    return best, None if step is None else step * scale


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def _proved(rows: Rows, weights: Array, norm: float) -> float:
    """-w'v / ||A'w||_q, rounded down."""
    m, order = len(weights), dual(norm)
    top = float(np.abs(weights).max(initial=0.0))
    if not 0.0 < top < np.inf:
        return 0.0
    weights = weights / top
    slack = float(weights @ rows.value_errors) + gamma(m) * float(weights @ (np.abs(rows.values) + rows.value_errors))
    value = -float(weights @ rows.values) - slack * UP
    sizes = at_most_norm(rows.normals, order) * gamma(m) + rows.normal_errors
    reach = float(at_most_norm(weights @ rows.normals, order)) + float(weights @ sizes) * UP + TINY
    return float(at_least_ratio(np.array(value), np.array(reach)))


def _least_distance(normals: Array, values: Array) -> tuple[Array | None, Array | None]:
    """(w, y) in l2: w >= 0 with the least ||A'w||^2 + (1 + v'w)^2, y = A'w / (1 + v'w); no y where that can be 0."""
    matrix = np.column_stack([normals, -values])  # of m rows: the problem is min ||matrix' w - e||
    weights = _nonnegative_least_squares(matrix @ matrix.T, -values, matrix)
    rest = 1.0 + float(values @ weights)
    reach = weights @ normals
    empty = not (rest > 0.0 and float(reach @ reach) + rest * rest > SATISFIED**2)
    return weights, None if empty else reach / rest


def _nonnegative_least_squares(gram: Array, target: Array, matrix: Array) -> Array:
    """w >= 0 with the least ||matrix' w - e||, e the last unit vector, by active sets (Lawson and Hanson, chapter 23).

    gram: [m, m] of the rows of matrix [m, n + 1]; target: [m], matrix e. When it takes too long, it gives what it has.
    """
    m = len(target)
    weights, free = np.zeros(m), np.zeros(m, dtype=bool)
    unit = np.append(np.zeros(matrix.shape[1] - 1), 1.0)
    for _ in range(STEPS * (m + 1)):
        slope = np.where(free, -np.inf, target - gram @ weights)
        best = int(np.argmax(slope))
        if not slope[best] > SMALL * max(1.0, gram[best, best]):
            break
        free[best] = True
        while True:
            index = np.flatnonzero(free)
            wanted = np.linalg.lstsq(matrix[index].T, unit, rcond=None)[0]
            if (wanted > 0.0).all():
                break
            down = wanted <= 0.0
            share = weights[index[down]] / np.maximum(weights[index[down]] - wanted[down], TINY)
            part = float(share.min())
            weights[index] += part * (wanted - weights[index])
            gone = index[down][share <= part]
            weights[gone], free[gone] = 0.0, False
            if not free.any():
                break
        if not free.any():
            break
        weights[:] = 0.0
        weights[free] = wanted
    return weights


def _linear_program(normals: Array, values: Array, norm: float) -> tuple[Array | None, Array | None]:
    """(w, y) in l1 and l-infinity."""
    m, n = normals.shape
    simplex = Simplex()
    free, infinite = np.full(n, -np.inf), np.full(n, np.inf)
    if norm == 1.0:  # y = a - b, min sum of a + b
        simplex.add_columns(np.ones(2 * n), np.zeros(2 * n), np.concatenate([infinite, infinite]))
        matrix = np.concatenate([normals, -normals], axis=1)
    else:  # min t, -t <= y <= t
        simplex.add_columns(np.append(np.zeros(n), 1.0), np.append(free, 0.0), np.append(infinite, np.inf))
        matrix = normals
    entries = [[(j, a) for j, a in enumerate(row) if a] for row in matrix.tolist()]
    simplex.add_rows(entries, -values, np.full(m, np.inf))
    if norm != 1.0:
        sides = [[(j, sign), (n, 1.0)] for j in range(n) for sign in (1.0, -1.0)]
        simplex.add_rows(sides, np.zeros(2 * n), np.full(2 * n, np.inf))
    status = simplex.solve(LP_SECONDS)
    if failed(status):
        return None, None
    if status != "optimal":
        ray = simplex.ray()
        return (None if ray is None else ray[:m]), None
    point = simplex.point()
    return simplex.duals()[:m], point[:n] - point[n:] if norm == 1.0 else point[:n]
