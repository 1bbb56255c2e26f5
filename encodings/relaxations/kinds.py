"""Two lines per neuron: on [l, u], lower_slope z + lower_intercept <= act(z) <= upper_slope z + upper_intercept.

ReLU: the triangle relaxation's upper line through (l, 0) and (u, u); below, any slope in [0, 1] through the origin:
*adaptive* (1 where u > -l, else 0; CROWN, Zhang et al. 2018; DeepPoly, Singh et al. 2019) or *parallel* (u / (u - l);
Fast-Lin, Weng et al. 2018, and DeepZ). Sigmoid and tanh: the line of a chosen slope, moved out until it
touches the curve. Other curves: the pair of lines with the least area between them (`envelopes.py`).

Slopes may be any floats; intercepts are rounded outward, so every line is valid for real numbers, not only for floats.
"""

from __future__ import annotations

import numpy as np

from ...instances.curves.names import is_curve
from ...instances.network import Array
from ...instances.rounding import ROUND_UP, TINY
from .lines import Lines

__all__ = ["Lines", "lines"]


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
        from .s_shaped import s_shaped

        return s_shaped(kind, lower, upper)
    if is_curve(kind):
        from .envelopes import supports

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
