"""Rounding in one place: no constant of it stands elsewhere, and each is as large as what it covers."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from wide_curves import wide_curve

from hypersplit.encodings.linear.number_range import LARGEST
from hypersplit.instances import rounding
from hypersplit.instances.curves.names import CURVES
from hypersplit.instances.expressions.affine import MAX_ENTRIES
from hypersplit.instances.network import activate, derivative
from hypersplit.instances.rounding import (
    CURVE_SLACK,
    CURVE_VALUE,
    ELEMENTARY,
    EPS,
    EPS_32,
    FEW_ROUNDINGS,
    INVERSE_ERROR,
    LAST_ROUNDINGS,
    LEAST_PRODUCT,
    LITERALS,
    MOST_PRODUCT,
    RESIDUAL,
    ROUND_UP,
    SMALLEST,
    SMALLEST_32,
    SPARE,
    TINY,
    TINY_32,
    TINY_SQUARE,
    UNDERFLOW,
    UNIT,
    UP,
    gamma,
    gamma_32,
)

HERE = Path(rounding.__file__).resolve()
ROOT = HERE.parents[1]
FOLDERS = ("instances", "encodings", "heuristics", "bab")
NAMED = 1e-9  # a smaller number has a name at least
ALLOWED = {  # powers of two, and numbers of the size of TINY, that are no rounding
    ("instances/families/max_networks.py", "2.0 ** (-6)"): "a radius of the paper's inputs",
    ("encodings/neuron_groups/octahedron.py", "2.0 ** (-10)"): "a share of sizes that decides a grid",
    ("instances/nonlinear/gates.py", "2.0 ** (-26)"): "where a reciprocal root is too steep to be one curve",
    ("instances/curves/gated.py", "2.0 ** (-6)"): "how near a file's numbers must be to those of a known gate",
    ("bab/steps/phase_branching.py", "1e-12"): "the least gain of a split, to divide by",
}


def small_numbers(path: Path) -> Iterator[tuple[str, bool]]:
    """(source text, whether it is the value of a named constant of the module) of negative powers of two, and of
    numbers below NAMED."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = [node.value for node in tree.body if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value]
    named = {id(inner) for value in constants for inner in ast.walk(value)}
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and ast.unparse(node).startswith("2"):
            if isinstance(node.right, ast.UnaryOp) and isinstance(node.right.op, ast.USub):
                yield ast.unparse(node), False
        elif isinstance(node, ast.Constant) and isinstance(node.value, float) and 0.0 < node.value < NAMED:
            yield ast.unparse(node), id(node) in named and node.value > 1e-100


def test_no_rounding_elsewhere() -> None:
    """No bare power of two or number like 1e-300 stands outside the module, but for what is no rounding."""
    found = {
        (str(path.relative_to(ROOT)), text)
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if path != HERE
        for text, named in small_numbers(path)
        if not named
    }
    assert found <= set(ALLOWED)


def test_other_ways_to_write_them_are_not_used() -> None:
    """`finfo`, hexadecimal floats and shifts of 1 by negative exponents would be constants of rounding, too."""
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert not any(word in text for word in ("finfo", "float_info", "fromhex", "ldexp(1.0, -")), path


def test_every_constant_has_a_use_and_its_reason() -> None:
    """Nothing is exported that nobody imports, and a comment stands above or beside every constant."""
    source = HERE.read_text(encoding="utf-8")
    others = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if path != HERE
    )
    own = {"EPS_32", "SPARE_32"}  # of gamma_32
    assert [name for name in rounding.__all__ if name not in own and name not in others] == []
    lines = source.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"[A-Z][A-Z_0-9]+(, [A-Z_0-9]+)*(: [^=]+)? = ", line):
            assert "  # " in line or lines[number - 1].startswith("# "), line


def test_units_are_those_of_the_formats() -> None:
    """UNIT is half of what separates 1 from the next float, SMALLEST the smallest number, as numpy has them."""
    assert UNIT == np.finfo(np.float64).eps / 2 and EPS == 2 * UNIT
    assert EPS_32 == np.finfo(np.float32).eps
    assert SMALLEST == np.finfo(np.float64).smallest_subnormal
    assert SMALLEST_32 == np.finfo(np.float32).smallest_normal


@pytest.mark.parametrize("terms", [0, 1, 10, 1000, MAX_ENTRIES])
def test_gamma_is_twice_the_textbook(terms: int) -> None:
    """(n + 8) 2^-52 >= 2 n u / (1 - n u) for every size that is read, so it can be evaluated in floats."""
    product = terms * Fraction(UNIT)
    assert Fraction(gamma(terms)) >= 2 * product / (1 - product)
    assert np.array_equal(gamma(np.array([float(terms)])), [gamma(terms)])
    assert gamma(0) == SPARE * EPS


@pytest.mark.parametrize("terms", [0, 1, 10, 1000, 2**22])
def test_gamma_32_covers_rounded_factors(terms: int) -> None:
    """At least (n + 2) u / (1 - (n + 2) u), for sums of up to 2^22 products of numbers rounded to float32."""
    product = (terms + 2) * Fraction(EPS_32) / 2
    assert Fraction(gamma_32(terms)) >= product / (1 - product)


def test_errors_are_rounded_up_past_their_own_rounding() -> None:
    """UP exceeds what a sum over the largest tensor, and a few operations more, can lose; so does no smaller power."""
    product = (MAX_ENTRIES + 16) * Fraction(UNIT)
    assert Fraction(UP) * (1 - product / (1 - product)) >= 1
    assert (1 + Fraction(LAST_ROUNDINGS)) * (1 - product / (1 - product)) < 1, "too small for such a sum"


def test_a_few_roundings_are_few() -> None:
    """Four operations in a row stay below FEW_ROUNDINGS, and ROUND_UP survives its own product."""
    assert (1 + Fraction(UNIT)) ** 4 <= 1 + Fraction(FEW_ROUNDINGS)
    assert Fraction(ROUND_UP) * (1 - Fraction(UNIT)) ** 4 >= 1


def test_what_underflows_is_paid() -> None:
    """TINY exceeds 2^64 products' losses, TINY_SQUARE those of squares, UNDERFLOW the product of `number_range`."""
    assert TINY > 2**64 * SMALLEST
    assert TINY_32 > 2**22 * SMALLEST_32
    below = math.sqrt(TINY_SQUARE)
    assert below**2 > MAX_ENTRIES * SMALLEST and below * SMALLEST_32 > 0.0
    assert Fraction(UNDERFLOW) > Fraction(SMALLEST) * 2**30 * Fraction(LARGEST) ** 2 * 2**50
    assert LEAST_PRODUCT >= MAX_ENTRIES * 2.0**-1074 * 2**50 and math.isfinite(MOST_PRODUCT * 2.0**23)


def test_an_accurate_inverse_is_near_the_exact_one() -> None:
    """With k |A B - 1| |B| < RESIDUAL, |B| < 100 and rounding of A B, for groups of up to eight neurons."""
    for k in range(1, 9):
        rounding_of_it = 2 * k * UNIT * 100.0 * k * 100.0
        assert (RESIDUAL + rounding_of_it) / (1.0 - k * RESIDUAL) < INVERSE_ERROR


@pytest.mark.parametrize("kind", ["tanh", "sigmoid"])
def test_values_of_curves_are_as_good_as_said(kind: str) -> None:
    """numpy's values differ from those of twice the precision by less than ELEMENTARY, over the whole range."""
    if np.finfo(np.longdouble).eps > 2.0**-60:
        pytest.skip("no longer float on this system")
    z = np.concatenate([np.linspace(-40.0, 40.0, 100_001), np.geomspace(1e-300, 1.0, 2001)])
    wide = z.astype(np.longdouble)
    exact = np.tanh(wide) if kind == "tanh" else (1 + np.tanh(wide / 2)) / 2
    assert np.abs(activate(kind, z) - exact).max() < ELEMENTARY < CURVE_SLACK


def test_slopes_and_values_of_curves_are_as_good_as_said() -> None:
    """Over their whole range they differ from those of more digits by less than a quarter of CURVE_VALUE (1 + |v|)."""
    if np.finfo(np.longdouble).eps > 2.0**-60:
        pytest.skip("no longer float on this system")
    z, step = np.concatenate([np.linspace(-30.0, 30.0, 20_001), np.geomspace(1e-300, 1.0, 801)]), np.longdouble(2e-6)
    for kind in (*CURVES, "elu:1.0", "elu:1.7", "power:2", "power:7", "power:16"):
        value, slope = wide_curve(kind, z), derivative(kind, z)
        assert (np.abs(activate(kind, z) - value) <= 0.25 * CURVE_VALUE * (1.0 + np.abs(value))).all(), kind
        wide = z.astype(np.longdouble)
        quotient = (wide_curve(kind, wide + step) - wide_curve(kind, wide - step)) / (2 * step)
        smooth = np.abs(np.abs(z) - 3.0) > 1e-4 if kind == "hardswish" else np.abs(z) > 1e-4
        assert (np.abs(slope - quotient) <= 1e-9 * (1.0 + np.abs(value) + np.abs(slope)))[smooth].all(), kind


def test_literals_are_paid_for() -> None:
    """A product of a literal and a literal, each off by UNIT, and their rounding stay below LITERALS."""
    assert (1 + Fraction(UNIT)) ** 4 <= 1 + Fraction(LITERALS)
