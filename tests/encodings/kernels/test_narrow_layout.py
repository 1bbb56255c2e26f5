"""The flat layout of narrow networks: it is the network, and the room fits what the kernels put there."""

from __future__ import annotations

import numpy as np
import pytest
from random_instances import Shape, random_points, random_query

from hypersplit.encodings.kernels.narrow_layout import BLOCK, MOST_PHASES, Net, room_for
from hypersplit.encodings.linear.narrow_bounds import _flatten


def evaluate(net: Net, x: np.ndarray) -> np.ndarray:
    """Flat values of all layers at x, from the layout alone."""
    values = np.zeros(net.starts[-1])
    values[: len(x)] = x
    for k in range(1, len(net.relu)):
        own = slice(net.starts[k], net.starts[k + 1])
        z = net.bias[own].copy()
        for e in range(net.edges[k], net.edges[k + 1]):
            s, size = net.sources[e], own.stop - own.start
            width = net.starts[s + 1] - net.starts[s]
            w = net.weights[net.offsets[e] : net.offsets[e] + size * width].reshape(size, width)
            z += w @ values[net.starts[s] : net.starts[s + 1]]
        values[own] = np.maximum(z, 0.0) if net.relu[k] else z
    return values


@pytest.mark.parametrize("seed", range(10))
def test_the_layout_is_the_network(seed: int) -> None:
    """Values read off the flat arrays are the network's, residual edges included; disjuncts are the query's."""
    query = random_query(seed, Shape(residual=0.7))
    net = _flatten(query)
    for x in random_points(np.random.default_rng(seed), query.region, 4):
        truth = np.concatenate([v[0] for v in query.network.values(x[None])[0]])
        np.testing.assert_allclose(evaluate(net, x), truth, rtol=1e-12, atol=1e-12)
    assert net.disjuncts.tolist() == query.starts.tolist() and net.starts[-1] == sum(query.network.sizes)
    assert (net.relative[1:] > 0.0).all() and (net.interval[1:] > 0.0).all()


@pytest.mark.parametrize("cuts", [0, 7])
def test_the_room_fits(cuts: int) -> None:
    """Rows of a block for the widest layer, half-spaces of deeper phases, and the simplex' whole tableau."""
    query = random_query(3)
    net = _flatten(query)
    room, inputs = room_for(net, cuts), query.network.input_size
    widest, most = max(query.network.sizes), int(np.diff(query.starts).max())
    assert len(room.cuts) == cuts + MOST_PHASES and room.cuts.shape[1] == inputs + 1
    assert len(room.pending) >= BLOCK * net.starts[-1] and len(room.product) >= BLOCK * widest <= len(room.pending)
    columns = most + len(room.cuts) + 2 * inputs
    assert len(room.tableau) == (inputs + 2) * (columns + 1) and len(room.weights) >= columns
    assert min(len(room.constants), len(room.errors), len(room.values)) >= BLOCK and len(room.rows) >= widest
