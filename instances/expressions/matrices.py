"""Weight matrices, dense or csr_array by what is cheaper: the patterns, sums and products of both kinds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..network import Array, Matrix
from ..sparse import is_sparse, sp

__all__ = [
    "column_counts",
    "compact",
    "diagonal",
    "entry_range",
    "is_identity",
    "nonzeros",
    "overlap",
    "picking_mb",
    "powers_of_two",
    "product",
    "product_nonzeros",
    "row_counts",
    "scattered",
    "selection",
    "stacked",
    "summed",
    "zeros",
]

DENSE_ENTRIES = 4096  # matrices up to this size are dense
PATTERN_ENTRIES = 2**16  # patterns (identities, selections, zeros) up to this size are dense: scipy.sparse loads longer
DENSE_SHARE = 0.2  # share of nonzeros above which a matrix is dense


def compact(matrix: Matrix) -> Matrix:
    """The matrix in the cheaper form, float64, with neither explicit zeros nor unsorted rows."""
    entries = matrix.shape[0] * matrix.shape[1]
    if entries <= DENSE_ENTRIES or nonzeros(matrix) > DENSE_SHARE * entries:
        return np.ascontiguousarray(matrix.toarray() if is_sparse(matrix) else matrix, dtype=np.float64)
    result = sp.csr_array(matrix, dtype=np.float64)
    if not (result.data.all() and result.has_sorted_indices):
        result = result.copy()  # expressions may share the arrays
        result.eliminate_zeros()
        result.sort_indices()
    return result


def diagonal(entries: Array) -> Matrix:
    """The square matrix with these entries on its diagonal."""
    n = len(entries)
    if n * n <= PATTERN_ENTRIES:
        return np.diag(np.asarray(entries, dtype=np.float64))
    return sp.csr_array((np.array(entries), np.arange(n), np.arange(n + 1)), shape=(n, n))


def zeros(rows: int, columns: int) -> Matrix:
    """The zero matrix."""
    if rows * columns <= PATTERN_ENTRIES:
        return np.zeros((rows, columns))
    return sp.csr_array((rows, columns), dtype=np.float64)


def selection(chosen: NDArray[np.intp], columns: int) -> Matrix:
    """The matrix that picks entry chosen[i] of a vector of `columns` for its row i, 0 where that is negative."""
    rows, inside = len(chosen), chosen >= 0
    if rows * columns <= PATTERN_ENTRIES:
        dense = np.zeros((rows, columns))
        dense[np.flatnonzero(inside), chosen[inside]] = 1.0
        return dense
    starts = np.concatenate([[0], np.cumsum(inside)])
    return sp.csr_array((np.ones(starts[-1]), chosen[inside], starts), shape=(rows, columns))


def scattered(rows: NDArray[np.intp], columns: NDArray[np.intp], entries: Array, shape: tuple[int, int]) -> Matrix:
    """The matrix with these entries at these places; those of one place add up."""
    if shape[0] * shape[1] <= PATTERN_ENTRIES:
        dense = np.zeros(shape)
        np.add.at(dense, (rows, columns), entries)
        return dense
    return sp.csr_array(sp.coo_array((entries, (rows, columns)), shape=shape))


def product(a: Matrix, b: Matrix) -> Matrix:
    """a @ b; the other factor itself where one is the identity."""
    if is_identity(b):
        return a
    if is_identity(a):
        return b
    if is_sparse(a) != is_sparse(b):  # a dense pattern times a sparse matrix is not dense
        a, b = (m if is_sparse(m) or nonzeros(m) > DENSE_SHARE * m.size else sp.csr_array(m) for m in (a, b))
    return _plain(a @ b)


def summed(a: Matrix, b: Matrix) -> Matrix:
    """a + b."""
    return _plain(a + b)


def stacked(matrices: list[Matrix]) -> Matrix:
    """Matrices one below the other."""
    if not any(is_sparse(m) for m in matrices):
        return np.concatenate(matrices)
    return sp.csr_array(sp.vstack([sp.csr_array(m) for m in matrices], format="csr"))


def _plain(matrix: Matrix) -> Matrix:
    return sp.csr_array(matrix) if is_sparse(matrix) else np.asarray(matrix)


def nonzeros(matrix: Matrix) -> int:
    """How many entries are held (of a sparse matrix), or are not zero (of a dense one)."""
    return int(matrix.nnz) if is_sparse(matrix) else int(np.count_nonzero(matrix))


def picking_mb(matrix: Matrix, rows: int, columns: int) -> float:
    """MB that matrix[r][:, c] takes for so many rows and columns, foreseen as if its entries lay evenly."""
    share = rows / max(1, matrix.shape[0])
    each = 8 if isinstance(matrix, np.ndarray) else 8 + matrix.indices.itemsize
    return 1e-6 * each * stored(matrix) * share * (1.0 + columns / max(1, matrix.shape[1]))


def stored(matrix: Matrix) -> int:
    """Entries that are stored: all of a dense matrix."""
    return int(matrix.size if isinstance(matrix, np.ndarray) else matrix.nnz)


def row_counts(matrix: Matrix) -> NDArray[np.int64]:
    """`nonzeros` of each row."""
    counts: NDArray[np.int64] = (
        np.diff(matrix.indptr) if is_sparse(matrix) else np.count_nonzero(matrix, axis=1)
    )
    return counts


def column_counts(matrix: Matrix) -> NDArray[np.int64]:
    """`nonzeros` of each column."""
    if is_sparse(matrix):
        return np.bincount(matrix.indices, minlength=matrix.shape[1])
    counts: NDArray[np.int64] = np.count_nonzero(matrix, axis=0)
    return counts


def product_nonzeros(a: Matrix, b: Matrix) -> int:
    """How many products of two nonzeros a @ b consists of."""
    return int(column_counts(a).astype(np.float64) @ row_counts(b))


def overlap(a: Matrix, b: Matrix) -> bool:
    """Whether some entry is nonzero in both."""
    if is_sparse(a) and is_sparse(b):
        return bool(_pattern(a).multiply(_pattern(b)).nnz)
    dense = [m.toarray() if is_sparse(m) else m for m in (a, b)]
    return bool(np.any((dense[0] != 0.0) & (dense[1] != 0.0)))


def _pattern(matrix: Matrix) -> Matrix:
    return sp.csr_array(
        ((matrix.data != 0.0).astype(np.int8), matrix.indices, matrix.indptr), shape=matrix.shape
    )


def is_identity(matrix: Matrix) -> bool:
    """Whether it is the identity (a large dense one may go unnoticed)."""
    n = matrix.shape[0]
    if matrix.shape[1] != n:
        return False
    if not is_sparse(matrix):
        return n * n <= PATTERN_ENTRIES and bool((matrix == np.eye(n)).all())
    if matrix.nnz != n:
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
    entries: Array = matrix.data if is_sparse(matrix) else matrix
    return entries
