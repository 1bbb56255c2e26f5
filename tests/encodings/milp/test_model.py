"""The model of a node's layers: the network's values satisfy it, other values do not."""

from __future__ import annotations

import numpy as np
import pytest
from milp_problems import bounded
from random_instances import Shape, random_points, random_query

from hypersplit.encodings.milp.big_m import BigM
from hypersplit.encodings.milp.model import NetworkModel, wide_range
from hypersplit.instances.batch import root
from hypersplit.instances.network import activate


@pytest.mark.parametrize("shape", [Shape(), Shape(residual=1.0, rough=True), Shape(identity=0.5, halfspaces=1.0)])
def test_the_networks_values_are_solutions(shape: Shape) -> None:
    """At points of the region; `inside` says which they are, half-spaces included."""
    checked = 0
    for seed in range(12):
        query = random_query(seed, shape)
        node = bounded(query, root(query).node(0))
        if node is None:
            continue
        points = random_points(np.random.default_rng(seed), query.region, 3)
        model = NetworkModel(query, node, BigM())
        assert model.inside(points).all()
        for x in points:
            solution, margins = model.solution(x)
            assert model.scip.checkSol(solution, original=True), f"seed {seed}"
            np.testing.assert_allclose(margins, query.network.evaluate(x[None])[0], atol=1e-12)
            checked += 1
    assert checked > 10


def test_a_moved_value_is_no_solution() -> None:
    """Any value of a hidden neuron off by a thousandth of its size breaks some row."""
    for seed in range(6):
        query = random_query(seed, Shape(halfspaces=0.0, identity=0.0))
        node = bounded(query, root(query).node(0))
        assert node is not None
        x = 0.5 * node.lower + 0.5 * node.upper
        for k, layer in enumerate(NetworkModel(query, node, BigM()).neurons[1:], start=1):
            for i in (i for i, value in enumerate(layer.value) if value is not None):
                model = NetworkModel(query, node, BigM())
                solution, _ = model.solution(x)
                variable = model.neurons[k].value[i][0]
                value = model.scip.getSolVal(solution, variable)
                model.scip.setSolVal(solution, variable, value + 1e-3 * (1.0 + abs(value)))
                assert not model.scip.checkSol(solution, original=True), f"seed {seed}, layer {k}, neuron {i}"


def test_rows_are_scaled_by_powers_of_two_alone() -> None:
    """Their largest coefficient lies in [1, 2), and the sides go with it; a contradiction without terms is one."""
    query = random_query(0)
    node = bounded(query, root(query).node(0))
    assert node is not None
    model = NetworkModel(query, node, BigM())
    v = model.variable(-1.0, 1.0)
    model.row([(v, 3e-9)], -3e-9, 1.5e-9)
    row = model.scip.getConss()[-1]
    (coefficient,) = model.scip.getValsLinear(row).values()
    assert 1.0 <= coefficient < 2.0 and coefficient / 3e-9 == 2.0 ** np.round(np.log2(coefficient / 3e-9))
    assert model.scip.getRhs(row) / coefficient == 0.5 and model.scip.getLhs(row) / coefficient == -1.0
    model.row([], 1.0, None)
    model.scip.optimize()
    assert model.scip.getStatus() == "infeasible"


def test_candidates_lie_in_the_box() -> None:
    """A solution's input is clipped, and near ends are snapped to, beside the point itself."""
    query = random_query(2, Shape(fixed=0.0, halfspaces=0.0))
    node = bounded(query, root(query).node(0))
    assert node is not None
    model = NetworkModel(query, node, BigM())
    solution, _ = model.solution(node.lower)
    near = node.lower[0] + 1e-7 * (node.upper[0] - node.lower[0])
    model.scip.setSolVal(solution, model.inputs[0][0], near)
    found = model.candidates(solution)
    assert len(found) == 2 and found[0][0] == near and np.array_equal(found[1], node.lower)


def test_unbounded_neurons_are_refused() -> None:
    """Their layer is named."""
    query = random_query(1)
    with pytest.raises(ValueError, match="finite pre-activation bounds"):
        NetworkModel(query, root(query).node(0), BigM())


@pytest.mark.parametrize("kind", ["relu", "identity", "sigmoid", "tanh", "hardswish", "power:2"])
def test_wide_ranges_hold_all_values(kind: str) -> None:
    """Sampled between the ends, which are the extremes."""
    rng = np.random.default_rng(0)
    low = rng.normal(size=50) * 10.0 ** rng.integers(-3, 3, 50)
    high = low + rng.random(50)
    least, most = wide_range(kind, low, high)
    for share in np.linspace(0.0, 1.0, 9):
        value = activate(kind, low + share * (high - low))
        assert (value >= least - 1e-15).all() and (value <= most + 1e-15).all()
