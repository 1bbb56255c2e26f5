"""The dual of the layer-wise relaxation: any multipliers are right, the best are the LP's, the greedy ones Fast-Lin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from random_instances import random_instance, random_points
from scipy.optimize import linprog

from hypersplit.encodings.layerwise.greedy_dual import Multipliers, dual_bound, greedy_multipliers
from hypersplit.encodings.layerwise.lp_steps import greedy_node
from hypersplit.encodings.linear.linear_bounds import LinearBoundOptions, bound
from hypersplit.encodings.programs.lp import TriangleLP
from hypersplit.encodings.relaxations.kinds import lines
from hypersplit.instances.batch import Node, root
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.network import Array, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries


def boxed(seed: int) -> tuple[Query, Node]:
    """A network of ReLUs on a box, a query of its outputs one by one, and its node with parallel lines' bounds."""
    network = random_network((3, 6, 5, 2), seed=seed)
    region = InputSet.box(-np.ones(3), np.ones(3))
    case = Case(region, tuple(Polyhedron(row[None], np.zeros(1)) for row in np.eye(2)))
    query = queries(network, Property((case,), 3, 2))[0]
    return query, greedy_node(query, root(query).node(0))[0]


@pytest.mark.parametrize("seed", range(6))
def test_any_multipliers_bound_the_margins(seed: int) -> None:
    """Random ones, of a ReLU's triangle or of single lines, stay below every sampled margin."""
    query, node = boxed(seed)
    rng = np.random.default_rng(seed)
    least = query.network.evaluate(random_points(rng, query.region, 20_000)).min(axis=0)
    for _ in range(20):
        given = [
            Multipliers(*(scale * rng.normal(size=layer.size) for scale in rng.exponential(1.0, 3)))
            for layer in query.network.layers[:-1]
        ]
        for row, slopes in ((0, None), (1, "parallel"), (0, "adaptive")):
            assert dual_bound(query, node, row, given, slopes) <= least[row]


@pytest.mark.parametrize("slopes", ["parallel", "adaptive"])
def test_greedy_dual_is_greedy_primal(slopes: str) -> None:
    """What the greedy multipliers prove is back-substitution's bound with the same lines."""
    for seed in range(6):
        query, node = boxed(seed)
        inherited = LinearBoundOptions(slopes=slopes, hidden=False, kernel="plain")
        primal = bound(query, node.batch, inherited)
        for row in range(2):
            given = greedy_multipliers(query, node, row, slopes)
            dual = dual_bound(query, node, row, given, slopes)
            walked = primal.coefficients[0, row], primal.constants[0, row]
            least = np.minimum(walked[0] * node.lower, walked[0] * node.upper).sum() + walked[1]
            assert dual == pytest.approx(float(least), rel=1e-9, abs=1e-9), f"seed {seed}"
            assert dual <= dual_bound(query, node, row, given) + 1e-9  # the triangle is inside either pair of lines


def test_greedy_passes_walk_residual_edges_and_curves() -> None:
    """Random networks with shortcuts, where some ReLUs are replaced by curves: as back-substitution."""
    for seed in range(10):
        instance = random_instance(seed)
        kinds = {"relu": ("relu", "tanh", "softplus")[seed % 3]}
        layers = tuple(replace(x, kind=kinds.get(x.kind, x.kind)) for x in instance.network.layers)
        query = queries(replace(instance.network, layers=layers), instance.prop)[0]
        node = greedy_node(query, root(query).node(0))[0]
        if (node.pre_lower > node.pre_upper).any():
            continue
        primal = bound(query, node.batch, LinearBoundOptions(slopes="parallel", hidden=False, kernel="plain"))
        for row in range(query.rows):
            dual = dual_bound(query, node, row, greedy_multipliers(query, node, row), "parallel")
            walk = primal.coefficients[0, row]
            least = np.minimum(walk * node.lower, walk * node.upper).sum() + primal.constants[0, row]
            assert dual <= primal.margins[0, row] + 1e-9 * (1.0 + abs(dual)), f"seed {seed}"
            assert dual == pytest.approx(float(least), rel=1e-8, abs=1e-8) or dual > least - 1e-9, f"seed {seed}"


@pytest.mark.parametrize("seed", range(6))
def test_the_best_multipliers_reach_the_lp(seed: int) -> None:
    """Multipliers of the relaxed program (C), as another solver finds them, prove its optimum (strong duality)."""
    query, node = boxed(seed)
    for row in range(2):
        optimum, given = solved(query, node, row)
        assert dual_bound(query, node, row, given) == pytest.approx(optimum, rel=1e-7, abs=1e-7)
        assert TriangleLP(query, node).minimise(row, 10.0).bound == pytest.approx(optimum, rel=1e-6, abs=1e-6)


def solved(query: Query, node: Node, row: int) -> tuple[float, list[Multipliers]]:
    """(optimum of (C) for a chain, its multipliers), columns x_0, then z_v and x_v of each layer."""
    network: Network = query.network
    widths = [network.input_size, *(size for layer in network.layers[:-1] for size in (layer.size, layer.size))]
    start = np.cumsum([0, *widths])
    total, count = int(start[-1]), len(network.layers) - 1
    equal, sides, under, limits, ends = [], [], [], [], list(zip(node.lower, node.upper, strict=True))
    for v in range(1, count + 1):
        layer, part = network.layers[v - 1], query.slices[v - 1]
        low, high = node.pre_lower[part], node.pre_upper[part]
        z, x, before = start[2 * v - 1], start[2 * v], start[2 * v - 2]
        for i in range(layer.size):
            line = np.zeros(total)
            line[z + i] = 1.0
            line[before : before + network.sizes[v - 1]] = -np.asarray(layer.weights[0])[i]
            equal.append(line)
            sides.append(float(layer.bias[i]))
            upper = lines(layer.kind, low[[i]], high[[i]])
            for slope in (float(layer.kind == "identity"), 1.0):  # 0 <= x of a ReLU, z <= x
                line = np.zeros(total)
                line[z + i], line[x + i] = slope, -1.0
                under.append(line)
                limits.append(0.0)
            line = np.zeros(total)
            line[z + i], line[x + i] = -float(upper.upper_slope[0]), 1.0
            under.append(line)
            limits.append(float(upper.upper_intercept[0]))
        ends += list(zip(low, high, strict=True)) + [(None, None)] * layer.size
    cost = np.zeros(total)
    cost[start[2 * count] :] = np.asarray(network.layers[-1].weights[0])[row]
    found = linprog(cost, np.array(under), np.array(limits), np.array(equal), np.array(sides), ends, method="highs")
    assert found.status == 0
    mu: Array = -found.eqlin.marginals
    parts = -found.ineqlin.marginals.reshape(-1, 3)
    given, at = [], 0
    for layer in network.layers[:-1]:
        own = slice(at, at + layer.size)
        given.append(Multipliers(mu[own], parts[own, 0] + parts[own, 1], parts[own, 2]))
        at += layer.size
    return float(found.fun) + float(network.layers[-1].bias[row]), given
