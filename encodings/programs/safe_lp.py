"""A boxed LP on SoPlex that is believed only through its multipliers.

Safe bounds (Neumaier and Shcherbina 2004): for rows low <= A v <= high, lower <= v <= upper and *any*
multipliers p,
    c'v >= sum_i (p_i low_i if p_i > 0 else p_i high_i) + sum_j min over the box of (c - A'p)_j v_j.
p comes from the solver; everything else is evaluated here, rounding errors subtracted. With c = 0 a
positive value proves that there is no v at all (Farkas). The solver's own objective and its word
"infeasible" are never used.

Rounding: a float sum of n products is off by at most gamma(n) sum |a_i b_i|, see `rounding.gamma`.
Entries that are themselves off by `roundings` roundings count as that many terms more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...instances.network import Array, Matrix
from ...instances.rounding import UNDERFLOW, UP, gamma
from ...instances.sparse import sp
from .scip import AT_LOWER, BASIC, Simplex

__all__ = ["Block", "SafeLP"]

Index = NDArray[np.intp]


@dataclass(eq=False)
class Block:
    """Rows that were added together; SoPlex numbers them from `first`."""

    first: int
    matrix: Matrix  # csr_array [rows, columns at that time]
    absolute: Matrix  # its absolute values
    entries: Index  # number of entries per column

    def set_coefficients(self, lp: SafeLP, rows: Index, position: int, values: Array) -> None:
        """Give the entry number `position` of each of the block's rows a new value."""
        place = self.matrix.indptr[rows] + position
        changed = np.flatnonzero(self.matrix.data[place] != values)
        if len(changed):
            lp.hold_basis()
            columns = self.matrix.indices[place[changed]]
            lp.simplex.change_coefficients(self.first + rows[changed], columns, values[changed])
        self.matrix.data[place], self.absolute.data[place] = values, np.abs(values)


class SafeLP:
    """min c'v with rows and boxed columns that may be appended and changed; the basis stays."""

    def __init__(self, roundings: int = 0) -> None:
        self.simplex = Simplex()
        self.roundings = roundings  # each entry is the exact one up to a relative error of roundings * 2**-53
        self.lower, self.upper, self.objective = np.zeros(0), np.zeros(0), np.zeros(0)  # of columns
        self.row_lower, self.row_upper = np.zeros(0), np.zeros(0)
        self.row_error = np.zeros(0)  # bound on |side - exact side|
        self.blocks: list[Block] = []
        self._solved = False
        self._basis: tuple[list[int], list[int]] | None = (
            None  # of columns and rows, to be given back before solving
        )

    @property
    def columns(self) -> int:
        """Number of columns."""
        return len(self.lower)

    def add_columns(self, lower: Array, upper: Array) -> Index:
        """Append boxed columns; returns their numbers. A free column is [-inf, inf]: see `add_rows`."""
        count = len(lower)
        self.simplex.add_columns(np.zeros(count), lower, upper)
        self.lower, self.upper = np.concatenate([self.lower, lower]), np.concatenate([self.upper, upper])
        self.objective = np.concatenate([self.objective, np.zeros(count)])
        if self._basis:
            self._basis[0].extend([AT_LOWER] * count)
        return np.arange(self.columns - count, self.columns)

    def add_rows(
        self, matrix: Matrix, low: Array, high: Array, error: float = 0.0, free: int | None = None
    ) -> Block:
        """Append rows low <= matrix @ v <= high whose finite sides are known up to `error`.

        free: a free column that gets -1 in these rows for the solver's eyes only. Proofs leave it out, so
        that `lower_bound` speaks of the rows' left-hand sides weighted by their multipliers.
        """
        matrix = sp.csr_array(matrix)
        first = self.simplex.rows
        ends, indices, data = matrix.indptr.tolist(), matrix.indices.tolist(), matrix.data.tolist()
        entries = [
            list(zip(indices[a:b], data[a:b], strict=True)) for a, b in zip(ends[:-1], ends[1:], strict=True)
        ]
        if free is not None:
            entries = [[*row, (free, -1.0)] for row in entries]
        self.simplex.add_rows(entries, low, high)
        self.row_lower, self.row_upper = (
            np.concatenate([self.row_lower, low]),
            np.concatenate([self.row_upper, high]),
        )
        self.row_error = np.concatenate([self.row_error, np.full(len(entries), error)])
        if self._basis:
            self._basis[1].extend([BASIC] * len(entries))
        block = Block(first, matrix, abs(matrix), np.bincount(matrix.indices, minlength=matrix.shape[1]))
        self.blocks.append(block)
        return block

    def set_bounds(self, lower: Array, upper: Array) -> None:
        """New bounds of all columns."""
        changed = np.flatnonzero((lower != self.lower) | (upper != self.upper))
        self.simplex.change_bounds(changed, lower[changed], upper[changed])
        self.lower, self.upper = lower, upper

    def set_sides(self, rows: Index, low: Array, high: Array) -> None:
        """New sides of the given rows."""
        changed = (low != self.row_lower[rows]) | (high != self.row_upper[rows])
        self.simplex.change_sides(rows[changed], low[changed], high[changed])
        self.row_lower[rows], self.row_upper[rows] = low, high

    def set_objective(self, objective: Array) -> None:
        """New objective of all columns."""
        changed = np.flatnonzero(objective != self.objective)
        self.simplex.change_costs(changed, objective[changed])
        self.objective = objective

    def hold_basis(self) -> None:
        """Call before a change of coefficients: SoPlex forgets its basis then, and `solve` gives it back."""
        if self._solved and self._basis is None:
            self._basis = self.simplex.basis()

    def solve(self, seconds: float, dual: bool = True) -> str:
        """Solve by the dual or primal simplex; see `Simplex.solve` for what it says."""
        if self._basis:
            self.simplex.set_basis(*self._basis)
        self._basis, self._solved = None, True
        return self.simplex.solve(seconds, dual)

    def multipliers(self) -> Array:
        """The last solve's row multipliers, of the signs that the formula wants."""
        return self.simplex.duals()

    def ray(self) -> Array | None:
        """Multipliers that prove infeasibility, if the solver has some."""
        return self.simplex.ray()

    def point(self) -> Array:
        """[columns] the last solve's values."""
        return self.simplex.point()

    def project(self, multipliers: Array) -> Array:
        """Multipliers whose sign asks for an infinite side, or that are not finite, become 0."""
        p = np.where(np.isfinite(multipliers), multipliers, 0.0)
        return np.where(np.isfinite(np.where(p > 0.0, self.row_lower, self.row_upper)), p, 0.0)

    @np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end proves nothing
    def lower_bound(self, multipliers: Array, objective: Array | None = None, constant: float = 0.0) -> float:
        """Rigorous lower bound of objective'v + constant over all v that satisfy rows and boxes.

        multipliers: [rows], any floats; objective: [columns] or None for 0. Where every column is boxed.
        """
        p = self.project(multipliers)
        sides = np.where(p > 0.0, self.row_lower, self.row_upper)
        sides = np.where(p != 0.0, sides, 0.0)
        rest = np.zeros(self.columns) if objective is None else objective.copy()
        size, terms = np.abs(rest), np.full(self.columns, float(self.roundings + 1 + len(self.blocks)))
        for block in self.blocks:
            part = p[block.first : block.first + block.matrix.shape[0]]
            if not part.any():
                continue
            width = block.matrix.shape[1]
            rest[:width] -= block.matrix.T @ part
            size[:width] += block.absolute.T @ np.abs(part)
            terms[:width] += block.entries
        used = size > 0.0  # an unused free column contributes nothing, and inf * 0 is not a number
        low, high = self.lower[used], self.upper[used]
        rest, size, terms = rest[used], size[used], terms[used]
        from_rows, from_columns = p * sides, np.minimum(rest * low, rest * high)
        reach = np.maximum(np.abs(low), np.abs(high))
        error = float(np.dot(gamma(terms) * size, reach))
        error += float(np.abs(p) @ self.row_error)
        error += gamma(4) * (float(np.abs(from_rows).sum() + np.abs(from_columns).sum()) + abs(constant))
        try:
            total = math.fsum([*from_rows.tolist(), *from_columns.tolist(), constant])
        except (OverflowError, ValueError):  # a sum beyond float64, or of infinities
            return -math.inf
        value = total - error * UP - UNDERFLOW
        return value if math.isfinite(value) else -math.inf
