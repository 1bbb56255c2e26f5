"""The conflict-driven search over phases against the exact oracle, disjunct by disjunct."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest
from milp_problems import bounded, exact_minimum, pigeons, wide_query
from random_instances import Shape, random_instance, random_nodes

from hypersplit.bab.closers.conflict_search import ConflictSearch
from hypersplit.bab.closers.exact_closing import is_counterexample
from hypersplit.bab.closers.refutation import refute, refute_apart
from hypersplit.bab.verify import verify
from hypersplit.instances.batch import Node, root
from hypersplit.instances.network import Layer, Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

SECONDS = 60.0  # far beyond what these need


def compare(query: Query, node: Node, label: str) -> str:
    """The search's answers about each disjunct of the node, held against the exact minimum; their statuses."""
    said = []
    for k in range(query.disjuncts):
        answer, truth = refute(query, node, k, SECONDS), exact_minimum(query, node, [k])
        text = f"{label}, disjunct {k}: {answer}, exact {truth}"
        said.append(answer.status)
        if truth is None or truth > 0:
            # a point whose margins are <= 0 in float64 only is for the replay
            assert answer.status == "refuted" or (answer.status == "candidate" and (truth or 0) < 1e-9), text
        else:
            assert answer.status in ("candidate", "point"), text
        for x in answer.points:
            assert query.per_disjunct(query.network.evaluate(x[None]))[0, k] <= 0.0, text
        if answer.exact is not None:
            assert is_counterexample(query, answer.exact, k), text
    return " ".join(said)


@pytest.mark.parametrize("shape", [Shape(), Shape(scale=1e3)])
def test_roots_agree_with_the_oracle(shape: Shape) -> None:
    """Random instances of all kinds: refuted where the oracle refutes, a counterexample where there is one."""
    said = ""
    for seed in range(3000, 3080):
        instance = random_instance(seed, shape=shape)
        for query in queries(instance.network, instance.prop):
            node = bounded(query, root(query).node(0))
            if node is not None:
                said += " " + compare(query, node, str(instance))
    assert min(said.count("refuted"), said.count("candidate") + said.count("point")) >= 20, said


def test_nodes_agree_with_the_oracle() -> None:
    """Smaller boxes, more half-spaces and fixed phases: what the node has beyond the root is kept to."""
    for seed in range(3100, 3130):
        rng = np.random.default_rng(seed)
        instance = random_instance(seed, shape=Shape(scale=1e3 if seed % 2 else 1.0))
        for query in queries(instance.network, instance.prop):
            for node in filter(None, (bounded(query, random_nodes(rng, query, 1).node(0)) for _ in range(2))):
                compare(query, node, str(instance))


@pytest.mark.parametrize(("holes", "conflicts"), [(2, 30), (3, 300)])
def test_pigeons_do_not_fit(holes: int, conflicts: int) -> None:
    """A formula without a solution, as a network, falls in few conflicts."""
    query, node = pigeons(holes)
    answer = refute(query, node, 0, SECONDS)
    assert answer.status == "refuted", answer
    assert answer.counts["conflicts"] <= conflicts, answer


def test_a_passed_deadline_leaves_it_open() -> None:
    """Without time the answer is open, says so, and asks for more."""
    query, node = wide_query()
    answer = ConflictSearch(query, node, 0).run(time.monotonic() - 1.0)
    assert (answer.status, answer.reason, answer.unfinished) == ("open", "time", True)
    assert not answer.points and answer.exact is None


def test_apart_gives_the_same_answer() -> None:
    """From a process of its own comes what comes here, exact points included."""
    instance = next(i for i in (random_instance(s, "clear-unsat") for s in range(100)) if len(i.prop.cases) == 1)
    (query,) = queries(instance.network, instance.prop)
    node = bounded(query, root(query).node(0))
    assert node is not None
    here, there = (ask(query, node, 0, SECONDS) for ask in (refute, refute_apart))
    assert here.status == there.status == "refuted" and here.counts == there.counts


def test_a_boundary_point_that_is_no_float_is_a_point() -> None:
    """|3 x - 1| <= 0 only at 1/3: the leaf's exact answer is that fraction, or a float whose margin is 0 in float64."""
    network = sequential([np.array([[3.0], [-3.0]]), np.ones((1, 2))], [np.array([-1.0, 1.0]), np.zeros(1)])
    case = Case(InputSet.box(np.zeros(1), np.ones(1)), (Polyhedron(np.eye(1), np.zeros(1)),))
    (query,) = queries(network, Property((case,), 1, 1))
    node = bounded(query, root(query).node(0))
    assert node is not None
    answer = refute(query, node, 0, SECONDS)
    assert answer.status in ("point", "candidate"), answer
    assert answer.exact is None or answer.exact == (Fraction(1, 3),)


def test_sigmoids_are_refused() -> None:
    """Networks without phases are an error, not an answer."""
    network = Network(1, (Layer((0,), (np.ones((1, 1)),), np.zeros(1), "sigmoid"),))
    case = Case(InputSet.box(np.zeros(1), np.ones(1)), (Polyhedron(np.eye(1), np.zeros(1)),))
    (query,) = queries(network, Property((case,), 1, 1))
    with pytest.raises(ValueError, match="ReLU"):
        ConflictSearch(query, root(query).node(0), 0)


@pytest.mark.parametrize("seed", [920000450, 920000930])
def test_a_point_that_only_floats_violate_does_not_end_the_search(seed: int) -> None:
    """Sums of 1e9 and more that cancel: float64 puts a point into the forbidden set, exact arithmetic does not."""
    instance = random_instance(seed, shape=Shape(scale=1e6))
    assert instance.truth == "unsat"
    result = verify(instance.network, instance.prop, method="milp", jobs=1, timeout=60.0, seed=seed)
    assert result.verdict == "unsat", result
