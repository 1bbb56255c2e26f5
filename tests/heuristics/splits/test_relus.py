"""BaBSR scores against the formula, one neuron at a time in rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from random_instances import Shape, random_instance

from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.heuristics.splits.relus import babsr_scores
from hypersplit.instances.batch import root
from hypersplit.instances.network import Array, Layer, Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

WIDE = 1e-9  # weight of a neuron's width in its score: breaks ties, decides nothing else


def formula(sensitivity: float, low: float, high: float, bias: float) -> float:
    """|max(0, lam b) - u/(u-l) lam b + u l/(u-l) max(0, lam)| with lam = -sensitivity."""
    lam, low_, high_, b = -Fraction(sensitivity), Fraction(low), Fraction(high), Fraction(bias)
    slope = high_ / (high_ - low_)
    return float(abs(max(Fraction(0), lam * b) - slope * lam * b + slope * low_ * max(Fraction(0), lam)))


def query_of(network: Network) -> Query:
    """The network with the first output as the only margin, on [-1, 1]^n."""
    n, rows = network.input_size, np.eye(1, network.output_size)
    case = Case(InputSet.box(-np.ones(n), np.ones(n)), (Polyhedron(rows, np.zeros(1)),))
    return queries(network, Property((case,), n, network.output_size))[0]


def one_neuron(bias: float) -> Query:
    """x -> relu(x + bias)."""
    return query_of(sequential([np.ones((1, 1)), np.ones((1, 1))], [np.array([bias]), np.zeros(1)]))


def score(bias: float, sensitivity: float, low: float, high: float) -> float:
    """Score of the only neuron."""
    return float(babsr_scores(one_neuron(bias), *(np.array([[v]]) for v in (sensitivity, low, high)))[0, 0])


def bounded(seed: int) -> tuple[Query, Array, Array, Array]:
    """(query, sensitivities of its first margin, lower, upper) with real bounds, identity layers and residual edges."""
    instance = random_instance(seed, shape=Shape(identity=0.3))
    query = queries(instance.network, instance.prop)[0]
    bounds = bound(query, root(query))
    return query, bounds.sensitivities[:, 0], bounds.pre_lower, bounds.pre_upper


def test_scores_are_the_formula_of_each_neuron() -> None:
    """On random networks every unstable ReLU has the formula's value with its own layer's bias."""
    compared = 0
    for seed in range(120):
        query, sensitivities, lower, upper = bounded(seed)
        if not query.neurons:
            continue
        scores = babsr_scores(query, sensitivities, lower, upper)
        assert scores.shape == lower.shape
        for layer, part in zip(query.network.layers, query.slices, strict=False):
            for i, bias in enumerate(layer.bias):
                j = part.start + i
                low, high = float(lower[0, j]), float(upper[0, j])
                if layer.kind != "relu" or not low < 0.0 < high:
                    assert scores[0, j] == 0.0, f"seed {seed}, neuron {j}"
                    continue
                expected = formula(float(sensitivities[0, j]), low, high, float(bias)) + WIDE * min(high, -low)
                assert scores[0, j] == pytest.approx(expected, rel=1e-9, abs=1e-15), f"seed {seed}, neuron {j}"
                compared += 1
    assert compared > 100


def test_a_worked_example() -> None:
    """b = 1/2, z in [-1, 3], coefficient -2: |1 - 3/4 - 3/2| = 5/4; with coefficient +2: |0 + 3/4| = 3/4."""
    assert score(0.5, -2.0, -1.0, 3.0) == pytest.approx(1.25, abs=1e-8)
    assert score(0.5, 2.0, -1.0, 3.0) == pytest.approx(0.75, abs=1e-8)


def test_without_bias_the_intercept_remains() -> None:
    """With b = 0 the score is max(0, lam) (-u l) / (u - l): nothing but the triangle's intercept."""
    assert score(0.0, -2.0, -1.0, 3.0) == pytest.approx(1.5, abs=1e-8)
    assert 0.0 < score(0.0, 2.0, -1.0, 3.0) < 1e-8


def test_stable_neurons_score_nothing() -> None:
    """A bound that reaches zero from either side is stable already."""
    for low, high in ((0.0, 2.0), (0.5, 2.0), (-2.0, 0.0), (-2.0, -0.5)):
        assert score(1.0, -1.0, low, high) == 0.0


def test_an_unstable_neuron_that_the_bound_does_not_use_scores_a_little_more_the_wider_it_is() -> None:
    """Never zero, so that the search goes on; far below the score of any neuron that is used."""
    narrow, wide = score(1.0, 0.0, -0.5, 0.5), score(1.0, 0.0, -2.0, 2.0)
    assert 0.0 < narrow < wide < 1e-6 * score(1.0, -1.0, -0.5, 0.5)
    assert score(1.0, 0.0, -0.5, 2.0) == narrow, "the shorter side counts: what a phase would cut off"


def test_only_relus_are_scored() -> None:
    """Neurons of identity and sigmoid layers have no phase, whatever their bounds."""
    kinds = ("identity", "relu", "sigmoid")
    layers = tuple(Layer((k,), (np.eye(2),), np.ones(2), kind) for k, kind in enumerate(kinds))
    query = query_of(Network(2, (*layers, Layer((3,), (np.ones((1, 2)),), np.zeros(1)))))
    full = np.ones((1, query.neurons))
    scores = babsr_scores(query, -full, -full, full)
    assert (scores[0] > 0.0).tolist() == [False, False, True, True, False, False, False]


def test_rows_of_a_batch_are_scored_by_themselves() -> None:
    """A batch has the scores of its rows, and leaves the bounds it was given as they were."""
    for seed in range(20):
        query, sensitivities, lower, upper = bounded(seed)
        rng = np.random.default_rng(seed)
        shape = (3, query.neurons)
        given = rng.normal(size=shape), -rng.uniform(-0.2, 1, size=shape), rng.uniform(-0.2, 1, size=shape)
        before = [a.copy() for a in given]
        whole = babsr_scores(query, *given)
        for b in range(3):
            np.testing.assert_array_equal(whole[[b]], babsr_scores(query, *(a[[b]] for a in given)), f"seed {seed}")
        for a, old in zip(given, before, strict=True):
            np.testing.assert_array_equal(a, old)
