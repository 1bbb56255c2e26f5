"""The simplex certificate of boxes: nodes of a search in which no ReLU changes its phase and every disjunct is refuted.

With the middle m and the radii r of a box, a pre-activation z = P x + q keeps its sign on the whole box where
|z(m)| > |P| r, and where all do, each margin is at least C m + d - |C| r. So a node is closed by one forward pass and
no relaxation. Linear bounds of a node are never weaker: layer after layer their relaxation of a ReLU that is stable is
the ReLU itself, so that where this certificate holds they are these very functions (up to rounding). What is to be had
is time, and only of nodes that have no unstable ReLU.
"""

from __future__ import annotations

import numpy as np

from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import UP
from ..linear.bounds import at_least, middle_and_radius
from .affine_pieces import magnitudes, points_at_once, pulled_back, rows_of_layers, trace

__all__ = ["certified_boxes"]


def certified_boxes(query: Query, batch: Batch) -> tuple[Array, Array]:
    """([B] bool: nodes whose box is certified to have no counterexample, [B, rows] lower bounds of their margins).

    The bounds of other nodes say nothing. The box alone counts, whatever half-spaces and phases a node has.
    """
    if not query.network.piecewise_linear:
        return np.zeros(len(batch), dtype=bool), np.full((len(batch), query.rows), -np.inf)
    size = points_at_once(query.network)
    parts = [_block(query, batch[i : i + size]) for i in range(0, len(batch), size)]
    return np.concatenate([certified for certified, _ in parts]), np.concatenate([margins for _, margins in parts])


@np.errstate(over="ignore", invalid="ignore")  # what is no number closes nothing
def _block(query: Query, batch: Batch) -> tuple[Array, Array]:
    network = query.network
    middle, radius = middle_and_radius(batch.lower, batch.upper)
    radius = np.maximum(batch.upper - middle, middle - batch.lower) * UP
    at = trace(network, middle)
    errors = magnitudes(network, at.phases, np.inf)
    total = radius.sum(axis=1, keepdims=True) * UP
    left = np.ones(len(batch), dtype=bool)
    relus = [k for k, kind in enumerate(query.kinds) if kind == "relu"]
    for rows in rows_of_layers(network, at.phases, max(relus, default=-1) + 1):
        k = rows.layer
        if k not in relus:
            continue
        reach = np.einsum("bmn,bn->bm", np.abs(rows.dense(len(batch))), radius) * UP + errors[k] * total
        left &= (np.abs(at.pre[k]) - at.errors[k] > reach).all(axis=1)
        if not left.any():
            return left, np.full((len(batch), query.rows), -np.inf)
    functions = np.broadcast_to(np.eye(query.rows), (len(batch), query.rows, query.rows))
    normals = pulled_back(network, at.phases, functions)
    reach = np.einsum("bmn,bn->bm", np.abs(normals), radius) * UP + errors[-1] * total
    margins = at.pre[-1] - at.errors[-1] - reach * UP
    return left & (query.worst(margins) > 0.0), at_least(margins)
