"""What a VNN-LIB text says: atoms, conjunctions of atoms, disjunctions of conjunctions, and their algebra.

Every formula is kept multiplied out, as a disjunction of conjunctions of atoms `sum c_i v_i + d <= 0` or `< 0`. All
numbers are exact: literals are float64, whatever is computed from them are Fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple, NoReturn

from ..declarations import Declared
from ..errors import PropertyError

__all__ = [
    "MAX_ATOMS", "MAX_CONJUNCTIONS", "Atom", "Bound", "Conjunction", "Formula", "Linear", "Number", "Text",
    "add", "conjoin", "scale", "spelled_flat",
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


@dataclass(frozen=True, eq=False)
class Text:
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
