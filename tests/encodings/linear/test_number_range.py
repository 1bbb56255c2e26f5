"""Sizes of a query's numbers: above every value that the network takes, and exact on layers of one sign."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracle
import pytest
from random_instances import random_instance, random_points

from hypersplit.encodings.linear import number_range
from hypersplit.encodings.linear.number_range import LARGEST, in_range, largest_number
from hypersplit.instances.curves.curve import JUMP_SLOPE
from hypersplit.instances.network import Array, Layer, Network, activate, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries


def query_of(weights: list[Array], reach: float = 1.0) -> Query:
    """A chain without biases on the box [-reach, reach]^n."""
    n = weights[0].shape[1]
    region = InputSet.box(np.full(n, -reach), np.full(n, reach))
    case = Case(region, (Polyhedron(np.ones((1, len(weights[-1]))), np.zeros(1)),))
    return queries(sequential(weights, [np.zeros(len(w)) for w in weights]), Property((case,), n, len(weights[-1])))[0]


@pytest.mark.parametrize("seed", range(20))
def test_no_value_is_larger(seed: int) -> None:
    """At random points, in rationals, for every layer."""
    instance = random_instance(seed)
    for query in queries(instance.network, instance.prop):
        most = Fraction(largest_number(query)) * (1 + Fraction(1, 2**40))
        for x in random_points(np.random.default_rng(seed), query.region, 5):
            assert all(abs(v) <= most for layer in oracle.exact_values(query.network, x) for v in layer)


def test_products_along_all_ways_are_counted() -> None:
    """Where all ways add up the number is reached: 2 x 3 x 4 x 5, the margin's row included."""
    weights = [np.full((3, 2), 2.0), np.full((1, 3), 4.0)]
    assert largest_number(query_of(weights, reach=5.0)) == 2 * 5.0 * 2.0 * 3 * 4.0


@pytest.mark.parametrize(("scale", "inside"), [(1e30, True), (1e37, True), (1e38, False), (1e200, False)])
def test_the_range_ends_where_it_is_said(scale: float, inside: bool) -> None:
    """Two layers of one weight each: their product decides, and what overflows is outside."""
    query = query_of([np.full((1, 1), scale), np.full((1, 1), scale)])
    assert in_range(query) == inside == (scale * scale <= LARGEST)


def test_cancelling_weights_do_not_hide() -> None:
    """2^266 - 2^266 is 0 in value, also where products are not rounded; as a number in sums it is beyond the range."""
    query = query_of([np.full((2, 1), 2.0**133), np.array([[2.0**133, -(2.0**133)]])])
    assert not in_range(query)
    assert query.network.evaluate(np.ones(1))[0] == 0.0


@pytest.mark.parametrize(
    "kind",
    ["hardswish", "elu:0.5", "elu:3.0", "softplus", "power:3", "arctan", "gelu", "mish", "silu", "erf", "sin", "cos"],
)
def test_errors_grow_by_the_steepest_slope(kind: str) -> None:
    """Behind a curve the number is at least its argument's times every difference quotient, on both sides of kinks."""
    eye = np.eye(1)
    network = Network(1, (Layer((0,), (eye,), np.zeros(1), kind), Layer((1,), (eye,), np.zeros(1))))
    case = Case(InputSet.box(-np.full(1, 4.0), np.full(1, 4.0)), (Polyhedron(eye, np.zeros(1)),))
    z = np.linspace(-4.0, 4.0, 80_001)
    steepest = float(np.abs(np.diff(activate(kind, z)) / np.diff(z)).max())
    assert largest_number(queries(network, Property((case,), 1, 1))[0]) >= 4.0 * steepest * (1.0 - 1e-3)


@pytest.mark.parametrize(("least", "inside"), [(0.25, True), (-1.0, False)])
def test_domains_are_those_of_intervals(least: float, inside: bool) -> None:
    """Seven reciprocals on [1/4, 2] are in range, of which none is as steep as at 0; on an interval around 0 not."""
    eye = np.eye(1)
    case = Case(InputSet.box(np.full(1, least), np.full(1, 2.0)), (Polyhedron(eye, np.zeros(1)),))
    bare = [Layer((k,), (eye,), np.zeros(1), "reciprocal") for k in range(7)]
    asked = queries(Network(1, (*bare, Layer((7,), (eye,), np.zeros(1)))), Property((case,), 1, 1))[0]
    assert largest_number(asked) > LARGEST and in_range(asked) is inside


def test_slopes_on_intervals_are_the_steepest_of_any_part() -> None:
    """Of 1/z on [1/4, 2], halfway to the gap at 0 included, and of the square of it on [1/2, 4] behind."""
    eye = np.eye(1)
    layers = (Layer((0,), (eye,), np.zeros(1), "reciprocal"), Layer((1,), (eye,), np.zeros(1), "power:2"))
    network = Network(1, (*layers, Layer((2,), (eye,), np.zeros(1))))
    case = Case(InputSet.box(np.full(1, 0.25), np.full(1, 2.0)), (Polyhedron(eye, np.zeros(1)),))
    query = queries(network, Property((case,), 1, 1))[0]
    found = largest_number(query, intervals_of(query))
    assert 2.0 * 16.0 * 8.0 <= found <= 2.0 * 64.0 * 8.0 * (1.0 + 1e-4)  # M_1 = 2 x (steepest 1 / z^2), M_2 = 8 M_1


def intervals_of(query: Query) -> tuple[Array, Array]:
    """Intervals of all pre-activations."""
    return number_range._intervals(query)


@pytest.mark.parametrize(("kind", "steepest"), [("sqrt", 2.0**40), ("log", 2.0**40), ("reciprocal", 2.0**40),
                                                ("step:0.0", JUMP_SLOPE), ("round", JUMP_SLOPE)])  # fmt: skip
def test_gaps_and_jumps_count_by_the_steepest_line(kind: str, steepest: float) -> None:
    """Numbers grow by what the slope is at a gap's edge, or the slope that lines across jumps have at most."""
    eye = np.eye(1)
    network = Network(1, (Layer((0,), (eye,), np.zeros(1), kind), Layer((1,), (eye,), np.zeros(1))))
    case = Case(InputSet.box(-np.full(1, 4.0), np.full(1, 4.0)), (Polyhedron(eye, np.zeros(1)),))
    found = largest_number(queries(network, Property((case,), 1, 1))[0])
    assert steepest <= found <= 8.0 * steepest and in_range(queries(network, Property((case,), 1, 1))[0])
