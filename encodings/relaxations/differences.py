"""Lines around relu(z) - relu(w) over the difference d = z - w of the two pre-activations, for d in [l, u].

The ReLU is monotone and its slope at most 1 (ReluDiff, Paulsen, Wang and Wang 2020; NeuroDiff, Paulsen et al. 2020):

    min(d, 0) <= relu(z) - relu(w) <= max(d, 0),    whose chords over l < 0 < u are
    l / (l - u) (d - u)  below  and  u / (u - l) (d - l)  above.

They are as far apart as z and w are, while the lines of each neuron by itself are as far apart as its own interval
tells; so they pay where two networks are nearly one. a relu(z) - b relu(w) with a, b > 0 is taken apart into min(a, b)
times the difference, for which these lines stand, and a rest, for which those of one neuron do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...instances.network import Array, Difference
from ...instances.rounding import FEW_ROUNDINGS, ROUND_UP, TINY

__all__ = ["Chords", "Ends", "Taken", "chords", "least", "open_pairs", "take"]

Ends = tuple[tuple[Array, Array], tuple[Array, Array]]  # (lower, upper) of the z, (lower, upper) of the w, [B, pairs]


class Chords(NamedTuple):
    """Per pair [B, pairs]: below d - drop <= relu(z) - relu(w) <= above d + rise."""

    worth: Array  # bool: whether they are taken instead of the neurons' own lines
    below: Array
    drop: Array  # >= 0
    above: Array
    rise: Array  # >= 0


class Taken(NamedTuple):
    """first relu(z) + second relu(w) once multiples of relu(z) - relu(w) are replaced by lines over z - w."""

    first: Array  # [B, rows, neurons] coefficients that are left of relu(z)
    second: Array  # of relu(w)
    straight: Array  # [B, rows, neurons] coefficients that z itself gets
    straight_second: Array  # and w
    constants: Array  # [B, rows] what is added to the constants
    multiples: Array  # [B, rows, pairs] what was taken


def open_pairs(z: tuple[Array, Array], w: tuple[Array, Array]) -> Array:
    """Of which pairs the difference counts: no neuron is inactive, nor are both active, by their bounds."""
    return np.asarray((z[1] > 0.0) & (w[1] > 0.0) & ((z[0] < 0.0) | (w[0] < 0.0)))


def least(z: tuple[Array, Array], w: tuple[Array, Array]) -> Array:
    """Lower bound of z - w by the bounds of each, -inf or NaN where these are no numbers; rounded down."""
    low, most = z[0], w[1]
    return np.asarray(low - most - FEW_ROUNDINGS * (np.abs(low) + np.abs(most)))


def chords(lower: Array, upper: Array, z: tuple[Array, Array], w: tuple[Array, Array]) -> Chords:
    """Lines over d in [lower, upper], valid for real numbers.

    z, w: lower and upper bounds of the two pre-activations, of equal shapes.
    """
    straddles = (lower < 0.0) & (upper > 0.0)
    low, high = np.where(straddles, lower, -1.0), np.where(straddles, upper, 1.0)
    above = np.where(straddles, high / (high - low), (lower >= 0.0).astype(np.float64))
    below = np.where(straddles, -low / (high - low), (upper <= 0.0).astype(np.float64))
    rise = np.maximum(-above * low, (1.0 - above) * high) * ROUND_UP + TINY
    drop = np.maximum(below * high, -(1.0 - below) * low) * ROUND_UP + TINY
    worth = open_pairs(z, w) & (np.maximum(-lower, upper) < _gap(*z) + _gap(*w))
    return Chords(worth, below, np.where(straddles, drop, 0.0), above, np.where(straddles, rise, 0.0))


def _gap(lower: Array, upper: Array) -> Array:
    """How far apart the lines of a ReLU are at the kink; 0 where it is stable."""
    unstable = (lower < 0.0) & (upper > 0.0)
    low, high = np.where(unstable, lower, -1.0), np.where(unstable, upper, 1.0)
    return np.where(unstable, -low * (high / (high - low)), 0.0)


def take(pairs: Difference, line: Chords, first: Array, second: Array) -> Taken:
    """Replace the differences in lower bounds of first relu(z) + second relu(w).

    first, second: [B or 1, rows, neurons]. Of two coefficients of opposite signs one becomes 0, the other nearer to 0.
    """
    shape = len(line.worth), second.shape[1]
    first = np.broadcast_to(first, (*shape, first.shape[2])).copy()
    second = np.broadcast_to(second, (*shape, second.shape[2])).copy()
    a, b = first[:, :, pairs.left], second[:, :, pairs.right]
    opposite = (a * b < 0.0) & line.worth[:, None]
    multiples = np.where(opposite, np.copysign(np.minimum(np.abs(a), np.abs(b)), a), 0.0)
    first[:, :, pairs.left] = a - multiples
    second[:, :, pairs.right] = b + multiples
    up, down = np.maximum(multiples, 0.0), np.minimum(multiples, 0.0)
    constants = np.matmul(down, line.rise[:, :, None]) - np.matmul(up, line.drop[:, :, None])
    slopes = up * line.below[:, None] + down * line.above[:, None]
    straight, other = np.zeros_like(first), np.zeros_like(second)
    straight[:, :, pairs.left], other[:, :, pairs.right] = slopes, -slopes
    return Taken(first, second, straight, other, constants[:, :, 0], multiples)
