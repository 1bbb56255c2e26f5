"""Softmax and the logarithm of a sum of exponentials, inside a network, by softplus and logistic functions alone:

    a (+) b = log(e^a + e^b) = a + softplus(b - a)
    softmax(z)_i = logistic(z_i - L_i),    log softmax(z)_i = -softplus(L_i - z_i),    L_i = (+) of z_j over j != i

All the L_i of a vector of n entries are made of less than 3 n sums of two, along a binary tree: those below a node on
the way up, those beside it on the way down. Nothing overflows, no denominator comes near 0, and no curve is steeper
than 1 on the way, which exponentials and a quotient of theirs are not (Wei et al., AISTATS 2023, compare such forms).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..expressions.affine import Builder, Expression

__all__ = ["log_sum_exp", "shares"]

Index = NDArray[np.intp]


def shares(build: Builder, z: Expression, table: Index, logarithms: bool) -> Expression:
    """Softmax within each row of table [vectors, entries of z], which has every entry once, or its logarithm."""
    if table.shape[1] < 2:
        return Expression(z.shape, {}, np.full(z.size, 0.0 if logarithms else 1.0))
    others = _beside(build, _levels(build, build.pick(z, table)))
    own = build.pick(z, table.reshape(-1))
    if logarithms:
        out = build.scale(build.layer(build.subtract(others, own), "softplus"), -1.0)
    else:
        out = build.layer(build.subtract(own, others), "sigmoid")
    return build.pick(out, np.argsort(table.reshape(-1))).reshaped(z.shape)


def log_sum_exp(build: Builder, z: Expression, table: Index, shape: tuple[int, ...]) -> Expression:
    """log sum e^z over each row of table [entries of the result, entries of z that each one reads]."""
    return _levels(build, build.pick(z, table))[-1].reshaped(shape)


def _levels(build: Builder, leaves: Expression) -> list[Expression]:
    """(+) of one, two, four, ... neighbours of each row: [rows, n], [rows, n / 2 up to the next], ..., [rows, 1]."""
    levels = [leaves]
    while (count := levels[-1].shape[1]) > 1:
        even, odd = (_columns(build, levels[-1], np.arange(start, count, 2)) for start in (0, 1))
        pairs = count // 2
        merged = _merged(build, _columns(build, even, np.arange(pairs)), odd)
        levels.append(_side_by_side(build, merged, _columns(build, even, np.arange(pairs, even.shape[1]))))
    return levels


def _beside(build: Builder, levels: list[Expression]) -> Expression:
    """(+) of all leaves of a row but one, for each one, flat: from the top of the tree down."""
    above: Expression | None = None  # of the level before: (+) of what is beside each node
    for level in reversed(levels[:-1]):
        count = level.shape[1]
        paired = np.arange(count - count % 2)
        beside = _columns(build, level, paired ^ 1)
        if above is not None:
            lower = _merged(build, _columns(build, above, paired // 2), beside)
            beside = _side_by_side(build, lower, _columns(build, above, np.arange(len(paired), count) // 2))
        above = beside
    assert above is not None
    return above.reshaped((above.size,))


def _merged(build: Builder, a: Expression, b: Expression) -> Expression:
    """a (+) b of one shape [rows, columns]."""
    return build.add(a, build.layer(build.subtract(b, a), "softplus"))


def _columns(build: Builder, x: Expression, columns: Index) -> Expression:
    return build.move(x, lambda i: i[:, columns])


def _side_by_side(build: Builder, a: Expression, b: Expression) -> Expression:
    """[rows, m] and [rows, n] as [rows, m + n]."""
    if not b.size:
        return a
    index = np.concatenate([np.arange(a.size).reshape(a.shape), a.size + np.arange(b.size).reshape(b.shape)], axis=1)
    return build.move(build.stack([a, b]), lambda _: index)
