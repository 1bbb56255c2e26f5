"""The flat layout of wide networks, and products within it, against numpy's on the same neurons."""

from __future__ import annotations

import numpy as np
import pytest
from random_instances import Shape
from wide_nets import laid_out

from hypersplit.encodings.kernels.wide_layout import add_back, add_forward, depart, interval_ends
from hypersplit.encodings.linear.prepared_layers import prepared_of
from hypersplit.encodings.relaxations.kinds import lines


@pytest.mark.parametrize("seed", range(12))
def test_lines_are_those_of_the_alive(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neurons that are 0 are left out, the others have the relaxation's lines, and positions lead back to them."""
    made = laid_out(monkeypatch, seed)
    if made is None:
        return
    query, batch, net, node = made
    for v, (kind, part) in enumerate(zip(query.kinds, query.slices, strict=True), start=1):
        low, high = batch.pre_lower[:, part], batch.pre_upper[:, part]
        alive = np.flatnonzero(high[0] > 0.0) if kind == "relu" else np.arange(part.stop - part.start)
        at = slice(net.starts[v], net.starts[v] + node.kept[v])
        assert node.alive[at].tolist() == alive.tolist()
        assert node.position[net.starts[v] + alive].tolist() == list(range(len(alive)))
        if kind == "relu":
            line = lines("relu", low, high)
            np.testing.assert_allclose(node.above[at], line.upper_slope[0, alive], rtol=1e-12)
            np.testing.assert_allclose(node.below[at], line.lower_slope[0, alive], rtol=1e-12)
            np.testing.assert_allclose(node.intercept[at], line.upper_intercept[0, alive], rtol=1e-9, atol=1e-290)
            assert node.free[at].tolist() == ((low < 0.0) & (high > 0.0))[0, alive].tolist()


@pytest.mark.parametrize("seed", range(12))
def test_products_are_numpys(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a layer, W'a and W x over every edge between hidden layers, between alive neurons."""
    made = laid_out(monkeypatch, seed, Shape(halfspaces=0.0, most_hidden=3, residual=0.5))
    if made is None:
        return
    query, _, net, node = made
    rng, columns = np.random.default_rng(seed), 4
    for v in range(2, len(net.relu) - 1):
        layer = query.network.layers[v - 1]
        mine = node.alive[net.starts[v] : net.starts[v] + node.kept[v]]
        for e, w in zip(range(net.edges[v], net.edges[v + 1]), layer.weights, strict=True):
            s = net.sources[e]
            theirs = node.alive[net.starts[s] : net.starts[s] + node.kept[s]]
            part = w[mine][:, theirs]
            room = np.empty(columns * max(query.network.sizes))
            given, to = rng.normal(size=(len(mine), columns)), np.zeros((len(theirs), columns))
            add_back(net, node, v, e, node.weights, net.entries, given, to, room)
            np.testing.assert_allclose(to, part.T @ given, rtol=1e-10, atol=1e-10)
            given32 = rng.normal(size=(len(theirs), columns)).astype(np.float32)
            to32 = np.zeros((len(mine), columns), np.float32)
            add_forward(net, node, v, e, node.single, given32, to32, np.empty(len(room), np.float32))
            np.testing.assert_allclose(to32, part @ given32, rtol=1e-4, atol=1e-4)
            rows = np.arange(min(2, layer.size))
            own = np.zeros((len(theirs), 2 * len(rows)))
            depart(net, node, e, rows, True, net.weights, net.entries, own)
            np.testing.assert_array_equal(own, np.vstack([w[rows][:, theirs], -w[rows][:, theirs]]).T)


@pytest.mark.parametrize("seed", range(12))
def test_intervals_are_the_twins(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends of every neuron behind the first layer, by the bounds of the layers before."""
    made = laid_out(monkeypatch, seed)
    if made is None:
        return
    query, batch, net, _ = made
    lowers, uppers, magnitudes = [batch.lower], [batch.upper], [np.zeros(query.network.input_size)]
    for k, prepared in enumerate(prepared_of(query).layers, start=1):
        floor, ceiling, magnitude = prepared.interval(lowers, uppers)
        magnitudes.append(magnitude[0])
        if k > 1:
            flat = np.concatenate([*magnitudes, np.zeros(net.starts[-1] - sum(map(len, magnitudes)))])
            for i in range(prepared.layer.size):
                ends = interval_ends(net, k, i, batch.pre_lower[0], batch.pre_upper[0], flat)
                np.testing.assert_allclose(ends, (floor[0, i], ceiling[0, i]), rtol=1e-9, atol=1e-9)
        if k <= len(query.kinds):
            part, relu = query.slices[k - 1], query.kinds[k - 1] == "relu"
            ends = batch.pre_lower[:, part], batch.pre_upper[:, part]
            lowers.append(np.maximum(ends[0], 0.0) if relu else ends[0])
            uppers.append(np.maximum(ends[1], 0.0) if relu else ends[1])
