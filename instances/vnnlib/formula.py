"""What a VNN-LIB text says: atoms, conjunctions of atoms, disjunctions of conjunctions, and their algebra.

Every formula is kept multiplied out, as a disjunction of conjunctions of atoms `sum c_i v_i + d <= 0` or `< 0`. All
numbers are exact: literals are float64, whatever is computed from them are Fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple, NoReturn

import numpy as np

from ..declarations import Declared
from ..errors import PropertyError
from ..network import Array

__all__ = [
    "MAX_ATOMS", "MAX_CONJUNCTIONS", "Atom", "Bound", "Conjunction", "Formula", "Linear", "Number", "Shape", "Table",
    "Text", "add", "conjoin", "scale", "spelled_flat",
]  # fmt: skip

MAX_CONJUNCTIONS = 500_000  # of a disjunctive normal form; more is a blow-up that no search would survive
MAX_ATOMS = 20_000_000  # over all those conjunctions: 160 MB of references

Number = int | float | Fraction  # all three are exact here: a float stands for its own value


class Atom(NamedTuple):
    """The half-space {sum of coefficient * variable + constant <= 0}, < 0 if strict; variable i is X_i, ~i is Y_i."""

    terms: tuple[tuple[int, Number], ...]  # coefficients are not zero, each variable at most once
    constant: Number
    position: int  # where in the text it starts
    strict: bool = False


# A plain command `(assert (<= X_0 0.5))`: variable, whether it is an upper bound, value, position, strict. No class of
# its own: there may be hundreds of thousands, and the garbage collector lets go of plain tuples.
Bound = tuple[int, bool, Number, int, bool]
Conjunction = tuple[Atom, ...]
Linear = tuple[dict[int, Fraction], Fraction]  # coefficients by variable, constant


class Text(NamedTuple):
    """A VNN-LIB text and the name it goes by in messages."""

    text: str
    name: str

    def line(self, position: int) -> int:
        """Line number of a position, from 1."""
        return self.text.count("\n", 0, position) + 1

    def fail(self, position: int, message: str) -> NoReturn:
        """Raise a PropertyError that names file and line."""
        raise PropertyError(f"{self.name}, line {self.line(position)}: {message}")


def spelled_flat(variable: int) -> str:
    """X_i of an input, Y_i of an output, as VNN-LIB 1 names them."""
    return f"X_{variable}" if variable >= 0 else f"Y_{~variable}"


class Shape(NamedTuple):
    """The m disjuncts with the same words; their A atoms differ in constants and positions only."""

    disjuncts: Array  # [m] which they are, from 0, in the order of the text
    atoms: Conjunction  # of one of them
    columns: Array  # [A] which number an atom compares with, -1 for a comparison of two variables
    numbers: Array  # [m, numbers] literals in the order of the text
    places: Array  # [m, A] positions in the text

    def constants(self, k: int) -> Array:
        """[m] constants of atom k: the literal, with the sign that the atom's variable has not."""
        column = int(self.columns[k])
        if column < 0:
            return np.zeros(len(self.disjuncts))
        return -int(self.atoms[k].terms[0][1]) * self.numbers[:, column]


@dataclass(frozen=True, eq=False)
class Table:
    """A disjunction of `count` conjunctions."""

    count: int
    shapes: tuple[Shape, ...]

    def conjunctions(self) -> list[Conjunction]:
        """The same as the ordinary reader gives."""
        found: list[Conjunction] = [()] * self.count
        for shape in self.shapes:
            columns = []
            for k, atom in enumerate(shape.atoms):
                values: Sequence[float] = [0] * len(shape.disjuncts)
                if shape.columns[k] >= 0:
                    values = shape.constants(k).tolist()
                pairs = zip(values, shape.places[:, k].tolist(), strict=True)
                columns.append([Atom(atom.terms, value, place, atom.strict) for value, place in pairs])
            if columns:  # else it is true: of (<= Y_0 Y_0) no atom is left
                for i, conjunction in zip(shape.disjuncts.tolist(), zip(*columns, strict=True), strict=True):
                    found[i] = conjunction
        return found


@dataclass(eq=False)
class Formula:
    """What a file says. All of `bounds` and all of `assertions` hold together."""

    text: Text
    inputs: list[int]  # position of the declaration of X_0, X_1, ...
    outputs: list[int]  # position of the declaration of Y_0, Y_1, ...
    bounds: list[Bound]
    assertions: list[list[Conjunction]]  # each a disjunction; no conjunctions at all means false
    spelled: Callable[[int], str] = spelled_flat  # how a variable is written; i is an input, ~i an output
    networks: list[Declared] = field(default_factory=list)  # of VNN-LIB 2
    notes: list[str] = field(default_factory=list)  # what a reader of the verdict must know besides
    # further assertions, each with how many of `assertions` stand before it; see tables.py
    tables: list[tuple[int, Table]] = field(default_factory=list)

    def write_out(self) -> None:
        """Put the tables among the assertions."""
        for before, table in reversed(self.tables):
            self.assertions.insert(before, table.conjunctions())
        self.tables = []


def conjoin(parts: Sequence[list[Conjunction]], text: Text, position: int = 0) -> list[Conjunction]:
    """The conjunction of disjunctions, multiplied out.

    position: what to blame, unless an atom tells better. Raises PropertyError where that has more than
    MAX_CONJUNCTIONS conjunctions or MAX_ATOMS atoms.
    """
    if not all(parts):
        return []
    if sum(len(part[0]) for part in parts if len(part) == 1) > MAX_ATOMS:
        text.fail(position, f"more than {MAX_ATOMS} comparisons in one conjunction")
    common: Conjunction = tuple(atom for part in parts if len(part) == 1 for atom in part[0])
    product = [common]
    for part in parts:
        if len(part) == 1:
            continue
        atoms = len(part) * sum(map(len, product)) + len(product) * sum(map(len, part))
        if len(product) * len(part) > MAX_CONJUNCTIONS or atoms > MAX_ATOMS:
            where = next((c[0].position for c in part if c), position)
            text.fail(
                where,
                f"'and' of 'or' multiplies out to {len(product) * len(part)} or more conjunctions "
                f"({atoms} atoms), over the limit of {MAX_CONJUNCTIONS} ({MAX_ATOMS}); "
                "split the property into several files",
            )
        product = [left + right for left in product for right in part]
    return product


def add(left: Linear, right: Linear, sign: int) -> Linear:
    """left + sign * right; the coefficients of `left` are updated in place, it must not be used again."""
    coefficients, constant = left
    for variable, coefficient in right[0].items():
        coefficients[variable] = coefficients.get(variable, Fraction(0)) + sign * coefficient
    return coefficients, constant + sign * right[1]


def scale(term: Linear, factor: Fraction) -> Linear:
    """factor * term."""
    coefficients, constant = term
    return {v: c * factor for v, c in coefficients.items()}, constant * factor
