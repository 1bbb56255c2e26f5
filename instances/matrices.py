"""Weight matrices, dense or csr_array by what is cheaper: the patterns, sums and products of both kinds."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .network import Array, Matrix

__all__ = [
    "column_counts",
    "compact",
    "diagonal",
    "entry_range",
    "is_identity",
    "nonzeros",
    "overlap",
    "powers_of_two",
    "product",
    "product_nonzeros",
    "row_counts",
    "stacked",
    "summed",
    "zeros",
]

DENSE_ENTRIES = 4096  # matrices up to this size are dense
DENSE_SHARE = 0.2  # share of nonzeros above which a matrix is dense


def compact(matrix: Matrix) -> Matrix:
    """The matrix in the cheaper form, float64, with neither explicit zeros nor unsorted rows."""
    entries = matrix.shape[0] * matrix.shape[1]
    if entries <= DENSE_ENTRIES or nonzeros(matrix) > DENSE_SHARE * entries:
        return np.ascontiguousarray(matrix.toarray() if sp.issparse(matrix) else matrix, dtype=np.float64)
    result = sp.csr_array(matrix, dtype=np.float64)
    if not (result.data.all() and result.has_sorted_indices):
        result = result.copy()  # expressions may share the arrays
        result.eliminate_zeros()
        result.sort_indices()
    return result


def diagonal(entries: Array) -> Matrix:
    """The square matrix with these entries on its diagonal."""
    n = len(entries)
    return sp.csr_array((np.array(entries), np.arange(n), np.arange(n + 1)), shape=(n, n))


def zeros(rows: int, columns: int) -> Matrix:
    """The zero matrix."""
    return sp.csr_array((rows, columns), dtype=np.float64)


def product(a: Matrix, b: Matrix) -> Matrix:
    """a @ b; the other factor itself where one is the identity."""
    if is_identity(b):
        return a
    if is_identity(a):
        return b
    return _plain(a @ b)


def summed(a: Matrix, b: Matrix) -> Matrix:
    """a + b."""
    return _plain(a + b)


def stacked(matrices: list[Matrix]) -> Matrix:
    """Matrices one below the other."""
    if not any(sp.issparse(m) for m in matrices):
        return np.concatenate(matrices)
    return sp.csr_array(sp.vstack(matrices, format="csr"))


def _plain(matrix: Matrix) -> Matrix:
    return sp.csr_array(matrix) if sp.issparse(matrix) else np.asarray(matrix)


def nonzeros(matrix: Matrix) -> int:
    """How many entries are held (of a sparse matrix), or are not zero (of a dense one)."""
    return int(matrix.nnz) if sp.issparse(matrix) else int(np.count_nonzero(matrix))


def row_counts(matrix: Matrix) -> NDArray[np.int64]:
    """`nonzeros` of each row."""
    counts: NDArray[np.int64] = (
        np.diff(matrix.indptr) if sp.issparse(matrix) else np.count_nonzero(matrix, axis=1)
    )
    return counts


def column_counts(matrix: Matrix) -> NDArray[np.int64]:
    """`nonzeros` of each column."""
    if sp.issparse(matrix):
        return np.bincount(matrix.indices, minlength=matrix.shape[1])
    counts: NDArray[np.int64] = np.count_nonzero(matrix, axis=0)
    return counts


def product_nonzeros(a: Matrix, b: Matrix) -> int:
    """How many products of two nonzeros a @ b consists of."""
    return int(column_counts(a).astype(np.float64) @ row_counts(b))


def overlap(a: Matrix, b: Matrix) -> bool:
    """Whether some entry is nonzero in both."""
    if sp.issparse(a) and sp.issparse(b):
        return bool(_pattern(a).multiply(_pattern(b)).nnz)
    dense = [m.toarray() if sp.issparse(m) else m for m in (a, b)]
    return bool(np.any((dense[0] != 0.0) & (dense[1] != 0.0)))


def _pattern(matrix: Matrix) -> Matrix:
    return sp.csr_array(
        ((matrix.data != 0.0).astype(np.int8), matrix.indices, matrix.indptr), shape=matrix.shape
    )


def is_identity(matrix: Matrix) -> bool:
    """Whether it is the identity (a dense one may go unnoticed)."""
    n = matrix.shape[0]
    if not sp.issparse(matrix) or matrix.shape[1] != n or matrix.nnz != n:
        return False
    return bool(
        (matrix.data == 1.0).all()
        and np.array_equal(matrix.indices, np.arange(n))
        and row_counts(matrix).all()
    )


def powers_of_two(matrix: Matrix) -> bool:
    """Whether every entry is zero or, up to its sign, a power of two: products with it are exact."""
    mantissa = np.abs(np.frexp(_entries(matrix))[0])
    return bool(((mantissa == 0.5) | (mantissa == 0.0)).all())


def entry_range(matrix: Matrix) -> tuple[float, float]:
    """Least and largest nonzero absolute value; 1, 1 where there is none."""
    absolute = np.abs(_entries(matrix))
    used = absolute[absolute > 0.0]
    return (float(used.min()), float(used.max())) if used.size else (1.0, 1.0)


def _entries(matrix: Matrix) -> Array:
    entries: Array = matrix.data if sp.issparse(matrix) else matrix
    return entries
