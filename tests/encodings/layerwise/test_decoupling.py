"""k-layer decoupling: between interval bounds and full back-substitution, and valid for samples."""

from __future__ import annotations

import numpy as np
import pytest
from random_instances import random_instance, random_points

from hypersplit.encodings.layerwise.decoupling import decoupled
from hypersplit.encodings.layerwise.lp_steps import greedy_node
from hypersplit.instances.batch import root
from hypersplit.instances.families.random_networks import random_network as chain
from hypersplit.instances.network import activate
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import queries


@pytest.mark.parametrize("seed", range(5))
def test_samples_stay_within(seed: int) -> None:
    """For every k, residual edges and identity layers included."""
    instance = random_instance(seed)
    for query in queries(instance.network, instance.prop):
        node = root(query).node(0)
        x = random_points(np.random.default_rng(seed), query.region, 200)
        pre = np.concatenate(query.network.values(x)[1], axis=1)
        slack = 1e-12 * (1.0 + np.abs(pre).max(initial=0.0))
        for k in range(1, len(query.network.layers) + 1):
            found, margins = decoupled(query, node, k)
            z, m = np.split(pre, [query.neurons], axis=1)
            assert (found.pre_lower <= z + slack).all() and (z <= found.pre_upper + slack).all(), f"seed {seed}, k {k}"
            assert (margins <= m + slack).all(), f"seed {seed}, k {k}"


@pytest.mark.parametrize("seed", range(5))
def test_one_layer_is_interval_arithmetic(seed: int) -> None:
    """With k = 1 bounds are those of weights' positive and negative parts, up to rounding."""
    instance = random_instance(seed)
    query = queries(instance.network, instance.prop)[0]
    found, margins = decoupled(query, root(query).node(0), 1)
    lows, highs, pre = [query.region.lower], [query.region.upper], []
    for layer in query.network.layers:
        low, high = layer.bias.copy(), layer.bias.copy()
        for s, w in zip(layer.sources, layer.weights, strict=True):
            dense = w if isinstance(w, np.ndarray) else w.toarray()
            low += np.maximum(dense, 0.0) @ lows[s] + np.minimum(dense, 0.0) @ highs[s]
            high += np.maximum(dense, 0.0) @ highs[s] + np.minimum(dense, 0.0) @ lows[s]
        pre.append((low, high))
        lows.append(activate(layer.kind, low))
        highs.append(activate(layer.kind, high))
    if pre[:-1]:
        assert np.allclose(found.pre_lower, np.concatenate([low for low, _ in pre[:-1]]), rtol=1e-9, atol=1e-9)
        assert np.allclose(found.pre_upper, np.concatenate([high for _, high in pre[:-1]]), rtol=1e-9, atol=1e-9)
    assert np.allclose(margins, pre[-1][0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("slopes", ["parallel", "adaptive"])
def test_all_layers_are_back_substitution(slopes: str) -> None:
    """On chains of ReLUs with k = the depth the margins' bounds are Fast-Lin's or CROWN's."""
    for seed in range(8):
        network = chain((3, 8, 8, 2), seed=seed)
        case = Case(InputSet.box(-np.ones(3), np.ones(3)), (Polyhedron(np.eye(2), np.zeros(2)),))
        query = queries(network, Property((case,), 3, 2))[0]
        node = root(query).node(0)
        _, deep = decoupled(query, node, len(query.network.layers), slopes)
        greedy = greedy_node(query, node, slopes)[1].margins[0]
        assert np.allclose(deep, greedy, rtol=1e-9, atol=1e-9), f"seed {seed}"
        _, shallow = decoupled(query, node, 1)
        assert (shallow <= deep + 1e-9).all() and shallow.sum() < deep.sum() - 1e-3, f"seed {seed}"


def test_fewer_than_one_layer_is_refused() -> None:
    """The number is told."""
    query = queries(*(lambda one: (one.network, one.prop))(random_instance(0)))[0]
    with pytest.raises(ValueError, match="k = 0"):
        decoupled(query, root(query).node(0), 0)
