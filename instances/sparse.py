"""`sp` is scipy.sparse, imported when it is first used: small dense networks never need it, and it loads like numpy.

`Rows` is the flat layout in which compiled code and its numpy twin read a network.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

__all__ = ["Rows", "absolute", "is_sparse", "places", "sp"]


class _Late:
    """Gets what it is asked for from the module, and keeps it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self._name), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import scipy.sparse as sp
else:
    sp = _Late("scipy.sparse")


def is_sparse(matrix: Any) -> bool:
    """Whether a Matrix (instances.network) is scipy's kind and not a dense array."""
    return hasattr(matrix, "tocsr")


def absolute(matrix: Any) -> Any:
    """|W|; a sparse one shares its indices with W, which are more than its values."""
    if not is_sparse(matrix):
        return abs(matrix)
    matrix = sp.csr_array(matrix)
    return sp.csr_array((abs(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)


def places(matrix: Any) -> tuple[Any, Any, Any]:
    """(rows, columns, entries) of what is not zero, row by row, each [nonzeros]."""
    if not is_sparse(matrix):
        row, column = np.nonzero(matrix)
        return row, column, matrix[row, column]
    matrix = sp.csr_array(matrix)
    row, kept = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)), matrix.data != 0.0
    return row[kept], matrix.indices[kept].astype(np.intp), matrix.data[kept]


class Rows(NamedTuple):
    """All rows of a query's network and of one disjunct, sparse, in topological order: see `kernels.contraction`."""

    inputs: int
    neurons: int
    ends: Any  # [rows + 1] int: row i has the entries ends[i]:ends[i + 1]
    columns: Any  # [entries] int: input v for v < inputs, else the value of neuron v - inputs
    weights: Any  # [entries]
    bias: Any  # [rows]
    error: Any  # [rows] bias errors
    relative: Any  # [rows] relative error of a sum over the row, outward
    relu: Any  # [neurons] bool
    back: float  # relative error of a margin's function
