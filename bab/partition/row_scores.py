"""Which rows to split: the optimal-partition rule on the rows of the last ReLU layer.

For a single layer x_1 = ReLU(z), c'x_1 (Anderson et al. 2020, Thm 2): splitting X along row i takes term i out of the
worst-case error sum_k ReLU(c_k) (-u_k l_k) / (u_k - l_k), so the best row is
    i* = argmax_i ReLU(c_i) (-u_i l_i) / (u_i - l_i),
and, the terms being separable, the n best rows are those of the n largest scores. (The paper's argmin is of the
negative number.) Affine layers behind the last ReLUs are multiplied into c, which makes a network of one hidden layer
and a linear output the same case.

Networks of several ReLU layers have no theorem; the paper takes the rows of the last layer alone, and so do these
functions (what a search does with rows of all layers is in `heuristics.splits.hyperplanes`). The score is the intercept
term of BaBSR (Bunel et al. 2020).
"""

from __future__ import annotations

import numpy as np

from ...heuristics.splits.hyperplanes import optimal_partition_scores
from ...instances.errors import NetworkError
from ...instances.network import Array
from ...instances.query import Query
from ...instances.sparse import is_sparse
from .relaxation import Part

__all__ = ["best_rows", "coefficients", "last_rows", "row_scores", "row_weights"]


def last_rows(query: Query) -> slice:
    """Where the rows of the last ReLU layer lie among all neurons. Raises NetworkError where there is none."""
    for kind, part in zip(reversed(query.kinds), reversed(query.slices), strict=True):
        if kind == "relu":
            return part
    raise NetworkError("a partition by rows needs a layer of ReLUs")


def coefficients(query: Query) -> Array:
    """[neurons] c_i of the rows of the last ReLU layer in c'f(x), 0 for all others; products are rounded.

    Raises NetworkError where the layers behind it read anything else, a skip connection.
    """
    part, found = last_rows(query), np.zeros(query.neurons)
    layers = query.network.layers
    here = query.slices.index(part) + 1  # number of the last ReLU layer
    row = -np.ones(1)  # the margin is -c'f(x)
    for k in range(len(layers), here, -1):
        if layers[k - 1].sources != (k - 1,):
            raise NetworkError(f"layer {k} ({layers[k - 1].name}): reads {layers[k - 1].sources}, expected {k - 1}")
        row = row @ _dense(layers[k - 1].weights[0])
    found[part] = row
    return found


def row_scores(query: Query, part: Part) -> Array:
    """[neurons] ReLU(c_i) (-u_i l_i) / (u_i - l_i) on the part, 0 for stable rows and for those of other layers."""
    gains = np.maximum(coefficients(query), 0.0)
    return np.asarray(optimal_partition_scores(gains, part.node.pre_lower, part.node.pre_upper))


def best_rows(query: Query, part: Part, count: int) -> list[int]:
    """At most so many rows of the last ReLU layer, largest scores first, the first of equal ones.

    Rows that are stable on the part are left out: nothing is there to split.
    """
    where, scores = last_rows(query), row_scores(query, part)
    low, high = part.node.pre_lower, part.node.pre_upper
    order = where.start + np.argsort(-scores[where], kind="stable")
    return [int(i) for i in order if low[i] < 0.0 < high[i]][:count]


def row_weights(query: Query) -> Array:
    """[rows, size] W of the last ReLU layer, where it reads the input alone: w_i is the gradient of row i.

    Raises NetworkError where it reads another layer.
    """
    layer = query.network.layers[query.slices.index(last_rows(query))]
    if layer.sources != (0,):
        raise NetworkError(f"layer {layer.name}: reads {layer.sources}, expected the input alone")
    return _dense(layer.weights[0])


def _dense(matrix: object) -> Array:
    return np.asarray(matrix.toarray() if is_sparse(matrix) else matrix)  # type: ignore[attr-defined]
