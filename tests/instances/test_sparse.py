"""scipy.sparse arrives with its first use, and |W| shares what it can."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as scipy_sparse

from hypersplit.instances.sparse import absolute, is_sparse, sp


def test_it_is_imported_when_first_used() -> None:
    """The name alone loads nothing; an attribute of it does, and is scipy's own."""
    code = (
        "import sys; from hypersplit.instances.sparse import sp; before = 'scipy.sparse' in sys.modules; "
        "sp.csr_array; print(before, 'scipy.sparse' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"] and sp.csr_array is scipy_sparse.csr_array


@pytest.mark.parametrize("kind", ["csr_array", "csc_array", "coo_array"])
def test_absolute_values_of_either_kind(kind: str) -> None:
    """|W| of a sparse matrix is that of the dense one; indices of a csr matrix are shared, W stays as it was."""
    dense = np.random.default_rng(0).choice([-2.0, -1e-300, 0.0, 1e300], (7, 5))
    matrix = getattr(scipy_sparse, kind)(dense)
    found = absolute(matrix)
    assert is_sparse(matrix) and is_sparse(found) and not is_sparse(dense)
    assert np.array_equal(found.toarray(), np.abs(dense)) and np.array_equal(absolute(dense), np.abs(dense))
    assert np.array_equal(matrix.toarray(), dense)
    assert kind != "csr_array" or np.shares_memory(found.indices, matrix.indices)
