"""All rows of a query laid out flat: evaluated one after another they are the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from random_instances import Shape, random_points, random_query

from hypersplit.encodings.propagation.rows import rows_of
from hypersplit.instances.query import Query
from hypersplit.instances.rounding import UNIT


def sparse_of(query: Query) -> Query:
    """The query with csr weights, some explicit zeros among them."""
    layers = []
    for layer in query.network.layers:
        weights = []
        for w in layer.weights:
            full = sp.csr_array(np.where(w == 0.0, 7.0, w))
            full.data[full.data == 7.0] = 0.0
            weights.append(full)
        layers.append(replace(layer, weights=tuple(weights)))
    return replace(query, network=replace(query.network, layers=tuple(layers)))


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_rows_are_the_network(seed: int, sparse: bool) -> None:
    """Neuron by neuron in topological order, then the disjunct's margins; no stored zeros."""
    query = random_query(seed, Shape(residual=0.6))
    for disjunct in range(query.disjuncts):
        rows = rows_of(sparse_of(query) if sparse else query, disjunct)
        assert (rows.weights != 0.0).all() and np.array_equal(rows.relu, query.relu)
        for x in random_points(np.random.default_rng(seed), query.region, 3):
            values, found = list(x), []
            for i in range(len(rows.bias)):
                entries = slice(rows.ends[i], rows.ends[i + 1])
                columns = rows.columns[entries]
                assert (columns < len(values)).all()  # topological order
                z = rows.bias[i] + sum(rows.weights[entries] * np.array(values)[columns])
                found.append(z)
                if i < rows.neurons:
                    values.append(max(z, 0.0) if rows.relu[i] else z)
            pre = [p[0] for p in query.network.values(x[None])[1]]
            chosen = pre[-1][query.starts[disjunct] : query.starts[disjunct + 1]]
            np.testing.assert_allclose(found, np.concatenate([*pre[:-1], chosen]), rtol=1e-10, atol=1e-10)


def test_errors_cover_all_terms_of_a_sum() -> None:
    """Relative errors exceed a rounding for each term, and declared errors of layers are there."""
    query = random_query(1, Shape(residual=1.0, most_hidden=3))
    layers = tuple(replace(layer, bias_error=0.25 * k, roundings=3) for k, layer in enumerate(query.network.layers))
    declared = rows_of(replace(query, network=replace(query.network, layers=layers)), 0)
    plain, counts = rows_of(query, 0), np.diff(declared.ends)
    assert (plain.relative >= (counts + 1) * UNIT).all() and (declared.relative > plain.relative).all()
    assert plain.back >= plain.relative.max()
    ends = [part.stop for part in query.slices]
    assert declared.error[: query.neurons].tolist() == [
        0.25 * k for k, part in enumerate(query.slices) for _ in range(part.stop - part.start)
    ]
    assert (declared.error[ends[-1] :] == 0.25 * len(ends)).all()
