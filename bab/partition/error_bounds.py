"""How far the LP relaxation of a single layer can be from the truth: bounds of Anderson et al. (CDC 2020) as values.

For c'ReLU(Wx + b) over X, l <= Wx + b <= u, unstable rows l < 0 < u (stable ones have no error):

    Theorem 1    f^(X) - f*(X)  <=  E = sum_i ReLU(c_i) (-u_i l_i) / (u_i - l_i)
    Lemma 2      after a split along rows R:  <=  E without the terms of R
    Corollary 1  over a subset whose bounds are alpha l, alpha u:  <=  alpha E
    Prop. 3      over any partition into parts of diameter at most d:  <=  L d

Theorem 1 is stated for relaxations that have an optimum x* in common with the problem itself. That is not needed: at
the relaxation's own optimum x~, f*(X) >= c'f(x~), and c'(z~ - f(x~)) is at most E, row by row.

Prop. 3 is proved there with a point at which *every* row attains its lower bound, and such a point need not exist. The
constant here comes from Theorem 1: -u l / (u - l) <= (u - l) / 4 and u_i - l_i <= ||w_i|| d, hence
    L = sum_i ReLU(c_i) ||w_i||_2 / 4.
It holds for bounds l, u that are tight on each part. sum_i |c_i| ||w_i||_2 is a Lipschitz constant of the relaxed
objective itself (Lemma 1; every slope of a triangle lies in [0, 1]), four times as large or more.

All of these are values in float64, rounded to nearest: no verdict rests on them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...heuristics.splits.hyperplanes import optimal_partition_scores
from ...instances.network import Array

__all__ = ["diameter_constant", "lipschitz_constant", "scaled_error", "split_error", "worst_case_error"]


def worst_case_error(coefficients: Array, lower: Array, upper: Array) -> float:
    """E of Theorem 1. coefficients, lower, upper: [rows] c, l, u.

    >>> worst_case_error(np.array([1.0, -5.0]), np.array([-1.0, -1.0]), np.array([1.0, 1.0]))
    0.5
    """
    return float(optimal_partition_scores(np.maximum(coefficients, 0.0), lower, upper).sum())


def split_error(coefficients: Array, lower: Array, upper: Array, rows: Sequence[int]) -> float:
    """Lemma 2, for any number of rows: E without their terms. [rows] c, l, u of the input set that is split."""
    kept = np.ones(len(coefficients), dtype=bool)
    kept[list(rows)] = False
    return worst_case_error(coefficients[kept], lower[kept], upper[kept])


def scaled_error(coefficients: Array, lower: Array, upper: Array, alpha: float) -> float:
    """Corollary 1: alpha E, for a subset with the bounds alpha l and alpha u. alpha: in (0, 1]."""
    return alpha * worst_case_error(coefficients, lower, upper)


def lipschitz_constant(coefficients: Array, weights: Array) -> float:
    """sum_i |c_i| ||w_i||_2: x -> max {c'z : (x, z) in the triangles} is that steep at most, on any part.

    coefficients: [rows]; weights: [rows, inputs].
    """
    return float(np.abs(coefficients) @ np.linalg.norm(weights, axis=1))


def diameter_constant(coefficients: Array, weights: Array) -> float:
    """L of Prop. 3: sum_i ReLU(c_i) ||w_i||_2 / 4. coefficients: [rows]; weights: [rows, inputs]."""
    return float(np.maximum(coefficients, 0.0) @ np.linalg.norm(weights, axis=1)) / 4.0
