"""Samples of many inputs: a part of them, of all sizes, and what they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit.encodings.linear.first_layer_ball import Ball
from hypersplit.encodings.slopes.sampled_inputs import LEAST, SHARE, sample_of
from hypersplit.instances.network import Layer
from hypersplit.instances.sparse import sp


def ball(inputs: int, sparse: bool = False, seed: int = 0) -> Ball:
    """A layer of five rows, its columns of sizes over three orders of magnitude."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(5, inputs)) * 10.0 ** rng.uniform(-3.0, 0.0, inputs)
    if sparse:
        w = sp.csr_array(np.where(np.arange(inputs) % 100 == 0, w, 0.0))
    return Ball(Layer((0,), (w,), np.zeros(5), "relu"), -np.ones(inputs), np.ones(inputs))


@pytest.mark.parametrize("seed", range(5))
def test_the_sum_over_a_sample(seed: int) -> None:
    """A third of the inputs, once each; their part of any row's sum stands for the whole within a fifth."""
    given = ball(1200, seed=seed)
    sample = sample_of(given)
    assert sorted(sample.order) == list(range(1200)) and sample.taken == 1200 // SHARE
    a = np.random.default_rng(seed).normal(size=(50, 5))
    columns = np.abs(a @ given.scaled)
    part = columns[:, sample.order[: sample.taken]].sum(axis=1) * sample.factor
    np.testing.assert_allclose(part, columns.sum(axis=1), rtol=0.2)


def test_few_inputs_and_sparse_layers_are_taken_whole() -> None:
    """In their own order."""
    for given in (ball(SHARE * LEAST - 1), ball(2000, sparse=True)):
        sample = sample_of(given)
        assert sample.taken == given.inputs and sample.factor == 1.0
        assert sample.order.tolist() == list(range(given.inputs))


def test_a_layer_of_zeros() -> None:
    """Nothing to stand for: the factor is 1."""
    given = Ball(Layer((0,), (np.zeros((2, 300)),), np.zeros(2), "relu"), -np.ones(300), np.ones(300))
    assert sample_of(given).factor == 1.0
