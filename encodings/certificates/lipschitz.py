"""Lipschitz constants of the functions f_k - f_j, from the layers' norms alone, rounded up.

On every piece the gradient of f_k - f_j is a product a D W ... D W with a = W_k - W_j and 0/1 matrices D, so
    || |a| |W| ... |W| ||_q        in every norm (absolute values entry by entry), and
    ||a||_2 ||W||_2 ... ||W||_2    in l2, spectral norms (Szegedy et al. 2014)
bound its dual norm ||.||_q wherever it is. On a DAG the constants of a layer's sources are added up.

A spectral norm is proved by a Cholesky factorisation: where one of t 1 - W W' runs to its end in floats, the matrix is
positive definite up to n gamma(n) t (Demmel 1989; Rump, "Verification of positive definiteness", 2006), so that
||W||_2^2 <= t (1 + n gamma(n)) + the error of W W'.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np

from ...instances.network import Array, Matrix, Network
from ...instances.rounding import FEW_ROUNDINGS, TINY, TINY_SQUARE, UP, gamma
from ...instances.sparse import is_sparse
from .affine_pieces import prepared
from .norms import at_most_norm

__all__ = ["lipschitz_constants", "spectral_norm"]

SLACKS = (1e-9, 1e-6, 1e-3)  # by how much t is larger than floats think it must be, tried in order

_KNOWN: WeakKeyDictionary[Network, dict[float, Array]] = WeakKeyDictionary()


def lipschitz_constants(network: Network, order: float) -> Array:
    """[classes, classes] at least the dual norm, of that order, of every gradient of f_k - f_j; 0 on the diagonal.

    The network's last layer must be affine, its others affine or ReLUs.
    """
    known = _KNOWN.setdefault(network, {})
    if order not in known:
        known[order] = _constants(network, order)
    return known[order]


def _constants(network: Network, order: float) -> Array:
    classes = network.output_size
    found = np.zeros((classes, classes))
    parts = [_last_by_spectra(network)] if order == 2.0 else []
    for k in range(classes):
        found[k] = at_most_norm(_absolute_rows(network, k), order)
        for by_spectra in parts:
            found[k] = np.fmin(found[k], by_spectra[k])
        found[k, k] = 0.0
    return np.where(np.isnan(found), np.inf, found)


@np.errstate(over="ignore", invalid="ignore")
def _absolute_rows(network: Network, label: int) -> Array:
    """[classes, n] at least |a| |W| ... |W| for a = W_label - W_j, entry by entry."""
    ready = prepared(network)
    rows: dict[int, Array] = {}
    last = network.layers[-1]
    up = UP * (1.0 + (last.roundings + 1) * FEW_ROUNDINGS)
    for s, w in zip(last.sources, last.weights, strict=True):
        dense = w.toarray() if is_sparse(w) else w
        # weights that were rounded differ from their exact differences by what their sizes say
        rows[s] = np.abs(dense[label] - dense) * up + _rounding(last.roundings) * (np.abs(dense[label]) + np.abs(dense))
    for k in range(len(network.layers) - 1, 0, -1):
        if k in rows:
            row = rows.pop(k)
            layer = network.layers[k - 1]
            grown = UP * (1.0 + layer.roundings * FEW_ROUNDINGS)
            for s, a in zip(layer.sources, ready.absolute[k - 1], strict=True):
                back = (row @ a if not is_sparse(a) else (a.T @ row.T).T) * grown + TINY
                rows[s] = rows[s] + back if s in rows else back
    return rows.get(0, np.zeros((network.output_size, network.input_size)))


def _rounding(roundings: int) -> float:
    return 2.0 * roundings * FEW_ROUNDINGS


@np.errstate(over="ignore", invalid="ignore")
def _last_by_spectra(network: Network) -> Array:
    """[classes, classes] at least ||a||_2 times the product of spectral norms."""
    reach = [1.0]
    for layer in network.layers[:-1]:
        pairs = zip(layer.sources, layer.weights, strict=True)
        reach.append(sum(spectral_norm(w, layer.roundings) * reach[s] for s, w in pairs) * UP + TINY)
    last, classes = network.layers[-1], network.output_size
    total = np.zeros((classes, classes))
    for s, w in zip(last.sources, last.weights, strict=True):
        dense = w.toarray() if is_sparse(w) else w
        for k in range(classes):
            steps = np.abs(dense[k] - dense) + _rounding(last.roundings) * (np.abs(dense[k]) + np.abs(dense))
            total[k] += at_most_norm(steps, 2.0) * reach[s] * UP
    return total


@np.errstate(over="ignore", invalid="ignore")
def spectral_norm(matrix: Matrix, roundings: int = 0) -> float:
    """At least ||W||_2 of a matrix [m, n] whose entries are right up to so many roundings; its Frobenius norm at most.

    >>> 5.0 <= spectral_norm(np.diag([3.0, 5.0])) < 5.0 + 1e-4
    True
    """
    dense = matrix.toarray() if is_sparse(matrix) else matrix
    frobenius = float(np.sqrt(float((dense * dense).sum()) + TINY_SQUARE)) * UP
    best = frobenius
    size = float(np.abs(dense).max(initial=0.0))
    if dense.size and 0.0 < size < np.inf:
        unit = dense / size  # entries of at most 1: nothing overflows, and what underflows does not matter
        wide = unit if unit.shape[0] <= unit.shape[1] else unit.T
        gram, share = wide @ wide.T, gamma(wide.shape[1])
        # |gram - exact| <= share |W||W'|, whose Frobenius norm is at most that of W squared; unit itself is rounded
        error = 2.0 * share * float((unit * unit).sum()) * UP
        square = _largest_eigenvalue(gram) + error
        best = min(best, size * float(np.sqrt(square)) * UP)
    return best + roundings * FEW_ROUNDINGS * frobenius


def _largest_eigenvalue(gram: Array) -> float:
    """At least the largest eigenvalue of a symmetric matrix; inf where no factorisation runs to its end."""
    n = len(gram)
    about = float(np.linalg.eigvalsh(gram)[-1])
    for slack in SLACKS:
        top = about * (1.0 + slack)
        try:
            np.linalg.cholesky(top * np.eye(n) - gram)
        except np.linalg.LinAlgError:
            continue
        # the diagonal's differences are rounded, and the factorisation's backward error is gamma times the trace
        return top * (1.0 + (n + 1) * gamma(n) * UP + FEW_ROUNDINGS)
    return np.inf
