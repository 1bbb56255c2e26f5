"""The algebra of formulas against evaluation: what is multiplied out is true where the formula is."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest

from hypersplit.instances.errors import PropertyError
from hypersplit.instances.vnnlib import formula
from hypersplit.instances.vnnlib.formula import Atom, Conjunction, Linear, Text, add, conjoin, scale
from hypersplit.instances.vnnlib.trees import compare, multiplied_out

TEXT = Text("(first)\n(second)\n", "p.vnnlib")
GRID = [Fraction(n, 2) for n in range(-4, 5)]


def holds(atom: Atom, values: dict[int, Fraction]) -> bool:
    """Whether an atom is true."""
    total = sum((c * values[v] for v, c in atom.terms), Fraction(atom.constant))
    return total < 0 if atom.strict else total <= 0


def true(disjunction: list[Conjunction], values: dict[int, Fraction]) -> bool:
    """Whether a disjunction of conjunctions is."""
    return any(all(holds(atom, values) for atom in conjunction) for conjunction in disjunction)


def linear(a: int, b: int, c: Fraction) -> Linear:
    """a X_0 + b Y_0 + c."""
    return {0: Fraction(a), ~0: Fraction(b)}, c


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">=", "="])
def test_comparisons_are_what_they_say(operator: str) -> None:
    """At all points of a grid, borders included, for coefficients of either sign and for constants alone."""
    told = {"<": lambda p, q: p < q, "<=": lambda p, q: p <= q, ">": lambda p, q: p > q, ">=": lambda p, q: p >= q,
            "=": lambda p, q: p == q}[operator]  # fmt: skip
    for a, b, c in product((-1, 0, 2), (-1, 0, 1), (Fraction(-1), Fraction(0), Fraction(1, 2))):
        found = multiplied_out(compare(operator, [linear(a, b, c), linear(1, 0, Fraction(1, 3))], 0, TEXT), TEXT)
        for x, y in product(GRID, GRID):
            truth = told(a * x + b * y + c, x + Fraction(1, 3))
            assert true(found, {0: x, ~0: y}) == truth, (operator, a, b, c, x, y)


def test_products_are_conjunctions() -> None:
    """The disjunctive normal form of a conjunction is true where all of its parts are."""
    def atom(v: int, sign: int, c: int) -> Atom:
        return Atom(((v, sign),), c, 0)

    parts = [
        [(atom(0, 1, -1),), (atom(0, -1, 1), atom(~0, 1, 0))],
        [(atom(~0, -1, -1),)],
        [(atom(0, -1, -1),), (atom(~0, 1, 1),), (atom(~0, -1, 1),)],
    ]
    found = conjoin(parts, TEXT)
    assert len(found) == 6
    for x, y in product(GRID, GRID):
        values = {0: x, ~0: y}
        assert true(found, values) == all(true(part, values) for part in parts), (x, y)
    assert conjoin([*parts, []], TEXT) == [] and conjoin([], TEXT) == [()]


def test_terms_add_and_scale_exactly() -> None:
    """Thirds stay thirds; a term that vanishes counts no more."""
    third = Fraction(1, 3)
    total = add(linear(1, 1, third), scale(linear(1, -1, third), Fraction(2, 3)), -1)
    assert total == ({0: third, ~0: Fraction(5, 3)}, Fraction(1, 9))
    ((atom,),) = multiplied_out(compare("<=", [linear(1, 1, third), linear(1, 0, Fraction(0))], 5, TEXT), TEXT)
    assert atom == Atom(((~0, Fraction(1)),), third, 5)


def test_blow_ups_are_refused_with_their_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit of conjunctions or atoms the line of the formula is named."""
    part = [(Atom(((0, 1),), k, 9),) for k in range(4)]
    monkeypatch.setattr(formula, "MAX_CONJUNCTIONS", 15)
    with pytest.raises(PropertyError, match="p.vnnlib, line 2: .*16"):
        conjoin([part, part], TEXT)
    monkeypatch.setattr(formula, "MAX_CONJUNCTIONS", 16)
    assert len(conjoin([part, part], TEXT)) == 16
    monkeypatch.setattr(formula, "MAX_ATOMS", 31)
    with pytest.raises(PropertyError, match="32 atoms"):
        conjoin([part, part], TEXT)
