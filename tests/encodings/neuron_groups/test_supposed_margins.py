"""Rounds behind a disjunct's own half-spaces: never above the exact minimum, and better than the first bound."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from milp_problems import bounded, exact_minimum
from random_instances import Shape, random_instance, random_query

from hypersplit.encodings.neuron_groups.supposed_margins import Supposed, refute_by_supposing
from hypersplit.encodings.slopes.group_rows import GroupRows
from hypersplit.encodings.slopes.optimised_bounds import OptimiseOptions
from hypersplit.encodings.slopes.row_multipliers import RowPool
from hypersplit.heuristics.neuron_groups import Wanted
from hypersplit.instances.batch import Node, root
from hypersplit.instances.network import Array
from hypersplit.instances.query import Query, queries

OPTIONS = OptimiseOptions(iterations=5)


def pairs_of(query: Query) -> Callable[[int, Node], list[Array]]:
    """Pairs of every layer."""
    return lambda k, known: Wanted().of_layer(query, known, k, (2,), 6)


def supposed(query: Query, node: Node, disjunct: int, rounds: int) -> Supposed:
    """So many rounds from linear bounds, without rows at first."""
    pool = RowPool(query, GroupRows.none())
    return refute_by_supposing(
        query, node.batch, disjunct, pool, pairs_of(query), OPTIONS, OPTIONS, OPTIONS, rounds, math.inf
    )


@pytest.mark.parametrize("shape", [Shape(identity=0.0), Shape(residual=1.0, rough=True), Shape(scale=1e3)])
def test_bounds_that_do_not_refute_are_below_the_truth(shape: Shape) -> None:
    """A disjunct with a counterexample is never refuted; without rounds the bound is at most the exact minimum."""
    better = 0
    for seed in range(4):
        query = random_query(seed, shape)
        node = bounded(query, root(query).node(0))
        if node is None:
            continue
        for k in range(query.disjuncts):
            truth = exact_minimum(query, node, [k])
            before, after = supposed(query, node, k, 0), supposed(query, node, k, 4)
            assert truth is None or before.bound <= truth, f"seed {seed}, disjunct {k}"
            assert truth is None or truth > 0 or after.bound <= 0.0, f"seed {seed}, disjunct {k}"
            assert after.bound >= before.bound and after.rounds <= 4
            better += after.bound > before.bound + 1e-3 * abs(before.bound)
    assert better > 0 or shape.scale > 1.0


@pytest.mark.parametrize("seed", range(0, 20, 4))
def test_violated_properties_stay_open(seed: int) -> None:
    """With a counterexample, even one that only touches, some disjunct of some region is not refuted."""
    instance = random_instance(seed)
    refuted = True
    for query in queries(instance.network, instance.prop):
        node = bounded(query, root(query).node(0))
        if node is not None:
            refuted &= all(supposed(query, node, k, 4).bound > 0.0 for k in range(query.disjuncts))
    assert not (refuted and instance.truth == "sat"), f"seed {seed}"


def test_given_half_spaces_stay() -> None:
    """What the node knows of its inputs is not forgotten: behind a half-space that leaves nothing all is refuted."""
    query = random_query(1, Shape(halfspaces=0.0))
    node = bounded(query, root(query).node(0))
    assert node is not None
    nothing = np.zeros(query.network.input_size + 1)
    nothing[0], nothing[-1] = 1.0, -float(node.upper[0]) - 1.0  # x_0 >= upper + 1
    batch = node.batch
    batch.cuts = nothing[None, None]
    found = refute_by_supposing(
        query, batch, 0, RowPool(query, GroupRows.none()), pairs_of(query), OPTIONS, OPTIONS, OPTIONS, 3, math.inf
    )
    assert found.bound > 0.0
