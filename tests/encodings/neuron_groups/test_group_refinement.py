"""Layer-wise multi-neuron relaxation, and its rows in a MILP: true bounds, exact where single neurons cannot be."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import combinations

import numpy as np
import oracle
import pytest
from random_instances import random_instance, random_points

from hypersplit.bab.stages import groups
from hypersplit.bab.stages.groups import close_by_groups
from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.milp.close import MilpOptions, close
from hypersplit.encodings.neuron_groups.group_lp import GroupLP
from hypersplit.encodings.neuron_groups.group_refinement import refine_by_groups
from hypersplit.encodings.programs.lp import TriangleLP
from hypersplit.heuristics.neuron_groups import Grouping, groups_of_layer, groups_with_inputs
from hypersplit.instances.batch import Node, root
from hypersplit.instances.families.random_networks import nested_max, nested_max_property
from hypersplit.instances.network import Array, Layer, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

PLAIN = LinearBoundOptions(kernel="plain")


def bounded(query: Query) -> Node:
    """The root with linear bounds."""
    batch = root(query)
    found = bound(query, batch, PLAIN)
    batch.pre_lower, batch.pre_upper = found.pre_lower, found.pre_upper
    return batch.node(0)


def with_inputs(query: Query) -> object:
    """Groups of two neurons, and of a neuron and an input."""

    def members(k: int, node: Node) -> Iterable[Array]:
        within = groups_of_layer(query, node, k, Grouping(2, 10)) + query.slices[k - 1].start
        return [groups_with_inputs(query, node, k), within]

    return members


def nested(d: int, threshold: float = 1.01) -> Query:
    """Whether the maximum of d inputs in [0, 1] reaches the threshold."""
    return queries(nested_max(d), nested_max_property(d, threshold))[0]


@pytest.mark.parametrize("d", range(2, 9))
def test_nested_maxima_need_no_branching(d: int) -> None:
    """The LP's bound is exact, where triangles are off by more than a third of an input a level."""
    query = nested(d)
    node = bounded(query)
    refined, rows = refine_by_groups(query, node, with_inputs(query))  # type: ignore[arg-type]
    found = GroupLP(query, refined, rows).minimise(0, time.monotonic() + 30.0).bound
    assert found == pytest.approx(0.01, abs=1e-6) and found <= 0.01
    assert TriangleLP(query, node).minimise(0, 10.0).bound < 0.01 - 0.3 * (d - 1)


@pytest.mark.parametrize("seed", range(25))
def test_refined_bounds_and_rows_are_true(seed: int) -> None:
    """Bounds hold at all vertices of all leaves; the last LP stays below every point's margins."""
    instance = random_instance(seed)
    for query in queries(instance.network, instance.prop):
        node = bounded(query)
        if (node.pre_lower > node.pre_upper).any():
            continue
        refined, rows = refine_by_groups(query, node, with_inputs(query))  # type: ignore[arg-type]
        region = InputSet(node.lower, node.upper, node.cuts[:, :-1], node.cuts[:, -1])
        leaves = list(oracle.leaves(query.network, region))
        if (refined.pre_lower > refined.pre_upper).any():
            assert not leaves
            continue
        for leaf in leaves:
            for k, part in enumerate(query.slices):
                for i in range(part.stop - part.start):
                    least, most = leaf.pre[k].range(leaf.polytope, i)
                    assert refined.pre_lower[part.start + i] <= least
                    assert refined.pre_upper[part.start + i] >= most
        points = random_points(np.random.default_rng(seed), query.region, 50)
        lp = GroupLP(query, refined, rows)
        worst = query.per_disjunct(query.network.evaluate(points)).min(axis=0)
        for k in range(query.disjuncts):
            assert lp.minimise(k, time.monotonic() + 30.0).bound <= worst[k]


@pytest.mark.parametrize("seed", [1, 7, 13])
def test_groups_may_name_inactive_neurons(seed: int) -> None:
    """Rows of such a group would take the neuron's z for its output, 0: they would leave nothing of these regions."""
    instance, named = random_instance(seed), 0
    for query in queries(instance.network, instance.prop):
        node = bounded(query)

        def pairs(k: int, known: Node, query: Query = query) -> list[Array]:
            part = query.slices[k - 1]
            return [np.array(list(combinations(range(part.start, part.stop), 2)), dtype=np.intp).reshape(-1, 2)]

        refined, _ = refine_by_groups(query, node, pairs)
        named += int((query.relu & (refined.pre_upper <= 0.0)).sum())
        points = random_points(np.random.default_rng(seed), query.region, 50)
        values = np.concatenate(query.network.values(points)[1][:-1], axis=1)
        assert (refined.pre_lower <= values + 1e-9).all() and (values <= refined.pre_upper + 1e-9).all()
    assert named > 0


def folded() -> tuple[Query, Node]:
    """|x| + 1/4 and x for x in [-1, 1], from ReLU(x) and ReLU(-x), with wide bounds of both."""
    halves = Layer((0,), (np.array([[1.0], [-1.0]]),), np.zeros(2), "relu", "halves")
    sums = Layer((1,), (np.array([[1.0, 1.0], [1.0, -1.0]]),), np.array([0.25, 0.0]), "relu", "sums")
    out = Layer((2,), (np.ones((1, 2)),), np.zeros(1), "identity", "out")
    case = Case(InputSet.box(-np.ones(1), np.ones(1)), (Polyhedron(np.ones((1, 1)), np.zeros(1)),))
    query = queries(Network(1, (halves, sums, out)), Property((case,), 1, 1))[0]
    batch = root(query)
    batch.pre_lower[0], batch.pre_upper[0] = [-1.0, -1.0, -5.0, -5.0, -9.0], [1.0, 1.0, 6.0, 6.0, 9.0]
    return query, batch.node(0)


def test_members_that_have_just_become_active_get_their_other_bound() -> None:
    """The LP's least |x| + 1/4 says that the neuron is active; how far it reaches bounds its groups, too."""
    query, node = folded()
    refined, _ = refine_by_groups(query, node, lambda k, known: [np.array([[2, 3]])] if k == 2 else [])
    assert refined.pre_lower[2] == pytest.approx(0.25) and refined.pre_upper[2] == pytest.approx(1.25)


def test_a_deadline_leaves_the_bounds() -> None:
    """Without time nothing changes and there are no rows."""
    query = nested(4)
    node = bounded(query)
    refined, rows = refine_by_groups(query, node, with_inputs(query), deadline=0.0)  # type: ignore[arg-type]
    assert not len(rows)
    assert np.array_equal(refined.pre_lower, node.pre_lower)


def test_inputs_that_meet_a_neuron_again_are_its_partners() -> None:
    """max(max(x1, x2), x3): ReLU(x1 - x2) meets x2 again, and the second one x3."""
    query = nested(3)
    node = bounded(query)
    n = query.neurons
    assert groups_with_inputs(query, node, 1).tolist() == [[0, n + 1]]
    assert groups_with_inputs(query, node, 2).tolist() == [[1, n + 2]]


def test_rows_make_scip_stronger_and_lose_nothing() -> None:
    """With the rows SCIP refutes at its root what it has to branch for, and finds what there is to find."""
    query = nested(6)
    node = bounded(query)
    refined, rows = refine_by_groups(query, node, with_inputs(query))  # type: ignore[arg-type]
    plain = close(query, node, 0, 30.0, 1000.0)
    helped = close(query, refined, 0, 30.0, 1000.0, MilpOptions(rows=rows))
    assert plain.status == helped.status == "refuted"
    assert helped.nodes <= plain.nodes
    reached = nested(4, 0.9)
    node = bounded(reached)
    refined, rows = refine_by_groups(reached, node, with_inputs(reached))  # type: ignore[arg-type]
    assert close(reached, refined, 0, 30.0, 1000.0, MilpOptions(rows=rows)).status == "candidate"


@pytest.mark.parametrize("seed", range(15))
def test_milps_with_rows_agree_with_the_oracle(seed: int) -> None:
    """No disjunct that a point fulfils is refuted."""
    instance = random_instance(seed)
    for query in queries(instance.network, instance.prop):
        node = bounded(query)
        if (node.pre_lower > node.pre_upper).any():
            continue
        refined, rows = refine_by_groups(query, node, with_inputs(query))  # type: ignore[arg-type]
        for k in range(query.disjuncts):
            plain, helped = (close(query, node, k, 30.0, 1000.0, MilpOptions(rows=r)) for r in (None, rows))
            assert {plain.status, helped.status} != {"refuted", "candidate"}


def test_the_stage_closes_and_stays_rigorous(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed disjuncts are told with their bounds; a violated property is not closed and gives a candidate.

    Layers get LPs of their own only where rows that need none leave something open.
    """
    used: list[float] = []
    for threshold, closed in ((1.01, [0]), (0.95, [])):
        query = nested(5, threshold)
        batch = root(query)
        found = bound(query, batch, PLAIN)
        batch.pre_lower, batch.pre_upper = found.pre_lower, found.pre_upper
        with monkeypatch.context() as context:
            context.setattr(
                groups, "refine_by_groups", lambda *a, t=threshold, **k: used.append(t) or refine_by_groups(*a, **k)
            )
            outcome = close_by_groups(query, batch.node(0), found, 20.0)
        assert outcome.closed == closed
        assert outcome.bounds[0] == pytest.approx(threshold - 1.0, abs=1e-6)
        assert bool(outcome.points) == (not closed)
    assert used == [0.95]
