"""Matrices in either form: every operation is that of the dense one, and says what it says."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from hypersplit.instances.expressions import matrices as m
from hypersplit.instances.network import Matrix


def dense(a: Matrix) -> np.ndarray:
    """As an array."""
    return a if isinstance(a, np.ndarray) else a.toarray()


def forms(a: np.ndarray) -> list[Matrix]:
    """Both forms of a matrix."""
    return [a, sp.csr_array(a)]


@pytest.fixture(params=[0, 1 << 30], ids=["sparse", "dense"])
def limit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Patterns of any size are sparse, or dense."""
    monkeypatch.setattr(m, "PATTERN_ENTRIES", request.param)
    return int(request.param)


def test_patterns_are_numpys(limit: int) -> None:
    """Diagonals, zeros and selections, negative indices among them; identities are told."""
    entries, chosen = np.array([1.0, -2.0, 1e-300]), np.array([2, -1, 0, 2])
    np.testing.assert_array_equal(dense(m.diagonal(entries)), np.diag(entries))
    np.testing.assert_array_equal(dense(m.zeros(2, 3)), np.zeros((2, 3)))
    truth = np.zeros((4, 3))
    truth[[0, 2, 3], [2, 0, 2]] = 1.0
    np.testing.assert_array_equal(dense(m.selection(chosen, 3)), truth)
    assert m.is_identity(m.diagonal(np.ones(3))) and not m.is_identity(m.diagonal(entries))
    assert not m.is_identity(m.zeros(3, 3)) and not m.is_identity(m.zeros(2, 3))


def test_operations_are_those_of_dense_matrices() -> None:
    """Products, sums, stacks, counts and overlaps of both forms in all combinations."""
    rng = np.random.default_rng(0)
    for _ in range(10):
        a, b, c = (rng.normal(size=s) * (rng.random(s) < 0.4) for s in ((4, 5), (5, 3), (4, 5)))
        for x in forms(a):
            for y in forms(b):
                np.testing.assert_allclose(dense(m.product(x, y)), a @ b, rtol=1e-12, atol=1e-12)
                pairs = sum(np.count_nonzero(a[:, k]) * np.count_nonzero(b[k]) for k in range(5))
                assert m.product_nonzeros(x, y) == pairs
            for z in forms(c):
                np.testing.assert_array_equal(dense(m.summed(x, z)), a + c)
                np.testing.assert_array_equal(dense(m.stacked([x, z])), np.vstack([a, c]))
                assert m.overlap(x, z) == bool(((a != 0.0) & (c != 0.0)).any())
            assert m.nonzeros(x) == np.count_nonzero(a)
            np.testing.assert_array_equal(m.row_counts(x), np.count_nonzero(a, axis=1))
            np.testing.assert_array_equal(m.column_counts(x), np.count_nonzero(a, axis=0))


def test_the_identity_multiplies_without_rounding_or_copying() -> None:
    """The other factor itself comes back."""
    a, eye = np.random.default_rng(1).normal(size=(3, 3)), np.eye(3)
    assert m.product(a, eye) is a and m.product(eye, a) is a


def test_exact_factors_and_ranges() -> None:
    """Powers of two by brute force over mantissas; least and largest entries of both forms, zeros aside."""
    for x in forms(np.array([[0.0, -0.5, 4.0], [2.0**-1074, 2.0**1000, 0.0]])):
        assert m.powers_of_two(x) and m.entry_range(x) == (2.0**-1074, 2.0**1000)
    for x in forms(np.array([[0.0, 3.0]])):
        assert not m.powers_of_two(x) and m.entry_range(x) == (3.0, 3.0)
    assert m.entry_range(np.zeros((2, 2))) == (1.0, 1.0)


def test_the_cheaper_form_holds_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without explicit zeros and with sorted rows, in float64."""
    monkeypatch.setattr(m, "DENSE_ENTRIES", 4)
    a = np.zeros((8, 9), dtype=np.float32)
    a[2, 7], a[2, 1] = 3.0, -1.0
    parts = np.array([3.0, 0.0, -1.0], np.float32), np.array([7, 4, 1]), np.array([0, 0, 0, 3, 3, 3, 3, 3, 3])
    given = sp.csr_array(parts, shape=(8, 9))
    for x in (a, given):
        found = m.compact(x)
        assert not isinstance(found, np.ndarray) and found.nnz == 2 and found.has_sorted_indices
        assert found.dtype == np.float64 and np.array_equal(found.toarray(), a)
    for full in (np.ones((8, 9)), sp.csr_array(np.eye(2))):
        assert isinstance(m.compact(full), np.ndarray)


@pytest.mark.parametrize("sparse", [False, True])
def test_memory_is_foreseen(sparse: bool) -> None:
    """Within a third of what picking rows and then columns really takes, entries lying evenly."""
    a = np.random.default_rng(2).normal(size=(300, 400)) * (np.random.default_rng(3).random((300, 400)) < 0.3)
    x = sp.csr_array(a) if sparse else a
    rows, columns = np.arange(0, 300, 2), np.arange(0, 400, 4)
    first = x[rows]
    second = first[:, columns]
    size = sum(p.nbytes if isinstance(p, np.ndarray) else p.data.nbytes + p.indices.nbytes for p in (first, second))
    assert m.picking_mb(x, len(rows), len(columns)) == pytest.approx(1e-6 * size, rel=0.34)
