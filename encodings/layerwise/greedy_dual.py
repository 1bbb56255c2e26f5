"""The Lagrangian duals of Salman et al. (NeurIPS 2019), (8)-(11), and their greedy pass (47)-(48).

For a row m = w x + b of the margins, with lines or hulls below_v <= act <= above_v of every layer v,

    g(mu, low, high) = b + min over boxes of  w x + sum_v [ mu_v (z_v - sum_s W_vs x_s - b_v)
                                                           - low_v (x_v - below_v(z_v)) + high_v (x_v - above_v(z_v)) ]

is at most the least m for *any* mu and any low, high >= 0: the minimum falls apart into one over each value's and one
over each pre-activation's interval, where the function of a ReLU has its kinks at the ends and at 0. The best
multipliers give the linear program's optimum (strong duality, Theorem 4.1).

With the hull of each graph for below and above this is the dual of the original problem, too, Dvijotham et al.'s (2018)

    g_O(mu, lambda) = b + min over boxes of  w x + sum_v [ mu_v (z_v - sum_s W_vs x_s - b_v)
                                                           + lambda_v (x_v - act(z_v)) ],

at low = (lambda)-, high = (lambda)+: a linear function of z and act(z) is as small over the graph as over its hull
(31), so the two duals have the same optimum (Theorem 4.2). A ReLU's hull is its triangle; of a curve's hull the lines
of slope mu / lambda are taken: with them nothing is left of z but the least of mu z - lambda act(z) itself, the
conjugate (28).

The greedy pass (47) takes one line above and one below and goes back from the last layer,

    lambda_last = -w,    mu = a_above (lambda)+ - a_below (lambda)-,    lambda_s = sum_v W_vs' mu_v,

with (.)+ and (.)- the parts of a number, both >= 0; what it proves (48) is back-substitution's bound, term by term:
Wong and Kolter's (2018) with parallel lines, CROWN's with adaptive ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...instances.batch import Node
from ...instances.network import Array, curved, value_range
from ...instances.query import Query
from ...instances.rounding import UNDERFLOW, UP, gamma
from ..relaxations.envelopes import sloped
from ..relaxations.kinds import Lines, lines

__all__ = ["Multipliers", "dual_bound", "greedy_multipliers", "pulled_back"]


@dataclass(frozen=True, eq=False)
class Multipliers:
    """Of one hidden layer, each [size]."""

    affine: Array  # mu, of z = sum W x + b; any
    low: Array  # of below(z) <= x, >= 0
    high: Array  # of x <= above(z), >= 0

    @staticmethod
    def signed(mu: Array, lam: Array) -> Multipliers:
        """Those of g_O, with lambda of any sign."""
        return Multipliers(mu, np.maximum(-lam, 0.0), np.maximum(lam, 0.0))


def greedy_multipliers(query: Query, node: Node, row: int, slopes: str = "parallel") -> list[Multipliers]:
    """The greedy pass's multipliers for one row of the margins, a record a hidden layer; the node's bounds are finite.

    slopes: of unstable ReLUs' lower lines, "parallel" or "adaptive".
    """
    layers = query.network.layers
    lam = [np.zeros(size) for size in query.network.sizes]
    _pull(lam, layers[-1].sources, [-_dense_row(w, row) for w in layers[-1].weights])
    found: list[Multipliers] = []
    for v in range(len(layers) - 1, 0, -1):
        layer, part = layers[v - 1], query.slices[v - 1]
        line = lines(layer.kind, node.pre_lower[part], node.pre_upper[part], slopes)
        high, low = np.maximum(lam[v], 0.0), np.maximum(-lam[v], 0.0)
        mu = line.upper_slope * high - line.lower_slope * low
        _pull(lam, layer.sources, [np.asarray(w.T @ mu) for w in layer.weights])
        found.append(Multipliers(mu, low, high))
    return found[::-1]


def dual_bound(
    query: Query, node: Node, row: int, multipliers: list[Multipliers], slopes: str | None = None
) -> float:
    """Lower bound of one row of the margins on the node's box from any multipliers, rounding subtracted.

    slopes: None for hulls, such as a ReLU's triangle, whose lower side is max(0, z), or the rule of single lines as in
    `greedy_multipliers`. Multipliers low and high below 0 count as 0. Half-spaces and balls are not used.
    -inf where numbers are not finite.
    """
    network, layers = query.network, query.network.layers
    rest, size = ([np.zeros(n) for n in network.sizes] for _ in range(2))
    last = layers[-1]
    constants, error = [float(last.bias[row])], last.bias_error
    _pull(rest, last.sources, [_dense_row(w, row) for w in last.weights])
    _pull(size, last.sources, [np.abs(_dense_row(w, row)) for w in last.weights])
    reach = abs(constants[0])
    for v, (layer, own, part) in enumerate(zip(layers[:-1], multipliers, query.slices, strict=True), start=1):
        low, high = np.maximum(own.low, 0.0), np.maximum(own.high, 0.0)
        _pull(rest, layer.sources, [-np.asarray(w.T @ own.affine) for w in layer.weights])
        _pull(size, layer.sources, [np.asarray(abs(w).T @ np.abs(own.affine)) for w in layer.weights])
        rest[v], size[v] = rest[v] + (high - low), size[v] + high + low
        ends = node.pre_lower[part], node.pre_upper[part]
        values, sizes = _over_interval(layer.kind, ends, own.affine, low, high, slopes)
        shift = own.affine * layer.bias
        constants += [float(values.sum()), -float(shift.sum())]
        reach += float(sizes.sum() + np.abs(shift).sum())
        error += layer.bias_error * float(np.abs(own.affine).sum())
    for v, (lower, upper) in enumerate(_boxes(query, node)):
        constants.append(float(np.minimum(rest[v] * lower, rest[v] * upper).sum()))
        reach += float(size[v] @ np.maximum(np.abs(lower), np.abs(upper)))
    terms = 4 * sum(network.sizes) + max(layer.roundings for layer in layers) + 4 * len(layers)
    value = sum(constants) - (error + gamma(terms) * reach) * UP - UNDERFLOW
    return float(value) if np.isfinite(value) else -np.inf


def pulled_back(query: Query, row: int, mus: list[Array]) -> list[Array]:
    """[size] of the input and each hidden layer: sum_u W_uv' mu_u - w_v, the lambda_v of (43) for v >= 1.

    With these for the multipliers of x_v nothing is left of its own coefficient, and mu alone is free.
    """
    last = query.network.layers[-1]
    found = [np.zeros(size) for size in query.network.sizes[:-1]]
    _pull(found, last.sources, [-_dense_row(w, row) for w in last.weights])
    for layer, mu in zip(query.network.layers[:-1], mus, strict=True):
        _pull(found, layer.sources, [np.asarray(w.T @ mu) for w in layer.weights])
    return found


def _pull(into: list[Array], sources: tuple[int, ...], parts: list[Array]) -> None:
    """Add to the numbers of each value that is read."""
    for s, part in zip(sources, parts, strict=True):
        into[s] = into[s] + part


def _dense_row(w: Array, row: int) -> Array:
    return np.asarray(w[[row]].toarray()[0] if not isinstance(w, np.ndarray) else w[row])


def _boxes(query: Query, node: Node) -> list[tuple[Array, Array]]:
    """Intervals of all values that have multipliers, the inputs first."""
    kinds = zip(query.kinds, query.slices, strict=True)
    return [
        (node.lower, node.upper),
        *(value_range(kind, node.pre_lower[part], node.pre_upper[part]) for kind, part in kinds),
    ]


def _over_interval(
    kind: str, ends: tuple[Array, Array], mu: Array, low: Array, high: Array, slopes: str | None
) -> tuple[Array, Array]:
    """(min over z in [l, u] of mu z + low below(z) - high above(z), sum of the sizes of its terms), elementwise."""
    if slopes is None and curved(kind):
        lam = high - low
        line = sloped(kind, *ends, np.divide(mu, lam, out=np.zeros_like(mu), where=lam != 0.0))
    else:
        line = lines(kind, *ends, slopes or "adaptive")
    curve = kind == "relu" and slopes is None
    values, sizes = np.full(mu.shape, np.inf), np.zeros(mu.shape)
    for z in (*ends, np.clip(np.zeros_like(mu), *ends)):
        below = np.maximum(z, 0.0) if curve else _height(line, z, upper=False)
        parts = mu * z, low * below, -high * _height(line, z, upper=True)
        values = np.minimum(values, sum(parts))
        slack = high * np.abs(line.upper_intercept) + low * np.abs(line.lower_intercept)
        sizes = np.maximum(sizes, sum(np.abs(part) for part in parts) + slack)
    return values, sizes


def _height(line: Lines, z: Array, upper: bool) -> Array:
    slope, shift = (line.upper_slope, line.upper_intercept) if upper else (line.lower_slope, line.lower_intercept)
    return np.asarray(slope * z + shift)
