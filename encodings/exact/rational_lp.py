"""Linear systems decided in rational arithmetic: is there an x in a box with every row g'x + h >= 0, or > 0?

The general simplex of Dutertre and de Moura ("A Fast Linear-Arithmetic Solver for DPLL(T)", CAV 2006): each row is a
variable s_i = g_i'x + h_i, basic ones are linear in the others, which rest somewhere within their bounds,
    D v_i = sum_j T_ij v_j + T_i0   (integers, one denominator D > 0 for all).
A basic variable outside its bounds changes places with one that can still move to its aid: at first the one that is
furthest out, after GREEDY pivots both of least index (Bland), so it ends. Where none can, the row's signs are
multipliers of Farkas:
    w >= 0 with max over the box of sum_i w_i (g_i'x + h_i) < 0, or = 0 where a strict row has a part in it.
Strict rows demand s_i >= d for an infinitesimal d > 0: values are pairs v + w d, compared lexicographically.

Fraction-free pivots (Edmonds 1967, Bareiss 1968): entries are minors of the rows, each division by the old D is exact.
Rows join the table only once a point violates them, so its size is that of the rows that matter; a copy that got a row
more goes on from where its original stood. `starting_basis` finds a place to begin in floats, which proves nothing;
here no float is used.
"""

from __future__ import annotations

import time
from collections.abc import Sequence, Set
from fractions import Fraction
from math import gcd
from operator import mul
from typing import NamedTuple

__all__ = ["ExactLP", "Row", "proves_empty"]

MOST_PIVOTS = 4000  # of one call of `solve`: far beyond what rows of this kind take, and the numbers grow with them
GREEDY = 200  # of these that choose by size; they are few where they do not go round in circles
AT_ONCE = 4  # violated rows that join the table at a time


class Row(NamedTuple):
    """normal'x + offset >= 0, or > 0 if strict; any positive multiple is the same row."""

    normal: tuple[int, ...]
    offset: int
    strict: bool = False

    def reversed(self, strict: bool) -> Row:
        """normal'x + offset <= 0, or < 0 if strict."""
        return Row(tuple(-g for g in self.normal), -self.offset, strict)

    def reduced(self) -> Row:
        """The same row without a common factor."""
        divisor = gcd(*self.normal, self.offset)
        if divisor <= 1:
            return self
        return Row(tuple(g // divisor for g in self.normal), self.offset // divisor, self.strict)

    def range(self, lower: Sequence[int], upper: Sequence[int], unit: int) -> tuple[int, int]:
        """Least and largest value over the box lower / unit <= x <= upper / unit, times unit."""
        low = high = self.offset * unit
        for g, a, b in zip(self.normal, lower, upper, strict=True):
            low += g * (a if g > 0 else b)
            high += g * (b if g > 0 else a)
        return low, high


def proves_empty(
    rows: Sequence[Row], multipliers: dict[int, int], lower: Sequence[int], upper: Sequence[int], unit: int
) -> bool:
    """Whether these multipliers >= 0 of the rows prove that nothing in lower <= unit x <= upper satisfies all of them.

    The weighted sum of the rows is >= 0 (> 0 with a strict one) wherever all hold; here its maximum is not.
    """
    if any(w < 0 for w in multipliers.values()):
        return False
    normal = [sum(w * rows[i].normal[j] for i, w in multipliers.items()) for j in range(len(lower))]
    total = Row(tuple(normal), sum(w * rows[i].offset for i, w in multipliers.items()))
    most = total.range(lower, upper, unit)[1]
    return most < 0 or (most == 0 and any(w > 0 and rows[i].strict for i, w in multipliers.items()))


class ExactLP:
    """Rows over a box lower / unit <= x <= upper / unit of n integers each. Raises ValueError where lower > upper."""

    def __init__(self, lower: Sequence[int], upper: Sequence[int], unit: int) -> None:
        if any(a > b for a, b in zip(lower, upper, strict=True)):
            raise ValueError("an empty box")
        self.lower, self.upper, self.unit = list(lower), list(upper), unit
        self.rows: list[Row] = []
        self._sizes: list[int] = []  # bits of each row's largest coefficient
        self.multipliers: dict[int, int] = {}  # of the rows, once `solve` has proved that nothing is left
        self.pivots = 0
        n = len(self.lower)
        # variables: 0..n-1 are x, n + i is row i
        self._waiting: set[int] = set()  # rows outside the table
        self._basic: list[int] = []
        self._nonbasic = list(range(n))
        self._rest = [(a, 0) for a in self.lower]  # per nonbasic variable: where it rests, a pair times unit
        self._table: list[list[int]] = []  # per basic variable: a coefficient per nonbasic one, then the constant
        self._scale = 1

    def copy(self) -> ExactLP:
        """An independent system with the same rows, which goes on from the same basis."""
        other = ExactLP(self.lower, self.upper, self.unit)
        other.rows, other._sizes, other._waiting = self.rows.copy(), self._sizes.copy(), self._waiting.copy()
        other.pivots = self.pivots
        other._basic, other._nonbasic, other._rest = self._basic.copy(), self._nonbasic.copy(), self._rest.copy()
        other._table, other._scale = self._table.copy(), self._scale
        return other

    def add(self, row: Row) -> None:
        """Demand one more row; rows that hold all over the box are left out."""
        least = row.range(self.lower, self.upper, self.unit)[0]
        if least < 0 or (least == 0 and row.strict):
            self._waiting.add(len(self.rows))
            self.rows.append(row.reduced())
            self._sizes.append(max((abs(g) for g in self.rows[-1].normal), default=0).bit_length())

    def fix(self, j: int, value: Fraction) -> None:
        """Demand x_j = value, which must lie in the box."""
        self._refine(value.denominator)
        self.lower[j] = self.upper[j] = int(value * self.unit)
        if j in self._nonbasic:
            self._rest[self._nonbasic.index(j)] = self.lower[j], 0

    def begin_at(self, point: Sequence[Fraction]) -> None:
        """Let the inputs rest at a point of the box, as long as no row is nonbasic."""
        for value in point:
            self._refine(value.denominator)
        for column, j in enumerate(self._nonbasic):
            if j < len(self.lower):
                self._rest[column] = min(max(int(point[j] * self.unit), self.lower[j]), self.upper[j]), 0

    def begin_with(self, tight: Sequence[int], between: Set[int]) -> None:
        """Let rows `tight` rest at 0, and inputs `between` be what these make them; dependent ones are left alone."""
        for i in tight:
            if i in self._waiting:
                self._join(i)
        for i in tight:
            if len(self.lower) + i not in self._basic:
                continue
            r = self._basic.index(len(self.lower) + i)
            inner = [c for c, j in enumerate(self._nonbasic) if j in between and self._table[r][c]]
            if inner:
                self._exchange(r, max(inner, key=lambda c: abs(self._table[r][c])), self._bound(r, 1))

    def _refine(self, denominator: int) -> None:
        """Make the unit a multiple of the denominator."""
        factor = denominator // gcd(denominator, self.unit)
        self.unit *= factor
        self.lower, self.upper = [a * factor for a in self.lower], [b * factor for b in self.upper]
        self._rest = [(v * factor, w * factor) for v, w in self._rest]

    def solve(self, deadline: float) -> str:
        """ "point", "empty", or why it cannot tell: "time", "pivots"."""
        pivots = 0
        while True:
            while (leaving := self._outside(pivots < GREEDY)) is not None:
                column = self._entering(*leaving, pivots < GREEDY)
                if column is None:
                    self.multipliers = self._farkas(*leaving)
                    proved = proves_empty(self.rows, self.multipliers, self.lower, self.upper, self.unit)
                    return "empty" if proved else "no proof"
                if time.monotonic() > deadline:
                    return "time"
                if pivots >= MOST_PIVOTS:
                    return "pivots"
                self._exchange(leaving[0], column, self._bound(*leaving))
                pivots += 1
            violated = self._violated()
            if not violated:
                return "point"
            for i in violated:
                self._join(i)

    def point(self) -> list[Fraction]:
        """A solution, after `solve` has said "point"."""
        pairs = self._inputs()
        size = 1  # the infinitesimal becomes 1 / size
        for row in self.rows:
            value, part = self._value(row, pairs)
            if value > 0 > part:
                size = max(size, 1 - part // value)
        for (value, part), low, high in zip(pairs, self.lower, self.upper, strict=True):
            for room, change in ((value - low * self._scale, part), (high * self._scale - value, -part)):
                if room > 0 > change:
                    size = max(size, 1 - change // room)
        return [Fraction(value * size + part, self._scale * self.unit * size) for value, part in pairs]

    def sign(self, row: Row) -> int:
        """Sign of normal'x + offset at the present point."""
        pair = self._value(row, self._inputs())
        return (pair > (0, 0)) - (pair < (0, 0))

    # pairs (v, w) stand for (v + w d) / (scale unit)

    def _columns(self) -> tuple[list[int], list[int]]:
        """Both parts of the nonbasic variables' values and of the constant 1, times unit."""
        return [*(v for v, _ in self._rest), self.unit], [*(w for _, w in self._rest), 0]

    def _bound(self, r: int, direction: int) -> tuple[int, int]:
        """The bound below (direction 1) or above (-1) basic variable r, times unit."""
        variable, n = self._basic[r], len(self.lower)
        if variable >= n:
            return 0, int(self.rows[variable - n].strict) * self.unit
        return (self.lower if direction > 0 else self.upper)[variable], 0

    def _outside(self, greedy: bool) -> tuple[int, int] | None:
        """(row of the table, direction that it must move in) of a basic variable outside its bounds."""
        n, (values, parts) = len(self.lower), self._columns()
        infinitesimal = any(parts)
        best: tuple[int, int] | None = None
        choice: tuple[int, int] | None = None
        for r, line in enumerate(self._table):
            variable = self._basic[r]
            pair = sum(map(mul, line, values)), sum(map(mul, line, parts)) if infinitesimal else 0
            for direction in (1, -1) if variable < n else (1,):
                value, part = self._bound(r, direction)
                out = value * self._scale - pair[0], part * self._scale - pair[1]
                if direction > 0:
                    violated = out > (0, 0)
                else:
                    violated = out < (0, 0)
                if not violated:
                    continue
                size = abs(out[0]).bit_length() - (self._sizes[variable - n] if variable >= n else 1)
                order = (-size if greedy else 0, variable)
                if choice is None or order < choice:
                    best, choice = (r, direction), order
        return best

    def _entering(self, r: int, direction: int, greedy: bool) -> int | None:
        """Column of a variable whose move brings basic variable r nearer to its bounds."""
        best: int | None = None
        choice: tuple[int, int] | None = None
        for column, entry in enumerate(self._table[r][:-1]):
            variable = self._nonbasic[column]
            if not entry:
                continue
            rises = (entry > 0) == (direction > 0)
            if variable >= len(self.lower):
                can = rises  # rows have no upper bound
            else:
                bound = (self.upper if rises else self.lower)[variable], 0
                can = self._rest[column] < bound if rises else self._rest[column] > bound
            order = (-abs(entry).bit_length() if greedy else 0, variable)
            if can and (choice is None or order < choice):
                best, choice = column, order
        return best

    def _farkas(self, r: int, direction: int) -> dict[int, int]:
        """Multipliers from a basic variable that none can help."""
        n = len(self.lower)
        found = {}
        for variable, entry in zip(self._nonbasic, self._table[r][:-1], strict=True):
            if variable >= n and entry:
                found[variable - n] = -direction * entry
        if self._basic[r] >= n:
            found[self._basic[r] - n] = self._scale
        return found

    def _exchange(self, r: int, column: int, rest: tuple[int, int]) -> None:
        """Basic variable r and the nonbasic one of the column change places; r comes to rest there."""
        line, scale = self._table[r], self._scale
        p = line[column]
        sign = 1 if p > 0 else -1
        for i, other in enumerate(self._table):
            a = other[column]
            if i == r:
                continue
            if a:
                new = [sign * ((p * t - a * q) // scale) for t, q in zip(other, line, strict=True)]
            else:
                new = [sign * (p * t // scale) if t else 0 for t in other]
            new[column] = sign * a
            self._table[i] = new
        new = [-sign * t for t in line]
        new[column] = sign * scale
        self._table[r], self._scale = new, sign * p
        self._basic[r], self._nonbasic[column] = self._nonbasic[column], self._basic[r]
        self._rest[column] = rest
        self.pivots += 1

    def _join(self, i: int) -> None:
        """Row i becomes a basic variable of the table."""
        n, row = len(self.lower), self.rows[i]
        places = {variable: r for r, variable in enumerate(self._basic) if variable < n}
        line = [0] * n + [row.offset * self._scale]
        for column, variable in enumerate(self._nonbasic):
            if variable < n:
                line[column] = row.normal[variable] * self._scale
        for variable, r in places.items():
            if g := row.normal[variable]:
                line = [t + g * q for t, q in zip(line, self._table[r], strict=True)]
        self._basic.append(n + i)
        self._table.append(line)
        self._waiting.discard(i)

    def _inputs(self) -> list[tuple[int, int]]:
        """The point as pairs."""
        n = len(self.lower)
        values, parts = self._columns()
        pairs = [(0, 0)] * n
        for column, variable in enumerate(self._nonbasic):
            if variable < n:
                pairs[variable] = values[column] * self._scale, parts[column] * self._scale
        for variable, line in zip(self._basic, self._table, strict=True):
            if variable < n:
                pairs[variable] = sum(map(mul, line, values)), sum(map(mul, line, parts))
        return pairs

    def _value(self, row: Row, pairs: list[tuple[int, int]]) -> tuple[int, int]:
        """The row's value at the point, as a pair."""
        value = row.offset * self._scale * self.unit + sum(map(mul, row.normal, (v for v, _ in pairs)))
        return value, sum(map(mul, row.normal, (w for _, w in pairs)))

    def _violated(self) -> list[int]:
        """The worst few of the waiting rows that the present point violates."""
        pairs = self._inputs()
        found = []
        for i in sorted(self._waiting):
            row = self.rows[i]
            value, part = self._value(row, pairs)
            if (value, part) < (0, int(row.strict) * self.unit * self._scale):
                found.append((self._sizes[i] - abs(value).bit_length(), i))
        return [i for _, i in sorted(found)[:AT_ONCE]]
