"""Boxes are certified before they are bounded: what `node_boxes` closes needs no relaxation.

Linear bounds close these nodes, too (`node_boxes` says why), so that trees are the same with and without; what is saved
is the bounding of the certified ones, what it costs is a forward pass of all.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from ...encodings.certificates.node_boxes import certified_boxes
from ...encodings.linear.bounds import MarginFunctions
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
    bounds = _closed(query, batch) if certified.all() else _spread(bound(query, batch[~certified], options), ~certified)
    bounds.pre_lower[certified] = batch.pre_lower[certified]
    bounds.pre_upper[certified] = batch.pre_upper[certified]
    bounds.margins[certified] = margins[certified]
    bounds.certified = certified
    return bounds


def _closed(query: Query, batch: Batch) -> Bounds:
    """Room for the bounds of nodes of which nothing more will be asked."""
    count, rows, inputs, neurons = len(batch), query.rows, query.network.input_size, query.neurons
    functions = MarginFunctions(np.zeros((count, rows, inputs)), np.zeros((count, rows)))
    hidden = np.zeros((2, count, neurons))
    sensitivities, empty = np.zeros((count, rows, neurons)), np.zeros(count, dtype=bool)
    return Bounds(hidden[0], hidden[1], np.zeros((count, rows)), sensitivities, empty, functions)


def _spread(table: Any, rows: Array) -> Any:
    """A table, or an array, whose rows `rows` [B] bool are those of the one given and whose others are 0."""
    if table is None:
        return None
    if isinstance(table, np.ndarray):
        wide = np.zeros((len(rows), *table.shape[1:]), dtype=table.dtype)
        wide[rows] = table
        return wide
    return type(table)(*(_spread(getattr(table, f.name), rows) for f in fields(table)))
