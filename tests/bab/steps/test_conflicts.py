"""Conflict clauses against the oracle: no counterexample has one, propagation loses none; rows for a MILP."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import oracle
import pytest
from random_instances import Shape, random_instance

from hypersplit.bab.steps import conflicts
from hypersplit.bab.steps.conflicts import Clauses, Conflicts, clauses_of, model_rows, refuted_by, switch_rows
from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.linear_bounds import bound, smallest_margins
from hypersplit.encodings.milp.model import Relu
from hypersplit.encodings.slopes.implications import Implications, implications
from hypersplit.encodings.slopes.optimised_bounds import OptimiseOptions
from hypersplit.encodings.slopes.phase_bounds import bound_phases
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.network import Array
from hypersplit.instances.query import Query, queries


def bounded_root(query: Query) -> Batch:
    """The whole input set with plain bounds."""
    batch = root(query)
    batch.cuts = batch.cuts[:, : len(query.region.rows)]
    bounds = bound(query, batch, LinearBoundOptions(kernel="plain"))
    return replace(batch, pre_lower=bounds.pre_lower, pre_upper=bounds.pre_upper)


def counterexample(query: Query, disjunct: int, phases: Array) -> bool:
    """Whether, exactly, some input with these phases has all of the disjunct's margins <= 0."""
    rows = range(int(query.starts[disjunct]), int(query.starts[disjunct + 1]))
    for leaf in oracle.leaves(query.network, query.region, phases):
        part = leaf.polytope
        for r in rows:
            part = part.cut(-leaf.pre[-1].rows[r])
        if part.vertices:
            return True
    return False


def with_phases(query: Query, whole: Batch, rng: np.random.Generator, count: int, most: int) -> Batch:
    """Nodes with some phases of unstable ReLUs."""
    batch = whole[np.zeros(count, dtype=int)]
    unstable = np.flatnonzero((whole.pre_lower[0] < 0.0) & (whole.pre_upper[0] > 0.0) & query.relu)
    for b in range(count):
        chosen = rng.permutation(unstable)[:most]
        batch.phases[b, chosen] = rng.choice([-1, 1], len(chosen))
    batch.pre_lower[batch.phases > 0], batch.pre_upper[batch.phases < 0] = 0.0, 0.0
    return batch


def two_clauses() -> Clauses:
    """On four neurons and two disjuncts: (0, +), (1, -) close both; (1, +), (2, +), (3, +) close the first."""
    phases = np.array([[1, -1, 0, 0], [0, 1, 1, 1]], dtype=np.int8)
    return Clauses(phases, np.array([[True, True], [True, False]]))


def small_query() -> Query:
    """Any query with four neurons and two disjuncts; only its sizes matter."""
    for seed in range(400):
        instance = random_instance(seed)
        for query in queries(instance.network, instance.prop):
            if query.neurons >= 4 and query.disjuncts == 2 and query.relu[:4].all():
                return query
    raise AssertionError("no such instance")


def wide_open(query: Query, lower: Array, upper: Array) -> Batch:
    """One node whose first four neurons have these bounds."""
    batch = root(query)
    batch.pre_lower[:], batch.pre_upper[:] = -1.0, 1.0
    batch.pre_lower[0, :4], batch.pre_upper[0, :4] = lower, upper
    return batch


def padded(query: Query, clauses: Clauses) -> Clauses:
    """The same clauses on all neurons of the query."""
    return Clauses(np.pad(clauses.phases, ((0, 0), (0, query.neurons - 4))), clauses.duty)


@pytest.mark.parametrize("seed", range(30))
def test_what_is_refuted_has_no_counterexample(seed: int) -> None:
    """Phases that the root refutes by bounds: the oracle finds no counterexample with them."""
    instance = random_instance(seed, shape=Shape(rough=seed % 4 == 0))
    for query in queries(instance.network, instance.prop):
        whole = bounded_root(query)
        batch = with_phases(query, whole, np.random.default_rng(seed), 4, 3)
        duty = np.ones((4, query.disjuncts), dtype=bool)
        table = implications(query, whole) if seed % 2 else None
        refuted = refuted_by(query, whole, batch.phases, duty, table)
        for b, k in np.argwhere(refuted).tolist():
            assert not counterexample(query, k, batch.phases[b])


def learnt(query: Query, seed: int) -> tuple[Batch, Conflicts]:
    """What random closed nodes of a query teach without a time limit."""
    whole = bounded_root(query)
    clauses = Conflicts(query, whole, share=np.inf)
    batch = with_phases(query, whole, np.random.default_rng(seed), 8, 5)
    duty = batch.duty.copy()
    bounds, numbers = bound_phases(query, batch, OptimiseOptions(iterations=6))
    batch.slopes = numbers.astype(np.float16)
    clauses.learn(batch, duty, smallest_margins(query, bounds) > 0.0)
    return batch, clauses


def test_learnt_clauses_are_true_and_shorter() -> None:
    """Every clause is a proper part of some closed node's phases, and no counterexample has it."""
    found = 0
    for seed in range(40):
        instance = random_instance(seed)
        for query in queries(instance.network, instance.prop):
            batch, learner = learnt(query, seed)
            found += len(learner.clauses)
            for phases, duty in zip(learner.clauses.phases, learner.clauses.duty, strict=True):
                part = (phases == 0) | (phases == batch.phases)
                mine = part.all(axis=1)
                assert mine.any()
                assert np.count_nonzero(phases) < np.count_nonzero(batch.phases[mine], axis=1).max()
                for k in np.flatnonzero(duty).tolist():
                    assert not counterexample(query, k, phases)
    assert found > 10


def test_propagation_loses_no_counterexample() -> None:
    """A node that still has to refute a disjunct with a counterexample keeps it, with the phases that follow."""
    followed = 0
    for seed in range(40):
        instance = random_instance(seed)
        for query in queries(instance.network, instance.prop):
            _, learner = learnt(query, seed)
            nodes = with_phases(query, learner.root, np.random.default_rng(seed + 1), 8, 3)
            before = nodes.phases.copy()
            followed += learner.propagate(nodes)
            for b in range(len(nodes)):
                for k in range(query.disjuncts):
                    if not counterexample(query, k, before[b]):
                        continue
                    assert nodes.duty[b, k]
                    assert counterexample(query, k, nodes.phases[b])
    assert followed


def test_a_node_with_all_phases_loses_the_clauses_duties() -> None:
    """Both disjuncts go by the first clause, one by the second."""
    query = small_query()
    clauses = padded(query, two_clauses())
    node = wide_open(query, np.array([0.0, -1.0, -1.0, -1.0]), np.array([1.0, -0.5, 1.0, 1.0]))
    clauses.propagate(node)
    assert not node.duty.any()
    node = wide_open(query, np.array([-1.0, 0.0, 0.5, 0.0]), np.ones(4))
    clauses.propagate(node)
    assert node.duty.tolist() == [[False, True]]


def test_a_node_that_lacks_one_phase_gets_the_opposite() -> None:
    """Its bounds are clipped and its phase is set, but only where the clause speaks of all that is left to refute."""
    query = small_query()
    clauses = padded(query, two_clauses())
    node = wide_open(query, np.array([0.0, -1.0, -1.0, -1.0]), np.ones(4))
    assert clauses.propagate(node) == 1
    assert node.phases[0, 1] == 1 and node.pre_lower[0, 1] == 0.0
    assert node.phases[0, [0, 2, 3]].tolist() == [0, 0, 0]
    # the first clause makes neuron 1 active, then the second speaks of disjunct 0 alone
    node = wide_open(query, np.array([0.0, -1.0, 0.0, -1.0]), np.ones(4))
    assert clauses.propagate(node) == 1
    node = wide_open(query, np.array([0.0, -1.0, 0.0, -1.0]), np.ones(4))
    node.duty[0, 1] = False
    assert clauses.propagate(node) == 2
    assert node.phases[0, 3] == -1 and node.pre_upper[0, 3] == 0.0
    # a phase that the node excludes already makes the clause idle
    node = wide_open(query, np.array([0.0, 0.5, -1.0, -1.0]), np.ones(4))
    assert clauses.propagate(node) == 0


def test_implied_clauses_are_dropped() -> None:
    """A clause with more phases and no more disjuncts says nothing new; of equal ones a single one stays."""
    clauses = two_clauses()
    longer = Clauses(np.array([[1, -1, 1, 0]], dtype=np.int8), np.array([[True, False]]))
    assert len(clauses.with_more(longer)) == 2
    assert len(clauses.with_more(clauses)) == 2
    shorter = Clauses(np.array([[0, 1, 1, 0]], dtype=np.int8), np.array([[True, True]]))
    kept = clauses.with_more(shorter)
    assert sorted(kept.sizes.tolist()) == [2, 2]
    # other disjuncts: both stay
    other = Clauses(np.array([[0, 1, 1, 0]], dtype=np.int8), np.array([[False, True]]))
    assert len(clauses.with_more(other)) == 3


def test_only_the_shortest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit the longest go."""
    monkeypatch.setattr(conflicts, "MOST", 1)
    assert conflicts._best(two_clauses()).sizes.tolist() == [2]


def test_learning_keeps_to_its_share_of_the_time() -> None:
    """No bound is made once the share is used up, or after the deadline."""
    query = small_query()
    whole = bounded_root(query)
    batch = with_phases(query, whole, np.random.default_rng(0), 4, 3)
    closed = np.ones(4, dtype=bool)
    spent = Conflicts(query, whole, share=0.1, clock=lambda: 10.0)
    spent.seconds = 1.0
    spent.learn(batch, batch.duty, closed)
    late = Conflicts(query, whole, deadline=5.0, clock=lambda: 10.0)
    late.learn(batch, batch.duty, closed)
    assert (spent.bounded, late.bounded) == (0, 0)
    early = Conflicts(query, whole, clock=lambda: 10.0)
    early.learn(batch, batch.duty, closed)
    assert early.bounded > 0


def test_rows_over_switches() -> None:
    """sum_A a - sum_I a <= |A| - 1 cuts off just the patterns with all phases of the clause."""
    clauses = two_clauses()
    for disjunct, expected in ((0, 2), (1, 1)):
        rows, rhs = switch_rows(clauses, disjunct)
        assert len(rows) == expected
        for pattern in np.ndindex(2, 2, 2, 2):
            signs = 2 * np.array(pattern) - 1
            own = clauses.phases[clauses.duty[:, disjunct]]
            met = ((own == 0) | (own == signs)).all(axis=1)
            assert ((rows @ np.array(pattern) <= rhs) == ~met).all()


def test_rows_of_a_model_know_its_stable_neurons() -> None:
    """Phases that hold by bounds move to the right-hand side; met clauses and neurons without a binary are left out."""
    query = small_query()
    clauses, node = padded(query, two_clauses()), wide_open(query, -np.ones(4), np.ones(4)).node(0)
    places = [(int(k), flat - query.slices[k - 1].start) for flat in range(4) for k in [1 + layer_of(query, flat)]]
    relus = [Relu(k, i, [], 0.0, -1.0, 1.0, None, None, False, f"a{n}") for n, (k, i) in enumerate(places)]
    assert model_rows(query, node, relus, clauses, 0) == [
        ([("a0", 1.0), ("a1", -1.0)], 0.0), ([("a1", 1.0), ("a2", 1.0), ("a3", 1.0)], 2.0)
    ]  # fmt: skip
    assert len(model_rows(query, node, relus, clauses, 1)) == 1
    node.pre_lower[0], node.pre_upper[1] = 0.5, -0.5  # both phases of the first clause hold: nothing is left
    assert model_rows(query, node, relus[2:], clauses, 0) == [([], -1.0)]
    node.pre_upper[0] = node.pre_lower[0] = -0.5  # the first clause is met
    assert model_rows(query, node, relus[2:], clauses, 0) == []
    relus[2] = Relu(*places[2], [], 0.0, -1.0, 1.0, None, None, True, "a2")
    assert len(model_rows(query, node, relus, clauses, 0)) == 1


def layer_of(query: Query, neuron: int) -> int:
    """Index of the slice that a flat neuron lies in."""
    return next(i for i, part in enumerate(query.slices) if part.start <= neuron < part.stop)


def test_implications_are_clauses_and_short_clauses_are_edges() -> None:
    """Every implication is one clause with its contrapositive; a clause of two phases gives both edges."""
    table = Implications(np.array([0, 1]), np.full((4, 4), -1.0))
    table.least[0, 1] = 1.0  # z_0 >= 0 forces z_1 > 0
    query = small_query()
    clauses = clauses_of(query, table)
    assert clauses.phases[:, :4].tolist() == [[1, -1, 0, 0]] and clauses.duty.all()
    learner = Conflicts(query, bounded_root(query), implied=table)
    learner.clauses = padded(query, Clauses(np.array([[0, 1, 1, 0]], dtype=np.int8), np.array([[True, False]])))
    graph = learner.graph()
    assert {(a, b, found) for a, b, found in graph.edges(data="disjuncts")} == {
        ((0, 1), (1, 1), frozenset({0, 1})),
        ((1, -1), (0, -1), frozenset({0, 1})),
        ((1, 1), (2, -1), frozenset({0})),
        ((2, 1), (1, -1), frozenset({0})),
    }
