"""The sum of infeasibilities: patterns, descents that end at counterexamples, an LP that is given back unharmed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from random_instances import Shape, random_instance

from hypersplit.encodings.linear.linear_bounds import LinearBoundOptions, bound
from hypersplit.encodings.programs.lp import TriangleLP
from hypersplit.heuristics.attacks.attacks import points_in
from hypersplit.heuristics.attacks.infeasibilities import Infeasibilities, phase_pattern
from hypersplit.instances.batch import Node, root
from hypersplit.instances.network import Array, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

SECONDS = 60.0  # far beyond what any of these LPs needs
SHAPE = Shape(most_inputs=4, most_width=5, most_relus=11, fixed=0.0)


def bounded(query: Query) -> Node | None:
    """The root with linear bounds; None where they refute the query."""
    batch = root(query)
    bounds = bound(query, batch, LinearBoundOptions())
    if bounds.infeasible[0] or query.worst(bounds.margins)[0] > 0.0:
        return None
    return replace(batch, pre_lower=bounds.pre_lower, pre_upper=bounds.pre_upper).node(0)


def inside(query: Query) -> object:
    """A check that takes a point of the region whose worst margin is at most rounding above 0."""

    def check(points: Array) -> Array | None:
        region = query.region
        held = bool((region.rows @ points[0] + region.offsets >= -1e-7).all())
        return points[0] if held and query.worst(query.network.evaluate(points))[0] <= 1e-7 else None

    return check


def test_what_is_found_is_a_counterexample_and_unsat_is_never_refuted() -> None:
    """Over random instances: only `sat` ones are found, and most of these from the pattern of some random point."""
    sat = found = 0
    for seed in range(40):
        instance = random_instance(seed, shape=SHAPE)
        rng = np.random.default_rng(seed)
        hit = False
        for query in queries(instance.network, instance.prop):
            node = bounded(query)
            if node is None:
                continue
            model = TriangleLP(query, node)
            for k in range(query.disjuncts):
                model.minimise(k, SECONDS)
                search = Infeasibilities(query, model, node, rng)
                for start in points_in(node.lower, node.upper, 3, rng):
                    outcome = search.search(phase_pattern(query, start), inside(query), 10, SECONDS)  # type: ignore[arg-type]
                    hit |= outcome.status == "found"
                    assert (outcome.found is not None) == (outcome.status == "found"), instance
        if instance.truth == "sat":
            sat, found = sat + 1, found + hit
        elif instance.kind == "clear-unsat":
            assert not hit, instance
    assert sat >= 10
    assert found >= 0.9 * sat


def tent() -> tuple[Query, Node]:
    """y = |a| + |b| - 2 |a + b| / 3 >= 1.2 on [-1, 1]^2, in eight ReLU phases; only a = -b near the ends fulfils it."""
    hidden = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [1.0, 1.0], [-1.0, -1.0]])
    output = np.array([[1.0, 1.0, 1.0, 1.0, -2.0 / 3.0, -2.0 / 3.0]])
    network = sequential([hidden, output], [np.zeros(6), np.zeros(1)])
    case = Case(InputSet.box(np.full(2, -1.0), np.ones(2)), (Polyhedron(np.array([[-1.0]]), np.array([-1.2])),))
    query = queries(network, Property((case,), 2, 1))[0]
    node = bounded(query)
    assert node is not None
    return query, node


def test_the_pattern_of_a_point_is_the_networks_own() -> None:
    """Positive pre-activations are active, all layers one behind the other."""
    query, _ = tent()
    pattern = phase_pattern(query, np.array([0.5, -0.25]))
    assert pattern[query.relu].tolist() == [1, -1, -1, 1, 1, -1]


def test_a_realised_pattern_is_pressed_below_zero() -> None:
    """Where a pattern's infeasibility is 0, the next candidate has the lowest margin of its region, not just 0."""
    query, node = tent()
    model = TriangleLP(query, node)
    model.minimise(0, SECONDS)
    seen: list[float] = []

    def check(points: Array) -> Array | None:
        seen.append(float(query.worst(query.network.evaluate(points))[0]))
        return points[0] if len(seen) > 1 else None

    pattern = phase_pattern(query, np.array([0.9, -0.8]))
    outcome = Infeasibilities(query, model, node, np.random.default_rng(0)).search(pattern, check, 0, SECONDS)
    assert outcome.status == "found"
    assert outcome.least <= 1e-9
    assert outcome.solves == 2
    assert abs(seen[-1] - (1.2 - 2.0)) < 1e-6


def test_a_walk_leaves_a_pattern_without_counterexamples() -> None:
    """From a = b = 0.9, whose region holds none, flips lead to a counterexample."""
    query, node = tent()
    model = TriangleLP(query, node)
    model.minimise(0, SECONDS)
    pattern = phase_pattern(query, np.array([0.9, 0.9]))
    hits = 0
    for seed in range(10):
        search = Infeasibilities(query, model, node, np.random.default_rng(seed))
        outcome = search.search(pattern, inside(query), 20, SECONDS)  # type: ignore[arg-type]
        hits += outcome.found is not None
    assert hits >= 8


def test_the_model_is_given_back_as_it_was() -> None:
    """Bounds, objective and the proved bound of the LP are the same after a search, found or not."""
    query, node = tent()
    model = TriangleLP(query, node)
    before = model.minimise(0, SECONDS)
    lp = model.triangles.lp
    lower, upper, objective = lp.lower.copy(), lp.upper.copy(), lp.objective.copy()
    search = Infeasibilities(query, model, node, np.random.default_rng(0))
    for check in (inside(query), lambda points: None):
        search.search(phase_pattern(query, np.array([0.9, 0.9])), check, 5, SECONDS)  # type: ignore[arg-type]
        assert np.array_equal(lp.lower, lower)
        assert np.array_equal(lp.upper, upper)
        assert np.array_equal(lp.objective, objective)
        assert abs(model.minimise(0, SECONDS).bound - before.bound) < 1e-6


def test_an_empty_node_is_told_as_infeasible() -> None:
    """A disjunct that the triangle LP cannot fulfil ends the search at once, without a candidate."""
    query, node = tent()
    case = replace(query.case, forbidden=(Polyhedron(np.array([[-1.0]]), np.array([-50.0])),))
    far = queries(sequential_of(query), Property((case,), 2, 1))[0]
    model = TriangleLP(far, node)
    model.minimise(0, SECONDS)
    seen: list[Array] = []
    search = Infeasibilities(far, model, node, np.random.default_rng(0))
    outcome = search.search(phase_pattern(far, np.zeros(2)), seen.append, 5, SECONDS)
    assert outcome.status == "infeasible"
    assert not seen
    assert outcome.least == np.inf


def sequential_of(query: Query) -> object:
    """The network that was asked about, without its margins."""
    return replace(query.network, layers=query.network.layers[:-1], output_shape=())
