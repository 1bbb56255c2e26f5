"""Projected gradient descent (Madry et al. 2018) as the side from above: within one distance, and the least one.

Many starts, one of four the input itself, each towards a class of its own or the nearest one; then the iterative
gradient's end as one more start. What counts is a point that the file itself sends to another class.
"""

from __future__ import annotations

import numpy as np

from ...heuristics.boundaries.ball_descent import ball_descent, ball_starts
from ...heuristics.boundaries.class_gaps import ANY
from ...heuristics.boundaries.iterative_gradient import iterative_gradient
from ..robustness.upper_side import UpperSide

__all__ = ["descend", "least_attacked"]

STARTS, STEPS, GRADIENT_STEPS = 32, 100, 40
EDGE = 1.0 - 1e-6  # share of the distance that points keep to: the file takes float32


def descend(upper: UpperSide, others: list[int], epsilon: float) -> bool:
    """Whether a counterexample of one of the classes `others` is known within `epsilon`, after descents there."""
    x, norm, within = upper.x, upper.norm, EDGE * epsilon
    if upper.reaches(others, epsilon):
        return True
    label, radius = np.array([upper.label]), np.array([within])
    end, gap = iterative_gradient(upper.gaps, x[None], radius, label, norm, GRADIENT_STEPS)
    if gap[0] > 0.0:
        starts = ball_starts(x, within, norm, upper.limits.low, upper.limits.high, STARTS, upper.rng)
        starts[1] = end[0]
        aims = np.array([ANY, *others])[np.arange(STARTS) % (1 + len(others))]
        end, gap = ball_descent(
            upper.gaps, np.tile(x, (STARTS, 1)), np.full(STARTS, within), np.full(STARTS, upper.label), aims, norm,
            starts, STEPS,
        )  # fmt: skip
    for point in end[gap <= 0.0][:1]:
        upper.confirm(point, others)
    return upper.reaches(others, epsilon)


def least_attacked(upper: UpperSide, others: list[int], first: float, tolerance: float, most: float) -> float:
    """The least distance at which descents succeed, by doubling from `first` and then bisection; inf beyond `most`."""
    low, high = 0.0, first
    while not descend(upper, others, high):
        low, high = high, 2.0 * high
        if high > most:
            return float("inf")
    while True:
        best = upper.best(others)
        high = min(high, best.distance if best else high)
        low = min(low, high)  # descents at a larger distance may come upon a nearer point than those there
        if high - low <= tolerance:
            return high
        middle = 0.5 * (low + high)
        low, high = (low, middle) if descend(upper, others, middle) else (middle, high)
