"""Minima over a box by way of the first layer, against rationals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracle
import pytest
from random_instances import random_points

from hypersplit.encodings.linear import prepared_layers
from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.first_layer_ball import Ball
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.instances.batch import root
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.network import Array, Layer
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import queries

PLAIN = LinearBoundOptions(kernel="plain")


def asking(region: InputSet, rows: Array, rhs: Array) -> Property:
    """One forbidden polyhedron on one input set."""
    return Property((Case(region, (Polyhedron(rows, rhs),)),), region.size, rows.shape[1])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("sparse", [False, True])
def test_ball_minima_are_rigorous_and_tight(scale: float, sparse: bool) -> None:
    """Below the exact minimum, by no more than a thousandth of the box's share."""
    import scipy.sparse as sp

    rng = np.random.default_rng(7)
    w = scale * rng.normal(size=(5, 90)) * (rng.uniform(size=(5, 90)) < (0.02 if sparse else 1.0))
    lower = rng.normal(size=90)
    upper = lower + rng.uniform(size=90)
    layer = Layer((0,), (sp.csr_array(w) if sparse else w,), rng.normal(size=5), "relu")
    a, c = rng.normal(size=(1, 4, 5)), rng.normal(size=(1, 4))
    found = Ball(layer, lower, upper).minimum(a, c, np.zeros((1, 4)))
    for r in range(4):
        weights = [Fraction(float(v)) for v in a[0, r]]
        row = [oracle.exact_dot(w[:, j], weights) for j in range(90)]
        exact = Fraction(float(c[0, r])) + oracle.exact_dot(layer.bias, weights)
        for j, g in enumerate(row):
            exact += g * Fraction(float(lower[j] if g > 0 else upper[j]))
        share = float(sum(abs(g) for g in row)) * 0.5 + 1.0
        assert 0.0 <= float(exact - Fraction(float(found[0, r]))) <= 1e-3 * share


@pytest.mark.parametrize("seed", range(10))
def test_bounds_by_way_of_the_ball_are_those_of_the_input(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The short cut through the first layer changes bounds by rounding only, and never below the truth's side."""
    rng = np.random.default_rng(seed)
    network = random_network([6, 10, 10, 2], seed)
    region = InputSet.box(np.full(6, -0.3), np.full(6, 0.7))
    prop = asking(region, np.eye(2)[[0]], np.full(1, -5.0))
    direct = bound(queries(network, prop)[0], root(queries(network, prop)[0]), PLAIN)
    monkeypatch.setattr(prepared_layers, "BALL", 1)
    query = queries(network, prop)[0]
    batch = root(query)
    batch.cuts = batch.cuts[:, :0]
    short = bound(query, batch, PLAIN)
    width = direct.pre_upper - direct.pre_lower
    np.testing.assert_allclose(short.pre_lower, direct.pre_lower, atol=1e-3 * width.max())
    np.testing.assert_allclose(short.pre_upper, direct.pre_upper, atol=1e-3 * width.max())
    for x in random_points(rng, region, 50):
        flat = np.concatenate(query.network.values(x[None])[1], axis=1)[0, : query.neurons]
        assert (short.pre_lower[0] <= flat + 1e-12).all()
        assert (short.pre_upper[0] >= flat - 1e-12).all()


@pytest.mark.parametrize("power", [-40, 0, 30])
def test_badly_scaled_rows_are_bounded_from_below(power: int) -> None:
    """Weights and widths over twelve decimals beside each other: never above the exact minimum."""
    rng = np.random.default_rng(power + 50)
    for _ in range(5):
        w = rng.normal(size=(4, 70)) * 10.0 ** rng.integers(-6, 7, (4, 1)) * 2.0**power
        lower = rng.normal(size=70)
        upper = lower + 10.0 ** rng.integers(-9, 3, 70)
        a, c = rng.normal(size=(1, 3, 4)) * 10.0 ** rng.integers(-6, 7, (1, 3, 1)), rng.normal(size=(1, 3))
        layer, error = Layer((0,), (w,), rng.normal(size=4), "relu"), rng.random((1, 3))
        found = Ball(layer, lower, upper).minimum(a, c, error)
        for r in range(3):
            weights = [Fraction(float(v)) for v in a[0, r]]
            exact = Fraction(float(c[0, r])) + oracle.exact_dot(layer.bias, weights) - Fraction(float(error[0, r]))
            for j in range(70):
                g = oracle.exact_dot(w[:, j], weights)
                exact += g * Fraction(float(lower[j] if g > 0 else upper[j]))
            assert Fraction(float(found[0, r])) <= exact, f"power {power}"


def test_it_knows_its_box() -> None:
    """`of` is true of the very ends only; coefficients of many rows come in blocks with the same result."""
    rng = np.random.default_rng(0)
    lower, upper = -np.ones(66), np.ones(66)
    ball = Ball(Layer((0,), (rng.normal(size=(3, 66)),), np.zeros(3), "relu"), lower, upper)
    assert ball.of(lower.copy(), upper) and not ball.of(lower, np.nextafter(upper, 2.0))
    a, zeros = rng.normal(size=(7, 5, 3)), np.zeros((7, 5))
    whole = ball.minimum(a, zeros, zeros)
    parts = np.concatenate([ball.minimum(a[i : i + 1], zeros[:1], zeros[:1]) for i in range(7)])
    np.testing.assert_allclose(whole, parts, rtol=1e-4)
