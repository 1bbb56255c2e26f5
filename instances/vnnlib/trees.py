"""Formulas while they are read: trees of connectives over atoms, with terms that depend on conditions.

A tree is multiplied out with its sign, so that a negation is pushed down to the atoms before anything is multiplied:
    not (a and b) = not a or not b,    not (t <= 0) = -t < 0,
and `not` of a conjunction of twenty disjunctions is twenty conjunctions, not 2^20. `ite`, `xor` and equality of
formulas are *choices*: guards of which exactly one holds, each with what then has to hold, so that negating a choice
leaves its guards as they are. A term that `ite` chooses is a list of guarded linear terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import chain, pairwise
from typing import Any, NamedTuple

from .formula import Atom, Conjunction, Linear, Text, add, conjoin, scale

__all__ = [
    "Chosen", "Node", "Term", "Tree", "arithmetic", "chosen", "compare", "distinct", "equal_formulas", "is_tree",
    "multiplied_out",
]  # fmt: skip

MOST_CHOICES = 4096  # values of one term


class Node(NamedTuple):
    """`and`, `or` or `not` of trees; or `choice`, whose parts are pairs (guard, tree)."""

    operator: str
    parts: tuple[Any, ...]
    position: int


Tree = Atom | bool | Node


class Chosen(NamedTuple):
    """A term whose value depends on conditions: guards of which exactly one holds, each with a linear term."""

    cases: tuple[tuple[Tree, Linear], ...]


Term = Linear | Chosen


def is_tree(value: object) -> bool:
    """Whether a value is a formula, and not a term."""
    return isinstance(value, (Atom, Node, bool))


def chosen(guard: Tree, then: Term, otherwise: Term, position: int) -> Chosen:
    """The term `(ite guard then otherwise)`."""
    no = Node("not", (guard,), position)
    sides = ((guard, then), (no, otherwise))
    return Chosen(tuple((_both(g, case, position), t) for g, side in sides for case, t in _cases(side)))


def alternatives(terms: Sequence[Term], position: int, text: Text) -> list[tuple[Tree, list[Linear]]]:
    """Every combination of the terms' values with its guard; a plain term has one value. Terms are copied."""
    found: list[tuple[Tree, list[Linear]]] = [(True, [])]
    for term in terms:
        cases = _cases(term)
        if len(found) * len(cases) > MOST_CHOICES:
            text.fail(position, f"'ite' gives these terms more than {MOST_CHOICES} values together")
        found = [(_both(g, case, position), [*ts, (dict(t[0]), t[1])]) for g, ts in found for case, t in cases]
    return found


def compare(operator: str, terms: Sequence[Term], position: int, text: Text) -> Tree:
    """The chain terms[0] <= terms[1] <= ... (or <, >, >=, =); a comparison of constants is decided at once."""
    if any(isinstance(term, Chosen) for term in terms):
        pairs = tuple(
            (guard, _and([_pair(operator, _copy(a), b, position) for a, b in pairwise(values)], position))
            for guard, values in alternatives(terms, position, text)
        )
        return Node("choice", pairs, position)
    return _and([_pair(operator, _copy(a), b, position) for a, b in pairwise(_plain(terms))], position)


def distinct(terms: Sequence[Term], position: int, text: Text) -> Tree:
    """No two of the terms are equal."""
    pairs = ((a, b) for i, a in enumerate(terms) for b in terms[i + 1 :])
    return _and([Node("not", (compare("=", pair, position, text),), position) for pair in pairs], position)


def equal_formulas(left: Tree, right: Tree, position: int) -> Tree:
    """Both hold or neither does."""
    no, other = Node("not", (left,), position), Node("not", (right,), position)
    return Node("choice", ((left, right), (no, other)), position)


def multiplied_out(tree: Tree, text: Text) -> list[Conjunction]:
    """The tree as a disjunction of conjunctions; none at all means false. Raises PropertyError as `conjoin` does."""
    done: dict[tuple[int, bool], list[Conjunction]] = {}
    stack: list[tuple[Tree, bool, bool]] = [(tree, True, False)]
    while stack:
        here, sign, ready = stack.pop()
        if not isinstance(here, Node) or (id(here), sign) in done:
            continue
        below = _signed_parts(here, sign)
        if ready:
            done[id(here), sign] = _combined(here, sign, [_form(part, s, done) for part, s in below], text)
        else:
            stack.append((here, sign, True))
            stack.extend((part, s, False) for part, s in below if isinstance(part, Node))
    return _form(tree, True, done)


def _signed_parts(node: Node, sign: bool) -> list[tuple[Tree, bool]]:
    if node.operator == "choice":
        return [signed for guard, part in node.parts for signed in ((guard, True), (part, sign))]
    return [(part, sign != (node.operator == "not")) for part in node.parts]


def _combined(node: Node, sign: bool, forms: list[list[Conjunction]], text: Text) -> list[Conjunction]:
    if node.operator == "choice":
        return [c for k in range(0, len(forms), 2) for c in conjoin(forms[k : k + 2], text, node.position)]
    if node.operator == "not":
        return forms[0]
    forms = list({id(form): form for form in forms}.values())  # a named formula may stand here twice
    if (node.operator == "and") == sign:
        return conjoin(forms, text, node.position)
    return list(chain.from_iterable(forms))


def _form(tree: Tree, sign: bool, done: dict[tuple[int, bool], list[Conjunction]]) -> list[Conjunction]:
    if isinstance(tree, Atom):
        return [(tree if sign else _negated(tree),)]
    if isinstance(tree, bool):
        return [()] if tree == sign else []
    return done[id(tree), sign]


def _negated(atom: Atom) -> Atom:
    """not (t + d <= 0) is -t - d < 0."""
    return Atom(tuple((v, -c) for v, c in atom.terms), -atom.constant, atom.position, not atom.strict)


def _pair(operator: str, left: Linear, right: Linear, position: int) -> Tree:
    """One comparison. The coefficients of `left` are used up, as in `add`."""
    coefficients, constant = add(left, right, -1)
    strict = operator in "<>"
    atoms: list[Atom] = []
    for sign in {"<": (1,), ">": (-1,), "=": (1, -1)}[operator[0]]:
        terms = tuple((v, sign * c) for v, c in coefficients.items() if c != 0)
        if terms:
            atoms.append(Atom(terms, sign * constant, position, strict))
        elif sign * constant > 0 or (strict and constant == 0):
            return False
    return _and(atoms, position)


def _and(parts: Sequence[Tree], position: int) -> Tree:
    return parts[0] if len(parts) == 1 else Node("and", tuple(parts), position) if parts else True


def _both(left: Tree, right: Tree, position: int) -> Tree:
    return right if left is True else left if right is True else Node("and", (left, right), position)


def _cases(term: Term) -> tuple[tuple[Tree, Linear], ...]:
    return term.cases if isinstance(term, Chosen) else ((True, term),)


def _plain(terms: Sequence[Term]) -> list[Linear]:
    return [term for term in terms if not isinstance(term, Chosen)]


def _copy(term: Linear) -> Linear:
    """Terms may stand in several places: named ones, and the middles of chains."""
    return dict(term[0]), term[1]


def arithmetic(operator: str, terms: Sequence[Term], position: int, text: Text) -> Term:
    """Sum, difference, product or quotient. Raises PropertyError where it is not linear."""
    if not any(isinstance(term, Chosen) for term in terms):
        return _linear(operator, _plain(terms), position, text)
    values = alternatives(terms, position, text)
    return Chosen(tuple((guard, _linear(operator, some, position, text)) for guard, some in values))


def _linear(operator: str, terms: list[Linear], position: int, text: Text) -> Linear:
    if operator in "+-":
        if operator == "-" and len(terms) == 1:
            return scale(terms[0], Fraction(-1))
        total = _copy(terms[0])
        for term in terms[1:]:
            total = add(total, term, 1 if operator == "+" else -1)
        return total
    result = terms[0]
    for factor in terms[1:]:
        if operator == "/":
            if any(factor[0].values()) or factor[1] == 0:
                text.fail(position, "division by zero or by a variable; terms must be linear")
            result = scale(result, 1 / factor[1])
        elif any(factor[0].values()) and any(result[0].values()):
            text.fail(position, "a polynomial term: product of two variables; terms must be linear")
        else:
            result = scale(factor, result[1]) if any(factor[0].values()) else scale(result, factor[1])
    return result
