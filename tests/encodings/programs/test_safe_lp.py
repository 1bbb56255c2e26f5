"""Safe bounds of any multipliers against the exact LP, by scipy and by rationals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog

from hypersplit.encodings.programs.safe_lp import SafeLP


def problem(seed: int, scale: float = 1.0) -> tuple[SafeLP, np.ndarray, np.ndarray, np.ndarray]:
    """An LP with rows A v >= b that a point satisfies; rows are multiplied by scale or 1 / scale."""
    rng = np.random.default_rng(seed)
    lower, matrix = -rng.random(5), rng.normal(size=(4, 5)) * rng.choice([scale, 1.0, 1.0 / scale], (4, 1))
    upper = lower + rng.random(5) * 2.0
    low = matrix @ (0.5 * lower + 0.5 * upper) - np.abs(matrix).max(axis=1) * rng.random(4)
    lp = SafeLP()
    lp.add_columns(lower, upper)
    lp.add_rows(sp.csr_array(matrix), low, np.full(4, np.inf))
    cost = rng.normal(size=5)
    lp.set_objective(cost)
    return lp, matrix, low, cost


def exact(lp: SafeLP, matrix: np.ndarray, low: np.ndarray, cost: np.ndarray, p: np.ndarray) -> Fraction:
    """The formula of the module in rationals, for multipliers p >= 0."""
    number = lambda v: Fraction(float(v))  # noqa: E731
    total = sum((number(a) * number(b) for a, b in zip(p, low, strict=True)), Fraction(0))
    for j in range(len(cost)):
        rest = number(cost[j]) - sum((number(matrix[i, j]) * number(p[i]) for i in range(len(p))), Fraction(0))
        total += min(rest * number(lp.lower[j]), rest * number(lp.upper[j]))
    return total


@pytest.mark.parametrize("scale", [1.0, 1e6, 1e12])
def test_bounds_are_the_formula_less_its_rounding(scale: float) -> None:
    """Never above the exact value of the multipliers, whatever they are; nearly equal to it."""
    for seed in range(20):
        lp, matrix, low, cost = problem(seed, scale)
        p = np.abs(np.random.default_rng(seed).normal(size=4)) / np.abs(matrix).max(axis=1)
        truth, found = exact(lp, matrix, low, cost, p), lp.lower_bound(p, cost)
        assert 0 <= truth - Fraction(found) <= Fraction(1, 10**9), f"seed {seed}"


@pytest.mark.parametrize("dual", [True, False])
def test_the_solvers_multipliers_give_the_optimum(dual: bool) -> None:
    """scipy's optimum, from below; a changed problem goes on from where it was and does, too."""
    for seed in range(10):
        lp, matrix, low, cost = problem(seed)
        for turn in range(2):
            assert lp.solve(10.0, dual) == "optimal"
            boxes = list(zip(lp.lower, lp.upper, strict=True))
            truth = linprog(cost, -matrix, -lp.row_lower, bounds=boxes, method="highs")
            found = lp.lower_bound(lp.multipliers(), cost)
            assert truth.fun - 1e-6 <= found <= truth.fun + 1e-9, f"seed {seed}, turn {turn}"
            assert cost @ lp.point() == pytest.approx(truth.fun, abs=1e-6)
            cost, sides = -cost, lp.row_lower - 0.1
            lp.set_objective(cost)
            lp.set_sides(np.arange(4), sides, np.full(4, np.inf))


def test_coefficients_change_in_place() -> None:
    """Bounds speak of the new numbers, and are not above scipy's optimum with them."""
    lp, matrix, low, cost = problem(1)
    block = lp.blocks[0]
    assert lp.solve(10.0) == "optimal"
    block.set_coefficients(lp, np.arange(4), 2, matrix[:, 2] * 0.5)
    matrix[:, 2] *= 0.5
    assert lp.solve(10.0) == "optimal"
    truth = linprog(cost, -matrix, -low, bounds=list(zip(lp.lower, lp.upper, strict=True)), method="highs")
    assert truth.fun - 1e-6 <= lp.lower_bound(lp.multipliers(), cost) <= truth.fun + 1e-9


def test_a_contradiction_is_proved_by_a_ray() -> None:
    """Rows that no point of the box satisfies: a positive bound without objective; satisfiable ones never have one."""
    lp = SafeLP()
    lp.add_columns(np.zeros(2), np.ones(2))
    lp.add_rows(sp.csr_array(np.array([[1.0, 1.0]])), np.array([2.5]), np.array([np.inf]))
    assert lp.solve(10.0) == "infeasible"
    ray = lp.ray()
    assert ray is not None and lp.lower_bound(ray) > 0.0
    for seed in range(20):
        other, *_ = problem(seed)
        assert other.lower_bound(np.random.default_rng(seed).normal(size=4) * 10.0) <= 0.0


def test_void_multipliers_and_sides_prove_nothing() -> None:
    """NaN, infinities and signs that ask for an infinite side become 0; errors of sides are subtracted."""
    lp, matrix, low, cost = problem(2)
    plain = lp.lower_bound(np.zeros(4), cost)
    assert plain == lp.lower_bound(np.array([np.nan, np.inf, -np.inf, -3.0]), cost)
    assert lp.project(np.array([np.nan, 1.0, -1.0, np.inf])).tolist() == [0.0, 1.0, 0.0, 0.0]
    p = np.ones(4)
    unsure = SafeLP()
    unsure.add_columns(lp.lower, lp.upper)
    unsure.add_rows(sp.csr_array(matrix), low, np.full(4, np.inf), error=0.125)
    assert unsure.lower_bound(p, cost) <= lp.lower_bound(p, cost) - 0.5
    assert lp.lower_bound(np.full(4, 1e308), 1e308 * cost) == -np.inf
