"""Hulls of maxima over the box of their entries: exact over it, never below a value, better than triangles."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from milp_problems import bounded, exact_minimum
from onnx import helper
from onnx_models import model
from random_instances import random_points
from scipy.optimize import linprog

from hypersplit.bab.verify import verify
from hypersplit.encodings.neuron_groups.group_lp import GroupLP
from hypersplit.encodings.neuron_groups.group_refinement import refine_by_groups
from hypersplit.encodings.neuron_groups.windows import Maximum, maxima_of, window_bounds, window_rows
from hypersplit.encodings.programs.lp import TriangleLP
from hypersplit.instances.batch import Node, root
from hypersplit.instances.network import Array, Layer, Network
from hypersplit.instances.onnx.reader import network_from_bytes
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

FAR = 100.0  # beyond what margins reach: LPs with rows are given up where a bound is positive


def asked(network: Network, lower: Array, upper: Array, rows: Array) -> tuple[Query, Node]:
    """Each of the rows over the outputs, less FAR, as a disjunct of its own, and the root with linear bounds."""
    case = Case(InputSet.box(lower, upper), tuple(Polyhedron(row[None], np.array([FAR])) for row in rows))
    query = queries(network, Property((case,), network.input_size, network.output_size))[0]
    node = bounded(query, root(query).node(0))
    assert node is not None
    return query, node


def maximum_beside(k: int) -> Network:
    """(x_1, ..., x_k, max x), the maximum as readers make it."""
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["m"], axes=[1], keepdims=1),
        helper.make_node("Concat", ["x", "m"], ["y"], axis=1),
    ]
    return network_from_bytes(model(nodes, (1, k)).SerializeToString())


def pooled(seed: int, relu_first: bool = True, kernel: int = 2, side: int = 4) -> bytes:
    """A convolution, a ReLU and max pooling in either order, and a dense layer; side x side inputs."""
    rng = np.random.default_rng(seed)
    nodes = [helper.make_node("Conv", ["x", "W", "b"], ["c"], pads=[1, 1, 1, 1])]
    pool = {"kernel_shape": [kernel, kernel], "strides": [2, 2], "pads": [0, 0, kernel - 2, kernel - 2]}
    if relu_first:
        nodes += [helper.make_node("Relu", ["c"], ["r"]), helper.make_node("MaxPool", ["r"], ["p"], **pool)]
    else:
        nodes += [helper.make_node("MaxPool", ["c"], ["r"], **pool), helper.make_node("Relu", ["r"], ["p"])]
    nodes += [helper.make_node("Flatten", ["p"], ["f"]), helper.make_node("MatMul", ["f", "head"], ["y"])]
    weights = {
        "W": (rng.normal(size=(2, 1, 3, 3)) / 2).astype(np.float32), "b": rng.normal(size=2).astype(np.float32) / 4,
        "head": rng.normal(size=(2 * (side // 2) ** 2, 3)).astype(np.float32),
    }  # fmt: skip
    return model(nodes, (1, 1, side, side), weights).SerializeToString()


def asked_pool(seed: int, radius: float = 0.4, **how: object) -> tuple[Query, Node]:
    """Outputs and negated outputs of such a network around a random image."""
    network = network_from_bytes(pooled(seed, **how))  # type: ignore[arg-type]
    middle = np.random.default_rng(seed + 100).uniform(0.0, 1.0, network.input_size)
    rows = np.concatenate([np.eye(3), -np.eye(3)])
    return asked(network, middle - radius, middle + radius, rows)


def entries(m: Maximum) -> int:
    """Ends of its tree."""
    return sum(entries(side) if isinstance(side, Maximum) else 1 for side in (m.first, m.second))


@pytest.mark.parametrize("relu_first", [True, False])
def test_windows_are_found_in_what_readers_make(relu_first: bool) -> None:
    """Eight windows of four entries, and their two pairs each; a ReLU behind one is a maximum of these and 0."""
    query, _ = asked_pool(0, relu_first=relu_first)
    sizes = sorted(entries(m) for m in maxima_of(query))
    assert sizes == [2] * 16 + [4] * 8 + ([] if relu_first else [5] * 8)


def test_dense_layers_have_no_windows() -> None:
    """Sums of several values that are no maxima, and single values, are left alone."""
    rng = np.random.default_rng(0)
    layers = (
        Layer((0,), (rng.normal(size=(5, 3)),), np.zeros(5), "relu"), Layer((1,), (np.eye(5),), np.zeros(5), "relu"),
        Layer((2,), (rng.normal(size=(1, 5)),), np.zeros(1)),
    )  # fmt: skip
    query, node = asked(Network(3, layers), -np.ones(3), np.ones(3), np.eye(1))
    assert not maxima_of(query) and not len(window_rows(query, node)) and window_bounds(query, node) is node


def least_on_the_graph(weights: Array, of_maximum: float, lower: Array, upper: Array) -> float:
    """min of weights x + of_maximum max(x) over a box: at a corner where it is concave, else by an LP."""
    if of_maximum <= 0.0:
        corners = np.array(list(product(*zip(lower, upper, strict=True))))
        return float((corners @ weights + of_maximum * corners.max(axis=1)).min())
    k = len(weights)
    above = np.column_stack([np.eye(k), -np.ones(k)])  # x_i <= t
    ends = [*zip(lower, upper, strict=True), (None, None)]
    return float(linprog(np.append(weights, of_maximum), above, np.zeros(k), bounds=ends).fun)


@pytest.mark.parametrize("k", [2, 3, 4, 6])
def test_rows_describe_the_hull(k: int) -> None:
    """Every linear function of entries and maximum has its least value over the graph as its bound."""
    rng, network, gained = np.random.default_rng(k), maximum_beside(k), 0
    for _ in range(4):
        lower = np.round(rng.uniform(-1.0, 0.5, k), 2)
        upper = lower + np.round(rng.uniform(0.1, 1.5, k), 2)
        rows = rng.normal(size=(8, k + 1))
        query, node = asked(network, lower, upper, rows)
        lp = GroupLP(query, window_bounds(query, node), window_rows(query, node))
        for d, row in enumerate(rows):
            truth = least_on_the_graph(row[:-1], float(row[-1]), lower, upper)
            found = lp.minimise(d, time.monotonic() + 30.0).bound + FAR
            plain = TriangleLP(query, node).minimise(d, 10.0).bound + FAR
            assert plain - 1e-7 <= found <= truth and found == pytest.approx(truth, abs=1e-5)
            gained += found > plain + 1e-3
    assert gained > 0


@pytest.mark.parametrize("relu_first", [True, False])
@pytest.mark.parametrize("kernel", [2, 3])
def test_rows_and_bounds_hold_at_values(relu_first: bool, kernel: int) -> None:
    """On random points and corners of boxes, windows that overlap included."""
    seen = 0
    for seed in range(4):
        query, node = asked_pool(seed, relu_first=relu_first, kernel=kernel)
        tight, rng = window_bounds(query, node), np.random.default_rng(seed)
        points = random_points(rng, query.region, 300)
        corners = np.where(rng.random(points.shape) < 0.5, query.region.lower, query.region.upper)
        points = np.concatenate([points, corners])
        values, pre = query.network.values(points)
        z = np.concatenate(pre[:-1], axis=1)
        assert (tight.pre_lower <= z + 1e-12).all() and (z <= tight.pre_upper + 1e-12).all(), f"seed {seed}"
        rows = window_rows(query, tight)
        y = np.concatenate(values[1:-1], axis=1)
        for zs, ys, x in zip(z, y, points, strict=True):
            least = rows.values(np.append(zs, x), np.append(ys, np.zeros(len(x)))).min(initial=np.inf)
            assert least >= -1e-12, f"seed {seed}"
        seen += len(rows)
    assert seen > 100


def test_bounds_lie_between_the_triangles_and_the_truth() -> None:
    """The largest and the second of four ReLUs, weighed: none above the exact minimum, none below the triangles'."""
    better = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        nodes = [
            helper.make_node("MatMul", ["x", "W"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
            helper.make_node("ReduceMax", ["r"], ["m"], axes=[1], keepdims=1),
            helper.make_node("Concat", ["m", "r"], ["c"], axis=1), helper.make_node("MatMul", ["c", "head"], ["y"]),
        ]  # fmt: skip
        weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in (("W", (2, 4)), ("head", (5, 2)))}
        network = network_from_bytes(model(nodes, (1, 2), weights).SerializeToString())
        query, node = asked(network, -np.ones(2), np.ones(2), np.eye(2))
        tight = window_bounds(query, node)
        lp = GroupLP(query, tight, window_rows(query, tight))
        for d in range(2):
            found = lp.minimise(d, time.monotonic() + 30.0).bound
            plain = TriangleLP(query, node).minimise(d, 10.0).bound
            truth = exact_minimum(query, node, [d])
            assert truth is not None and plain - 1e-6 <= found <= truth, f"seed {seed}"
            better += found > plain + 1e-6
    assert better > 0


def test_layers_behind_windows_gain() -> None:
    """Layer by layer with LPs: bounds are true, and with windows no worse."""
    query, node = asked_pool(2, 0.2)
    plain, tight = (refine_by_groups(query, node, lambda k, known: [], windows=w)[0] for w in (False, True))
    points = random_points(np.random.default_rng(0), query.region, 500)
    z = np.concatenate(query.network.values(points)[1][:-1], axis=1)
    assert (tight.pre_lower <= z + 1e-9).all() and (z <= tight.pre_upper + 1e-9).all()
    gain = (plain.pre_upper - plain.pre_lower) - (tight.pre_upper - tight.pre_lower)
    assert gain.min() > -1e-6 and gain.max() > 1e-3


def test_stable_neurons_leave_entries_out() -> None:
    """Where x_1 is above x_2 the window of both and x_3 is that of x_1 and x_3: at most max of these boxes' tops."""
    network = maximum_beside(3)
    lower, upper = np.array([0.5, -1.0, 0.0]), np.array([1.0, 0.25, 2.0])
    query, node = asked(network, lower, upper, np.eye(4))
    rows = window_rows(query, window_bounds(query, node))
    named = {int(n) for n, z, y in zip(rows.neurons.ravel(), rows.z.ravel(), rows.y.ravel(), strict=True) if z or y}
    read = {n - query.neurons for n in named if n >= query.neurons}
    assert len(rows) and {0, 2} <= read


def test_errors_of_weights_and_biases_loosen_rows_and_bounds() -> None:
    """What a layer's weights and bias may be off by is added to its windows' constants and bounds."""
    network, lower, upper = maximum_beside(2), np.zeros(2), np.ones(2)
    ends, constants = [], []
    for roundings, error in ((0, 0.0), (0, 0.125), (2**40, 0.0)):
        first = replace(network.layers[0], roundings=roundings, bias_error=error)
        query, node = asked(replace(network, layers=(first, *network.layers[1:])), lower, upper, np.eye(3))
        node.pre_lower[:], node.pre_upper[:] = -5.0, 5.0
        ends.append(window_bounds(query, node).pre_upper[0])
        node.pre_lower[:], node.pre_upper[:] = -1.0, 1.0
        constants.append(window_rows(query, node).constants)
    assert ends[0] == pytest.approx(1.0, abs=1e-12)
    assert ends[1] == pytest.approx(1.125, abs=1e-6) and ends[1] >= 1.125
    assert ends[2] >= 1.0 + 2.0 * 2.0**40 * 2.0**-53
    assert (constants[1] >= constants[0] + 0.125).all() and (constants[2] > constants[0]).all()


def test_values_without_finite_bounds_have_no_rows() -> None:
    """Nothing is said of a window with an entry that nothing is known of."""
    query, node = asked_pool(0)
    count = len(window_rows(query, node))
    node.pre_lower[:], node.pre_upper[:] = -np.inf, np.inf
    assert count and not len(window_rows(query, node))
    loose = window_bounds(query, node)
    assert not np.isnan(loose.pre_lower).any() and not np.isnan(loose.pre_upper).any()


def test_verdicts_about_pooled_networks() -> None:
    """A bit below what points reach is proved, by default and by rows in nodes; a bit above it there is a witness."""
    raw = pooled(0, side=6)
    network, rng = network_from_bytes(raw), np.random.default_rng(0)
    middle, row = rng.uniform(0.0, 1.0, 36), rng.normal(size=3)
    ends = middle - 0.05, middle + 0.05
    lowest = float((network.evaluate(np.where(rng.random((4000, 36)) < 0.5, *ends)) @ row).min())
    for reached, threshold in ((False, lowest - 0.2), (True, lowest + 0.02)):
        case = Case(InputSet.box(*ends), (Polyhedron(row[None], np.array([threshold])),))
        prop = Property((case,), 36, 3)
        plain = verify(raw, prop, timeout=60.0, jobs=1, kernel="plain")
        nodes = verify(
            raw, prop, timeout=60.0, jobs=1, kernel="plain", method="split", rule="phases", node_bounds="rows"
        )
        assert plain.verdict == nodes.verdict == ("sat" if reached else "unsat")
