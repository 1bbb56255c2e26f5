"""Rows of an affine layer on a box and behind one half-space, by the best multiplier of each.

With x = m + r xi, |xi| <= 1, a row w'x is least over the box and the half-space g'x + h >= 0 at
    w'm + max over beta >= 0 of  -beta (g'm + h) - sum_j |r_j (w_j - beta g_j)|,
a concave function of beta whose slope is -(g'm + h) + sum_j r_j g_j sign(w_j - beta g_j): it is followed from 0 to
where it turns, by a growing bracket and then halving it. Any beta gives a bound, the nearly best one a nearly best one;
`halfspaces.absorb_cuts` finds the best one by sorting all kinks, which takes ten times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np

from ...instances.network import Array
from ...instances.rounding import TINY, TINY_32, UP, gamma
from ..linear.bounds import at_least, at_most, middle_and_radius

__all__ = ["HalfSpaces", "bounds_behind"]

BRACKETS, HALVINGS, GROWTH = 3, 6, 4.0  # of the search for a multiplier
SLACK = 4.0  # of the first-order error: differences, products and sums, and radii that are rounded


class HalfSpaces(NamedTuple):
    """One half-space normal @ x + offset >= 0 of the input a node."""

    normals: Array  # [B, n], 0 where a node has none
    offsets: Array  # [B]

    def of(self, nodes: Array) -> HalfSpaces:
        """Those of some nodes."""
        return HalfSpaces(self.normals[nodes], self.offsets[nodes])


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # what is not finite proves nothing
def bounds_behind(
    w: Array, rows: Array, bias: Array, box: tuple[Array, Array], normal: Array, offset: float, compiled: bool = False
) -> tuple[Array, Array]:  # fmt: skip
    """Rigorous bounds [R] of w[rows] @ x + bias[rows] where lower <= x <= upper [n] and normal @ x + offset >= 0.

    w: [m, n], row by row in memory; box: (lower, upper). Where no x is left a lower bound may exceed its upper one.
    """
    middle, radius = middle_and_radius(*box)
    reach = np.maximum(np.abs(box[0]), np.abs(box[1]))
    relative = SLACK * gamma(len(middle) + 8) * UP
    steps, bias = (BRACKETS, HALVINGS, GROWTH), bias[rows]
    found = _extremes(compiled)(w, rows, middle, radius, reach, normal, float(offset), steps, relative)
    slack = 2.0 * gamma(2) * (np.abs(bias) + np.fmax(np.abs(found[0]), np.abs(found[1]))) + TINY
    return at_least(found[0] + bias - slack), at_most(found[1] + bias + slack)


def _extremes(compiled: bool) -> Callable[..., tuple[Array, Array]]:
    if not compiled:
        return _plain_extremes
    from ..kernels.cache import kernel_cache

    with kernel_cache():
        from ..kernels.half_space_rows import extremes_behind
    return cast(Callable[..., tuple[Array, Array]], extremes_behind)


def _plain_extremes(
    w: Array, rows: Array, middle: Array, radius: Array, reach: Array, normal: Array, offset: float,
    steps: tuple[int, int, float], relative: float,
) -> tuple[Array, Array]:  # fmt: skip
    """`kernels.half_space_rows.extremes_behind` by numpy."""
    both = np.concatenate([w[rows], -w[rows]])
    s, g = ((a * radius).astype(np.float32) for a in (both, normal))
    beta = _multipliers(s, g, float(normal @ middle + offset), steps)
    a = both - beta[:, None] * normal
    value = a @ middle - np.abs(a) @ radius - beta * offset
    size = np.abs(both) @ reach + beta * (np.abs(normal) @ reach + abs(offset))
    low, high = np.split(value - relative * size, 2)
    return low, -high


def _multipliers(s: Array, g: Array, h: float, steps: tuple[int, int, float]) -> Array:
    """[R] nearly best multipliers; see `kernels.half_space_rows`."""
    most, halvings, growth = steps
    best, value = np.zeros(len(s)), np.full(len(s), -np.inf)

    def look(beta: Array) -> Array:
        t = s - beta[:, None].astype(np.float32) * g
        found = -np.abs(t).sum(axis=1) - beta * h
        better = found > value
        best[better], value[better] = beta[better], found[better]
        return np.asarray(np.where(t > 0.0, np.float32(1.0), np.float32(-1.0)) @ g - h)

    low, at_low = np.zeros(len(s)), look(np.zeros(len(s)))
    idle = ~(at_low > 0.0)
    high = np.where(idle, 0.0, np.abs(s).sum(axis=1) / max(float(np.abs(g).sum()), TINY_32))
    at_high = look(high)
    for _ in range(most):
        rising = at_high > 0.0
        low, at_low = np.where(rising, high, low), np.where(rising, at_high, at_low)
        high = np.where(rising, growth * high, high)
        at_high = look(high)
    for step in range(halvings):
        chord = np.clip(at_low / np.maximum(at_low - at_high, TINY_32), 0.1, 0.9)
        middle = low + (chord if step % 2 == 0 else 0.5) * (high - low)
        slope = look(middle)
        rising = slope > 0.0
        low, at_low = np.where(rising, middle, low), np.where(rising, slope, at_low)
        high, at_high = np.where(rising, high, middle), np.where(rising, at_high, slope)
    return np.where(idle | ~np.isfinite(best), 0.0, best)
