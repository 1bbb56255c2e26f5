"""Nodes of phases on networks that take the way of wide ones."""

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

__all__ = ["PLAIN", "ONLY_LINES", "ASCENT", "short_cut", "sparse_of", "wide_queries", "phase_nodes", "refreshed"]


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
