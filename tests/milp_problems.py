"""Questions for SCIP and what answers to them may say; shared by the tests of the MILP."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import oracle

from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.milp.close import MilpResult
from hypersplit.instances.batch import Node, root
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

__all__ = [
    "MEMORY", "NEAR", "SECONDS", "assert_honest", "bounded", "exact_minimum", "pigeons", "replace_threshold",
    "wide_query",
]  # fmt: skip

SECONDS, MEMORY = 60.0, 2000.0  # far beyond what these models need
NEAR = 1e-4  # exact margins in (0, NEAR] are within reach of SCIP's tolerances: both answers are honest


def bounded(query: Query, node: Node) -> Node | None:
    """The node with linear bounds of all neurons; None where they prove it empty."""
    bounds = bound(query, node.batch)
    if bounds.infeasible[0]:
        return None
    return replace(node, pre_lower=bounds.pre_lower[0], pre_upper=bounds.pre_upper[0])


def exact_minimum(query: Query, node: Node, disjuncts: list[int]) -> Fraction | None:
    """Exact minimum over the node of the smallest of the disjuncts' largest margins; None for an empty node."""
    region = InputSet(node.lower, node.upper, node.cuts[:, :-1], node.cuts[:, -1])
    lowest: Fraction | None = None
    for leaf in oracle.leaves(query.network, region, node.phases):
        margins = leaf.values[-1]
        for k in disjuncts:
            rows = range(query.starts[k], query.starts[k + 1])
            for r in rows:
                part = leaf.polytope  # where margin r is the largest of the disjunct
                for other in rows:
                    part = part.cut(margins.rows[r] - margins.rows[other])
                for value in margins.at_vertices(part, r):
                    lowest = value if lowest is None else min(lowest, value)
    return lowest


def assert_honest(answer: MilpResult, query: Query, node: Node, truth: Fraction | None, label: str) -> None:
    """The answer fits the exact minimum, with room only where SCIP's tolerances are as large as the margin."""
    assert answer.status in ("refuted", "candidate"), label
    if truth is None or truth > Fraction(NEAR):
        assert answer.status == "refuted", label
    if truth is not None and truth <= 0:
        assert answer.status == "candidate", label
    if answer.status == "candidate" and truth is not None:
        assert answer.bound <= float(truth) + NEAR, label
    for x in answer.points:
        assert np.all((x >= node.lower) & (x <= node.upper)), label


def pigeons(holes: int, spare: int = 0) -> tuple[Query, Node]:
    """holes + 1 - spare pigeons, one hole each, no two in one: x_ph in [0, 1], a sum of ReLUs that is 0 for none.

    Each pigeon has max(0, 1 - sum_h x_ph), each pair in a hole max(0, x_ph + x_qh - 1), and corners are forced by
    x - max(0, 2 x - 1), which is 0 at 0 and 1 only, half of it.
    """
    pigeon = holes + 1 - spare
    size = holes * pigeon
    rows, bias, out = [], [], []
    for p in range(pigeon):
        row = np.zeros(size)
        row[p * holes : (p + 1) * holes] = -1.0
        rows, bias, out = [*rows, row], [*bias, 1.0], [*out, 1.0]
    for h in range(holes):
        for p in range(pigeon):
            for q in range(p):
                row = np.zeros(size)
                row[[p * holes + h, q * holes + h]] = 1.0
                rows, bias, out = [*rows, row], [*bias, -1.0], [*out, 1.0]
    for i in range(size):
        one = np.eye(size)[i]
        rows, bias, out = [*rows, one, 2.0 * one], [*bias, 0.0, -1.0], [*out, 1.0, -1.0]
    network = sequential([np.array(rows), np.array(out)[None]], [np.array(bias), np.zeros(1)])
    case = Case(InputSet.box(np.zeros(size), np.ones(size)), (Polyhedron(np.eye(1), np.zeros(1)),))
    (query,) = queries(network, Property((case,), size, 1))
    node = bounded(query, root(query).node(0))
    assert node is not None
    return query, node


def wide_query(seed: int = 0, inputs: int = 12, width: int = 60) -> tuple[Query, Node]:
    """A network that SCIP needs long for."""
    rng = np.random.default_rng(seed)
    sizes = [inputs, width, width, 1]
    weights = [rng.standard_normal((b, a)) / np.sqrt(a) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    network = sequential(weights, [0.1 * rng.standard_normal(len(w)) for w in weights])
    low = float(network.evaluate(rng.uniform(-1.0, 1.0, (10000, inputs))).min())
    case = Case(InputSet.box(-np.ones(inputs), np.ones(inputs)), (Polyhedron(np.ones((1, 1)), np.array([low - 0.2])),))
    query = queries(network, Property((case,), inputs, 1))[0]
    node = bounded(query, root(query).node(0))
    assert node is not None
    return query, node


def replace_threshold(query: Query, shift: float) -> Query:
    """The same query with every margin lowered by `shift`."""
    layers = query.network.layers
    lowered = replace(layers[-1], bias=layers[-1].bias - shift)
    return replace(query, network=replace(query.network, layers=(*layers[:-1], lowered)))
