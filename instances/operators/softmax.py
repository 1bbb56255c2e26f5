"""Softmax and LogSoftmax at the end of a network: read as the logits, of which the order is the probabilities'.

softmax(z)_i <= softmax(z)_j exactly where z_i <= z_j, within one vector. So each such vector becomes a layer of its
own, whose values are z, and the network says which outputs are to be compared with each other only (`Readout`).
Whatever else reads that layer would take z for softmax(z), and is refused.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import NetworkError, UnsupportedOperatorError
from ..expressions.affine import Builder, Expression
from ..expressions.matrices import column_counts, entry_range, row_counts
from ..expressions.node import Node, Tensor
from ..readout import Readout

__all__ = ["readout_of", "softmax"]

ALONG_ONE_AXIS = 13  # the operator set from which on they act along one axis


def softmax(node: Node) -> Tensor:
    """The logits as a layer that only the outputs may read."""
    x, later = node.expression(0), node.opset >= ALONG_ONE_AXIS
    if not x.terms:
        raise UnsupportedOperatorError(f"{node.kind} of constants; compute it beforehand")
    axis, dims = int(node.attributes.get("axis", -1 if later else 1)), len(x.shape)
    if not -dims <= axis < dims + (not later):
        raise NetworkError(f"axis {axis} of a tensor of shape {x.shape}")
    axis %= max(dims, 1)
    vectors = math.prod(x.shape[:axis])
    if later:
        inner = math.prod(x.shape[axis + 1 :])
        outer, _, place = np.indices((vectors, x.shape[axis] if dims else 1, inner))
        groups = (outer * inner + place).reshape(-1)
    else:
        groups = np.repeat(np.arange(vectors), math.prod(x.shape[axis:]))
    return node.builder.ordered(x, node.kind, groups)


def readout_of(builder: Builder, out: Expression) -> Readout | None:
    """What the network's outputs say of the file's. Raises UnsupportedOperatorError where a softmax is not the end."""
    if not builder.order_only:
        return None
    kinds, groups, count = [""] * out.size, np.full(out.size, -1), 0
    for v, (kind, name, vectors) in builder.order_only.items():
        at_end = f"node {name!r} ({kind}): supported is {kind} as the last operator only"
        if any(v in layer.sources for layer in builder.layers):
            raise UnsupportedOperatorError(f"{at_end}, whose result nothing but the network's outputs read")
        if v not in out.terms:
            continue
        matrix = out.terms[v]
        rows = np.flatnonzero(row_counts(matrix))
        others = [np.flatnonzero(row_counts(m)) for u, m in out.terms.items() if u != v]
        plain = entry_range(matrix) == (1.0, 1.0) and matrix.min() >= 0.0 and not out.bias[rows].any()
        once = len(rows) == matrix.shape[1] and bool((column_counts(matrix) == 1).all())
        if not plain or not once or any(np.isin(rows, other).any() for other in others):
            raise UnsupportedOperatorError(f"{at_end}, and all of its result once as the network's output")
        columns = matrix[rows].argmax(axis=1)
        groups[rows] = vectors[np.asarray(columns).reshape(-1)] + count
        count += int(vectors.max()) + 1
        for row in rows:
            kinds[row] = kind
    return Readout(tuple(kinds), groups)
