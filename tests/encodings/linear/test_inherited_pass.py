"""Back-substitution from inherited bounds: lines of each node's own, magnitudes that cover all nodes."""

from __future__ import annotations

import numpy as np
import pytest
from random_instances import Shape, random_instance, random_nodes

from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.inherited_pass import InheritedPass
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.relaxations.kinds import lines
from hypersplit.instances.batch import Batch
from hypersplit.instances.query import Query, queries


def nodes(seed: int) -> tuple[Query, Batch]:
    """Random nodes with plain bounds that are in order."""
    instance = random_instance(seed, shape=Shape(residual=0.5))
    query = queries(instance.network, instance.prop)[0]
    batch = random_nodes(np.random.default_rng(seed), query, 5)
    found = bound(query, batch, LinearBoundOptions(kernel="plain"))
    batch.pre_lower, batch.pre_upper = np.minimum(found.pre_lower, found.pre_upper), found.pre_upper
    return query, batch


@pytest.mark.parametrize("seed", range(10))
def test_lines_are_those_of_the_bounds(seed: int) -> None:
    """One of each hidden layer, by the nodes' own bounds; identities have none."""
    query, batch = nodes(seed)
    walk = InheritedPass(query, batch)
    assert len(walk.lines) == len(query.kinds) and len(walk.magnitudes) == len(query.network.layers)
    for kind, part, line in zip(query.kinds, query.slices, walk.lines, strict=True):
        if kind == "identity":
            assert line is None
            continue
        truth = lines(kind, batch.pre_lower[:, part], batch.pre_upper[:, part])
        assert line is not None
        for name in ("lower_slope", "upper_slope", "lower_intercept", "upper_intercept"):
            np.testing.assert_array_equal(getattr(line, name), getattr(truth, name), err_msg=name)


@pytest.mark.parametrize("seed", range(10))
def test_magnitudes_cover_every_node(seed: int) -> None:
    """|W| |x| + |b| at the corners of each node, and at the ends of its values, is no larger."""
    query, batch = nodes(seed)
    walk = InheritedPass(query, batch)
    for b in range(len(batch)):
        reach = [np.maximum(np.abs(batch.lower[b]), np.abs(batch.upper[b]))]
        for k, layer in enumerate(query.network.layers):
            size = np.abs(layer.bias) + sum(
                np.abs(w) @ reach[s] for s, w in zip(layer.sources, layer.weights, strict=True)
            )
            assert (size <= walk.magnitudes[k][0] * (1.0 + 1e-12)).all(), f"seed {seed}"
            if k < len(query.kinds):
                part, relu = query.slices[k], query.kinds[k] == "relu"
                ends = batch.pre_lower[b, part], batch.pre_upper[b, part]
                ends = tuple(np.maximum(e, 0.0) for e in ends) if relu else ends
                reach.append(np.maximum(np.abs(ends[0]), np.abs(ends[1])))
