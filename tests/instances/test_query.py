"""Queries: margins are C y - d exactly, and their worst value decides what the property asks."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracle
import pytest
from random_instances import is_counterexample, random_instance, random_points

from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import queries


@pytest.mark.parametrize("seed", range(0, 60, 10))
def test_the_worst_margin_decides_membership(seed: int) -> None:
    """Exact margins of exact points: the least over disjuncts of the largest row is <= 0 at counterexamples alone."""
    for s in range(seed, seed + 10):
        instance = random_instance(s)
        asked = queries(instance.network, instance.prop)
        assert len(asked) == len(instance.prop.cases)
        for query in asked:
            for x in random_points(np.random.default_rng(s), query.region, 12):
                point = [Fraction(float(a)) for a in x]
                margins = oracle.exact_values(query.network, point)[-1]
                blocks = [margins[a:b] for a, b in zip(query.starts[:-1], query.starts[1:], strict=True)]
                worst = min(max(block) for block in blocks)
                assert (worst <= 0) == is_counterexample(instance, query.case, point), f"{instance}, {x}"


def test_reductions_over_disjuncts_are_loops() -> None:
    """`per_disjunct` and `worst` are the maxima and minima that they are named for, NaN and infinities included."""
    rng = np.random.default_rng(3)
    network = sequential([rng.normal(size=(2, 2))], [np.zeros(2)])
    sets = tuple(Polyhedron(rng.normal(size=(m, 2)), rng.normal(size=m)) for m in (1, 3, 2))
    query = queries(network, Property((Case(InputSet.box(-np.ones(2), np.ones(2)), sets),), 2, 2))[0]
    margins = np.concatenate([rng.normal(size=(20, 6)), [[-np.inf] * 6, [np.inf] * 6]])
    each = np.array([[m[0], max(m[1:4]), max(m[4:])] for m in margins])
    assert np.array_equal(query.per_disjunct(margins), each) and np.array_equal(query.worst(margins), each.min(axis=1))


@pytest.mark.parametrize("seed", range(8))
def test_one_disjunct_alone_is_the_same_rows(seed: int) -> None:
    """`only(k)` keeps hidden layers and names of neurons, and its margins are the block's."""
    instance = random_instance(seed)
    query = queries(instance.network, instance.prop)[0]
    points = random_points(np.random.default_rng(seed), query.region, 9)
    whole = query.network.evaluate(points)
    for k in range(query.disjuncts):
        alone = query.only(k)
        assert alone.disjuncts == 1 and alone.slices == query.slices and alone.neurons == query.neurons
        part = whole[:, query.starts[k] : query.starts[k + 1]]  # sums of another shape may round otherwise
        np.testing.assert_allclose(alone.network.evaluate(points), part, 1e-13, 1e-13)


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_rows_are_appended_and_not_multiplied_in(scale: float) -> None:
    """The margin layer has the very floats of the forbidden rows, right-hand sides negated."""
    rng = np.random.default_rng(1)
    network = sequential([rng.normal(size=(3, 2)), rng.normal(size=(2, 3))], [np.ones(3), np.ones(2)])
    rows, rhs = scale * rng.normal(size=(2, 2)), scale * rng.normal(size=2)
    prop = Property((Case(InputSet.box(-np.ones(2), np.ones(2)), (Polyhedron(rows, rhs),)),), 2, 2)
    last = queries(network, prop)[0].network.layers[-1]
    assert np.array_equal(last.weights[0], rows) and np.array_equal(last.bias, -rhs) and last.kind == "identity"


def test_slices_cover_the_hidden_neurons_in_order() -> None:
    """Each neuron of each layer but the margins has one flat place, and ReLUs are told from others."""
    for seed in range(20):
        instance = random_instance(seed)
        query = queries(instance.network, instance.prop)[0]
        hidden = query.network.layers[:-1]
        assert [s.stop - s.start for s in query.slices] == [layer.size for layer in hidden]
        assert np.concatenate([np.arange(s.start, s.stop) for s in query.slices]).tolist() == list(range(query.neurons))
        assert query.relu.tolist() == [layer.kind == "relu" for layer in hidden for _ in range(layer.size)]
