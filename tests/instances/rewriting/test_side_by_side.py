"""Several networks as one."""

from __future__ import annotations

import numpy as np

from hypersplit.instances.network import Layer, Network, sequential
from hypersplit.instances.rewriting.side_by_side import side_by_side
from hypersplit.instances.sparse import sp


def test_outputs_are_those_of_each_network() -> None:
    """Dense, sparse and residual networks stand side by side, each on its own inputs."""
    rng = np.random.default_rng(3)
    dense = sequential([rng.normal(size=(4, 3)), rng.normal(size=(2, 4))], [rng.normal(size=4), rng.normal(size=2)])
    thin = sequential([sp.csr_array(rng.normal(size=(5, 2))), rng.normal(size=(1, 5))], [np.zeros(5), np.ones(1)])
    residual = Network(2, (
        Layer((0,), (rng.normal(size=(2, 2)),), np.zeros(2), "relu"),
        Layer((0, 1), (np.eye(2), rng.normal(size=(2, 2))), np.ones(2), "tanh"),
    ))  # fmt: skip
    whole = side_by_side([dense, thin, residual, dense])
    x = rng.normal(size=(20, 10))
    parts = [dense.evaluate(x[:, :3]), thin.evaluate(x[:, 3:5]), residual.evaluate(x[:, 5:7]), dense.evaluate(x[:, 7:])]
    assert (whole.input_size, whole.output_size, len(whole.parts)) == (10, 7, 4)
    np.testing.assert_allclose(whole.evaluate(x), np.concatenate(parts, axis=1), rtol=1e-12)


def test_one_network_stays_itself() -> None:
    """A single network is not wrapped."""
    network = sequential([np.eye(2)], [np.zeros(2)])
    assert side_by_side([network]) is network
