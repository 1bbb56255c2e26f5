"""The kernel's ascent is no worse than plain lines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from random_instances import Shape, random_instance, random_nodes

from hypersplit.encodings.linear import prepared_layers
from hypersplit.encodings.linear.bounds import Bounds, LinearBoundOptions
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.slopes.optimised_bounds import OptimiseOptions
from hypersplit.encodings.slopes.phase_bounds import refresh_phases
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.network import Network
from hypersplit.instances.query import Query, queries

PLAIN = LinearBoundOptions(kernel="plain")

ONLY_LINES = OptimiseOptions(iterations=0, signs=True)

ASCENT = OptimiseOptions(iterations=4, rate=0.4, signs=True)


@pytest.fixture(autouse=True)
def short_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks take the way that wide ones take."""
    monkeypatch.setattr(prepared_layers, "BALL", 1)


def sparse_of(network: Network) -> Network:
    """The same network with sparse matrices."""
    layers = tuple(replace(k, weights=tuple(sp.csr_array(w) for w in k.weights)) for k in network.layers)
    return replace(network, layers=layers)


def wide_queries(seed: int, sparse: bool) -> list[Query]:
    """Queries over a box, the input read by the first layer alone."""
    instance = random_instance(seed, shape=Shape(halfspaces=0.0, rough=seed % 3 == 0))
    network = sparse_of(instance.network) if sparse else instance.network
    asked = queries(network, instance.prop)
    return [q for q in asked if [k for k, layer in enumerate(q.network.layers) if 0 in layer.sources] == [0]]


def phase_nodes(query: Query, seed: int, count: int) -> Batch:
    """The root and nodes below it that carry phases only, with plain bounds."""
    nodes = Batch.concatenate([root(query), random_nodes(np.random.default_rng(seed), query, count)])
    boxes = (np.broadcast_to(end, nodes.lower.shape).copy() for end in (query.region.lower, query.region.upper))
    nodes = replace(nodes, cuts=nodes.cuts[:, :0], **dict(zip(("lower", "upper"), boxes, strict=True)))
    bounds = bound(query, nodes, PLAIN)
    return replace(nodes, pre_lower=bounds.pre_lower, pre_upper=bounds.pre_upper)


def refreshed(query: Query, nodes: Batch, options: OptimiseOptions, kernel: str) -> Bounds:
    """By one of the twins, on a copy."""
    return refresh_phases(query, nodes[np.arange(len(nodes))], options, kernel)


def test_the_ascent_is_worth_its_time() -> None:
    """Hidden bounds after the ascent are never worse than plain ones, and narrower on the whole."""
    narrower = 0.0
    for seed in range(30):
        for query in wide_queries(seed, sparse=False):
            nodes = phase_nodes(query, seed, 6)
            before, after = (refreshed(query, nodes, options, "compiled") for options in (ONLY_LINES, ASCENT))
            both = ~(before.infeasible | after.infeasible)
            scale = 1.0 + np.abs(before.pre_upper[both]).max(initial=0.0)
            assert (after.pre_lower[both] >= before.pre_lower[both] - 1e-3 * scale).all()
            assert (after.pre_upper[both] <= before.pre_upper[both] + 1e-3 * scale).all()
            won = (before.pre_upper - before.pre_lower) - (after.pre_upper - after.pre_lower)
            narrower += float(won[both].sum() / scale)
    assert narrower > 0.5
