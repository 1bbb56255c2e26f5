"""Softmax and LogSoftmax at the end of a network: read as the logits, of which the order is the probabilities'.

softmax(z)_i <= softmax(z)_j exactly where z_i <= z_j, within one vector. So each such vector becomes a layer of its
own, whose values are z, and the network says which outputs are to be compared with each other only (`Readout`).
Whatever else reads that layer would take z for softmax(z): `NotLast` names such nodes, and the graph is read again with
the softmax itself in their place (`nonlinear/shares.py`).
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import NetworkError, UnsupportedOperatorError
from ..expressions.affine import Builder, Expression
from ..expressions.matrices import column_counts, entry_range, row_counts
from ..expressions.node import Node, Tensor
from ..network import Array
from ..nonlinear.shares import shares
from ..readout import Readout

__all__ = ["NotLast", "readout_of", "softened", "softmax"]

ALONG_ONE_AXIS = 13  # the operator set from which on they act along one axis


class NotLast(Exception):
    """Softmaxes whose results more than the network's outputs read."""

    def __init__(self, nodes: set[str]) -> None:
        super().__init__(f"not the last operator: {', '.join(sorted(nodes))}")
        self.nodes = nodes  # by their names, as the builder has them


def softmax(node: Node) -> Tensor:
    """The logits as a layer that only the outputs may read, or the softmax itself inside a network."""
    x, later = node.expression(0), node.opset >= ALONG_ONE_AXIS
    if not x.terms:
        raise UnsupportedOperatorError(f"{node.kind} of constants; compute it beforehand")
    axis, dims = int(node.attributes.get("axis", -1 if later else 1)), len(x.shape)
    if not -dims <= axis < dims:
        raise NetworkError(f"axis {axis} of a tensor of shape {x.shape}")
    axis %= dims
    vectors = math.prod(x.shape[:axis])
    if later:
        inner = math.prod(x.shape[axis + 1 :])
        outer, _, place = np.indices((vectors, x.shape[axis], inner))
        groups = (outer * inner + place).reshape(-1)
    else:
        groups = np.repeat(np.arange(vectors), math.prod(x.shape[axis:]))
    return softened(node.builder, x, node.kind, groups)


def softened(build: Builder, x: Expression, kind: str, groups: Array) -> Expression:
    """Softmax or LogSoftmax (kind) of vectors of one length; groups: [entries of x] the vector's number, from 0."""
    if build.name not in build.inside:
        return build.ordered(x, kind, groups)
    table = np.argsort(groups, kind="stable").reshape(int(groups.max(initial=0)) + 1, -1)
    return shares(build, x, table, kind == "LogSoftmax")


def readout_of(builder: Builder, out: Expression) -> Readout | None:
    """What the network's outputs say of the file's. Raises NotLast where a softmax is not the end."""
    if not builder.order_only:
        return None
    last = {v: _places(builder, out, v) for v in builder.order_only}
    if inside := {builder.order_only[v][1] for v, rows in last.items() if rows is None}:
        raise NotLast(inside)
    kinds, groups, count = [""] * out.size, np.full(out.size, -1), 0
    for v, rows in last.items():
        if rows is None or not len(rows):
            continue
        kind, _, vectors = builder.order_only[v]
        groups[rows] = vectors[np.asarray(out.terms[v][rows].argmax(axis=1)).reshape(-1)] + count
        count += int(vectors.max()) + 1
        for row in rows:
            kinds[row] = kind
    return Readout(tuple(kinds), groups)


def _places(builder: Builder, out: Expression, v: int) -> Array | None:
    """Where a softmax's result is among the outputs: [its entries], none where it is not read at all.

    None where something else reads it, or the outputs are anything but all of it, once.
    """
    if any(v in layer.sources for layer in builder.layers):
        return None
    if v not in out.terms:
        return np.zeros(0, dtype=np.intp)
    matrix = out.terms[v]
    rows = np.flatnonzero(row_counts(matrix))
    others = [np.flatnonzero(row_counts(m)) for u, m in out.terms.items() if u != v]
    plain = entry_range(matrix) == (1.0, 1.0) and matrix.min() >= 0.0 and not out.bias[rows].any()
    once = len(rows) == matrix.shape[1] and bool((column_counts(matrix) == 1).all())
    return rows if plain and once and not any(np.isin(rows, other).any() for other in others) else None
