"""Disjuncts refuted by the simplex: as far as the LP says, and never wrongly."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from compiled_twins import nodes_of
from random_instances import random_instance

from hypersplit.encodings.linear.linear_bounds import LinearBoundOptions, bound
from hypersplit.encodings.programs.region_lp import minimise_over_region
from hypersplit.instances.batch import Node
from hypersplit.instances.property import InputSet
from hypersplit.instances.query import Query, queries


@pytest.mark.parametrize("seed", range(0, 240, 60))
def test_disjuncts_are_refuted_as_far_as_the_lp_says_and_never_wrongly(seed: int) -> None:
    """The simplex against SoPlex on the same linear functions, and against the oracle where it refutes."""
    asked = refuted = 0
    for s in range(seed, seed + 60):
        instance = random_instance(s)
        for query in queries(instance.network, instance.prop):
            batch = nodes_of(s, query, 4)
            alone = bound(query, batch, LinearBoundOptions(kernel="compiled"))
            together = bound(query, batch, LinearBoundOptions(kernel="compiled", conjunctions=True))
            for b in np.flatnonzero(~alone.infeasible):
                node = batch.node(int(b))
                for k in range(query.disjuncts):
                    rows = slice(query.starts[k], query.starts[k + 1])
                    if alone.margins[b, rows].max() > 0.0:
                        continue
                    asked += 1
                    least, _ = minimise_over_region(
                        node.lower, node.upper, node.cuts, alone.coefficients[b, rows], alone.constants[b, rows], 1.0
                    )
                    best = together.margins[b, rows].max()
                    scale = 1.0 + np.abs(alone.margins[b]).max()
                    assert best >= min(least, 0.0) - 1e-7 * scale, f"{instance}, node {b}, disjunct {k}"
                    if best > 0.0:
                        refuted += 1
                        assert not reachable(query, node, rows), f"{instance}, node {b}, disjunct {k}: refuted"
    assert asked > 40 and refuted > 0


def reachable(query: Query, node: Node, rows: slice) -> bool:
    """Whether some input of the node has all these margins <= 0, exactly."""
    region = InputSet(node.lower, node.upper, node.cuts[:, :-1], node.cuts[:, -1])
    for leaf in oracle.leaves(query.network, region, node.phases):
        polytope = leaf.polytope
        for row in leaf.pre[-1].rows[rows]:
            polytope = polytope.cut([-c for c in row])
        if polytope.vertices:
            return True
    return False
