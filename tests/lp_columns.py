"""Values of a network as a point of the LP over its neurons, and by how much the LP's rows are violated there."""

from __future__ import annotations

import numpy as np

from hypersplit.encodings.programs.safe_lp import Block
from hypersplit.encodings.programs.triangles import Triangles
from hypersplit.instances.network import Array, activate
from hypersplit.instances.query import Query

__all__ = ["columns_at", "excess"]


def columns_at(query: Query, triangles: Triangles, x: Array) -> Array:
    """The LP's point that stands for an input."""
    values, (_, pre) = np.zeros(triangles.lp.columns), query.network.values(x[None])
    values[: len(x)] = x
    for kind, part, z in zip(query.kinds, query.slices, pre[:-1], strict=True):
        for i, v in zip(range(part.start, part.stop), z[0], strict=True):
            if triangles.first[i] < 0:
                continue
            values[triangles.first[i]] = max(v, 0.0) if kind == "relu" else v
            if kind == "relu":
                values[triangles.second[i]] = max(-v, 0.0)
            elif kind != "identity":
                values[triangles.second[i]] = activate(kind, np.array([v]))[0]
    return values


def excess(triangles: Triangles, v: Array, margins: Block | None = None) -> Array:
    """By how much each row is violated, relative to its terms; rows of margins, if given, bound nothing."""
    found = []
    for block in (b for b in triangles.lp.blocks if b is not margins):
        width, rows = block.matrix.shape[1], slice(block.first, block.first + block.matrix.shape[0])
        value, size = block.matrix @ v[:width], 1.0 + block.absolute @ np.abs(v[:width])
        low, high = triangles.lp.row_lower[rows], triangles.lp.row_upper[rows]
        found.append(np.maximum(low - value, value - high) / size)
    return np.concatenate(found)
