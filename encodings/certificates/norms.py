"""Dual norms, with rounding on the safe side, and the nearest point of a hyperplane.

Of a linear function a'y the steps with ||y||_p <= r reach r ||a||_q, 1/p + 1/q = 1 (Hoelder). So {a'y + v = 0} is
|v| / ||a||_q away from 0, and its nearest point is
    p = 2: -v a / ||a||_2^2,    p = inf: -v sign(a) / ||a||_1,    p = 1: one step along the largest |a_i|.
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array, Matrix
from ...instances.rounding import FEW_ROUNDINGS, TINY_SQUARE, gamma
from ...instances.sparse import absolute, is_sparse

__all__ = ["at_least_ratio", "at_most_length", "at_most_norm", "dual", "nearest_on_hyperplane", "row_norms"]


def dual(norm: float) -> float:
    """q of p = 1, 2, inf."""
    return {1.0: np.inf, 2.0: 2.0}.get(norm, 1.0)


@np.errstate(over="ignore")
def at_most_norm(rows: Array, order: float) -> Array:
    """||row||_order along the last axis, rounded up: [..., n] -> [...]."""
    if order == np.inf:
        return np.asarray(np.abs(rows).max(axis=-1, initial=0.0))
    up = 1.0 + gamma(rows.shape[-1])
    if order == 1.0:
        return np.asarray(np.abs(rows).sum(axis=-1) * up)
    return np.asarray(np.sqrt(np.einsum("...n,...n->...", rows, rows) + TINY_SQUARE) * up)


def row_norms(matrix: Matrix, order: float) -> Array:
    """The same of the rows of a dense or sparse matrix: [m, n] -> [m]."""
    if not is_sparse(matrix):
        return at_most_norm(matrix, order)
    sizes = absolute(matrix)
    if order == np.inf:
        return np.asarray(sizes.max(axis=1).toarray()).ravel() if sizes.nnz else np.zeros(matrix.shape[0])
    up = 1.0 + gamma(matrix.shape[1])
    if order == 1.0:
        return np.asarray(sizes.sum(axis=1)).ravel() * up
    return np.sqrt(np.asarray(sizes.multiply(sizes).sum(axis=1)).ravel() + TINY_SQUARE) * up


def at_most_length(steps: Array, norm: float) -> Array:
    """||x - u||_p of a difference computed in floats, [..., n] -> [...], rounded up past its own rounding."""
    return np.where((steps != 0.0).any(axis=-1), at_most_norm(steps, norm) * (1.0 + FEW_ROUNDINGS), 0.0)


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def at_least_ratio(values: Array, norms: Array) -> Array:
    """max(values, 0) / norms, rounded down; inf where a norm is 0 and the value is not; 0 for what is no number."""
    ratio = np.maximum(values, 0.0) / norms * (1.0 - FEW_ROUNDINGS)
    return np.where(ratio > 0.0, ratio, 0.0)


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def nearest_on_hyperplane(normal: Array, value: float, norm: float) -> Array:
    """The shortest step y [n] with normal'y + value = 0, in float64; not finite where the normal is 0."""
    if norm == 2.0:
        return np.asarray(normal * np.divide(-value, normal @ normal))
    if norm == np.inf:
        return np.asarray(np.sign(normal) * np.divide(-value, np.abs(normal).sum()))
    largest, step = int(np.argmax(np.abs(normal))), np.zeros(len(normal))
    step[largest] = -value / normal[largest]
    return step
