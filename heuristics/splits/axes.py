"""Axis splits of the input box: longest edge and smear.

Smear (Kearfott): the input whose interval moves the bound most, |a_j| (u_j - l_j) / 2, with a the coefficients of the
margin's linear lower bound. Where these vanish (a bound that does not see the input) the longest edge, relative to the
root box, decides, so that no rule stalls.
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array

__all__ = ["longest_edge_scores", "smear_scores"]


def longest_edge_scores(lower: Array, upper: Array, root_width: Array) -> Array:
    """Edge lengths relative to the root's; [B, inputs], 0 for inputs that were fixed at the root."""
    return np.where(root_width > 0.0, (upper - lower) / np.where(root_width > 0.0, root_width, 1.0), 0.0)


def smear_scores(coefficients: Array, lower: Array, upper: Array) -> Array:
    """Half the range of each input's term. coefficients: [B, inputs]. Returns [B, inputs]."""
    return np.abs(coefficients) * (0.5 * upper - 0.5 * lower)
