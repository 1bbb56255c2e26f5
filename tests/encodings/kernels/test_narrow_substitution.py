"""Compiled intervals and lines against their numpy twins, layer by layer."""

from __future__ import annotations

import numpy as np
import pytest
from random_instances import Shape, random_query

from hypersplit.encodings.kernels.narrow_layout import Net, Room, room_for
from hypersplit.encodings.kernels.narrow_substitution import activate, interval, substitute
from hypersplit.encodings.linear.narrow_bounds import _flatten
from hypersplit.encodings.linear.prepared_layers import prepared_of
from hypersplit.encodings.relaxations.kinds import lines
from hypersplit.instances.query import Query


def started(query: Query) -> tuple[Net, Room]:
    """The room with the input's bounds, as a node begins."""
    net = _flatten(query)
    room, n = room_for(net, 0), query.network.input_size
    room.lower[:n], room.upper[:n], room.alive[:n], room.kept[0] = query.region.lower, query.region.upper, range(n), n
    return net, room


@pytest.mark.parametrize("scale", [1.0, 1e6])
@pytest.mark.parametrize("parallel", [False, True])
def test_layers_are_the_twins(parallel: bool, scale: float) -> None:
    """Interval bounds, magnitudes, slopes and intercepts of the alive neurons of every layer."""
    for seed in range(15):
        query = random_query(seed, Shape(residual=0.5, scale=scale))
        net, room = started(query)
        low, high = np.full(query.neurons, -np.inf), np.full(query.neurons, np.inf)
        lowers, uppers = [query.region.lower[None]], [query.region.upper[None]]
        for k, (kind, part) in enumerate(zip(query.kinds, query.slices, strict=True), start=1):
            interval(net, room, k, low, high)
            floor, ceiling, magnitude = prepared_of(query).layers[k - 1].interval(lowers, uppers)
            size = 1e-12 * (1.0 + magnitude[0])
            own = slice(net.starts[k], net.starts[k + 1])
            assert (np.abs(low[part] - floor[0]) <= size).all() and (np.abs(high[part] - ceiling[0]) <= size).all()
            np.testing.assert_allclose(room.magnitude[own], magnitude[0], rtol=1e-12)
            activate(net, room, k, low, high, parallel)
            count = room.kept[k]
            alive = room.alive[own][:count]
            if kind == "relu":
                assert alive.tolist() == np.flatnonzero((high[part] > 0.0) | (low[part] >= 0.0)).tolist()
                line = lines("relu", low[None, part], high[None, part], "parallel" if parallel else "adaptive")
                for name, truth in (("below", line.lower_slope), ("above", line.upper_slope),
                                    ("intercept", line.upper_intercept)):  # fmt: skip
                    mine = getattr(room, name)[own][:count]
                    np.testing.assert_allclose(mine, truth[0, alive], rtol=1e-12, atol=1e-300)
            else:
                assert count == part.stop - part.start
            lowers.append(room.lower[own][None].copy()), uppers.append(room.upper[own][None].copy())


def test_nan_and_overflow_improve_no_bound() -> None:
    """Ends that are no numbers leave what was proved before."""
    query = random_query(0)
    net, room = started(query)
    room.lower[0] = np.nan
    low, high = np.full(query.neurons, -3.0), np.full(query.neurons, 3.0)
    interval(net, room, 1, low, high)
    width = query.network.layers[0].size
    touched = query.network.layers[0].weights[0][:, 0] != 0.0
    assert (low[:width][touched] == -3.0).all() and (high[:width][touched] == 3.0).all()


def test_stable_networks_are_walked_back_exactly() -> None:
    """With every line the neuron's own, the margins' coefficients are the composed weights."""
    for seed in range(10):
        query = random_query(seed, Shape(residual=0.5))
        net, room = started(query)
        low, high = np.full(query.neurons, 1.0), np.full(query.neurons, 2.0)  # all active, whatever the box
        for k in range(1, len(net.relu) - 1):
            interval(net, room, k, low, high)
            low[:], high[:] = 1.0, 2.0
            activate(net, room, k, low, high, False)
        last = len(net.relu) - 1
        interval(net, room, last, low, high)
        room.rows[: query.rows] = range(query.rows)
        sensitivities = np.zeros((query.rows, query.neurons))
        substitute(net, room, last, 0, query.rows, sensitivities)
        n, maps = query.network.input_size, []
        maps.append(np.eye(n, n + 1))
        for layer in query.network.layers:
            total = np.zeros((layer.size, n + 1))
            total[:, n] = layer.bias
            for s, w in zip(layer.sources, layer.weights, strict=True):
                total += w @ maps[s]
            maps.append(total)
        found = room.pending[: query.rows * n].reshape(query.rows, n)
        np.testing.assert_allclose(found, maps[-1][:, :n], rtol=1e-9, atol=1e-9, err_msg=f"seed {seed}")
        np.testing.assert_allclose(room.constants[: query.rows], maps[-1][:, n], rtol=1e-9, atol=1e-9)
