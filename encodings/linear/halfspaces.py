"""Half-spaces in linear bounds: Lagrange multipliers by exact one-dimensional searches.

For beta >= 0:  min {a'x + c : x in box, g'x + h >= 0}  >=  c - beta h + min_box (a - beta g)'x.
The right side is concave and piecewise linear in beta with a kink a_j / g_j per input; its slope at 0 is -(g'x* + h)
with x* the box's minimiser of a'x. Walking the sorted kinks until the slope turns gives the best beta exactly, as in a
fractional knapsack. Several half-spaces are taken one after another, newest first (coordinate ascent).
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array
from ...instances.rounding import TINY, gamma
from ..kernels.narrow_layout import PASSES

__all__ = ["absorb_cuts", "cut_is_empty"]


def absorb_cuts(
    coefficients: Array, constants: Array, lower: Array, upper: Array, cuts: Array
) -> tuple[Array, Array, Array]:
    """Replace a'x + c by a smaller function on the region whose minimum over the *box* is higher.

    coefficients: [B, R, n]; constants: [B, R]; lower, upper: [B, n] box; cuts: [B, K, n + 1], rows (g, h), zero rows
    void.
    Returns (coefficients, constants, error): the new function may exceed the old one on the region by at most
    `error` [B, R], by rounding.
    """
    error = np.zeros_like(constants)
    used = np.flatnonzero(np.any(cuts != 0.0, axis=(0, 2)))
    if not len(used):
        return coefficients, constants, error
    coefficients, constants = coefficients.copy(), constants.copy()
    betas = {int(k): np.zeros_like(constants) for k in used}
    passes = PASSES if len(used) > 1 else 1
    for k in [int(k) for k in used[::-1]] * passes:
        _ascend(coefficients, constants, error, betas[k], lower, upper, cuts[:, k])
    return coefficients, constants, error


def _ascend(
    coefficients: Array, constants: Array, error: Array, beta: Array, lower: Array, upper: Array, cut: Array
) -> None:  # fmt: skip
    """Best multiplier of one half-space, all others held; every argument but the box and the cut is updated in place.

    beta: [B, R] the half-space's multiplier so far, which is taken back before the search.
    """
    n = lower.shape[1]
    g, h = cut[:, :n], cut[:, n]
    width, reach = upper - lower, np.maximum(np.abs(lower), np.abs(upper))
    # g'x* + h at the minimiser x*: lower_j where a_j > 0, else upper_j
    value = (g * upper).sum(axis=1)[:, None] + h[:, None]
    value = value - np.matmul((coefficients > 0.0).astype(np.float64), (g * width)[:, :, None])[:, :, 0]
    node, row = np.nonzero((value < 0.0) | ((value > 0.0) & (beta > 0.0)))
    if not len(node):
        return
    old, normal, offset = beta[node, row], g[node], h[node]
    a = coefficients[node, row] + old[:, None] * normal
    slope = -(normal * np.where(a > 0.0, lower[node], upper[node])).sum(axis=1) - offset
    new = np.where(slope > 0.0, _best_multiplier(a, normal, width[node], slope), 0.0)
    before = coefficients[node, row]
    coefficients[node, row] = before + (old - new)[:, None] * normal
    constants[node, row] += (old - new) * offset
    beta[node, row] = new
    # the same real change old - new is meant in both places, so only the roundings of these two lines count
    scale = ((np.abs(before) + np.abs(old - new)[:, None] * np.abs(normal)) * reach[node]).sum(axis=1)
    scale += np.abs(old - new) * np.abs(offset) + np.abs(constants[node, row])
    error[node, row] += gamma(0) * scale


def _best_multiplier(a: Array, g: Array, width: Array, slope: Array) -> Array:
    """The beta where the concave function stops rising; slope > 0 is its slope at beta = 0.

    a, g, width: [M, n]; slope: [M]. If it never stops, the half-space misses the box; the last kink is returned
    (any beta >= 0 is valid).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        kinks = np.where(g != 0.0, a / g, np.inf)
    # a_j = 0: x*_j is upper_j; it flips at once where that is the wrong side (g_j < 0)
    kinks = np.where((a == 0.0) & (g < 0.0), 0.0, np.where(kinks > 0.0, kinks, np.inf))
    order = np.argsort(kinks, axis=1)
    drop = np.cumsum(np.take_along_axis(np.where(np.isfinite(kinks), np.abs(g) * width, 0.0), order, axis=1), axis=1)
    first = np.argmax(drop >= slope[:, None], axis=1)
    chosen = np.take_along_axis(np.take_along_axis(kinks, order, axis=1), first[:, None], axis=1)[:, 0]
    reached = drop[:, -1] >= slope
    last = np.where(np.isfinite(kinks), kinks, 0.0).max(axis=1)
    return np.where(reached & np.isfinite(chosen), chosen, last)


def cut_is_empty(lower: Array, upper: Array, cuts: Array) -> Array:
    """[B] bool: some half-space misses the whole box, rigorously (the maximum of g'x + h lies below its own error)."""
    if cuts.shape[1] == 0:
        return np.zeros(len(lower), dtype=bool)
    n = lower.shape[1]
    g, h = cuts[:, :, :n], cuts[:, :, n]
    top = np.maximum(g * lower[:, None, :], g * upper[:, None, :]).sum(axis=2) + h
    reach = np.maximum(np.abs(lower), np.abs(upper))
    error = gamma(n) * ((np.abs(g) * reach[:, None, :]).sum(axis=2) + np.abs(h)) + TINY
    return np.asarray((top + error < 0.0).any(axis=1))
