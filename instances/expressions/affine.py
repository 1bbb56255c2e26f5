"""Symbolic affine expressions over a network's values: what an ONNX tensor is while its graph is being read.

An expression is sum_v M_v x_v + b over earlier values x_v, with a shape. Linear operators compose with it as
long as each composed weight is a *single product* of two weights, which rounds once and relatively; whatever
would add products, and so might cancel, becomes an `identity` layer first. So the network stays the file's
own up to declared roundings (Layer.roundings, Layer.bias_error), and sparse maps stay sparse.

Composed weights: (M E)_ij = sum_k M_ik E_kj is a single product where each row of M has at most one nonzero
(selection, scaling, broadcast), or each column of E has. Biases: a sum of n products errs by at most
n u / (1 - n u) times the sum of their absolute values, u = 2**-53 (Higham, "Accuracy and Stability of
Numerical Algorithms", sec. 3.1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import NetworkError
from ..network import Array, Layer, Matrix
from ..rounding import EPS, LEAST_PRODUCT, MOST_PRODUCT, SMALLEST
from .matrices import (
    column_counts,
    compact,
    diagonal,
    entry_range,
    is_identity,
    nonzeros,
    overlap,
    powers_of_two,
    product,
    product_nonzeros,
    row_counts,
    selection,
    stacked,
    summed,
    zeros,
)
from .origins import Origins

__all__ = ["MAX_ENTRIES", "Builder", "Expression", "Move", "check_size"]

Move = Callable[[Any], Any]  # moves the entries of an array about, as numpy's own functions do

MAX_ENTRIES = 2**24  # of one tensor; a damaged file may ask for anything
GROWTH_FREE = 4096  # nonzeros too few to matter when a composed map has more of them than its parts


def check_size(entries: float) -> None:
    """Raise NetworkError for a tensor that no sound file of this kind has, before its memory is asked for."""
    if not 0 <= entries <= MAX_ENTRIES:
        raise NetworkError(f"a tensor of {entries:.0f} entries, expected at most {MAX_ENTRIES}")


@dataclass(frozen=True, eq=False)
class Expression:
    """sum_v terms[v] @ x_v + bias, flat in row-major order of `shape`."""

    shape: tuple[int, ...]
    terms: dict[int, Matrix]  # value -> [size, size of the value], dense or csr_array
    bias: Array  # [size]
    bias_error: float = 0.0  # bound on each entry's distance from the exact bias
    roundings: int = 0  # each weight's relative error is at most roundings * 2**-53

    @property
    def size(self) -> int:
        """Number of entries."""
        return len(self.bias)

    @cached_property
    def read_once(self) -> bool:
        """Whether no entry of a value is read by two entries of the expression."""
        return all(
            nonzeros(m) <= m.shape[1] and bool(column_counts(m).max(initial=0) <= 1)
            for m in self.terms.values()
        )

    def reshaped(self, shape: tuple[int, ...]) -> Expression:
        """The same entries in another shape of the same size."""
        return self if shape == self.shape else replace(self, shape=shape)


class Builder:
    """Collects the layers of a network while its graph is read. `name`, the node being read, names them."""

    def __init__(self, input_size: int, inside: frozenset[str] = frozenset()) -> None:
        self.sizes = [input_size]
        self.inside = inside  # nodes whose softmax is computed, since more than the outputs read it
        self.layers: list[Layer] = []
        self.name = ""
        self.unmodelled = ""  # see Network; the first node that rounds
        # value -> (operator, node, [size] number of the vector): the file's are these values' softmax, see Readout
        self.order_only: dict[int, tuple[str, str, Array]] = {}
        self._made: dict[tuple[int, str], tuple[Expression, Expression]] = {}
        self.origins = Origins()
        self.differences: dict[Any, tuple[Expression, Any, Any]] = {}  # what was compared: (a - b, a, b), by both

    def value(self, v: int, shape: tuple[int, ...]) -> Expression:
        """The value x_v itself."""
        n = self.sizes[v]
        return Expression(shape, {v: diagonal(np.ones(n))}, np.zeros(n))

    def is_value(self, expression: Expression) -> int | None:
        """Index v where the expression is x_v, untouched but for its shape; else None."""
        if (
            len(expression.terms) != 1
            or expression.bias.any()
            or expression.bias_error
            or expression.roundings
        ):
            return None
        ((v, matrix),) = expression.terms.items()
        return v if is_identity(matrix) else None

    def layer(self, expression: Expression, kind: str) -> Expression:
        """Append the layer kind(expression), once for each expression, and return its value."""
        if kind == "identity" and self.is_value(expression) is not None:
            return expression
        known = self._made.get((id(expression), kind))
        if known is None:
            known = expression, self._append(expression, kind)
            self._made[id(expression), kind] = known  # holding the expression keeps its id its own
            self.origins.made(known[1], expression, kind)
        return known[1]

    def ordered(self, expression: Expression, kind: str, vectors: Array) -> Expression:
        """Append the expression as a layer of its own, that stands for its softmax along each of the vectors."""
        value = self._append(expression, "identity")
        self.order_only[len(self.layers)] = kind, self.name, vectors
        return value

    def close(self, expression: Expression) -> None:
        """Make the expression the value of the last layer."""
        if not self.layers or self.is_value(expression) != len(self.layers):
            self._append(expression, "identity")

    def _append(self, expression: Expression, kind: str) -> Expression:
        sources = tuple(sorted(expression.terms)) or (0,)
        empty = zeros(expression.size, self.sizes[0])
        weights = tuple(compact(expression.terms.get(v, empty)) for v in sources)
        numbers = [w if isinstance(w, np.ndarray) else w.data for w in weights]
        if not all(np.isfinite(a).all() for a in (*numbers, expression.bias, expression.bias_error)):
            raise NetworkError(f"node {self.name!r}: its weights or biases overflow float64")
        self.layers.append(
            Layer(
                sources,
                weights,
                expression.bias,
                kind,
                self.name,
                expression.bias_error,
                expression.roundings,
            )
        )
        self.sizes.append(expression.size)
        return self.value(len(self.layers), expression.shape)

    def apply(
        self, matrix: Matrix, expression: Expression, shape: tuple[int, ...], roundings: int = 0
    ) -> Expression:
        """matrix @ expression in a new shape; `roundings` are those of the matrix' own entries."""
        single_rows = bool(row_counts(matrix).max(initial=0) <= 1)
        if not _may_compose(matrix, single_rows, expression):
            expression = self.layer(expression, "identity")
        inner = [m for m in expression.terms.values() if not is_identity(m)]
        exact = single_rows and roundings == 0 and powers_of_two(matrix)
        rounds = not exact and not all(powers_of_two(m) for m in inner)
        bias, error = _fold(matrix, expression, roundings, exact)
        terms = {v: product(matrix, m) for v, m in expression.terms.items()}
        return Expression(shape, terms, bias, error, roundings + expression.roundings + int(rounds))

    def move(self, expression: Expression, move: Move, fill: float = 0.0) -> Expression:
        """Entries moved as `move` moves an array of their indices; index -1 is the constant `fill`."""
        index = np.asarray(move(np.arange(expression.size).reshape(expression.shape)))
        return self.pick(expression, index, fill)

    def pick(self, expression: Expression, index: NDArray[np.intp], fill: float = 0.0) -> Expression:
        """The entries at flat positions, in the shape of `index`; -1 is the constant `fill`."""
        n = expression.size
        check_size(index.size)
        flat = index.ravel()
        if len(flat) == n and np.array_equal(flat, np.arange(n)):
            return expression.reshaped(index.shape)
        moved = self.apply(selection(flat, n), expression, index.shape)
        return replace(moved, bias=np.where(flat >= 0, moved.bias, fill)) if fill else moved

    def scale(self, expression: Expression, factors: Array | float, roundings: int = 0) -> Expression:
        """Every entry times its factor, which broadcasts to the shape and has `roundings` of its own."""
        if roundings == 0 and np.all(np.asarray(factors) == 1.0):
            return expression
        full = np.broadcast_to(np.asarray(factors, dtype=np.float64), expression.shape)
        scaled = self.apply(diagonal(full.ravel()), expression, expression.shape, roundings)
        self.origins.scaled(scaled, expression, factors, roundings)
        return scaled

    def shift(self, expression: Expression, offset: Array | float, error: float = 0.0) -> Expression:
        """Every entry plus its constant, which broadcasts to the shape and errs by up to `error`."""
        added = np.broadcast_to(np.asarray(offset, dtype=np.float64), expression.shape).ravel()
        bias = expression.bias + added
        exact = bool(np.all((expression.bias == 0.0) | (added == 0.0)))
        total = expression.bias_error + error + (0.0 if exact else EPS * _top(bias))
        moved = replace(expression, bias=bias, bias_error=total * (1.0 + 8.0 * EPS))
        if not error:
            self.origins.shifted(moved, expression, offset)
        return moved

    def add(self, a: Expression, b: Expression) -> Expression:
        """a + b, of one shape. Where both read an entry, one becomes a layer: no two weights are added.

        But for multiples of one expression, whose exact factors are, which rounds once and relatively.
        """
        if (multiple := self.origins.total(a, b)) is not None:
            return self.scale(*multiple)
        result = self._sum(a, b)
        self.origins.added(result, a, b)
        return result

    def _sum(self, a: Expression, b: Expression) -> Expression:
        if _overlap(a, b):
            if self.is_value(b) is not None or (self.is_value(a) is None and _total(a) < _total(b)):
                a, b = b, a
            b = self.layer(b, "identity")
            if _overlap(a, b):
                a = self.layer(a, "identity")
                if self.is_value(a) == self.is_value(b):
                    return self.scale(a, 2.0)
        terms = a.terms | b.terms | {v: summed(a.terms[v], b.terms[v]) for v in a.terms if v in b.terms}
        sums = self.shift(replace(a, shape=(a.size,)), b.bias, b.bias_error)
        return replace(sums, shape=a.shape, terms=terms, roundings=max(a.roundings, b.roundings))

    def subtract(self, a: Expression, b: Expression) -> Expression:
        """a - b, of one shape."""
        return self.add(a, self.scale(b, -1.0))

    def stack(self, parts: list[Expression]) -> Expression:
        """All entries, one part after another, flat."""
        values = sorted(set().union(*(part.terms for part in parts)))
        terms = {
            v: stacked([part.terms.get(v, zeros(part.size, self.sizes[v])) for part in parts]) for v in values
        }
        bias = np.concatenate([part.bias for part in parts])
        error = max(part.bias_error for part in parts)
        return Expression((len(bias),), terms, bias, error, max(part.roundings for part in parts))


def _fold(matrix: Matrix, expression: Expression, roundings: int, exact: bool) -> tuple[Array, float]:
    """matrix @ bias, and a bound on its error."""
    if not expression.bias.any() and expression.bias_error == 0.0:
        return np.zeros(matrix.shape[0]), 0.0
    bias = np.asarray(matrix @ expression.bias)
    absolute = abs(matrix)
    n = int(row_counts(matrix).max(initial=0))
    error = 0.0
    if not exact:  # each product may underflow, too
        error = (n + 2 + roundings) * EPS * _top(absolute @ np.abs(expression.bias)) + n * SMALLEST
    if expression.bias_error:
        error += (
            expression.bias_error * _top(np.asarray(absolute.sum(axis=1))) * (1.0 + (n + roundings) * EPS)
        )
    return bias, error * (1.0 + (n + 8) * EPS)


def _may_compose(matrix: Matrix, single_rows: bool, expression: Expression) -> bool:
    """Whether each entry of matrix @ expression is one product, none underflows, and they are not many."""
    inner = [m for m in expression.terms.values() if not is_identity(m)]
    if not inner and len(expression.terms) <= 1:
        return True
    if not single_rows and not expression.read_once:
        return False
    count = sum(product_nonzeros(matrix, m) for m in expression.terms.values())
    if count > nonzeros(matrix) + _total(expression) + GROWTH_FREE:
        return False
    small, large = (1.0, 1.0) if single_rows and _all_ones(matrix) else entry_range(matrix)
    ranges = [entry_range(m) for m in inner]
    return all(small * less >= LEAST_PRODUCT and large * more <= MOST_PRODUCT for less, more in ranges)


def _all_ones(matrix: Matrix) -> bool:
    return powers_of_two(matrix) and entry_range(matrix) == (1.0, 1.0)


def _overlap(a: Expression, b: Expression) -> bool:
    return any(v in b.terms and overlap(m, b.terms[v]) for v, m in a.terms.items())


def _total(expression: Expression) -> int:
    return sum(nonzeros(m) for m in expression.terms.values())


def _top(a: Array) -> float:
    return float(np.abs(a).max(initial=0.0))
