"""Dense blocks over gathered columns multiply as the matrix that they were made of."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from convolutions import CHANNELS, WIDTH, convolution

from hypersplit.heuristics.attacks import gathered_blocks
from hypersplit.heuristics.attacks.gathered_blocks import GatheredBlocks, product_form
from hypersplit.instances.network import Array


@pytest.mark.parametrize("shape", ["convolution", "transposed", "random", "empty rows", "one pattern"])
def test_gathered_blocks_multiply_as_the_matrix_does(shape: str) -> None:
    """Whatever rows share their columns, the product is that of the matrix."""
    rng = np.random.default_rng(1)
    matrix = {
        "convolution": lambda: convolution(rng, 3, CHANNELS),
        "transposed": lambda: sp.csr_array(convolution(rng, 3, CHANNELS).T),
        "random": lambda: sp.csr_array(sp.random(40, 30, 0.2, rng=rng)),
        "empty rows": lambda: sp.csr_array(np.vstack([np.zeros((3, 30)), rng.normal(size=(5, 30))])),
        "one pattern": lambda: sp.csr_array(rng.normal(size=(6, 30))),
    }[shape]()
    x = rng.normal(size=(matrix.shape[1], 7))
    product = GatheredBlocks(matrix, np.float64) @ x
    assert np.allclose(product, matrix @ x, rtol=1e-12, atol=1e-12)
    single = GatheredBlocks(matrix, np.float32) @ x.astype(np.float32)
    assert single.dtype == np.float32
    assert np.allclose(single, matrix @ x, rtol=1e-4, atol=1e-4)


def test_convolutions_become_blocks() -> None:
    """All channels of one place are one block, and no row is left to csr; a random matrix has no blocks."""
    rng = np.random.default_rng(2)
    blocks = GatheredBlocks(convolution(rng, 3, CHANNELS))
    assert sum(b.weights.shape[0] for b in blocks.buckets) == WIDTH
    assert all(b.weights.shape[1] == CHANNELS for b in blocks.buckets)
    assert not len(blocks.rest_rows)
    assert not GatheredBlocks(sp.csr_array(sp.random(40, 300, 0.1, rng=rng))).buckets


def test_patterns_that_only_share_their_code_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the random sums of two patterns agree by chance, their rows are not made one block."""

    class Zeros:
        def integers(self, most: int, size: int) -> Array:
            return np.zeros(size, dtype=np.int64)

    rng = np.random.default_rng(3)
    matrix = convolution(rng, 3, CHANNELS)
    monkeypatch.setattr(gathered_blocks.np.random, "default_rng", lambda seed: Zeros())
    x = rng.normal(size=(matrix.shape[1], 2))
    assert np.allclose(GatheredBlocks(matrix, np.float64) @ x, matrix @ x)


def test_product_form_keeps_dense_matrices() -> None:
    """Dense weights stay dense, in the wanted type."""
    dense = product_form(np.eye(3), np.float32)
    assert isinstance(dense, np.ndarray)
    assert dense.dtype == np.float32
