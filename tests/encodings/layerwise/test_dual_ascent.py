"""The dual after supergradient steps: below the linear program, and near it; the greedy pass is where it begins."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from random_instances import random_points

from hypersplit.encodings.layerwise.dual_ascent import best_multipliers, least_at, tied
from hypersplit.encodings.layerwise.greedy_dual import dual_bound, greedy_multipliers, pulled_back
from hypersplit.encodings.layerwise.lp_steps import greedy_node
from hypersplit.encodings.programs.lp import TriangleLP
from hypersplit.instances.batch import Node, root
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.network import activate
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries


def boxed(seed: int, kind: str = "relu", sizes: tuple[int, ...] = (3, 6, 5, 2)) -> tuple[Query, Node]:
    """A network with one kind of activation on a box, its outputs as margins, and its node with greedy bounds."""
    network = random_network(sizes, seed=seed)
    hidden = tuple(replace(layer, kind=kind) for layer in network.layers[:-1])
    network = replace(network, layers=(*hidden, network.layers[-1]))
    region = InputSet.box(-np.ones(sizes[0]), np.ones(sizes[0]))
    case = Case(region, tuple(Polyhedron(row[None], np.zeros(1)) for row in np.eye(sizes[-1])))
    query = queries(network, Property((case,), sizes[0], sizes[-1]))[0]
    return query, greedy_node(query, root(query).node(0))[0]


@pytest.mark.parametrize("kind", ["relu", "tanh", "softplus"])
def test_any_tied_multipliers_bound_the_margins(kind: str) -> None:
    """Random mu of any sign and size, with the lambda that belong to them, stay below every sampled margin."""
    for seed in range(4):
        query, node = boxed(seed, kind)
        rng = np.random.default_rng(seed)
        least = query.network.evaluate(random_points(rng, query.region, 2_000)).min(axis=0)
        for scale in rng.exponential(1.0, 5):
            mus = [scale * rng.normal(size=layer.size) for layer in query.network.layers[:-1]]
            for row in range(2):
                assert dual_bound(query, node, row, tied(query, row, mus)) <= least[row], f"seed {seed}"


@pytest.mark.parametrize("kind", ["relu", "tanh", "sigmoid", "softplus"])
def test_the_hull_has_the_originals_dual(kind: str) -> None:
    """Theorem 4.2 at every mu: the dual over hulls is the Lagrangian's least value over the graphs themselves (10)."""
    for seed in range(4):
        query, node = boxed(seed, kind)
        rng = np.random.default_rng(seed)
        mus = [rng.normal(size=layer.size) for layer in query.network.layers[:-1]]
        lam = pulled_back(query, 0, mus)
        least = float(query.network.layers[-1].bias[0]) - np.abs(lam[0]).sum()  # over the box [-1, 1]
        for layer, mu, own, part in zip(query.network.layers[:-1], mus, lam[1:], query.slices, strict=True):
            z = np.linspace(node.pre_lower[part], node.pre_upper[part], 4001)
            z = np.concatenate([z, np.clip(np.zeros((1, layer.size)), z[0], z[-1])])
            least += float((mu * z - own * activate(layer.kind, z) - mu * layer.bias).min(axis=0).sum())
        found = dual_bound(query, node, 0, tied(query, 0, mus))
        assert found <= least + 1e-9 and found == pytest.approx(least, abs=2e-4), f"seed {seed}"


@pytest.mark.parametrize("seed", range(4))
def test_steps_lead_to_the_linear_program(seed: int) -> None:
    """They close nearly all of what the greedy pass leaves to the LP's optimum, and never pass it (Theorem 4.1)."""
    query, node = boxed(seed)
    for row in range(2):
        optimum = TriangleLP(query, node).minimise(row, 10.0).bound
        greedy = dual_bound(query, node, row, greedy_multipliers(query, node, row))
        found = dual_bound(query, node, row, best_multipliers(query, node, row, 600))
        assert greedy - 1e-9 <= found <= optimum + 1e-6
        assert optimum - found <= 0.02 * (optimum - greedy) + 1e-3


def test_without_time_the_greedy_multipliers_stay() -> None:
    """After the deadline no step is taken: the better of both greedy passes is what is left."""
    query, node = boxed(0)
    late = best_multipliers(query, node, 0, 100, deadline=time.monotonic() - 1.0)
    greedy = max(
        dual_bound(query, node, 0, greedy_multipliers(query, node, 0, rule)) for rule in ("parallel", "adaptive")
    )
    assert dual_bound(query, node, 0, late) == pytest.approx(greedy, abs=1e-9)


def test_steps_bring_curves_further() -> None:
    """With tanh, whose hull has no finite number of rows, the steps beat the greedy pass and stay below samples."""
    for seed in range(3):
        query, node = boxed(seed, "tanh")
        least = query.network.evaluate(random_points(np.random.default_rng(seed), query.region, 5_000)).min(axis=0)
        greedy = dual_bound(query, node, 0, greedy_multipliers(query, node, 0))
        found = dual_bound(query, node, 0, best_multipliers(query, node, 0, 60))
        assert greedy < found <= least[0], f"seed {seed}"


def test_the_least_point_of_a_curve_is_found() -> None:
    """As low as any point of a fine grid, at ends and inside."""
    rng = np.random.default_rng(1)
    lower, mu, lam = -3.0 * rng.random(50), rng.normal(size=50), rng.normal(size=50)
    upper = lower + 5.0 * rng.random(50)
    for kind in ("relu", "identity", "softplus"):
        z = least_at(kind, (lower, upper), mu, lam)
        grid = np.linspace(lower, upper, 2001)
        least = (mu * grid - lam * activate(kind, grid)).min(axis=0)
        assert (mu * z - lam * activate(kind, z) <= least + 1e-6).all()
        assert ((lower <= z) & (z <= upper)).all()
