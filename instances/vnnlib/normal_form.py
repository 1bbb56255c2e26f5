"""A formula -> its cases: input sets, each with the union of what it forbids.

Assertions that mention inputs are multiplied out and grouped by the input set they describe; assertions on
outputs alone are multiplied out once and conjoined to every group. So all disjuncts of one input set land in
one case and are searched together, and a disjunction over ten boxes and one over nine outputs is read as 10
cases of 9, not as 90.

Rounding. What is computed from literals is exact where float64 can hold it, and otherwise rounded outward, by at most
one unit in the last place, so that neither an input set nor a forbidden set ever shrinks: `unsat` stays `unsat`. A
bound or right-hand side that was rounded outward is strict: the number itself is not attained, and float64s are told
apart as the text does.

What is empty. A conjunction with a comparison of constants that is false, or with a lower bound above an upper
bound (or at it, one of them strict), has no solution and is dropped. If contradictory bounds leave nothing at all,
no input satisfies the text: it has no cases, and `contradiction` tells why.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from typing import NamedTuple

import numpy as np

from ..errors import PropertyError
from ..network import Array
from ..property import Case, Equality, InputSet, Polyhedron
from ..rounding import LITERALS
from .formula import MAX_CONJUNCTIONS, Atom, Bound, Conjunction, Formula, Number, conjoin
from .implied_bounds import bound_the_unbounded
from .table_cases import table_cases

__all__ = ["Normaliser", "equalities_of", "on_inputs_only"]

# the fields of an InputSet, bounds perhaps infinite, and its equalities
_Ends = tuple[Array, Array, Array, Array, Array, Array, Array, tuple[Equality, ...]]


class _Contradiction(NamedTuple):
    """A box whose bounds of one variable leave nothing between them."""

    variable: int
    atoms: Conjunction  # of the conjunction it stems from, besides the plain bounds


class Normaliser:
    """Formula -> cases. as_written: whether its literals are the decimals themselves, not the float64s next to them."""

    def __init__(self, formula: Formula, as_written: bool = False) -> None:
        self.formula, self.as_written = formula, as_written
        self.inputs, self.outputs = len(formula.inputs), len(formula.outputs)
        self.base = _plain_box(formula)
        self.contradiction = ""  # why no input satisfies the formula
        self.rows_of: dict[tuple[tuple[int, Number], ...], Array] = {}  # of atoms on outputs, by their terms
        atoms = chain(
            (a for part in formula.assertions for conjunction in part for a in conjunction),
            (a for _, table in formula.tables for shape in table.shapes for a in shape.atoms),
        )
        self.joint = any(_on_inputs(a) and not on_inputs_only(a) for a in atoms)

    def cases(self) -> tuple[tuple[Case, ...], bool]:
        """All cases, and whether polyhedra are over (y, x)."""
        if (found := self.cases_of_table()) is not None:
            return found, self.joint
        self.formula.write_out()
        text = self.formula.text
        sides: tuple[list[list[Conjunction]], list[list[Conjunction]]] = ([], [])
        for part in self.formula.assertions:
            sides[any(_on_inputs(a) for conjunction in part for a in conjunction)].append(part)
        sides[0].extend([(_bound_atom(bound),)] for bound in self.formula.bounds if bound[0] < 0)
        forbidden = conjoin(sides[0], text)
        regions = self.regions(conjoin(sides[1], text))
        if not forbidden:
            return (), False
        for ends, _ in regions:
            self.require_finite(*ends[:2])
        if sum(len(residuals) for _, residuals in regions) * len(forbidden) > MAX_CONJUNCTIONS:
            raise PropertyError(
                f"{text.name}: more than {MAX_CONJUNCTIONS} forbidden polyhedra; "
                "split the property into several files"
            )
        shared = {c: self.polyhedron(c) for c in forbidden}  # most cases demand nothing besides
        cases = tuple(Case(_input_set(ends), self.union(residuals, shared)) for ends, residuals in regions)
        return cases, self.joint

    def cases_of_table(self) -> tuple[Case, ...] | None:
        """All cases where a table and bounds of inputs are all there is, and it is plain; see table_cases.py."""
        formula = self.formula
        if len(formula.tables) != 1 or formula.assertions or any(bound[0] < 0 for bound in formula.bounds):
            return None
        return table_cases(formula.tables[0][1], self.base, self.polyhedron)

    def regions(self, conjunctions: list[Conjunction]) -> list[tuple[_Ends, list[Conjunction]]]:
        """Input sets that differ, each with what its conjunctions demand besides; missing bounds are infinite.

        Where there are conjunctions, and all of them contradict themselves, `contradiction` says so.
        """
        groups: dict[tuple[object, ...], tuple[_Ends, list[Conjunction]]] = {}
        known: dict[object, list[Conjunction] | None] = {}  # by what atoms say, wherever they stand in the text
        contradiction: _Contradiction | None = None
        for conjunction in conjunctions:
            on_inputs, residual = _split(conjunction)
            said = tuple((atom.terms, atom.constant, atom.strict) for atom in on_inputs)
            if said not in known:
                region = self.region(on_inputs)
                if isinstance(region, _Contradiction):
                    contradiction, known[said] = contradiction or region, None
                else:
                    key = (*(a.tobytes() for a in region[:-1]), region[-1])
                    known[said] = groups.setdefault(key, (region, []))[1]
            residuals = known[said]
            if residuals is not None:
                residuals.append(residual)
        if contradiction and not groups:
            self.contradiction = self.told(contradiction)
        return list(groups.values())

    def region(self, atoms: Conjunction) -> _Ends | _Contradiction:
        """The input set of plain bounds and of one conjunction of atoms on inputs."""
        lower, upper, above, below = (a.copy() for a in self.base)
        rows, offsets, strict = [], [], []
        derived = np.zeros((2, len(lower)), dtype=bool)  # lower and upper ends that are no literal, but next to a float
        open_by = np.array([above, below])  # ends that are excluded, and not by the rounding of their last digits alone
        for atom in sorted(atoms, key=_position) if len(atoms) > 1 else atoms:
            if len(atom.terms) == 1:
                variable, is_upper, value, open_end, near = self.bound(atom)
                ends, masks = (upper, below) if is_upper else (lower, above)
                at, excluded = (int(is_upper), variable), atom.strict or (open_end and not near)
                if value == ends[variable]:
                    masks[variable] |= open_end
                    derived[at], open_by[at] = derived[at] | near, open_by[at] | excluded
                elif (value < ends[variable]) == is_upper:
                    ends[variable], masks[variable] = value, open_end
                    derived[at], open_by[at] = near, excluded
            else:
                row, rhs, open_row = self.row(atom, self.inputs)
                rows.append(0.0 - row)  # not -row: that would make zeros negative
                offsets.append(rhs)
                strict.append(open_row)
        if rows and (np.isinf(lower).any() or np.isinf(upper).any()):
            bound_the_unbounded(lower, upper, atoms)
        crossed = (lower > upper) | ((lower == upper) & (above | below))
        # literals next to each other's float64s are no contradiction
        near = crossed & derived.any(axis=0) & ((lower > upper) | ~open_by.any(axis=0))
        near &= lower - upper <= LITERALS * np.maximum(np.abs(lower), np.abs(upper))
        lower[near], upper[near], above[near], below[near] = upper[near], lower[near], False, False
        crossed &= ~near
        if crossed.any():
            return _Contradiction(int(crossed.argmax()), atoms)
        matrix = np.array(rows).reshape(len(rows), self.inputs)
        rest = np.array(offsets, dtype=np.float64), above, below, np.array(strict, dtype=bool)
        return lower + 0.0, upper + 0.0, matrix, *rest, equalities_of(atoms)

    def bound(self, atom: Atom) -> tuple[int, bool, float, bool, bool]:
        """An atom in one variable as (variable, is an upper bound, value rounded outward, strict, derived).

        derived: it is no literal by itself, and the value is its own in all digits but the last ones, which 0 is not
        where the bound is 1e-400.
        """
        ((variable, coefficient),) = atom.terms
        is_upper = coefficient > 0
        if _plain(atom):  # a literal that stands alone is its float64
            return variable, is_upper, float(-coefficient * atom.constant), atom.strict, False
        exact = -Fraction(atom.constant) / Fraction(coefficient)
        if self.as_written and abs(coefficient) == 1:
            value = float(exact)
            return variable, is_upper, value, atom.strict, _next_to(value, exact)
        value = _upward(exact) if is_upper else -_upward(-exact)
        if math.isinf(value):
            self.formula.text.fail(
                atom.position, f"the bound of {self.formula.spelled(variable)} that follows is beyond float64"
            )
        return variable, is_upper, value, atom.strict or value != exact, _next_to(value, exact)

    def polyhedron(self, atoms: Conjunction) -> Polyhedron:
        """The output polyhedron of atoms, over (y, x) if the property is joint."""
        width = self.outputs + (self.inputs if self.joint else 0)
        if len(atoms) == 1:
            return self.half_space(atoms[0], width)
        triples = [self.row(atom, width) for atom in sorted(atoms, key=_position)]
        rows = np.array([row for row, _, _ in triples]).reshape(len(triples), width)
        rhs = np.array([rhs for _, rhs, _ in triples], dtype=np.float64)
        return Polyhedron(rows, rhs, np.array([strict for _, _, strict in triples], dtype=bool))

    def half_space(self, atom: Atom, width: int) -> Polyhedron:
        """The polyhedron of a single atom; atoms with the same terms share their rows."""
        if atom.terms not in self.rows_of or not isinstance(atom.constant, float):
            row, rhs, strict = self.row(atom, width)
            rows = row[None]
            if isinstance(atom.constant, float) and all(isinstance(c, int) for _, c in atom.terms):
                self.rows_of[atom.terms] = rows  # terms that need no common denominator with a float constant
        else:
            rows, rhs, strict = self.rows_of[atom.terms], -atom.constant + 0.0, atom.strict
        return Polyhedron.of_checked(rows, np.array([rhs]), np.array([strict]))

    def union(
        self, residuals: Iterable[Conjunction], shared: dict[Conjunction, Polyhedron]
    ) -> tuple[Polyhedron, ...]:
        """Residuals times the conjunctions that all cases share, duplicates left out."""
        found: dict[tuple[bytes, bytes, bytes], Polyhedron] = {}
        for residual in residuals:
            for atoms, polyhedron in shared.items():
                both = self.polyhedron(residual + atoms) if residual else polyhedron
                found.setdefault((both.rows.tobytes(), both.rhs.tobytes(), both.strict.tobytes()), both)
        return tuple(found.values())

    def row(self, atom: Atom, width: int) -> tuple[Array, float, bool]:
        """An atom as (row, rhs, strict) of row @ v <= rhs; v is x for an atom on inputs alone, else (y, x).

        The row is exact, if need be by multiplying the atom by the common denominator; rhs is rounded upward.
        """
        numbers = [c for _, c in atom.terms]
        rhs = float(-atom.constant) if all(isinstance(c, int) for c in numbers) else -atom.constant
        if not all(map(_exact, (*numbers, rhs))):
            scale = math.lcm(*(Fraction(c).denominator for c in (*numbers, rhs)))
            scaled = [Fraction(c) * scale for c in (*numbers, rhs)]
            if all(map(_exact, scaled)) or not all(map(_exact, numbers)):
                numbers, rhs = list(scaled[:-1]), scaled[-1]
        if not all(map(_exact, numbers)) or math.isinf(bound := _upward(rhs)):
            self.formula.text.fail(
                atom.position,
                "the sum of this comparison's terms has coefficients that float64 cannot hold exactly, "
                "even over a common denominator; write them with fewer digits",
            )
        row = np.zeros(width)
        first = 0 if on_inputs_only(atom) else self.outputs
        for (variable, _), number in zip(atom.terms, numbers, strict=True):
            row[first + variable if variable >= 0 else ~variable] = float(number)
        return row, bound + 0.0, atom.strict or bound != rhs

    def require_finite(self, lower: Array, upper: Array) -> None:
        """PropertyError unless every input has both bounds."""
        open_below, open_above = np.isinf(lower), np.isinf(upper)
        missing = np.flatnonzero(open_below | open_above)
        if len(missing):
            i = int(missing[0])
            name = self.formula.spelled(i)
            side, compare = ("lower", ">=") if open_below[i] else ("upper", "<=")
            others = f" (nor have {len(missing) - 1} other inputs both bounds)" if len(missing) > 1 else ""
            self.formula.text.fail(
                self.formula.inputs[i],
                f"{name}, declared here, has no {side} bound in some input set{others}; "
                f"add (assert ({compare} {name} ...))",
            )

    def told(self, found: _Contradiction) -> str:
        """Contradictory bounds in words, with the lines of both."""
        text, i = self.formula.text, found.variable
        bounds = [(side, value, position) for v, side, value, position, _ in self.formula.bounds if v == i]
        for atom in found.atoms:
            if len(atom.terms) == 1 and atom.terms[0][0] == i:
                bounds.append((*self.bound(atom)[1:3], atom.position))
        below, above = [b for b in bounds if not b[0]], [b for b in bounds if b[0]]
        if not below or not above:  # one of the two follows from comparisons with other inputs
            compared = [atom.position for atom in found.atoms if any(v == i for v, _ in atom.terms)]
            line = text.line(max([b[2] for b in bounds] or compared))
            return (
                f"{text.name}, line {line}: what {self.formula.spelled(i)} is compared with, other inputs among it, "
                "leaves it no value; no input satisfies this, nor any other disjunct"
            )
        low, high = max(below, key=lambda b: b[1]), min(above, key=lambda b: b[1])
        crossed = low[1] > high[1]
        where = f"{text.name}, line {text.line(max(low[2], high[2]))}: {self.formula.spelled(i)} has"
        return (
            f"{where} the lower bound {low[1]!r} (line {text.line(low[2])}) {'above' if crossed else 'at'} the upper "
            f"bound {high[1]!r} (line {text.line(high[2])}){'' if crossed else ', one of them strict'}; "
            "no input satisfies this, nor any other disjunct"
        )


def _input_set(ends: _Ends) -> InputSet:
    """Of finite ends that do not cross."""
    lower, upper, matrix, _, above, below, _, equal = ends
    return InputSet.box_of_checked(lower, upper, above, below) if not len(matrix) else InputSet(*ends[:-1], equal=equal)


def equalities_of(atoms: Conjunction) -> tuple[Equality, ...]:
    """Pairs of opposite atoms, t <= 0 and -t <= 0, of more than one input."""
    known: set[tuple[object, Number]] = set()
    found = []
    for atom in atoms:
        if len(atom.terms) > 1 and not atom.strict:
            opposite = tuple((v, -c) for v, c in atom.terms)
            if (opposite, -atom.constant) in known:
                terms = tuple((v, Fraction(c)) for v, c in atom.terms)
                found.append(Equality(terms, Fraction(atom.constant)))
            known.add((atom.terms, atom.constant))
    return tuple(found)


def _plain_box(formula: Formula) -> tuple[Array, Array, Array, Array]:
    """Bounds that the plain commands `(assert (<= X_0 0.5))` give, infinite where there are none.

    Returns (lower, upper, whether lower is strict, whether upper is).
    """
    lower, upper = np.full(len(formula.inputs), -np.inf), np.full(len(formula.inputs), np.inf)
    for is_upper, box, tighten in ((False, lower, np.maximum), (True, upper, np.minimum)):
        chosen = [(v, value) for v, side, value, _, _ in formula.bounds if v >= 0 and side == is_upper]
        if chosen:
            variables, values = zip(*chosen, strict=True)
            tighten.at(box, np.array(variables), np.array(values, dtype=np.float64))
    masks = np.zeros((2, len(lower)), dtype=bool)
    for variable, is_upper, value, _, strict in formula.bounds:
        if strict and variable >= 0 and (upper if is_upper else lower)[variable] == value:
            masks[int(is_upper), variable] = True
    return lower, upper, masks[0], masks[1]


def _bound_atom(bound: Bound) -> Atom:
    variable, is_upper, value, position, strict = bound
    sign = 1 if is_upper else -1
    return Atom(((variable, sign),), -sign * value, position, strict)


def _split(conjunction: Conjunction) -> tuple[Conjunction, Conjunction]:
    """Atoms on inputs alone, and the others."""
    sides: tuple[list[Atom], list[Atom]] = ([], [])
    for atom in conjunction:
        sides[not on_inputs_only(atom)].append(atom)
    return tuple(sides[0]), tuple(sides[1])


def _position(atom: Atom) -> int:
    return atom.position


def _on_inputs(atom: Atom) -> bool:
    return any(variable >= 0 for variable, _ in atom.terms)


def on_inputs_only(atom: Atom) -> bool:
    """Whether it tells of inputs alone."""
    return all(variable >= 0 for variable, _ in atom.terms)


def _plain(atom: Atom) -> bool:
    """Whether a comparison of one variable is with a literal, its bound: `plain_atom`'s coefficients are 1 and -1."""
    return isinstance(atom.terms[0][1], int)


def _next_to(value: float, exact: Fraction) -> bool:
    """Whether a float64 is a number up to its last digits."""
    return abs(Fraction(value) - exact) <= Fraction(LITERALS) * abs(Fraction(value))


def _exact(number: Number) -> bool:
    """Whether float64 holds the number exactly."""
    nearest = _nearest(number)
    return math.isfinite(nearest) and nearest == number


def _nearest(number: Number) -> float:
    """float64 nearest to a number, infinite beyond the largest."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _upward(number: Number) -> float:
    """Least float64 that is not below the number."""
    nearest = _nearest(number)
    return math.nextafter(nearest, math.inf) if math.isfinite(nearest) and nearest < number else nearest
