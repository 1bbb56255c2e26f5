"""All rows of a query, sparse and in topological order, with the relative errors of their sums."""

from __future__ import annotations

import numpy as np

from ...instances.query import Query
from ...instances.rounding import gamma
from ...instances.sparse import Rows, sp
from ..linear.prepared_layers import product_terms

__all__ = ["rows_of"]


def rows_of(query: Query, disjunct: int) -> Rows:
    """The rows of the hidden layers and of the disjunct's margins."""
    network, starts = query.network, query.starts
    offsets = np.cumsum([0, *network.sizes[:-1]])
    chosen = slice(int(starts[disjunct]), int(starts[disjunct + 1]))
    ends, columns, weights = [np.zeros(1, dtype=np.int64)], [], []
    bias, error, relative, most = [], [], [], 0
    for layer in network.layers:
        part = chosen if layer is network.layers[-1] else slice(0, layer.size)
        blocks = [sp.csr_array(w[part]) for w in layer.weights]
        joined = sp.csr_array(sp.hstack(blocks)) if len(blocks) > 1 else blocks[0]
        places = np.concatenate([offsets[s] + np.arange(network.sizes[s]) for s in layer.sources])
        joined.eliminate_zeros()
        ends.append(ends[-1][-1] + joined.indptr[1:].astype(np.int64))
        columns.append(places[joined.indices].astype(np.int64))
        weights.append(joined.data.astype(np.float64))
        count = part.stop - part.start
        bias.append(layer.bias[part].astype(np.float64))
        error.append(np.full(count, layer.bias_error))
        terms = sum(product_terms(w) for w in layer.weights) + layer.roundings + 4
        most = max(most, terms)
        relative.append(np.full(count, 2.0 * gamma(terms)))
    back = 2.0 * gamma(most + query.neurons + network.input_size + len(network.layers))
    return Rows(
        network.input_size, query.neurons, np.concatenate(ends), np.concatenate(columns), np.concatenate(weights),
        np.concatenate(bias), np.concatenate(error), np.concatenate(relative), query.relu, back,
    )  # fmt: skip
