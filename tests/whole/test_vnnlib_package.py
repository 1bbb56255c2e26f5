"""The standard's own parser, the package `vnnlib`, and ours read one meaning; skipped where the package is absent."""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from vnnlib_formulas import in_version_2, member, random_text

from hypersplit.instances.vnnlib.reader import parse_property

SUMS = {"Plus": lambda a: sum(a), "Multiply": lambda a: _product(a), "Minus": lambda a: a[0] - sum(a[1:])}
ORDERS = {
    "LessEqual": lambda a, b: a <= b, "LessThan": lambda a, b: a < b, "GreaterEqual": lambda a, b: a >= b,
    "GreaterThan": lambda a, b: a > b, "Equal": lambda a, b: a == b, "NotEqual": lambda a, b: a != b,
}  # fmt: skip


def plain(text: str) -> str:
    """The text with numbers as the standard has them: digits on both sides of a point, no exponent, no plus."""
    def decimal(match: re.Match[str]) -> str:
        return repr(float(match[0]))

    text = text.replace(" Real ", " real ").replace("(- 1)", "-1").replace("(+ 1 0.25)", "1.25")
    return re.sub(r"(?<=[\s(])[-+]?[0-9.]+(?:e-?[0-9]+)?(?=[\s)])", decimal, text)


def _product(factors: list[Fraction]) -> Fraction:
    total = Fraction(1)
    for factor in factors:
        total *= factor
    return total


def holds(node: Any, values: dict[str, list[Fraction]]) -> bool:
    """Whether a formula as the package has it holds."""
    kind = type(node).__name__
    if kind in ("And", "Or"):
        return (all if kind == "And" else any)(holds(part, values) for part in node.args)
    return bool(ORDERS[kind](value(node.lhs, values), value(node.rhs, values)))


def value(node: Any, values: dict[str, list[Fraction]]) -> Fraction:
    """A term as the package has it, literals as float64."""
    kind = type(node).__name__
    if kind == "Var":
        return values[node.name][node.indices[0] if node.indices else 0]
    if kind == "Negate":
        return -value(node.expr, values)
    if kind in SUMS:
        parts = [node.head, *node.rest] if kind == "Minus" else node.args
        return Fraction(SUMS[kind]([value(part, values) for part in parts]))
    return Fraction(float(getattr(node, "lexeme", "") or node.value))


def test_both_parsers_read_one_meaning() -> None:
    """Random texts of version 2 that the package takes hold at the same points as our normal form."""
    package = pytest.importorskip("vnnlib", reason="the package vnnlib is not installed")
    found: Counter[str] = Counter()
    for seed in range(400):
        rng = np.random.default_rng(seed)
        inputs, outputs = int(rng.integers(1, 3)), int(rng.integers(1, 3))
        text = plain(in_version_2(random_text(rng, inputs, outputs)))
        try:
            query = package.parse_query_string(text)
        except package.VNNLibException:  # what we take besides the standard
            found["refused"] += 1
            continue
        prop = parse_property(text)
        for _ in range(10):
            x, y = ([Fraction(int(v), 4) for v in rng.integers(-9, 10, n)] for n in (inputs, outputs))
            said = all(holds(assertion.expr, {"X": x, "Y": y}) for assertion in query.assertions)
            assert said == member(prop, x, y), (seed, text, x, y)
        found["read"] += 1
    assert found["read"] > 20, found
