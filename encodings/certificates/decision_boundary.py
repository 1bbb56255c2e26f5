"""The decision-boundary certificate (Singla and Feizi 2019, Theorem 4), for any number of layers; and what is above it.

The point x of another answer nearest to u lies on a piece with phases theta', where f_k - f_j is an affine function
that is 0 at x. Whatever theta' is,
    ||x - u||_p >= min_j  min_theta m_j(theta, u) / L_kj,
with m_j(theta, u) the function of the piece theta at u and L_kj a Lipschitz constant of f_k - f_j on every piece. Over
theta in [0, 1] the numerator has a closed form: theta_i z_i fills the interval between 0 and z_i, so
    two layers: b_k - b_j + sum_i min(0, a_i z_i),  a = W_k - W_j,
and with more layers intervals are carried on, a lower bound of the polynomial's minimum. The paper has L = ||a||_2
||W||_2 and two layers; `lipschitz` has the constants for more.

At theta of u itself the numerator is the margin m_j(u), so the certificate is never above the plain m_j(u) / L_kj,
which `lipschitz_certificate` gives for the same price: L bounds the slope of f_k - f_j itself.
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array, Network
from ...instances.rounding import TINY, UP, gamma
from ...instances.sparse import is_sparse
from .affine_pieces import points_at_once, prepared, times, trace
from .lipschitz import lipschitz_constants
from .norms import at_least_ratio, dual
from .questions import Question, asked, margin_values

__all__ = ["decision_boundary_certificate", "lipschitz_certificate"]


def decision_boundary_certificate(network: Network, points: Array, labels: Array, norm: float = 2) -> Array:
    """[B] radii r >= 0: every x with ||x - point||_norm < r is answered by the point's label.

    points: [B, n]; labels: [B]; norm: 1, 2 or inf. Raises InputError as `simplex_certificate` does.
    """
    return _by_blocks(asked(network, points, labels, norm), _least_margins)


def lipschitz_certificate(network: Network, points: Array, labels: Array, norm: float = 2) -> Array:
    """The same from the margins at the points themselves: min over j of (f_k - f_j)(u) / L_kj. [B]"""
    return _by_blocks(asked(network, points, labels, norm), _margins)


def _by_blocks(question: Question, margins: object) -> Array:
    constants = lipschitz_constants(question.network, dual(question.norm))
    size = points_at_once(question.network)
    found = [np.zeros(0)]
    for i in range(0, len(question.points), size):
        part = question[i : i + size]
        rows = margins(part)  # type: ignore[operator]
        slopes = np.take_along_axis(constants[part.labels], part.others, axis=1)
        found.append(at_least_ratio(rows, slopes).min(axis=1))
    return np.concatenate(found)


@np.errstate(invalid="ignore")  # what is no number certifies nothing
def _margins(question: Question) -> Array:
    """[B, classes - 1] lower bounds of f_label - f_j at the points."""
    values, slack = margin_values(question, trace(question.network, question.points))
    return values - slack


@np.errstate(over="ignore", invalid="ignore")
def _least_margins(question: Question) -> Array:
    """[B, classes - 1] lower bounds of f_label - f_j at the points over all phases."""
    network, ready = question.network, prepared(question.network)
    lows, highs = [question.points], [question.points]
    for k, layer in enumerate(network.layers[:-1]):
        low, high = (np.broadcast_to(layer.bias, (len(question.points), layer.size)).copy() for _ in range(2))
        size = np.broadcast_to(np.abs(layer.bias), low.shape).copy()
        for s, w, sizes in zip(layer.sources, layer.weights, ready.absolute[k], strict=True):
            if s == 0:
                part = times(lows[0], w)
                low, high = low + part, high + part
            else:
                low, high = low + _least(lows[s], highs[s], w), high - _least(lows[s], highs[s], -w)
            size += times(np.maximum(np.abs(lows[s]), np.abs(highs[s])), sizes)
        error = (2.0 * gamma(ready.terms[k]) * size + layer.bias_error) * UP + TINY
        low, high = low - error, high + error
        relu = layer.kind == "relu"
        lows.append(np.minimum(low, 0.0) if relu else low)
        highs.append(np.maximum(high, 0.0) if relu else high)
    return _last(question, lows, highs)


def _last(question: Question, lows: list[Array], highs: list[Array]) -> Array:
    """The last layer's differences over the intervals, label by label."""
    network = question.network
    last, share = network.layers[-1], 2.0 * gamma(prepared(network).terms[-1])
    found = np.zeros((len(question.points), network.output_size - 1))
    for label in np.unique(question.labels):
        mine = question.labels == label
        others = np.delete(np.arange(network.output_size), label)
        total = np.broadcast_to(last.bias[label] - last.bias[others], (int(mine.sum()), len(others))).copy()
        size = np.broadcast_to(np.abs(last.bias[label]) + np.abs(last.bias[others]), total.shape).copy()
        for s, w in zip(last.sources, last.weights, strict=True):
            dense = w.toarray() if is_sparse(w) else w
            total += _least(lows[s][mine], highs[s][mine], dense[label] - dense[others])
            reach = np.maximum(np.abs(lows[s][mine]), np.abs(highs[s][mine]))
            size += reach @ (np.abs(dense[label]) + np.abs(dense[others])).T
        found[mine] = total - (share * size + 2.0 * last.bias_error) * UP - TINY
    return found


def _least(low: Array, high: Array, w: object) -> Array:
    """Least values of x @ w.T over low <= x <= high, [B, n] and [m, n] -> [B, m], in floats."""
    if is_sparse(w):
        return times(low, w.maximum(0.0)) + times(high, w.minimum(0.0))  # type: ignore[attr-defined]
    return np.asarray(low @ np.maximum(w, 0.0).T + high @ np.minimum(w, 0.0).T)  # type: ignore[call-overload]
