"""Small queries and trees that halve their input sets, for drawings."""

from __future__ import annotations

import numpy as np

from hypersplit.bab.tree.evidence import Evidence, State
from hypersplit.bab.tree.trace import SplitTree, Trace
from hypersplit.heuristics.splits.splits import Splits
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

__all__ = ["query_of", "halved"]


def query_of(inputs: int, open_inputs: int) -> Query:
    """A random network with one hidden layer on [-1, 1]; the inputs after the open ones are fixed to 0.5."""
    rng = np.random.default_rng(inputs)
    network = sequential([rng.normal(size=(4, inputs)), rng.normal(size=(1, 4))], [rng.normal(size=4), np.zeros(1)])
    lower, upper = np.full(inputs, 0.5), np.full(inputs, 0.5)
    lower[:open_inputs], upper[:open_inputs] = -1.0, 1.0
    case = Case(InputSet.box(lower, upper), (Polyhedron(np.eye(1), np.zeros(1)),))
    return queries(network, Property((case,), inputs, 1))[0]


def halved(query: Query, times: int, axes: int) -> SplitTree:
    """A tree of 2^times leaves that halves each of the first `axes` inputs in turn; leaves end in all ways."""
    trace, batch, n = Trace(), root(query), query.network.input_size
    trace.planted(batch)
    for k in range(times):
        axis = np.full(len(batch), k % axes)
        middle = 0.5 * (batch.lower + batch.upper)[:, k % axes]
        splits = Splits.none(len(batch), n)
        splits.axis, splits.at = axis, middle
        both = Batch.concatenate([batch, batch])
        both.lower[: len(batch), k % axes] = both.upper[len(batch) :, k % axes] = middle
        both.number = trace.size + np.arange(len(both))
        trace.split(batch, splits, both)
        batch = both
    ends = np.array([State.OPEN, State.STUCK, State.WITNESS, *Evidence])
    trace.ended(batch.number, ends[np.arange(len(batch)) % len(ends)])
    return trace.tree()
