"""A query of few inputs laid out as the kernels of wide networks read it, with its root's lines."""

from __future__ import annotations

import numpy as np
import pytest
from random_instances import Shape, random_query

from hypersplit.encodings.kernels.wide_layout import Wide, WideNode, activate_wide, node_room
from hypersplit.encodings.linear import prepared_layers
from hypersplit.encodings.linear.linear_bounds import LinearBoundOptions, bound
from hypersplit.encodings.linear.prepared_layers import prepared_of
from hypersplit.encodings.slopes.refreshed_bounds import _wide
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.query import Query

__all__ = ["laid_out"]


def laid_out(
    monkeypatch: pytest.MonkeyPatch, seed: int, shape: Shape | None = None
) -> tuple[Query, Batch, Wide, WideNode] | None:
    """Query, bounded root, layout and lines; None where the input is read twice."""
    monkeypatch.setattr(prepared_layers, "BALL", 1)
    query = random_query(seed, shape or Shape(halfspaces=0.0))
    batch = root(query)
    batch.cuts = batch.cuts[:, :0]
    ball = prepared_of(query).ball(batch)
    if ball is None:
        return None
    found = bound(query, batch, LinearBoundOptions(kernel="plain"))
    batch.pre_lower, batch.pre_upper = found.pre_lower, found.pre_upper
    net = _wide(query, ball)
    node = node_room(net)
    for v in range(1, len(net.relu) - 1):
        activate_wide(net, node, v, batch.pre_lower[0], batch.pre_upper[0], batch.phases[0])
    assert np.array_equal(node.kept[:1], net.starts[1:2])
    return query, batch, net, node
