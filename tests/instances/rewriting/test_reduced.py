"""Queries without their equalities: the same solutions, exactly, and witnesses that map back."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypersplit.instances.judges.real_points import inside
from hypersplit.instances.network import Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries
from hypersplit.instances.rewriting.elimination import solved
from hypersplit.instances.rewriting.reduced import without_equalities
from hypersplit.instances.sparse import sp
from hypersplit.instances.vnnlib.reader import parse_property


def question(network: Network, region: InputSet) -> Query:
    """Whether the first output can be at most 0."""
    row = np.eye(1, network.output_size)
    prop = Property((Case(region, (Polyhedron(row, np.zeros(1)),)),), network.input_size, network.output_size)
    return queries(network, prop)[0]


def random_network(rng: np.random.Generator, inputs: int) -> Network:
    weights = [rng.integers(-3, 4, (4, inputs)).astype(float), rng.integers(-3, 4, (2, 4)).astype(float)]
    return sequential(weights, [rng.integers(-2, 3, 4).astype(float), np.zeros(2)])


def random_region(rng: np.random.Generator, inputs: int, count: int) -> InputSet:
    """A box, `count` equalities with small coefficients, and a half-space."""
    system = rng.integers(-2, 3, (count, inputs)).astype(float)
    sides = rng.integers(-1, 2, count) / 4.0
    more = rng.integers(-2, 3, (1, inputs)).astype(float)
    rows = np.concatenate([system, -system, more])
    offsets = np.concatenate([sides, -sides, [1.0]])
    strict = np.arange(inputs) == rng.integers(inputs)
    return InputSet(np.full(inputs, -1.0), np.ones(inputs), rows, offsets, strict, strict[::-1])


@settings(max_examples=60, deadline=None, print_blob=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_points_of_both_sets_are_the_same(seed: int) -> None:
    """A free point lies in the reduced set wherever the point that it stands for lies in the set; margins are equal."""
    rng = np.random.default_rng(seed)
    inputs = int(rng.integers(2, 6))
    query = question(random_network(rng, inputs), random_region(rng, inputs, int(rng.integers(1, inputs))))
    solution, reduced = solved(query.region), without_equalities(query)
    if solution is None:
        assert reduced is query
        return
    for _ in range(40):
        z = [Fraction(int(v), 8) for v in rng.integers(-9, 10, len(solution.kept))]
        x = solution.exactly(z)
        if not solution.contradiction:
            system = query.region.rows[: (len(query.region.rows) - 1) // 2]
            sides = query.region.offsets[: len(system)]
            for row, side in zip(system, sides, strict=True):
                assert sum(Fraction(c) * v for c, v in zip(row.tolist(), x, strict=True)) + Fraction(side) == 0
        if solution.contradiction or reduced is None:
            assert solution.contradiction or not inside(query.region, x)
            continue
        if inside(query.region, x):
            assert inside(reduced.region, z), (z, x)
        near = np.array([float(v) for v in z])
        assert np.allclose(reduced.network.evaluate(near), query.network.evaluate(np.array([float(v) for v in x])))
        assert np.allclose(reduced.lifted(near), [float(v) for v in x])


def test_twins_cost_what_their_free_inputs_cost() -> None:
    """Equal inputs leave the network with added columns and no further layer; bounds of both are intersected."""
    network = sequential([np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 4.0]])], [np.zeros(2)])
    rows = np.array([[1.0, 0.0, -1.0], [-1.0, 0.0, 1.0]])
    region = InputSet(np.array([0.0, 0.0, -1.0]), np.array([2.0, 1.0, 1.0]), rows, np.zeros(2))
    reduced = without_equalities(question(network, region))
    assert reduced is not None
    assert reduced.network.layers[0].weights[0].tolist() == [[1.0, 2.0], [4.0, 1.0]]
    assert (reduced.region.lower.tolist(), reduced.region.upper.tolist()) == ([0.0, 0.0], [1.0, 1.0])
    assert len(reduced.region.rows) == 0 and len(reduced.network.layers) == 2


def test_sums_of_columns_that_round_are_not_folded() -> None:
    """1 + 2^-60 is no float64: the columns stay apart behind a layer that copies the input."""
    network = sequential([np.array([[1.0, 2.0**-60]])], [np.zeros(1)])
    region = InputSet(np.zeros(2), np.ones(2), np.array([[1.0, -1.0], [-1.0, 1.0]]), np.zeros(2))
    reduced = without_equalities(question(network, region))
    assert reduced is not None
    first = reduced.network.layers[0]
    assert first.weights[0].tolist() == [[1.0], [1.0]] and (first.roundings, first.bias_error) == (0, 0.0)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rounded_weights_that_cancel_are_not_folded(sparse: bool, sign: float) -> None:
    """With x_1 = +-x_0, what two rounded weights leave of each other has another relative error than they declare."""
    region = InputSet(-np.ones(2), np.ones(2), np.array([[1.0, -sign], [-1.0, sign]]), np.zeros(2))
    for scale in (1.0, 2.0**-700):  # of the second one no product is left
        for second, roundings, folded in ((0.75, 1, True), (-0.75, 0, True), (-0.75, 1, False), (-1.0, 1, False)):
            weights = scale * np.array([[1.0, sign * second], [0.0, 1.0]])
            network = sequential([sp.csr_array(weights) if sparse else weights, np.ones((1, 2))], [np.zeros(2), [0.0]])
            layers = replace(network.layers[0], roundings=roundings), network.layers[1]
            query = question(replace(network, layers=layers), region)
            reduced = without_equalities(query)
            assert reduced is not None and reduced.network.input_size == 1
            first, behind = reduced.network.layers[:2]
            if folded and not sparse:  # sparse columns that meet are never added
                assert first.roundings == roundings
                assert abs(first.weights[0]).tolist() == [[scale * (1.0 + second)], [scale]]
            else:  # behind a layer that copies the input, with the weights as they were
                assert (first.name, first.roundings, first.bias_error) == ("equalities", 0, 0.0)
                given = behind.weights[0].toarray() if sparse else behind.weights[0]
                assert behind.roundings == roundings and np.array_equal(given, weights)
            z = np.array([[1.0], [-0.5]])
            x = np.array([reduced.lifted(v) for v in z])
            assert np.array_equal(reduced.network.evaluate(z), query.network.evaluate(x)) and abs(x).max() == 1.0


def test_what_floats_cannot_hold_is_declared() -> None:
    """Thirds make a layer with declared roundings, and rows that hold what the bounds allow."""
    text = "".join(f"(declare-const {n} Real)" for n in ("X_0", "X_1", "X_2", "Y_0"))
    text += "".join(f"(assert (<= 0 X_{i} 1))" for i in range(3)) + "(assert (= (* 3 X_2) (+ X_0 X_1 0.1)))"
    (case,) = parse_property(text).cases
    network = sequential([np.array([[1.0, 1.0, 1.0]])], [np.zeros(1)])
    query = queries(network, Property((case,), 3, 1))[0]
    reduced = without_equalities(query)
    assert reduced is not None and len(case.region.equal) == 1
    first = reduced.network.layers[0]
    assert first.roundings == 1 and first.bias_error > 0.0
    for z in ([Fraction(0), Fraction(0)], [Fraction(1), Fraction(1)]):
        assert inside(case.region, reduced.lift.exactly(z)) and inside(reduced.region, z)


@pytest.mark.parametrize(
    ("offsets", "upper"), [((0.0, 0.0, -3.0, 3.0), 1.0), ((-2.5, 2.5, 0.0, 0.0), 1.0)], ids=["equalities", "bounds"]
)
def test_contradictions_leave_nothing(offsets: tuple[float, ...], upper: float) -> None:
    """x_0 = x_1 and x_0 = x_1 + 3 have no solution; x_0 + x_1 = 2.5 and x_0 = x_1 none in the unit box."""
    second = [1.0, -1.0] if offsets[2] else [1.0, 1.0]
    system = np.array([[1.0, -1.0], [-1.0, 1.0], second, [-v for v in second]])
    sides = np.array(offsets) if offsets[2] else np.array([0.0, 0.0, -2.5, 2.5])
    region = InputSet(np.zeros(2), np.full(2, upper), system, sides)
    network = sequential([np.ones((1, 2))], [np.zeros(1)])
    query = question(network, region)
    reduced = without_equalities(query)
    if offsets[2]:
        assert reduced is None
    else:  # both inputs are determined: nothing is left to search, and nothing is rewritten
        assert reduced is query
