"""Lines of sigmoid and tanh: a line of a chosen slope, moved out until it touches the curve.

Above: the chord where the curve is convex, else the tangent through (l, act(l)), or that at the middle where it is
concave. The line below is the upper one of the point-mirrored curve 2 act(0) - act(-z).
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array, activate, derivative
from ...instances.rounding import CURVE_SLACK, UNIT
from .lines import Lines

__all__ = ["s_shaped"]

FLATTEST = 1e-9  # below this slope the touching point is ill-conditioned: a horizontal line is used


def s_shaped(kind: str, lower: Array, upper: Array) -> Lines:
    """Valid lines for "sigmoid" or "tanh" on [lower, upper], finite, of equal shapes."""
    upper_slope, upper_intercept = _upper_line(kind, lower, upper)
    slope, intercept = _upper_line(kind, -upper, -lower)
    return Lines(slope, 2.0 * activate(kind, np.zeros(())) - intercept, upper_slope, upper_intercept)


def _upper_line(kind: str, lower: Array, upper: Array) -> tuple[Array, Array]:
    width = upper - lower
    at_lower, at_upper = activate(kind, lower), activate(kind, upper)
    chord = np.where(width > 1e-6, (at_upper - at_lower) / np.maximum(width, 1e-6), derivative(kind, upper))
    touch = _tangent_point(kind, lower, np.maximum(upper, 0.0))
    touch = np.where(lower >= 0.0, 0.5 * lower + 0.5 * upper, touch)
    slope = np.where((upper <= 0.0) | (touch >= upper), chord, derivative(kind, touch))
    slope = np.where(slope < FLATTEST, 0.0, slope)
    # act(z) - slope z is largest at an end or where act' = slope on the concave side
    peak = np.clip(_concave_point_of_slope(kind, np.maximum(slope, FLATTEST)), lower, upper)
    height = np.maximum(at_lower - slope * lower, at_upper - slope * upper)
    height = np.maximum(height, activate(kind, peak) - slope * peak)
    reach = 1.0 + np.abs(slope) * np.maximum(np.abs(lower), np.abs(upper))
    return slope, height + CURVE_SLACK * reach


def _tangent_point(kind: str, lower: Array, upper: Array) -> Array:
    """The d in [0, upper] whose tangent passes through (lower, act(lower)), by bisection; upper if there is none."""
    left, right = np.zeros_like(lower), upper.copy()
    base = activate(kind, lower)
    for _ in range(40):
        middle = 0.5 * left + 0.5 * right
        above = activate(kind, middle) - derivative(kind, middle) * (middle - lower) < base
        left, right = np.where(above, middle, left), np.where(above, right, middle)
    return right


def _concave_point_of_slope(kind: str, slope: Array) -> Array:
    """The z >= 0 with act'(z) = slope; 0 where the curve is flatter than that everywhere."""
    if kind == "tanh":
        return np.asarray(np.arctanh(np.sqrt(np.clip(1.0 - slope, 0.0, 1.0 - UNIT))))
    value = 0.5 * (1.0 + np.sqrt(np.clip(1.0 - 4.0 * slope, 0.0, 1.0 - UNIT)))
    return np.asarray(np.log(value / (1.0 - value)))
