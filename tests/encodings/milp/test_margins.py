"""min t over the margins of disjuncts, against the exact minimum."""

from __future__ import annotations

import numpy as np
import pytest
from milp_problems import MEMORY, NEAR, SECONDS, bounded, exact_minimum
from random_instances import Shape, random_points, random_query

from hypersplit.encodings.milp.big_m import BigM
from hypersplit.encodings.milp.margins import STRATEGIES, MarginModel
from hypersplit.instances.batch import root
from hypersplit.instances.network import Array


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_optimum_is_the_exact_minimum(strategy: str) -> None:
    """Of each disjunct and of all together, without a cutoff, whatever the search."""
    compared = 0
    for seed in range(8):
        query = random_query(seed, Shape(most_hidden=2))
        node = bounded(query, root(query).node(0))
        for chosen in [[k] for k in range(query.disjuncts)] + [list(range(query.disjuncts))] if node else []:
            truth = exact_minimum(query, node, chosen)
            if truth is None:
                continue
            model = MarginModel(query, node, chosen, BigM(), cutoff=1e6)
            model.ask("minimise", MEMORY, 1, 0, strategy)
            status, accepted = model.run(SECONDS, lambda points: False)
            assert (status, accepted) == ("optimal", False), f"seed {seed}"
            assert model.scip.getObjVal() == pytest.approx(max(float(truth), model.floor), abs=NEAR * model.scale)
            compared += 1
    assert compared > 10


def test_a_start_is_a_solution_with_the_worst_margin() -> None:
    """Points of the region as starts: SCIP takes them over, and its best value is not above theirs."""
    for seed in range(6):
        query = random_query(seed, Shape(halfspaces=0.0))
        node = bounded(query, root(query).node(0))
        assert node is not None
        points = random_points(np.random.default_rng(seed), query.region, 4)
        every = list(range(query.disjuncts))
        model = MarginModel(query, node, every, BigM(), cutoff=1e6)
        for x in points:
            model.add_start(x)
        model.ask("minimise", MEMORY, 1, 0)
        model.run(SECONDS, lambda points: False)
        best = query.worst(query.network.evaluate(points)).min()
        assert model.scip.getNSols() and model.scip.getObjVal() <= max(best, model.floor) + NEAR * model.scale


def test_an_accepted_candidate_ends_the_run() -> None:
    """What is shown to `accept` lies in the box; an exception of it comes out of SCIP."""
    query = random_query(0, Shape(halfspaces=0.0))
    node = bounded(query, root(query).node(0))
    assert node is not None
    seen: list[Array] = []

    def accept(points: Array) -> bool:
        seen.append(points)
        return True

    model = MarginModel(query, node, [0], BigM(), cutoff=1e6)
    model.ask("minimise", MEMORY, 1, 0)
    assert model.run(SECONDS, accept)[1] and len(seen) == 1
    assert (seen[0] >= node.lower).all() and (seen[0] <= node.upper).all()

    def broken(points: Array) -> bool:
        raise ArithmeticError("of the caller")

    model = MarginModel(query, node, [0], BigM(), cutoff=1e6)
    model.ask("minimise", MEMORY, 1, 0)
    with pytest.raises(ArithmeticError, match="of the caller"):
        model.run(SECONDS, broken)
