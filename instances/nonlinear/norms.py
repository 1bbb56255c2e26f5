"""What divides by a norm or a spread of numbers that depend on the input, by squares and the curve z^(-1/2):

    x_i / sqrt(sum_j x_j^2),    x_i / sum_j |x_j|,    (x_i - mean) / sqrt(variance + epsilon)

over the entries of a group. Each quotient is a product with a number that all of a group share, and the planes around
products are what bounds know of it. With epsilon > 0 the root is defined everywhere; without, where the norm is not 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..expressions.affine import Builder, Expression
from ..expressions.matrices import scattered
from ..expressions.products import SQUARE, product
from .gates import inverse_root

__all__ = [
    "absolute", "group_sums", "norms", "scaled_to_one", "standardised",
    "times_its_groups", "without_means",
]  # fmt: skip

Index = NDArray[np.intp]


def absolute(build: Builder, x: Expression) -> Expression:
    """|x| = 2 relu(x) - x."""
    return build.subtract(build.scale(build.layer(x, "relu"), 2.0), x)


def group_sums(build: Builder, x: Expression, table: Index, mean: bool = False) -> Expression:
    """Sums, or means, of the entries of each row of table [groups, entries of x that each one reads]: [groups]."""
    groups, count = table.shape
    rows, share = np.repeat(np.arange(groups), count), 1.0 / count if mean else 1.0
    matrix = scattered(rows, table.reshape(-1), np.full(groups * count, share), (groups, x.size))
    return build.apply(matrix, x, (groups,), roundings=1 if mean else 0)


def norms(build: Builder, x: Expression, table: Index) -> Expression:
    """sqrt(sum x^2) of each row of table: [groups]."""
    return build.layer(group_sums(build, build.layer(x, SQUARE), table), "sqrt")


def scaled_to_one(build: Builder, x: Expression, table: Index, squares: bool) -> Expression:
    """x over the norm of its group, of squares or of absolute values; every entry of x is in one row of table."""
    if squares:
        inverse = inverse_root(build, group_sums(build, build.layer(x, SQUARE), table), 0.0)
    else:
        inverse = build.layer(group_sums(build, absolute(build, x), table), "reciprocal")
    return times_its_groups(build, x, inverse, table)


def standardised(build: Builder, x: Expression, table: Index, epsilon: float, centred: bool = True) -> Expression:
    """(x - mean) / sqrt(variance + epsilon) within each row of table; without `centred` x / sqrt(mean x^2 + epsilon).

    Every entry of x is in one row of table [groups, entries].
    """
    if centred:
        x = without_means(build, x, table)
    spread = group_sums(build, build.layer(x, SQUARE), table, mean=True)
    inverse = inverse_root(build, build.shift(spread, epsilon), epsilon)
    return times_its_groups(build, x, inverse, table)


def without_means(build: Builder, x: Expression, table: Index) -> Expression:
    """x minus its group's mean, a layer: (n - 1) / n of an entry itself, -1 / n of the others."""
    groups, count = table.shape
    rows, columns = np.repeat(table, count, axis=1).reshape(-1), np.tile(table, (1, count)).reshape(-1)
    entries = np.where(rows == columns, (count - 1.0) / count, -1.0 / count)
    moved = build.apply(scattered(rows, columns, entries, (x.size, x.size)), x, x.shape, roundings=1)
    return build.layer(moved, "identity").reshaped(x.shape)


def times_its_groups(build: Builder, x: Expression, factors: Expression, table: Index) -> Expression:
    """Every entry of x times the factor [groups] of the row of table that it is in."""
    group = np.empty(x.size, dtype=np.intp)
    group[table] = np.arange(len(table))[:, None]
    return product(build, x, build.pick(factors, group.reshape(x.shape)))
