"""Decimals for a witness in an input set with equalities: they satisfy these as the property writes them.

The text is read once more, its literals as the numbers that are written (0.1 is a tenth). Its equalities give the
solved inputs as rational functions of the free ones; these are written as they were replayed, or as the float64s that
the search found, moved by a few units far behind the point where that makes the others finite decimals: x_1 = 5/7 - 3/7
x_0 has some for one x_0 in seven. All of it is checked: bounds, half-spaces, and that each decimal is read as the very
input that was replayed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Context, Decimal
from fractions import Fraction
from itertools import islice
from math import lcm
from typing import Any

import numpy as np

from ..errors import PropertyError
from ..property import InputSet, Property
from ..rewriting.elimination import Affine, Solution, solution_of
from ..vnnlib.formula import Atom, Conjunction, conjoin
from ..vnnlib.normal_form import equalities_of, on_inputs_only
from ..vnnlib.reader import parse_any
from .decimals import read_as
from .witness import Witness

__all__ = ["written_equal"]

MOST_READINGS = 64  # conjunctions of the text that are tried
MOST_MOVES = 1000  # of a free input: the largest odd denominator, fives taken out
SHARES = [Fraction(k, 16) for k in (1, -1, 4, -4, 7, -7)]  # of the distance to the next value of the input's type
DIGITS = 25  # behind the first digit of an input, where it is moved
_PRECISE = Context(prec=1200)


def written_equal(witness: Witness, prop: Property, dtype: Any) -> Witness:
    """The witness with such decimals, or as it is where none are found."""
    if not prop.text or witness.real is None:
        return witness
    for atoms in islice(_readings(prop), MOST_READINGS):
        box = InputSet.box(witness.input, witness.input)  # no input is preferred as a free one
        solution = solution_of(box, equalities_of(atoms))
        if solution is None or solution.contradiction:
            continue
        for start in _starts(witness, witness.real, atoms, dtype):
            point = _finite([start[i] for i in solution.kept.tolist()], solution, atoms)
            decimals = [_decimal(v) for v in point]
            if _holds(atoms, point) and all(map(read_as, decimals, witness.input.tolist(), [dtype] * len(decimals))):
                known = enumerate(zip(decimals, witness.input.tolist(), strict=True))
                return replace(witness, written={i: d for i, (d, x) in known if Fraction(d) != Fraction(repr(x))})
    return witness


def _readings(prop: Property) -> Iterator[Conjunction]:
    """What the text says of inputs alone, literals as they are written, one conjunction a time."""
    try:
        formula = parse_any(prop.text, prop.source or "property", exact=True)
        parts = [part for part in formula.assertions if any(on_inputs_only(a) for c in part for a in c)]
        whole = conjoin(parts, formula.text)
    except PropertyError:  # a product too large; the text itself was read before
        return
    bounds = tuple(
        Atom(((v, 1 if up else -1),), -value if up else value, at, strict)
        for v, up, value, at, strict in formula.bounds
        if v >= 0
    )
    for conjunction in whole:
        yield (*bounds, *(a for a in conjunction if on_inputs_only(a)))


def _starts(
    witness: Witness, real: tuple[Fraction, ...], atoms: Conjunction, dtype: Any
) -> Iterator[list[Fraction]]:
    """Points to begin with, inside the bounds: the input as it is written, or as it was found, or next to it."""
    lows: dict[int, Fraction] = {}
    highs: dict[int, Fraction] = {}
    for atom in atoms:
        if len(atom.terms) == 1:
            ((v, c),) = atom.terms
            end, pick, ends = -Fraction(atom.constant) / Fraction(c), (min, max)[c < 0], (highs, lows)[c < 0]
            ends[v] = pick(end, ends.get(v, end))
    written = [Fraction(witness.decimal(i)) for i in range(len(witness.input))]
    above = np.nextafter(np.abs(witness.input).astype(dtype), dtype(np.inf)).astype(np.float64)
    widths = [Fraction(a) - abs(Fraction(x)) for a, x in zip(above.tolist(), witness.input.tolist(), strict=True)]
    near = [[w + share * width for w, width in zip(written, widths, strict=True)] for share in SHARES]
    for start in (written, list(real), *near):
        yield [min(max(v, lows.get(i, v)), highs.get(i, v)) for i, v in enumerate(start)]


def _finite(z: list[Fraction], solution: Solution, atoms: Conjunction) -> list[Fraction]:
    """All inputs for free ones near z, with solved inputs that are finite decimals as far as possible."""
    moved: set[int] = set()
    for terms, constant in solution.solved.values():
        place = next((j for j in sorted(terms) if j not in moved and _odd(terms[j].denominator) > 1), None)
        if place is None:
            continue
        moved.update(terms)
        if _odd(_value(terms, constant, z, solution).denominator) > 1:
            own = tuple(atom for atom in atoms if len(atom.terms) == 1 and atom.terms[0][0] == place)
            _move(z, place, (terms, constant), solution, own)
    return solution.exactly(z)


def _move(z: list[Fraction], j: int, affine: Affine, solution: Solution, bounds: Conjunction) -> None:
    """Move free input j within its bounds so that a solved one becomes a finite decimal, if few units do."""
    at = solution.place[j]
    old = z[at]
    unit = Fraction(1, 10 ** max(0, DIGITS - (len(str(int(abs(old)))) if abs(old) >= 1 else 0)))
    rounded = Fraction(round(old / unit)) * unit
    most = lcm(*(_odd(c.denominator) for c in (*affine[0].values(), affine[1])))
    for k in range(min(most, MOST_MOVES)):
        for step in (k, -k):
            z[at] = rounded + step * unit
            if _odd(_value(*affine, z, solution).denominator) == 1 and _satisfied(bounds, {j: z[at]}):
                return
    z[at] = old


def _value(terms: dict[int, Fraction], constant: Fraction, z: list[Fraction], solution: Solution) -> Fraction:
    return constant + sum((c * z[solution.place[j]] for j, c in terms.items()), Fraction(0))


def _odd(denominator: int) -> int:
    """What is left of a denominator without twos and fives: 1 for finite decimals."""
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    return denominator


def _decimal(number: Fraction) -> str:
    """The number as a decimal, exactly where it has one."""
    exact = _PRECISE.divide(Decimal(number.numerator), Decimal(number.denominator))
    return format(exact, "f")


def _holds(atoms: Conjunction, point: list[Fraction]) -> bool:
    """Whether a point of finite decimals satisfies all atoms."""
    return all(_odd(v.denominator) == 1 for v in point) and _satisfied(atoms, dict(enumerate(point)))


def _satisfied(atoms: Conjunction, values: dict[int, Fraction]) -> bool:
    for atom in atoms:
        value = Fraction(atom.constant) + sum((Fraction(c) * values[v] for v, c in atom.terms), Fraction(0))
        if value > 0 or (atom.strict and value == 0):
            return False
    return True
