"""Two lines per neuron: on [l, u], lower_slope z + lower_intercept <= act(z) <= upper_slope z + upper_intercept.

ReLU: the triangle relaxation's upper line through (l, 0) and (u, u); below, any slope in [0, 1] through the origin:
*adaptive* (1 where u > -l, else 0; CROWN, Zhang et al. 2018; DeepPoly, Singh et al. 2019) or *parallel* (u / (u - l);
Fast-Lin, Weng et al. 2018, and DeepZ). Sigmoid and tanh: the line of a chosen slope, moved out until it
touches the curve. Other curves: the pair of lines with the least area between them (`relaxations/envelopes.py`).

Slopes may be any floats; intercepts are rounded outward, so every line is valid for real numbers, not only for floats.
"""

from __future__ import annotations

import numpy as np

from ...instances.curves.names import is_curve
from ...instances.network import Array, activate, derivative
from ...instances.rounding import CURVE_SLACK, ROUND_UP, TINY, UNIT
from ..relaxations.envelopes import supports
from ..relaxations.lines import Lines

__all__ = ["Lines", "lines"]

FLATTEST = 1e-9  # below this slope the touching point is ill-conditioned: a horizontal line is used


def lines(kind: str, lower: Array, upper: Array, slopes: str = "adaptive") -> Lines:
    """Valid lines for act on [lower, upper], elementwise.

    kind: of a layer (`instances/network.py`); lower <= upper, finite, of equal shapes; slopes: "adaptive" or
    "parallel".
    Raises ValueError for an unknown kind or slope rule.
    """
    if slopes not in ("adaptive", "parallel"):
        raise ValueError(f"slopes {slopes!r}: expected 'adaptive' or 'parallel'")
    if kind == "identity":
        one, zero = np.ones_like(lower), np.zeros_like(lower)
        return Lines(one, zero, one, zero)
    if kind == "relu":
        return _relu(lower, upper, slopes)
    if kind in ("sigmoid", "tanh"):
        return _s_shaped(kind, lower, upper)
    if is_curve(kind):
        return supports(kind, lower, upper, 0.5 * lower + 0.5 * upper)
    raise ValueError(f"no relaxation for activation {kind!r}")


def _relu(lower: Array, upper: Array, slopes: str) -> Lines:
    unstable = ~(lower >= 0.0) & ~(upper <= 0.0)  # NaN is no phase; its lines are NaN, too
    low, high = np.where(unstable, lower, -1.0), np.where(unstable, upper, 1.0)
    slope = high / (high - low)
    intercept = np.maximum(-slope * low, (1.0 - slope) * high) * ROUND_UP + TINY
    active = (lower >= 0.0).astype(np.float64)
    below = slope if slopes == "parallel" else (high > -low).astype(np.float64)
    return Lines(
        np.where(unstable, below, active),
        np.zeros_like(lower),
        np.where(unstable, slope, active),
        np.where(unstable, intercept, 0.0),
    )


def _s_shaped(kind: str, lower: Array, upper: Array) -> Lines:
    """Upper line: chord where the curve is convex, else the tangent through (l, act(l)), or at the middle where the
    curve is concave. The lower line is the upper one of the point-mirrored curve 2 act(0) - act(-z)."""
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
