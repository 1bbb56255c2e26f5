"""A network in float32 without its dead neurons computes what the network does on the nodes that it was made for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from milp_problems import bounded
from random_instances import Shape, random_points, random_query

from hypersplit.encodings.slopes.skeleton import FLOAT, Skeleton
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.network import Array
from hypersplit.instances.query import Query


def made(seed: int, sparse: bool = False) -> tuple[Query, Batch] | None:
    """A query of ReLUs and its bounded root; None where that is empty."""
    query = random_query(seed, Shape(residual=0.5))
    if sparse:
        layers = tuple(replace(k, weights=tuple(sp.csr_array(w) for w in k.weights)) for k in query.network.layers)
        query = replace(query, network=replace(query.network, layers=layers))
    node = bounded(query, root(query).node(0))
    return None if node is None else (query, node.batch)


def forward(skeleton: Skeleton, query: Query, x: Array) -> list[Array]:
    """Values of the live neurons, layer by layer."""
    values = [x.astype(FLOAT)]
    for layer, kind in zip(skeleton.layers, query.kinds, strict=False):
        z = layer.bias + sum(values[s] @ w.T for s, w in zip(layer.sources, layer.weights, strict=True))
        values.append(np.maximum(z, 0.0) if kind == "relu" else z)
    return values


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_live_values_are_the_networks(seed: int, sparse: bool) -> None:
    """At points of the region, up to float32; what is left out is 0 there; transposed weights are the weights'."""
    if (found := made(seed, sparse)) is None:
        return
    query, batch = found
    skeleton = Skeleton(query, batch, len(query.network.layers))
    points = random_points(np.random.default_rng(seed), query.region, 6)
    truth, _ = query.network.values(points)
    for k, values in enumerate(forward(skeleton, query, points)):
        np.testing.assert_allclose(values, truth[k][:, skeleton.live[k]], rtol=1e-4, atol=1e-4)
        dead = np.setdiff1d(np.arange(truth[k].shape[1]), skeleton.live[k])
        assert k == 0 or np.abs(truth[k][:, dead]).max(initial=0.0) <= 1e-9
    for layer in skeleton.layers:
        for w, t in zip(layer.weights, layer.transposed, strict=True):
            dense, other = (m if isinstance(m, np.ndarray) else m.toarray() for m in (w, t))
            np.testing.assert_array_equal(dense.T, other)


def test_it_covers_nodes_whose_neurons_it_has() -> None:
    """Nodes below the one it was made for; not one on which a neuron that it left out lives."""
    covered = 0
    for seed in range(20):
        if (found := made(seed)) is None:
            continue
        query, batch = found
        skeleton = Skeleton(query, batch, len(query.network.layers))
        left_out = np.setdiff1d(
            np.flatnonzero(query.relu),
            np.concatenate([p.start + live for p, live in zip(query.slices, skeleton.live[1:], strict=True)]),
        )
        below = replace(batch, pre_upper=np.minimum(batch.pre_upper, 0.0))
        assert skeleton.covers(batch) and skeleton.covers(below)
        for i in left_out:
            wider = replace(batch, pre_upper=batch.pre_upper.copy())
            wider.pre_upper[0, i] = 1.0
            assert not skeleton.covers(wider)
            covered += 1
    assert covered > 3


def test_parts_and_centred_ones_are_the_same_function() -> None:
    """`below` is a prefix; over s in [-1, 1] the first layer gives what it gives over the box."""
    for seed in range(10):
        if (found := made(seed)) is None or [
            k for k, layer in enumerate(found[0].network.layers) if 0 in layer.sources
        ] != [0]:
            continue
        query, batch = found
        skeleton = Skeleton(query, batch, len(query.network.layers))
        part = skeleton.below(len(query.network.layers) - 1)
        assert part.layers == skeleton.layers[:-1] and part.last == skeleton.last - 1
        lower, upper = batch.lower[0], batch.upper[0]
        s = np.random.default_rng(seed).uniform(-1.0, 1.0, (5, len(lower)))
        x = 0.5 * (lower + upper) + 0.5 * (upper - lower) * s
        ours, theirs = forward(skeleton.centred(lower, upper), query, s), forward(skeleton, query, x)
        for a, b in zip(ours[1:], theirs[1:], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
