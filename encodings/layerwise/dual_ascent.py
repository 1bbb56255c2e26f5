"""The layer-wise dual maximised by supergradient steps: a bound that may be stopped at any time.

With lambda tied to mu by (43) of Salman et al. (NeurIPS 2019),

    lambda_v = sum_u W_uv' mu_u - w_v,
    g(mu) = b - max over the box of lambda_0 x + sum_v min over [l, u] of [ mu_v z - lambda_v act(z) - mu_v b_v ],

(38), (45): mu is free of any constraint, g is concave, and its maximum is the optimum of the linear program over
the hulls of all graphs (Theorems 4.1 and 4.2, Corollary 4.3). With x_0 and z_v where they are taken, x_v = act(z_v),

    d g / d mu_v = z_v - sum_s W_vs x_s - b_v,

what the relaxed equations lack (Dvijotham et al. 2018). The steps begin at the greedy pass and are Adam's; the best mu
is kept, and `dual_bound` makes a rigorous bound of it. Appendix H recommends this dual for curves, whose hulls have no
simple rows.
"""

from __future__ import annotations

import math
import time

import numpy as np

from ...instances.batch import Node
from ...instances.network import Array, activate, curved
from ...instances.query import Query
from ...instances.rounding import TINY
from .greedy_dual import Multipliers, greedy_multipliers, pulled_back

__all__ = ["best_multipliers", "least_at", "tied"]

RATE, LAST = 0.3, 1e-3  # the first step in units of a layer's mean |mu| and |lambda|, and the last one's share of it
GRID, ZOOMS = np.linspace(0.0, 1.0, 17), 4  # points of a curve's interval; each zoom keeps two gaps of sixteen
FIRST_MOMENT, SECOND_MOMENT = 0.9, 0.99  # Adam's


def tied(query: Query, row: int, mus: list[Array]) -> list[Multipliers]:
    """The multipliers of g at mu, an array [size] a hidden layer, with the lambda that belong to it."""
    return [Multipliers.signed(mu, lam) for mu, lam in zip(mus, pulled_back(query, row, mus)[1:], strict=True)]


def best_multipliers(
    query: Query, node: Node, row: int, iterations: int, deadline: float = math.inf
) -> list[Multipliers]:
    """The best multipliers seen for one row of the margins, for `dual_bound`; the node's bounds are finite.

    At least as good as the greedy ones with parallel and with adaptive lines, up to rounding. deadline:
    time.monotonic() from which on no step is taken.
    """
    starts = [[own.affine for own in greedy_multipliers(query, node, row, rule)] for rule in ("parallel", "adaptive")]
    mus = max(starts, key=lambda mu: _value(query, node, row, mu)[0])
    best, chosen = -np.inf, mus
    units = [RATE * _unit(mu, lam) for mu, lam in zip(mus, pulled_back(query, row, mus)[1:], strict=True)]
    means, squares = ([np.zeros_like(mu) for mu in mus] for _ in range(2))
    for t in range(1, iterations + 2):
        value, gradients = _value(query, node, row, mus)
        if value > best:
            best, chosen = value, [mu.copy() for mu in mus]
        if t > iterations or time.monotonic() >= deadline:
            break
        for k, gradient in enumerate(gradients):
            means[k] += (1.0 - FIRST_MOMENT) * (gradient - means[k])
            squares[k] += (1.0 - SECOND_MOMENT) * (gradient * gradient - squares[k])
            size = np.sqrt(squares[k] / (1.0 - SECOND_MOMENT**t)) + TINY
            step = units[k] * LAST ** ((t - 1) / iterations)
            mus[k] = mus[k] + step * means[k] / (1.0 - FIRST_MOMENT**t) / size
    return tied(query, row, chosen)


def least_at(kind: str, ends: tuple[Array, Array], mu: Array, lam: Array) -> Array:
    """[n] where mu z - lam act(z) is least over [l, u]: a kink or an end, of a curve the best point of a grid."""
    lower, upper = ends
    here = lower
    points = np.stack([lower, upper, np.clip(np.zeros_like(lower), lower, upper)])
    for _ in range(ZOOMS if curved(kind) else 1):
        if curved(kind):
            points = lower + (upper - lower) * GRID[:, None]
        best = np.argmin(mu * points - lam * activate(kind, points), axis=0)[None]
        lower, here, upper = (
            np.take_along_axis(points, np.clip(best + step, 0, len(points) - 1), axis=0)[0] for step in (-1, 0, 1)
        )
    return np.asarray(here)


def _unit(mu: Array, lam: Array) -> float:
    """A layer's step of 1."""
    return float(0.5 * np.abs(mu).mean() + 0.5 * np.abs(lam).mean())


def _value(query: Query, node: Node, row: int, mus: list[Array]) -> tuple[float, list[Array]]:
    """(g at mu in floats, a supergradient: [size] a hidden layer)."""
    layers = query.network.layers
    lam = pulled_back(query, row, mus)
    values = [np.where(lam[0] > 0.0, node.upper, node.lower)]
    total, gradients = float(layers[-1].bias[row] - lam[0] @ values[0]), []
    for v, (layer, mu, part) in enumerate(zip(layers[:-1], mus, query.slices, strict=True), start=1):
        z = least_at(layer.kind, (node.pre_lower[part], node.pre_upper[part]), mu, lam[v])
        reached = layer.bias + sum(w @ values[s] for s, w in zip(layer.sources, layer.weights, strict=True))
        values.append(activate(layer.kind, z))
        total += float(mu @ (z - layer.bias) - lam[v] @ values[v])
        gradients.append(z - reached)
    return total, gradients
