"""Sums of products of entries that depend on the network's input, as pairs of squares.

    a b = s^2 - d^2,    s = a / 2 + b / 2,    d = a / 2 - b / 2

so that a product needs no kind of layer of its own. Halves are exact, and so is a / 2 + a / 2 = a where both factors
are one entry: then s^2 is all there is. A factor that is no entry of a value becomes a layer first, so that it has
bounds of its own: with them, and with the rows of s and d, `instances/products.py` finds the products again. Each
product of two entries is made once a call.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..curves.names import curve_name
from ..errors import UnsupportedOperatorError
from ..sparse import places
from .affine import Builder, Expression
from .matrices import scattered

__all__ = ["MOST_PRODUCTS", "SQUARE", "check_count", "product", "sums_of_products"]

SQUARE = curve_name("power", 2)
MOST_PRODUCTS = 2**18  # of one node: half a million neurons
Index = NDArray[np.intp]


def product(build: Builder, a: Expression, b: Expression) -> Expression:
    """a b entry by entry, in the shape that both broadcast to."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    check_count(float(np.prod(shape, dtype=float)))
    left, right = (np.broadcast_to(np.arange(e.size).reshape(e.shape), shape).reshape(-1) for e in (a, b))
    return sums_of_products(build, a, b, (np.arange(len(left)), left, right), shape)


def sums_of_products(
    build: Builder, a: Expression, b: Expression, terms: tuple[Index, Index, Index], shape: tuple[int, ...]
) -> Expression:  # fmt: skip
    """The expression of this shape whose flat entry out[i] sums a[left[i]] b[right[i]], for terms = (out, left, right).

    Raises UnsupportedOperatorError for more than MOST_PRODUCTS terms.
    """
    out, left, right = terms
    check_count(len(out))
    size = int(np.prod(shape, dtype=np.int64))
    if not len(out):
        return Expression(shape, {}, np.zeros(size))
    positions = _positions(build, a), _positions(build, b)
    one, two = positions[0][left], positions[1][right]
    total = int(sum(build.sizes))
    pairs, pair = np.unique(np.minimum(one, two) * total + np.maximum(one, two), return_inverse=True)
    low, high = np.divmod(pairs, total)
    apart = np.flatnonzero(low < high)
    squares = build.layer(_rows(build, low, high, apart), SQUARE)
    minus = np.full(len(pairs), -1)
    minus[apart] = len(pairs) + np.arange(len(apart))
    subtracted = np.flatnonzero(minus[pair] >= 0)
    rows, columns = np.append(out, out[subtracted]), np.append(pair, minus[pair[subtracted]])
    signs = np.repeat([1.0, -1.0], [len(out), len(subtracted)])
    return build.apply(scattered(rows, columns, signs, (size, squares.size)), squares, shape)


def check_count(count: float) -> None:
    """Raise UnsupportedOperatorError for more products than can be bounded, before their memory is asked for."""
    if count > MOST_PRODUCTS:
        raise UnsupportedOperatorError(
            f"{count:.0f} products of numbers that depend on the network's input; supported are at most {MOST_PRODUCTS}"
        )


def _positions(build: Builder, expression: Expression) -> Index:
    """Where each entry stands among the entries of all values, one value after another."""
    found, read = np.zeros(expression.size, dtype=np.intp), np.zeros(expression.size, dtype=np.intp)
    starts, plain = np.cumsum([0, *build.sizes]), not expression.bias.any()
    plain = plain and not expression.bias_error and not expression.roundings
    for v, matrix in expression.terms.items() if plain else ():
        rows, columns, entries = places(matrix)
        plain = plain and bool((entries == 1.0).all())
        np.add.at(read, rows, 1)
        found[rows] = starts[v] + columns
    if plain and (read == 1).all():
        return found
    return _positions(build, build.layer(expression, "identity"))


def _rows(build: Builder, low: Index, high: Index, apart: Index) -> Expression:
    """s of every pair of positions, and behind them d of those that are `apart`."""
    count, size = len(low), len(low) + len(apart)
    plus, minus = np.arange(count), count + np.arange(len(apart))
    rows = np.concatenate([plus, plus, minus, minus])
    columns = np.concatenate([low, high, low[apart], high[apart]])
    entries = np.repeat([0.5, -0.5], [2 * count + len(apart), len(apart)])
    ends = np.cumsum([0, *build.sizes])
    terms = {}
    for v in np.unique(np.searchsorted(ends, columns, side="right") - 1).tolist():
        mine = (columns >= ends[v]) & (columns < ends[v + 1])
        terms[v] = scattered(rows[mine], columns[mine] - ends[v], entries[mine], (size, build.sizes[v]))
    return Expression((size,), terms, np.zeros(size))
