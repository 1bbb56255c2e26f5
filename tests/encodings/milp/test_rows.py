"""Multi-neuron rows in a MILP: rows that hold cut off no network's values, and rows that do not cut them off."""

from __future__ import annotations

import numpy as np
from milp_problems import bounded
from random_instances import Shape, random_points, random_query

from hypersplit.encodings.milp.big_m import BigM
from hypersplit.encodings.milp.model import NetworkModel
from hypersplit.encodings.milp.rows import add_rows
from hypersplit.encodings.slopes.group_rows import GroupRows
from hypersplit.instances.batch import root


def test_a_row_in_the_model_is_the_row() -> None:
    """With a constant that makes it just true at a point the point is a solution; a little less, and it is none."""
    checked = 0
    for seed in range(12):
        rng, query = np.random.default_rng(seed), random_query(seed, Shape(most_hidden=2))
        node = bounded(query, root(query).node(0))
        points = random_points(rng, query.region, 2)
        if node is None or query.neurons < 2 or not len(points):
            continue
        n = query.network.input_size
        members = rng.choice(query.neurons + n, 2, replace=False)
        z, y = rng.normal(size=(1, 2)), np.where(members < query.neurons, rng.normal(size=(1, 2)), 0.0)
        values, pre = query.network.values(points[:1])
        flat_z = np.append(np.concatenate(pre[:-1], axis=1)[0], points[0])
        flat_y = np.append(np.concatenate(values[1:-1], axis=1)[0], np.zeros(n))
        least = -GroupRows(members[None], z, y, np.zeros(1)).values(flat_z, flat_y)
        for constant, holds in ((least + 1e-3, True), (least - 1e-2, False)):
            model = NetworkModel(query, node, BigM())
            if not add_rows(model, GroupRows(members[None], z, y, constant)):
                continue
            solution, _ = model.solution(points[0])
            assert model.scip.checkSol(solution, original=True) == holds, f"seed {seed}, members {members}"
            checked += 1
    assert checked > 8


def test_rows_over_the_pre_activation_of_a_dead_neuron_are_left_out() -> None:
    """Nothing in the model knows it; over its activation alone, which is 0, the row stays."""
    query = random_query(3, Shape(identity=0.0, halfspaces=0.0))
    node = bounded(query, root(query).node(0))
    assert node is not None
    node.pre_upper[0], node.pre_lower[0] = -1.0, -2.0
    members = np.array([[0, query.neurons]])
    by_z = GroupRows(members, np.array([[1.0, 1.0]]), np.zeros((1, 2)), np.array([99.0]))
    by_y = GroupRows(members, np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]]), np.array([99.0]))
    model = NetworkModel(query, node, BigM())
    assert add_rows(model, GroupRows.none()) == 0
    assert (add_rows(model, by_z), add_rows(model, by_y)) == (0, 1)
