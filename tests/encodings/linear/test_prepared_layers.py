"""Interval bounds against rationals, and the counts of terms that error terms rest on."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from random_instances import Shape, random_points, random_query

from hypersplit.encodings.linear import prepared_layers
from hypersplit.encodings.linear.first_layer_ball import Ball
from hypersplit.encodings.linear.prepared_layers import prepared_of, product_terms
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import queries


@pytest.mark.parametrize("scale", [1.0, 1e8])
def test_intervals_hold_the_exact_ones(scale: float) -> None:
    """Ends of each row over the box in rationals lie within the bounds, which rounding alone makes wider."""
    for seed in range(20):
        query = random_query(seed, Shape(scale=scale, rough=True))
        node, first = root(query), prepared_of(query).layers[0]
        low, high, magnitude = first.interval([node.lower], [node.upper])
        for i, row in enumerate(first.layer.weights[0]):
            ends = [(Fraction(float(w)) * Fraction(float(a)), Fraction(float(w)) * Fraction(float(b)))
                    for w, a, b in zip(row, node.lower[0], node.upper[0], strict=True)]  # fmt: skip
            bias = Fraction(float(first.layer.bias[i]))
            least, most = bias + sum(map(min, ends)), bias + sum(map(max, ends))
            size = Fraction(float(magnitude[0, i]))
            assert 0 <= least - Fraction(float(low[0, i])) <= size / 10**12, f"seed {seed}"
            assert 0 <= Fraction(float(high[0, i])) - most <= size / 10**12, f"seed {seed}"


def test_terms_of_a_product_are_its_longest_sum() -> None:
    """Rows and columns alike, as coefficients are summed from either side."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        w = rng.normal(size=(6, 9)) * (rng.random((6, 9)) < 0.3)
        most = max((w != 0).sum(axis=0).max(), (w != 0).sum(axis=1).max())
        assert product_terms(sp.csr_array(w)) == most and product_terms(w) == 9


def test_a_ball_is_only_for_one_box_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with few inputs, half-spaces, or different boxes; the same box is prepared once."""
    rng = np.random.default_rng(1)
    network = sequential([rng.normal(size=(3, 5)), rng.normal(size=(1, 3))], [np.zeros(3), np.zeros(1)])
    region = InputSet.box(-np.ones(5), np.ones(5))
    query = queries(network, Property((Case(region, (Polyhedron(np.ones((1, 1)), np.zeros(1)),)),), 5, 1))[0]
    prepared, node = prepared_of(query), root(query)
    assert prepared is prepared_of(query) and prepared.ball(node) is None
    monkeypatch.setattr(prepared_layers, "BALL", 5)
    ball = prepared.ball(node)
    assert ball is not None and prepared.ball(Batch.concatenate([node, node])) is ball
    other = root(query)
    other.upper[0, 0] = 0.5
    assert prepared.ball(Batch.concatenate([node, other])) is None
    other.cuts[0, 0] = 1.0
    assert prepared.ball(other) is None


def test_threads_get_the_ball_of_their_own_box(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever another thread puts into the place of the last one while a box is compared with it."""
    monkeypatch.setattr(prepared_layers, "BALL", 5)
    rng = np.random.default_rng(1)
    network = sequential([rng.normal(size=(3, 5)), rng.normal(size=(1, 3))], [np.zeros(3), np.zeros(1)])
    region = InputSet.box(-np.ones(5), np.ones(5))
    query = queries(network, Property((Case(region, (Polyhedron(np.ones((1, 1)), np.zeros(1)),)),), 5, 1))[0]
    prepared, mine, theirs = prepared_of(query), root(query), root(query)
    theirs.upper[0, 0] = 0.5
    ball, compare = prepared.ball(mine), Ball.of

    def slowly(self: Ball, lower: np.ndarray, upper: np.ndarray) -> bool:
        found = compare(self, lower, upper)
        if found and self is ball:  # another thread is quicker
            prepared._ball = Ball(network.layers[0], theirs.lower[0], theirs.upper[0])
        return found

    monkeypatch.setattr(Ball, "of", slowly)
    found = prepared.ball(mine)
    assert found is not None and found.upper[0] == 1.0


def test_later_layers_hold_samples() -> None:
    """Interval bounds layer by layer hold the network's own values, residual edges included."""
    for seed in range(10):
        query = random_query(seed, Shape(residual=1.0))
        node = root(query)
        lowers, uppers = [node.lower], [node.upper]
        points = random_points(np.random.default_rng(seed), query.region, 30)
        _, pre = query.network.values(points)
        for prepared, z in zip(prepared_of(query).layers, pre, strict=True):
            low, high, _ = prepared.interval(lowers, uppers)
            assert (z >= low - 1e-12).all() and (z <= high + 1e-12).all(), f"seed {seed}"
            relu = prepared.layer.kind == "relu"
            lowers.append(np.maximum(low, 0.0) if relu else low)
            uppers.append(np.maximum(high, 0.0) if relu else high)
