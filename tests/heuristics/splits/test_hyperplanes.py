"""Gains, first-layer rows and the rules that pick among hyperplanes, each against its definition."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracle
import pytest
import scipy.sparse as sp
from onnx import helper
from onnx_models import model, normal, read
from random_instances import Shape, random_instance

from hypersplit.heuristics.splits.hyperplanes import (
    composed_rows,
    first_layer_row,
    first_layers,
    gain_scores,
    optimal_partition_scores,
)
from hypersplit.instances.network import Array, Layer, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

node = helper.make_node


def query_of(network: Network, polyhedra: tuple[int, ...] = (1,), radius: float = 1.0) -> Query:
    """The network on [-radius, radius]^n with so many margins in each disjunct."""
    n, m = network.input_size, network.output_size
    forbidden = tuple(Polyhedron(np.ones((rows, m)), np.zeros(rows)) for rows in polyhedra)
    case = Case(InputSet.box(np.full(n, -radius), np.full(n, radius)), forbidden)
    return queries(network, Property((case,), n, m))[0]


# gains


def intercept(low: Fraction, high: Fraction) -> Fraction:
    """F(l, u) = -u l / (u - l), 0 for a stable neuron."""
    return -high * low / (high - low) if low < 0 < high else Fraction(0)


def gain(multiplier: float, low: float, high: float, spread: float) -> float:
    """multiplier [F(l, u) - max(F(max(l, -delta), u), F(l, min(u, delta)))], exact up to one rounding."""
    if spread == np.inf:
        return 0.0
    l, u, delta = (Fraction(v) for v in (low, high, spread))  # noqa: E741
    left = max(intercept(max(l, -delta), u), intercept(l, min(u, delta)))
    return float(Fraction(multiplier) * (intercept(l, u) - left))


def test_gains_are_the_formula_of_each_neuron() -> None:
    """Stable neurons, unknown spreads and spreads wider than the neuron among them."""
    rng = np.random.default_rng(1)
    shape = (40, 7)
    multipliers = np.maximum(rng.normal(size=shape), 0.0)
    lower = rng.normal(-1.0, 1.0, shape)
    upper = lower + rng.uniform(0.1, 4.0, shape)
    spreads = np.where(rng.random(shape) < 0.2, np.inf, rng.uniform(0.0, 1.5, shape))
    scores = gain_scores(multipliers, lower, upper, spreads)
    for index in np.ndindex(shape):
        expected = gain(*(float(a[index]) for a in (multipliers, lower, upper, spreads)))
        assert scores[index] == pytest.approx(expected, rel=1e-9, abs=1e-14), index
    assert (scores > 1e-3).sum() > 25 and (scores == 0.0).sum() > 50


def test_a_row_that_is_exact_gains_the_whole_intercept() -> None:
    """With spread 0 either child has a stable neuron: the optimal-partition score itself."""
    rng = np.random.default_rng(2)
    multipliers, lower, upper = rng.random((3, 5)), -rng.random((3, 5)), rng.random((3, 5))
    whole = optimal_partition_scores(multipliers, lower, upper)
    np.testing.assert_array_equal(gain_scores(multipliers, lower, upper, np.zeros((3, 5))), whole)


def test_gains_fall_with_the_spread_to_nothing() -> None:
    """Never negative, never rising, and exactly zero once the mean may be off by a whole side of the interval."""
    lower, upper = np.array([[-1.0]]), np.array([[3.0]])
    spreads = (0.0, 0.25, 0.5, 0.75, 1.0, 2.0, 3.0, 5.0, np.inf)
    gains = [float(gain_scores(np.ones((1, 1)), lower, upper, np.array([[d]]))[0, 0]) for d in spreads]
    assert gains == sorted(gains, reverse=True) and gains[0] == 0.75
    assert gains[1] > 0.0 and gains[4:] == [0.0] * 5, "from delta = -l on the upper child is as it was"
    assert gains[2] == pytest.approx(0.75 - 3.0 * 0.5 / 3.5)


# rows of the first layer


def folded(rng: np.random.Generator) -> tuple[Network, list[Array]]:
    """relu(((x - m) / s) w + b) v, where the first three nodes fold into one layer; and m, s, w, b."""
    m, s, b, w, v = normal(rng, 4), normal(rng, 4), normal(rng, 5), normal(rng, 4, 5), normal(rng, 5, 2)
    nodes = [
        node("Sub", ["x", "m"], ["t1"]),
        node("Div", ["t1", "s"], ["t2"]),
        node("Gemm", ["t2", "w", "b"], ["t3"], alpha=0.3),
        node("Relu", ["t3"], ["t4"]),
        node("MatMul", ["t4", "v"], ["y"]),
    ]
    given = {"m": m, "s": s, "w": w, "b": b, "v": v}
    return read(model(nodes, [1, 4], given)), [m, s, w, b]


def file_value(given: list[Array], i: int, x: list[Fraction]) -> Fraction:
    """The file's own pre-activation of neuron i, in rationals."""
    m, s, w, b = ([Fraction(float(v)) for v in a.flat] for a in given)
    alpha = Fraction(float(np.float32(0.3)))
    t = [(a - c) / d for a, c, d in zip(x, m, s, strict=True)]
    return alpha * sum((a * c for a, c in zip(t, w[i::5], strict=True)), Fraction(0)) + b[i]


@pytest.mark.parametrize("radius", [1e-3, 1.0, 1e3])
def test_a_folded_row_is_within_its_slack_of_the_file(radius: float) -> None:
    """At corners and inside, in rationals; and the slack is a rounding error, not a tolerance."""
    differs = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        network, given = folded(rng)
        query = query_of(network, radius=radius)
        points = radius * np.concatenate([rng.choice([-1.0, 1.0], (6, 4)), rng.uniform(-1.0, 1.0, (3, 4))])
        weights, bias = np.abs(network.layers[0].weights[0]), np.abs(network.layers[0].bias)
        farthest = (radius * weights.sum(axis=1) + bias).max()
        cancelled = (weights @ np.abs(given[0].astype(np.float64))).max()  # what m / s w was before it was summed
        for i in range(5):
            row, slack = first_layer_row(query, i)
            assert 0.0 < slack < 1e-13 * (farthest + cancelled)
            for x in points:
                exact = [Fraction(v) for v in x.tolist()]
                apart = abs(oracle.exact_dot(row[:-1], exact) + Fraction(float(row[-1])) - file_value(given, i, exact))
                assert apart <= Fraction(slack), f"seed {seed}, neuron {i}"
                differs += apart > 0
    assert differs > 100, "the folded weights are not the file's: a slack of 0 would be wrong"


def test_a_row_of_unfolded_float32_weights_has_no_slack() -> None:
    """Weights of a Gemm are taken as they are: the row is the pre-activation, exactly."""
    rng = np.random.default_rng(3)
    w, b, v = normal(rng, 4, 5), normal(rng, 5), normal(rng, 5, 2)
    nodes = [node("Gemm", ["x", "w", "b"], ["z"]), node("Relu", ["z"], ["r"]), node("MatMul", ["r", "v"], ["y"])]
    query = query_of(read(model(nodes, [1, 4], {"w": w, "b": b, "v": v})), radius=100.0)
    for i in range(5):
        row, slack = first_layer_row(query, i)
        assert slack == 0.0
        np.testing.assert_array_equal(row, np.append(w[:, i], b[i]).astype(np.float64))


def test_the_slack_covers_declared_errors_up_to_the_farthest_corner() -> None:
    """bias_error + roundings 2^-53 |w| |x| at the corner that is farthest out, and less than three times that."""
    weight, error, roundings = np.array([[3.0, -1.0]]), 1e-9, 6
    layers = (
        Layer((0,), (weight,), np.array([0.5]), "relu", bias_error=error, roundings=roundings),
        Layer((1,), (np.ones((1, 1)),), np.zeros(1)),
    )
    network = Network(2, layers)
    region = InputSet.box(np.array([-8.0, 1.0]), np.array([2.0, 4.0]))
    query = queries(network, Property((Case(region, (Polyhedron(np.ones((1, 1)), np.zeros(1)),)),), 2, 1))[0]
    row, slack = first_layer_row(query, 0)
    most = error + roundings * 2.0**-53 * (3.0 * 8.0 + 1.0 * 4.0)
    assert row.tolist() == [3.0, -1.0, 0.5] and most <= slack <= 3.0 * most
    bare = Layer((0,), (weight,), np.array([0.5]), "relu", roundings=roundings)
    query = query_of(Network(2, (bare, layers[1])), radius=1.0)
    assert 4.0 * roundings * 2.0**-53 <= first_layer_row(query, 0)[1] <= 9.0 * roundings * 2.0**-53


def parallel_layers(sparse: bool) -> Network:
    """Layers 1 and 3 are ReLUs on the input, 2 an affine map of it, 4 a ReLU on both layers and 5 on the input too."""
    rng = np.random.default_rng(4)

    def weight(rows: int, columns: int) -> Array | sp.csr_array:
        w = np.where(rng.random((rows, columns)) < 0.4, 0.0, rng.normal(size=(rows, columns)))
        return sp.csr_array(w) if sparse else w

    layers = (
        Layer((0,), (weight(2, 3),), rng.normal(size=2), "relu"),
        Layer((0,), (weight(2, 3),), rng.normal(size=2), "identity"),
        Layer((0,), (weight(3, 3),), rng.normal(size=3), "relu"),
        Layer((1, 3), (weight(2, 2), weight(2, 3)), rng.normal(size=2), "relu"),
        Layer((0, 4), (weight(1, 3), weight(1, 2)), rng.normal(size=1), "relu"),
        Layer((2, 5), (weight(1, 2), weight(1, 1)), rng.normal(size=1)),
    )
    return Network(3, layers)


def test_first_layers_are_the_relus_that_read_the_input_alone() -> None:
    """Wherever they stand in the network; the affine maps and the layers behind are none."""
    expected = [True] * 2 + [False] * 2 + [True] * 3 + [False] * 4
    assert first_layers(query_of(parallel_layers(False))).tolist() == expected


@pytest.mark.parametrize("sparse", [False, True])
def test_first_layer_rows_are_the_neurons_own(sparse: bool) -> None:
    """Each neuron of `first_layers` gets its own pre-activation, in dense and sparse layers, in the first and later."""
    query = query_of(parallel_layers(sparse))
    x = np.random.default_rng(5).normal(size=(1, 3))
    z = np.concatenate(query.network.values(x)[1], axis=1)[0]
    neurons = np.flatnonzero(first_layers(query))
    assert neurons.tolist() == [0, 1, 4, 5, 6]
    for i in neurons:
        row, slack = first_layer_row(query, int(i))
        assert row.shape == (4,) and slack == 0.0
        assert row[:-1] @ x[0] + row[-1] == pytest.approx(z[i], rel=1e-12)


def test_first_layers_of_random_networks() -> None:
    """Moving the input changes these pre-activations by the row's normal, for every neuron found."""
    found = 0
    for seed in range(40):
        instance = random_instance(seed, shape=Shape(residual=0.6, rough=True))
        query = queries(instance.network, instance.prop)[0]
        x = np.random.default_rng(seed).normal(size=(2, query.network.input_size))
        pre = np.concatenate(query.network.values(x)[1], axis=1)
        for i in np.flatnonzero(first_layers(query)):
            row, _ = first_layer_row(query, int(i))
            np.testing.assert_allclose(x @ row[:-1] + row[-1], pre[:, i], rtol=1e-10, atol=1e-10, err_msg=f"{instance}")
            found += 1
    assert found > 60


def test_a_composed_row_is_the_pre_activation_around_its_point() -> None:
    """At the point and at points of the same activation pattern, residual edges included."""
    compared = 0
    for seed in range(40):
        instance = random_instance(seed)
        query = queries(instance.network, instance.prop)[0]
        if not query.neurons:
            continue
        rng = np.random.default_rng(seed)
        lower, upper = query.region.lower, query.region.upper
        points = lower + rng.uniform(size=(query.neurons, len(lower))) * (upper - lower)
        neurons = np.arange(query.neurons)
        rows = composed_rows(query, neurons, points)
        near = np.clip(points + 1e-5 * rng.normal(size=points.shape) * (upper - lower), lower, upper)
        for x in (points, near):
            here, there = (np.concatenate(query.network.values(p)[1], axis=1) for p in (points, x))
            same = ((here > 0.0) == (there > 0.0)).all(axis=1)
            z = there[neurons, neurons]
            row_value = (rows[:, :-1] * x).sum(axis=1) + rows[:, -1]
            np.testing.assert_allclose(row_value[same], z[same], 1e-9, 1e-9 * (1.0 + np.abs(z).max()))
            compared += int(same.sum())
    assert compared > 200
