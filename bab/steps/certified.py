"""Boxes are certified before they are bounded: what `node_boxes` closes needs no relaxation.

Linear bounds close these nodes, too (`node_boxes` says why), so that trees are the same with and without; what is saved
is the bounding of the certified ones, what it costs is a forward pass of all.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...encodings.certificates.node_boxes import certified_boxes
from ...encodings.linear.linear_bounds import Bounds, LinearBoundOptions, bound
from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.query import Query

__all__ = ["bound_uncertified"]


def bound_uncertified(query: Query, batch: Batch, options: LinearBoundOptions) -> Bounds:
    """Bounds of all nodes: of certified ones the margins that were certified, with the hidden bounds they had."""
    certified, margins = certified_boxes(query, batch)
    if not certified.any():
        return bound(query, batch, options)
    closed = _closed(query, batch[certified], margins[certified])
    if certified.all():
        return closed
    left = bound(query, batch[~certified], options)
    columns: dict[str, Any] = {}
    for name in Bounds.__dataclass_fields__:
        own, other = getattr(closed, name), getattr(left, name)
        if name == "certified":
            columns[name] = certified
        elif other is not None:
            both = np.zeros((len(batch), *other.shape[1:]), dtype=other.dtype)
            both[~certified] = other
            if own is not None:
                both[certified] = own
            columns[name] = both
    return Bounds(**columns)


def _closed(query: Query, batch: Batch, margins: Array) -> Bounds:
    """Of certified nodes: nothing more will be asked of them."""
    count, rows, inputs = len(batch), query.rows, query.network.input_size
    return Bounds(
        batch.pre_lower, batch.pre_upper, margins, np.zeros((count, rows, inputs)), np.zeros((count, rows)),
        np.zeros((count, rows, query.neurons)), np.zeros(count, dtype=bool), certified=np.ones(count, dtype=bool),
    )  # fmt: skip
