"""Back-substitution against a plain loop in rationals over the same lines, and the totals of its multipliers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from random_instances import Shape, random_query

from hypersplit.encodings.linear.back_substitution import Pass, back_substitute
from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.linear.prepared_layers import prepared_of
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.network import Array
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

PLAIN = LinearBoundOptions(kernel="plain")
SHAPES = (Shape(halfspaces=0.0), Shape(halfspaces=0.0, rough=True, residual=1.0), Shape(halfspaces=0.0, scale=1e6))


def asking(region: InputSet, rows: Array, rhs: Array) -> Property:
    """One forbidden polyhedron on one input set."""
    return Property((Case(region, (Polyhedron(rows, rhs),)),), region.size, rows.shape[1])


def exact_minimum(query: Query, batch: Batch, walk: Pass, r: int) -> Fraction:
    """Minimum over the box of margin r walked back in rationals, by the very lines that the pass has chosen."""
    network, zero = query.network, Fraction(0)
    pending: dict[int, list[Fraction]] = {}
    constant = zero

    def into(k: int, weights: list[Fraction]) -> None:
        nonlocal constant
        layer = network.layers[k - 1]
        constant += sum((a * Fraction(float(b)) for a, b in zip(weights, layer.bias, strict=True)), zero)
        for s, w in zip(layer.sources, layer.weights, strict=True):
            found = [sum((a * Fraction(float(v)) for a, v in zip(weights, w[:, j], strict=True)), zero)
                     for j in range(w.shape[1])]  # fmt: skip
            old = pending.get(s, [zero] * len(found))
            pending[s] = [a + b for a, b in zip(old, found, strict=True)]

    last = len(network.layers)
    into(last, [Fraction(int(i == r)) for i in range(query.rows)])
    for k in range(last - 1, 0, -1):
        coefficients, line = pending.pop(k, None), walk.lines[k - 1]
        if coefficients is None:
            continue
        if line is not None:
            for i, c in enumerate(coefficients):
                slope = line.lower_slope if c > 0 else line.upper_slope
                intercept = line.lower_intercept if c > 0 else line.upper_intercept
                constant += c * Fraction(float(intercept[0, i]))
                coefficients[i] = c * Fraction(float(slope[0, i]))
        into(k, coefficients)
    total = constant
    for j, c in enumerate(pending.get(0, [])):
        total += c * Fraction(float(batch.lower[0, j] if c > 0 else batch.upper[0, j]))
    return total


@pytest.mark.parametrize("shape", SHAPES)
def test_margins_are_the_formula_less_its_rounding(shape: Shape) -> None:
    """Never above the exact walk by the same lines unless intervals are better, and as near as rounding allows."""
    compared = 0
    for seed in range(12):
        query = random_query(seed, shape)
        batch = root(query)
        walk = Pass(prepared_of(query), batch, LinearBoundOptions(kernel="plain"))
        floor = walk.walk()
        bounds = back_substitute(query, batch, PLAIN)
        scale = Fraction(float(np.abs(bounds.margins).max() + max(np.abs(m).max() for m in walk.magnitudes)))
        for r in range(query.rows):
            exact = max(exact_minimum(query, batch, walk, r), Fraction(float(floor[0, r])))
            gap = exact - Fraction(float(bounds.margins[0, r]))
            assert 0 <= gap <= scale / 10**5, f"seed {seed}, row {r}"
            compared += 1
    assert compared > 12


def test_sensitivities_are_the_coefficients_of_activations() -> None:
    """A margin a'ReLU(z) of a single layer has them, a itself; the outputs behind it, no ReLUs, have none."""
    network = random_network([3, 6, 2], 4)
    query = queries(network, asking(InputSet.box(-np.ones(3), np.ones(3)), np.eye(2), np.zeros(2)))[0]
    found = back_substitute(query, root(query), PLAIN)
    np.testing.assert_allclose(found.sensitivities[0, :, :6], network.layers[1].weights[0], rtol=1e-12)
    assert not found.sensitivities[0, :, 6:].any()


def test_total_multipliers_count_the_ways_through_later_bounds() -> None:
    """Never below the direct multiplier, above it for neurons that later neurons' bounds rest on, equal in the last."""
    network = random_network([4, 6, 6, 6, 1], 5)
    region = InputSet.box(np.full(4, -1.0), np.full(4, 1.0))
    query = queries(network, asking(region, np.ones((1, 1)), np.zeros(1)))[0]
    batch = root(query)
    bounds = bound(query, batch, LinearBoundOptions(kernel="plain", totals=True))
    assert bounds.totals is not None
    direct = bounds.multipliers
    assert (bounds.totals >= direct - 1e-6).all()
    first = query.slices[0]
    unstable = (bounds.pre_lower[0, first] < 0) & (bounds.pre_upper[0, first] > 0)
    assert (bounds.totals[0, 0, first][unstable] > direct[0, 0, first][unstable]).any()
    # a layer-3 neuron has no bounds behind it but the margin
    last = query.slices[2]
    np.testing.assert_allclose(bounds.totals[0, 0, last], direct[0, 0, last], rtol=1e-6)
