"""Partitions of a neuron's inputs: from big-M, one group, to the hull over the box, a group an input."""

from __future__ import annotations

import numpy as np
import pytest
from single_relus import extreme, neuron

from hypersplit.encodings.milp.big_m import BigM
from hypersplit.encodings.milp.model import NetworkModel
from hypersplit.encodings.milp.partition import Partition
from hypersplit.instances.batch import Node
from hypersplit.instances.query import Query


def top(query: Query, node: Node, formulation: Partition | BigM, x: np.ndarray) -> float:
    """The largest y at an input with a continuous switch."""
    model = NetworkModel(query, node, formulation)
    for variable in model.scip.getVars():
        if variable.vtype() == "BINARY":
            model.scip.chgVarType(variable, "C")
    for variable, value in zip(model.inputs, x.tolist(), strict=True):
        model.row([(variable, 1.0)], value, value)
    model.scip.setObjective(model.expr({model.relus[0].y: 1.0}), "maximize")
    model.scip.optimize()
    return float(model.scip.getVal(model.relus[0].y[0]))


def hull_top(weight: np.ndarray, bias: float, lower: np.ndarray, upper: np.ndarray, x: np.ndarray) -> float:
    """The largest y of the convex hull over the box, by the best of all switches of the 2^n rows (on a grid)."""
    first, last = np.where(weight >= 0, (lower, upper), (upper, lower))
    a = np.linspace(0.0, 1.0, 4001)[:, None]
    rows = np.minimum(weight * (x - first * (1.0 - a)), weight * last * a).sum(axis=1) + bias * a[:, 0]
    return float(rows.max())


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_it_is_the_relu(groups: int) -> None:
    """With its binary, whatever the number of groups."""
    rng = np.random.default_rng(0)
    query, node = neuron(rng.normal(size=4), 0.1, -np.ones(4), np.ones(4))
    low, high = node.pre_lower[0], node.pre_upper[0]
    for share in (0.1, 0.5, 0.9):
        z = low + share * (high - low)
        for sign in (1.0, -1.0):
            assert extreme(query, node, Partition(groups), z, sign) == pytest.approx(max(z, 0.0), abs=1e-5)


def test_more_groups_are_between_big_m_and_the_hull() -> None:
    """Without a binary: one group is big-M, as many as inputs are the hull, and none is below the next finer one."""
    rng, finer = np.random.default_rng(4), 0
    for _ in range(4):
        weight, lower = rng.normal(size=4), -rng.random(4)
        upper = lower + 2.0 * rng.random(4)
        bias = -float(weight @ (0.5 * lower + 0.5 * upper))
        query, node = neuron(weight, bias, lower, upper)
        x = rng.uniform(lower, upper)
        tops = [top(query, node, Partition(n), x) for n in (1, 2, 4)]
        assert tops[0] == pytest.approx(top(query, node, BigM(), x), abs=1e-5)
        assert tops[0] >= tops[1] - 1e-5 >= tops[2] - 2e-5
        assert tops[2] == pytest.approx(hull_top(weight, bias, lower, upper, x), abs=2e-3)
        finer += tops[2] < tops[0] - 1e-3
    assert finer > 0


def test_the_networks_values_are_a_solution() -> None:
    """Parts of the groups get the values of their phase."""
    rng = np.random.default_rng(5)
    query, node = neuron(rng.normal(size=5), 0.1, -np.ones(5), np.ones(5))
    for x in rng.uniform(-1.0, 1.0, (6, 5)):
        model = NetworkModel(query, node, Partition(3))
        solution, _ = model.solution(x)
        assert model.scip.checkSol(solution, original=True), x
