"""Probing against the exact oracle: what it fixes and what it has phases force holds of every counterexample."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest
from counterexamples import counterexamples, pre_activations
from milp_problems import bounded
from random_instances import Shape, random_instance, random_points

from hypersplit.encodings.propagation.contraction import Propagation
from hypersplit.encodings.propagation.probing import Probing
from hypersplit.encodings.propagation.state import Nogoods, State
from hypersplit.instances.batch import Node, root
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

SHAPES = (
    Shape(most_hidden=1, most_relus=8), Shape(), Shape(scale=1e3), Shape(scale=1e6, rough=True), Shape(flat=1.0),
)  # fmt: skip


def true(literal: int, z: list[Fraction], strictly: bool = False) -> bool:
    """Whether a literal holds of exact pre-activations."""
    value = -z[literal >> 1] if literal & 1 else z[literal >> 1]
    return value > 0 or (value == 0 and not strictly)


def agrees(probing: Probing, z: list[Fraction], label: str) -> None:
    """Everything that probing has found is true of one counterexample."""
    ends = zip(probing.state.z_low, z, probing.state.z_high, strict=True)
    assert not probing.empty and all(Fraction(float(a)) <= v <= Fraction(float(b)) for a, v, b in ends), label
    for literal, forced in probing.forced.items():
        if true(literal, z):
            assert all(true(other, z) for other in forced.weak), label
            assert all(true(other, z, strictly=True) for other in forced.strict), label
    assert not any(true(a, z) and true(b, z) for a, b in probing.pairs), label


def probed(query: Query, node: Node, disjunct: int = 0, kernel: str = "plain") -> Probing:
    """All neurons probed."""
    probing = Probing(Propagation(query, node, disjunct, kernel), State.of(query, node))
    probing.run(patience=np.inf)
    return probing


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_what_is_found_is_true_of_every_counterexample(shape: int) -> None:
    """At all vertices of their sets, by the oracle, and at sampled points; an empty root has none."""
    empty = implied = fixed = compared = 0
    for seed in range(60):
        instance = random_instance(seed, shape=SHAPES[shape])
        for query in queries(instance.network, instance.prop):
            node = bounded(query, root(query).node(0))
            for k in range(query.disjuncts if node is not None else 0):
                assert node is not None
                probing = probed(query, node, k)
                points = counterexamples(query, node, k)
                sampled = random_points(np.random.default_rng(seed), query.region, 40)
                below = (query.network.evaluate(sampled)[:, query.starts[k] : query.starts[k + 1]] < -1e-6).all(axis=1)
                if SHAPES[shape].scale == 1.0:  # else 1e-6 is within float64's rounding
                    points += [[Fraction(v) for v in x.tolist()] for x in sampled[below]]
                for x in points:
                    agrees(probing, pre_activations(query, x), f"{instance}, disjunct {k}")
                empty += probing.empty
                compared += len(points)
                implied, fixed = implied + probing.counts["implied"], fixed + probing.counts["fixed"]
    assert empty >= 10 and compared >= 100 and implied + fixed >= 1, (empty, implied, fixed, compared)


@pytest.mark.parametrize("seed", range(5))
def test_wide_layers_at_thousands_of_points(seed: int) -> None:
    """One hidden layer and two, of more neurons than the oracle takes: implications hold wherever margins are <= 0."""
    rng = np.random.default_rng(seed)
    sizes = [4, 20, 1] if seed % 2 else [4, 12, 12, 1]
    weights = [rng.integers(-4, 5, (b, a)) / 4.0 for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    network = sequential(weights, [rng.integers(-4, 5, len(w)) / 4.0 for w in weights])
    points = rng.uniform(-1.0, 1.0, (4000, 4))
    values = network.evaluate(points)[:, 0]
    case = Case(InputSet.box(-np.ones(4), np.ones(4)), (Polyhedron(np.eye(1), np.array([np.quantile(values, 0.6)])),))
    (query,) = queries(network, Property((case,), 4, 1))
    node = bounded(query, root(query).node(0))
    assert node is not None
    probing = probed(query, node)
    below = points[query.network.evaluate(points)[:, 0] < -1e-9]
    z = np.concatenate([v for v in query.network.values(below)[1]][: len(query.slices)], axis=1)
    assert len(below) > 2000 and (probing.state.z_low <= z).all() and (z <= probing.state.z_high).all()
    signed = np.stack([z, -z], axis=2).reshape(len(z), -1)  # by literal
    for literal, forced in probing.forced.items():
        assert (signed[signed[:, literal] >= 0.0][:, sorted(forced.weak)] >= 0.0).all()
    for a, b in probing.pairs:
        assert not ((signed[:, a] >= 0.0) & (signed[:, b] >= 0.0)).any()
    assert probing.counts["probes"] > 0


def corners(extra: list[list[float]], bias: list[float], threshold: float = 0.0) -> tuple[Query, Node]:
    """x in [0, 1] with x - max(0, 2 x - 1) <= threshold, so near 0 or 1; more neurons that no row of margins reads."""
    rows = np.array([[1.0], [2.0], *extra])
    out = np.concatenate([[1.0, -1.0], np.zeros(len(extra))])
    network = sequential([rows, out[None]], [np.array([0.0, -1.0, *bias]), np.zeros(1)])
    case = Case(InputSet.box(np.zeros(1), np.ones(1)), (Polyhedron(np.eye(1), np.array([threshold])),))
    (query,) = queries(network, Property((case,), 1, 1))
    node = bounded(query, root(query).node(0))
    assert node is not None
    return query, node


def test_neurons_that_agree_on_all_counterexamples_are_equivalent() -> None:
    """2 x - 1, 3 x - 1 and 1 - 4 x change sign at different points, but counterexamples lie near 0 and 1 only."""
    query, node = corners([[3.0], [-4.0]], [-1.0, 1.0], 0.01)
    closure = probed(query, node).closure()
    assert [some for some in closure.equivalent if 2 in some] == [[2, 4, 7]]
    assert [some for some in closure.equivalent if 3 in some] == [[3, 5, 6]]


def test_contradicting_phases_refute() -> None:
    """Four clauses over two corners a, b of [0, 1]: neither phase of 2 a - 1 leaves anything, the root alone does."""
    clauses = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    rows = np.concatenate([clauses, np.eye(2), 2.0 * np.eye(2)])
    bias = np.array([1.0, 0.0, 0.0, -1.0, 0.0, 0.0, -1.0, -1.0])
    out = np.array([[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, -1.0, -1.0]])
    network = sequential([rows, out], [bias, np.zeros(1)])
    case = Case(InputSet.box(np.zeros(2), np.ones(2)), (Polyhedron(np.eye(1), np.zeros(1)),))
    (query,) = queries(network, Property((case,), 2, 1))
    node = bounded(query, root(query).node(0))
    assert node is not None
    assert not Propagation(query, node, 0, "plain").contract(State.of(query, node), Nogoods())
    assert probed(query, node).empty and counterexamples(query, node, 0) == []


def test_known_nogoods_join_the_graph() -> None:
    """Two nogoods of two phases contradict one phase together; contraction needs the decision, logic does not."""
    query, node = corners([[3.0]], [-1.0], 1.0)
    nogoods = Nogoods()
    nogoods.add([2, 4])
    nogoods.add([2, 5])
    probing = Probing(Propagation(query, node, 0, "plain"), State.of(query, node), nogoods)
    assert nogoods.pairs() == [(2, 4), (2, 5)] and probing.closure().facts == [3]
    probing.run(patience=np.inf)
    assert probing.state.z_high[1] <= 0.0 and not probing.empty


def test_the_kernel_finds_the_same() -> None:
    """Compiled and plain contraction fix and imply alike."""
    for seed in range(20):
        instance = random_instance(seed)
        query = queries(instance.network, instance.prop)[0]
        node = bounded(query, root(query).node(0))
        if node is not None:
            one, other = (probed(query, node, 0, kernel) for kernel in ("plain", "compiled"))
            assert one.empty == other.empty and one.counts["fixed"] == other.counts["fixed"], str(instance)


def test_limits_end_it() -> None:
    """A passed deadline, and no patience, probe nothing; one round in vain is the last with a patience of one."""
    query, node = corners([[3.0 + i] for i in range(40)], [-1.0] * 40, 5.0)
    propagation = Propagation(query, node, 0, "plain")
    for deadline, patience, most in ((time.monotonic() - 1.0, 1, 0), (np.inf, 0, 0), (np.inf, 1, 16)):
        probing = Probing(propagation, State.of(query, node))
        assert not probing.run(deadline, patience) and probing.counts["probes"] == most
    first = Probing(propagation, State.of(query, node), influence=np.eye(query.neurons)[30] * 5.0)
    first.run()
    assert 60 in first.forced
