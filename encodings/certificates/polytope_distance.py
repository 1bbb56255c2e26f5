"""The distance of the origin from polyhedra {y : A y + v >= 0} in l1, l2, l-infinity, with a proved lower bound.

Any multipliers w >= 0 of the rows prove, for every y of the polyhedron, 0 <= w'(A y + v), so by Hoelder
    ||y||_p >= -w'v / ||A'w||_q,    1/p + 1/q = 1.
The best w is the dual optimum: in l2 of the least-distance program, which is a nonnegative least-squares problem
(Lawson and Hanson, *Solving Least Squares Problems*, 1974, chapter 23); in l1 and l-infinity of a linear program, with
the step y = z / s written by its direction,
    max s   s.t.   A z + s v >= 0,   ||z||_p <= 1,   s >= 0,
so that the norm is a bound of the columns, an empty polyhedron is the one whose s is 0, and polyhedra that differ in
the signs of a few rows differ in sides only: the next one begins at the basis of the last.
Solvers are believed for w only; the quotient is evaluated here, errors of the rows and values included. Where the
nearest point of the furthest hyperplane satisfies all other rows, it is the answer and nothing is solved. An empty
polyhedron's w have A'w = 0, and so bounds beyond all others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...instances.network import Array
from ...instances.rounding import TINY, UP, gamma
from ..programs.scip import AT_LOWER, AT_UPPER, BASIC, Simplex
from .norms import at_least_ratio, at_most_norm, dual, nearest_on_hyperplane

__all__ = ["ABSENT", "ABOVE", "BELOW", "ON", "Polyhedra", "Rows", "nearest"]

ABSENT, ABOVE, BELOW, ON = 0, 1, -1, 2  # of a row: none, >= 0, <= 0, = 0
SATISFIED = 1e-9  # by how much, of the distance, rows may be missed by a point that is only a candidate
SHORT = 1e-7  # share by which what a program proves may be less than what it says
SCALES = 100.0  # times by which distances may differ that one program is asked for
FARTHEST = 1e9  # times the scale: a hyperplane further away does not bound what is asked
EMPTY = 1e6  # of the scale: beyond it, a distance is that of an empty polyhedron
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
    """(at most the distance of the origin from {A y + v >= 0}, a step y [n] about as near, or None)."""
    return Polyhedra(rows, norm).nearest(np.full(len(rows.values), ABOVE))


class Polyhedra:
    """Polyhedra of the same rows, each of which is asked to be >= 0, <= 0, 0, or nothing."""

    def __init__(self, rows: Rows, norm: float) -> None:
        self.rows, self.norm = rows, norm
        self.hyperplanes = rows.hyperplanes(norm)
        self.lengths = np.sqrt(np.einsum("mn,mn->m", rows.normals, rows.normals))
        self.unit = rows.normals / np.where(self.lengths > 0.0, self.lengths, 1.0)[:, None]
        # what a row's share of a sum of rows may be off by, in the dual norm, and likewise of values
        m = len(rows.values)
        self.row_slack = at_most_norm(rows.normals, dual(norm)) * gamma(m) + rows.normal_errors
        self.value_slack = rows.value_errors + gamma(m) * (np.abs(rows.values) + rows.value_errors)
        self.finite = bool(np.isfinite(self.unit).all() and np.isfinite(rows.values).all())
        self.program: _Program | None = None

    def nearest(self, sides: Array) -> tuple[float, Array | None]:
        """(at most the distance of the origin from the polyhedron with these sides, a step y about as near, or None).

        sides: [m] of ABSENT, ABOVE, BELOW, ON. The step [n] satisfies the rows up to SATISFIED only; there is none
        where the solver found the polyhedron empty.
        """
        rows, sign = self.rows, np.where(sides == ON, np.where(self.rows.values > 0.0, BELOW, ABOVE), sides)
        signed = sign * rows.values
        alone = np.where(signed < 0.0, self.hyperplanes, 0.0)
        worst = int(np.argmax(alone)) if len(alone) else 0
        best = float(alone[worst]) if len(alone) else 0.0
        if not best > 0.0 and not (signed < -rows.value_errors).any():
            return 0.0, np.zeros(rows.normals.shape[1])
        step: Array | None = nearest_on_hyperplane(rows.normals[worst], float(rows.values[worst]), self.norm)
        if step is not None and np.isfinite(step).all() and self._holds(step, sides, best):
            return best, step
        used = (self.lengths > 0.0) & (sides != ABSENT)
        scale = max(best, float(np.max(-signed[used] / self.lengths[used], initial=0.0)))
        if not (used.any() and 0.0 < scale < np.inf and self.finite):
            return best, None
        if self.norm == 2.0:
            proved, step = self._least_distance(sides, sign, used, scale)
        else:
            proved, step = self._by_program(np.where(used, sides, ABSENT), scale)
        return max(best, proved), step if step is not None and np.isfinite(step).all() else None

    def _holds(self, step: Array, sides: Array, distance: float) -> bool:
        """Whether a step satisfies the rows nearly."""
        missed = self.rows.normals @ step + self.rows.values
        short = np.where(sides == ABOVE, missed, np.where(sides == BELOW, -missed, -np.abs(missed)))
        return bool(((short >= -SATISFIED * self.lengths * distance) | (sides == ABSENT)).all())

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def _proved(self, weights: Array, sides: Array) -> float:
        """-w'v / ||A'w||_q, rounded down, of those of the weights [m] whose signs the sides allow."""
        rows, order = self.rows, dual(self.norm)
        allowed = (sides == ON) | (np.sign(weights) == sides)
        weights = np.where(allowed & np.isfinite(weights), weights, 0.0)
        top = float(np.abs(weights).max(initial=0.0))
        if not 0.0 < top < np.inf:
            return 0.0
        weights = weights / top
        sizes = np.abs(weights)
        value = -float(weights @ rows.values) - float(sizes @ self.value_slack) * UP
        reach = float(at_most_norm(weights @ rows.normals, order)) + float(sizes @ self.row_slack) * UP + TINY
        return float(at_least_ratio(np.array(value), np.array(reach)))

    def _least_distance(
        self, sides: Array, sign: Array, used: Array, scale: float
    ) -> tuple[float, Array | None]:  # fmt: skip
        """(what w proves, y) in l2, w with the least ||A'w||^2 + (1 + v'w)^2, y = A'w / (1 + v'w).

        There is no y where that least number can be 0.
        """
        from scipy.optimize import nnls

        index, both = np.flatnonzero(used), np.flatnonzero(used & (sides == ON))
        index, signs = np.append(index, both), np.concatenate([sign[used], -sign[both]])
        values = signs * self.rows.values[index] / self.lengths[index] / scale
        matrix = np.column_stack([self.unit[index] * signs[:, None], -values])  # the problem is min ||matrix' w - e||
        try:
            found = nnls(matrix.T, np.append(np.zeros(matrix.shape[1] - 1), 1.0))[0]
        except RuntimeError:  # too many active sets
            return 0.0, None
        weights = np.zeros(len(sides))
        np.add.at(weights, index, signs * found / self.lengths[index])
        rest, reach = 1.0 + float(values @ found), found @ matrix[:, :-1]
        empty = not (rest > 0.0 and float(reach @ reach) + rest * rest > SATISFIED**2)
        return self._proved(weights, sides), None if empty else scale * reach / rest

    def _by_program(self, sides: Array, scale: float) -> tuple[float, Array | None]:
        """(what is proved, y) in l1 and l-infinity.

        What SoPlex calls optimal, going on from the basis of other sides, may be none: where the proof falls short of
        it, the program is made and solved anew.
        """
        lengths, best = np.where(self.lengths > 0.0, self.lengths, 1.0), 0.0
        step: Array | None = None
        fits = self.program is not None and 1.0 / SCALES < scale / self.program.scale < SCALES
        for anew in (not fits, True):
            if anew or self.program is None:
                self.program = _Program(self.unit, self.rows.values / lengths / scale, scale, self.norm)
            found = self.program.solve(sides)
            if found is None:
                continue
            proved, step = self._proved(found[0] / lengths, sides), found[1]
            best = max(best, proved)
            if proved >= (EMPTY * scale if step is None else (1.0 - SHORT) * float(at_most_norm(step, self.norm))):
                break
        return best, step


class _Program:
    """The linear program of rows normals [m, n] of length 1 and values [m], which are shares of `scale`."""

    def __init__(self, normals: Array, values: Array, scale: float, norm: float) -> None:
        m, n = normals.shape
        near = np.abs(values) <= FARTHEST  # others are satisfied, or no question of this scale is about them
        normals, values = normals * near[:, None], np.where(near, values, 0.0)
        self.scale, self.norm, self.simplex = scale, norm, (simplex := Simplex())
        cost, free, end = np.append(np.zeros(n), -1.0), np.append(np.full(n, -1.0), 0.0), np.append(np.ones(n), np.inf)
        if norm == 1.0:  # z is a difference of two directions >= 0, their sum is at most 1
            normals, cost = np.concatenate([normals, -normals], axis=1), np.append(np.zeros(n), cost)
            free, end = np.zeros(2 * n + 1), np.append(np.ones(n), end)
        simplex.add_columns(cost, free, end)
        entries = [[(j, a) for j, a in enumerate(row) if a] for row in np.column_stack([normals, values]).tolist()]
        simplex.add_rows(entries, np.full(m, -np.inf), np.full(m, np.inf))
        if norm == 1.0:
            simplex.add_rows([[(j, 1.0) for j in range(2 * n)]], np.array([-np.inf]), np.ones(1))
        self.sides = np.full(m, ABSENT)

    def solve(self, sides: Array) -> tuple[Array, Array | None] | None:
        """(w [m], y [n], None where the polyhedron is empty) with these sides; None where the solver fails."""
        changed = np.flatnonzero(sides != self.sides)
        if len(changed):
            wanted, basis = sides[changed], self.simplex.basis()
            low = np.where((wanted == ABOVE) | (wanted == ON), 0.0, -np.inf)
            self.simplex.change_sides(changed, low, np.where((wanted == BELOW) | (wanted == ON), 0.0, np.inf))
            self.sides = sides.copy()
            self.simplex.set_basis(*self._repaired(basis, changed, wanted))
        if self.simplex.solve(LP_SECONDS) != "optimal":
            return None
        point, m = self.simplex.point(), len(sides)
        share, n = float(point[-1]), (len(point) - 1) // (2 if self.norm == 1.0 else 1)
        direction = point[:n] - point[n:-1] if self.norm == 1.0 else point[:n]
        return self.simplex.duals()[:m], direction * (self.scale / share) if share > SATISFIED else None

    def _repaired(
        self, basis: tuple[list[int], list[int]] | None, changed: Array, wanted: Array
    ) -> tuple[list[int], list[int]]:  # fmt: skip
        """A basis where rows that are not basic lie on a side that they have: SoPlex believes what it is told."""
        columns, rows = basis or ([], [ABSENT] * self.simplex.rows)
        left = [one for one in zip(changed.tolist(), wanted.tolist(), strict=True) if rows[one[0]] != BASIC]
        if basis is None or any(side == ABSENT for _, side in left):
            return [AT_LOWER] * self.simplex.columns, [BASIC] * self.simplex.rows
        for i, side in left:
            rows[i] = AT_UPPER if side == BELOW else AT_LOWER
        return columns, rows
