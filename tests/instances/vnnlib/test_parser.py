"""What the parser reads is what the text says: terms, bounds, nesting, and lines of faults."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from hypersplit.instances.errors import PropertyError
from hypersplit.instances.vnnlib.formula import Atom
from hypersplit.instances.vnnlib.parser import parse

DECLARED = "".join(f"(declare-const {name} Real)\n" for name in ("X_0", "X_1", "Y_0"))
LINES = DECLARED.count("\n")


def random_term(rng: np.random.Generator, depth: int) -> tuple[str, dict[int, Fraction], Fraction]:
    """A linear term as text, with its coefficients and constant computed beside it."""
    kind = rng.choice(["number", "variable", "+", "-", "neg", "*"]) if depth else rng.choice(["number", "variable"])
    if kind == "number":
        value = float(rng.integers(-9, 10)) / 4.0
        return f"{value}", {}, Fraction(value)
    if kind == "variable":
        name, variable = [("X_0", 0), ("X_1", 1), ("Y_0", ~0)][rng.integers(3)]
        return name, {variable: Fraction(1)}, Fraction(0)
    text, terms, constant = random_term(rng, depth - 1)
    if kind == "neg":
        return f"(- {text})", {v: -c for v, c in terms.items()}, -constant
    if kind == "*":
        factor = float(rng.integers(-3, 4)) / 2.0
        return f"(* {factor} {text})", {v: c * Fraction(factor) for v, c in terms.items()}, constant * Fraction(factor)
    other, more, rest = random_term(rng, depth - 1)
    sign = 1 if kind == "+" else -1
    total = {v: terms.get(v, Fraction(0)) + sign * more.get(v, Fraction(0)) for v in {*terms, *more}}
    return f"({kind} {text} {other})", total, constant + sign * rest


def value(atoms: tuple[Atom, ...], point: dict[int, Fraction]) -> bool:
    """Whether all atoms hold."""
    return all(sum((Fraction(c) * point[v] for v, c in a.terms), Fraction(a.constant)) <= 0 for a in atoms)


def test_linear_terms_mean_their_sums() -> None:
    """Random nests of sums, differences, negations and products with numbers, at rational points."""
    for seed in range(200):
        rng = np.random.default_rng(seed)
        left, right = random_term(rng, 3), random_term(rng, 3)
        formula = parse(f"{DECLARED}(assert (or (<= {left[0]} {right[0]}) (<= {left[0]} {right[0]})))")
        for _ in range(4):
            point = {v: Fraction(int(rng.integers(-8, 9)), 4) for v in (0, 1, ~0)}
            difference = left[2] - right[2]
            for sign, terms in ((1, left[1]), (-1, right[1])):
                difference += sum((sign * c * point[v] for v, c in terms.items()), Fraction(0))
            holds = any(value(c, point) for c in formula.assertions[0]) if formula.assertions else True
            assert holds == (difference <= 0), f"seed {seed}: {left[0]} <= {right[0]}"


@pytest.mark.parametrize("operator", ["<=", ">=", "<", ">"])
def test_plain_bounds_are_bounds(operator: str) -> None:
    """A variable and a number: which side, which value to the bit, strict or not, at its place in the text."""
    text = f"{DECLARED}(assert ({operator} X_1 0.1))"
    ((variable, upper, number, position, strict),) = parse(text).bounds
    assert (variable, upper, number, strict) == (1, operator[0] == "<", 0.1, len(operator) == 1)
    assert text[position : position + 3] == "X_1"


def test_comments_and_white_space_mean_nothing() -> None:
    """Between all tokens, of any kind."""
    spread = f"; a comment (with words)\n\t{DECLARED}( assert ;here\n (and\r\n( <= X_0\t1.5 )( >= Y_0 -2 ) ) )\n; end"
    dense = f"{DECLARED}(assert (and (<= X_0 1.5)(>= Y_0 -2)))"
    told = [
        (sorted(b[:3] for b in f.bounds), [[[a[:2] for a in c] for c in d] for d in f.assertions])
        for f in map(parse, (spread, dense))
    ]
    assert told[0] == told[1]


@pytest.mark.parametrize(
    "command",
    ["(assert (<= X_7 1))", "(assert (<= (* X_0 X_1) 1))", "(assert (<= X_0 1)", "(assert)", "(assert (== X_0 1))",
     "(declare-const X_0 Real)", "(declare-const Z Real)", "(frobnicate)", "(assert (<= X_0 1e999))", ")", "words"],
)  # fmt: skip
def test_faults_have_their_line(command: str) -> None:
    """A PropertyError of one sentence with the file's name and the line of the fault, or that of the end."""
    with pytest.raises(PropertyError, match=f"^q.vnnlib, line ({LINES + 2}|{LINES + 1}):"):
        parse(f"{DECLARED}\n{command}", "q.vnnlib")


def test_deep_nesting_is_no_recursion() -> None:
    """Ten thousand levels are read, or refused in a sentence."""
    deep = "(and " * 10_000 + "(<= X_0 (+ X_1 Y_0))" + ")" * 10_000
    assert len(parse(f"{DECLARED}(assert {deep})").assertions) == 1
