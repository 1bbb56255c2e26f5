"""Symbolic affine expressions over a network's values: what an ONNX tensor is while its graph is being read.

An expression is sum_v M_v x_v + b over earlier values x_v, with a shape. Chains of linear operators compose
into one expression as long as each composed weight is a single product of two weights (one relative
rounding); anything that would add products, and so might cancel, becomes an `identity` layer in between. That
keeps the network the file's own up to declared roundings (Layer.roundings, Layer.bias_error), and sparse maps
sparse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from .network import Array, Layer, Matrix

__all__ = ["Builder", "Expression"]

EPS = 2.0**-52  # twice the unit roundoff: covers the evaluation of the error bounds themselves
DENSE_ENTRIES = 4096  # matrices up to this size are dense anyway
DENSE_SHARE = 0.2  # of nonzeros above which a matrix is dense


@dataclass(frozen=True, eq=False)
class Expression:
    """sum_v terms[v] @ x_v + bias, flat in row-major order of `shape`."""

    shape: tuple[int, ...]
    terms: dict[int, sp.csr_array]  # value -> [size, size of the value]
    bias: Array  # [size]
    bias_error: float = 0.0  # bound on each entry's distance from the exact bias
    roundings: int = 0  # of each weight, relative, in units of 2**-53

    @property
    def size(self) -> int:
        """Number of entries."""
        return len(self.bias)

    def rearrange(self, move: Callable[[Array], Array], fill: float = 0.0) -> Expression:
        """Entries moved as `move` moves an index array of this shape; index -1 is the constant `fill`."""
        index = np.asarray(move(np.arange(self.size).reshape(self.shape)))
        flat = index.ravel()
        if np.array_equal(flat, np.arange(self.size)):
            return replace(self, shape=index.shape)
        inside = flat >= 0
        rows = np.flatnonzero(inside)
        pick = sp.csr_array((np.ones(len(rows)), (rows, flat[rows])), shape=(len(flat), self.size))
        bias = np.where(inside, self.bias[np.where(inside, flat, 0)], fill)
        return replace(self, shape=index.shape, terms={v: pick @ m for v, m in self.terms.items()}, bias=bias)

    def scale(self, factor: Array | float, roundings: int = 1) -> Expression:
        """Every entry times its factor (broadcast already): one rounding of weights and bias."""
        factors = np.broadcast_to(np.asarray(factor, dtype=np.float64), self.shape).ravel()
        diagonal = sp.dia_array((factors[None], [0]), shape=(self.size, self.size)).tocsr()
        bias = self.bias * factors
        error = self.bias_error * float(np.abs(factors).max(initial=0.0)) + roundings * EPS * _top(bias)
        exact = bool(np.all(np.abs(factors) == 1.0))
        return replace(
            self,
            terms={v: diagonal @ m for v, m in self.terms.items()},
            bias=bias,
            bias_error=self.bias_error if exact else error,
            roundings=self.roundings + (0 if exact else roundings),
        )  # fmt: skip

    def shift(self, offset: Array | float) -> Expression:
        """Every entry plus a constant of the same shape."""
        bias = self.bias + np.broadcast_to(np.asarray(offset, dtype=np.float64), self.shape).ravel()
        exact = not self.bias.any()
        return replace(self, bias=bias, bias_error=self.bias_error + (0.0 if exact else EPS * _top(bias)))

    @property
    def selects(self) -> bool:
        """Whether the terms together have at most one nonzero a row, and each at most one a column."""
        per_row = sum((np.diff(m.indptr) for m in self.terms.values()), np.zeros(self.size, dtype=int))
        columns = all(np.bincount(m.indices, minlength=1).max(initial=0) <= 1 for m in self.terms.values())
        return bool(per_row.max(initial=0) <= 1 and columns)


class Builder:
    """Collects the layers of a network while its graph is read."""

    def __init__(self, input_size: int) -> None:
        self.sizes = [input_size]
        self.layers: list[Layer] = []

    def value(self, v: int, shape: tuple[int, ...]) -> Expression:
        """The value x_v itself."""
        n = self.sizes[v]
        return Expression(shape, {v: sp.eye_array(n, format="csr")}, np.zeros(n))

    def layer(self, expression: Expression, kind: str, name: str) -> Expression:
        """Append a layer act(expression) and return its value."""
        sources = tuple(sorted(expression.terms)) or (0,)
        empty = sp.csr_array((expression.size, self.sizes[0]))
        weights = tuple(_compact(expression.terms.get(v, empty)) for v in sources)
        self.layers.append(
            Layer(sources, weights, expression.bias, kind, name, expression.bias_error, expression.roundings)
        )
        self.sizes.append(expression.size)
        return self.value(len(self.layers), expression.shape)

    def apply(
        self, matrix: Matrix, expression: Expression, shape: tuple[int, ...], name: str, roundings: int = 0
    ) -> Expression:
        """matrix @ expression with a new shape; `roundings` of the matrix' own entries."""
        matrix = sp.csr_array(matrix)
        single = np.diff(matrix.indptr).max(initial=0) <= 1
        if not (single or expression.selects):
            expression = self.layer(expression, "identity", name)
        plain = self.is_plain(expression)
        bias = matrix @ expression.bias
        magnitude = abs(matrix) @ np.abs(expression.bias)
        total = float(abs(matrix).sum(axis=1).max(initial=0.0))
        terms_in_row = int(np.diff(matrix.indptr).max(initial=0))
        error = (terms_in_row + 8 + roundings) * EPS * _top(magnitude) + total * expression.bias_error
        return Expression(
            shape,
            {v: matrix if plain else sp.csr_array(matrix @ m) for v, m in expression.terms.items()},
            bias,
            error,
            roundings + (0 if plain else expression.roundings + 1),
        )

    def is_plain(self, expression: Expression) -> bool:
        """Whether the expression is one value, untouched."""
        if (
            len(expression.terms) != 1
            or expression.bias.any()
            or expression.roundings
            or expression.bias_error
        ):
            return False
        ((v, m),) = expression.terms.items()
        n = self.sizes[v]
        return bool(
            m.shape == (n, n)
            and m.nnz == n
            and (m.data == 1.0).all()
            and np.array_equal(m.indices, np.arange(n))
        )

    def add(self, a: Expression, b: Expression, name: str) -> Expression:
        """a + b of one shape. Where both read an entry, b becomes a layer first: no two weights are added."""
        if any(v in b.terms and _overlap(a.terms[v], b.terms[v]) for v in a.terms):
            b = self.layer(b, "identity", name)
        terms = dict(a.terms)
        for v, m in b.terms.items():
            terms[v] = sp.csr_array(terms[v] + m) if v in terms else m
        bias = a.bias + b.bias
        exact = not (a.bias.any() and b.bias.any())
        error = a.bias_error + b.bias_error + (0.0 if exact else EPS * _top(bias))
        return Expression(a.shape, terms, bias, error, max(a.roundings, b.roundings))


def _overlap(a: sp.csr_array, b: sp.csr_array) -> bool:
    return bool(abs(a).sign().multiply(abs(b).sign()).nnz)


def _top(a: Array) -> float:
    return float(np.abs(a).max(initial=0.0))


def _compact(matrix: sp.csr_array) -> Matrix:
    """Dense where that is cheaper."""
    matrix.sum_duplicates()
    rows, columns = matrix.shape
    if rows * columns <= DENSE_ENTRIES or matrix.nnz > DENSE_SHARE * rows * columns:
        return np.ascontiguousarray(matrix.toarray())
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix
