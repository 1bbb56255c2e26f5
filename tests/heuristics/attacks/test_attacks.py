"""Attacks: fast passes against the network itself, descents that find what is there, points of each kind."""

from __future__ import annotations

import numpy as np

from hypersplit.heuristics.attacks.attacks import EXACT, Elite, best_first, points_in
from hypersplit.instances.network import Array, Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries


def forbidding(network: Network, region: InputSet, *polyhedra: Polyhedron) -> Query:
    """The question whether an output of the region lies in one of the polyhedra."""
    prop = Property((Case(region, polyhedra),), network.input_size, network.output_size)
    return queries(network, prop)[0]


def test_best_first_sorts_by_the_worst_margin() -> None:
    """The order is that of float64 for the points that count, also where float32 makes the first selection."""
    rng = np.random.default_rng(6)
    network = sequential([rng.normal(size=(200, 120)), rng.normal(size=(3, 200))], [np.zeros(200), np.zeros(3)])
    region = InputSet.box(np.zeros(120), np.ones(120))
    query = forbidding(network, region, Polyhedron(np.eye(3)[:2], np.zeros(2)), Polyhedron(np.eye(3)[2:], np.zeros(1)))
    points = points_in(region.lower, region.upper, 4 * EXACT, rng)
    found, worst = best_first(query, points)
    exact = query.worst(network_margins(query, found))
    assert np.array_equal(worst[:EXACT], exact[:EXACT])
    assert np.allclose(worst, exact, rtol=1e-4, atol=1e-4)
    assert (np.diff(exact) > -1e-4).all()
    assert np.array_equal(np.sort(found, axis=0), np.sort(points, axis=0))


def network_margins(query: Query, points: Array) -> Array:
    """[P, rows]."""
    return np.asarray(query.network.evaluate(points))


def test_the_elite_are_the_best_and_their_crossings_stay_in_the_box() -> None:
    """The best points of all rounds are kept; crossings take their inputs from these or from the ends."""
    rng = np.random.default_rng(10)
    lower, upper = np.zeros(50), np.ones(50)
    elite = Elite()
    starts = points_in(lower, upper, 6, rng)
    assert elite.mixed(starts, lower, upper, rng) is starts
    points = rng.uniform(size=(30, 50))
    worst = rng.permutation(30).astype(float)
    worst[worst > 25] = np.inf
    elite.add(points[:15], worst[:15])
    elite.add(points[15:], worst[15:])
    assert np.array_equal(elite.worst, np.arange(8.0))
    assert np.array_equal(elite.points, points[np.argsort(worst)[:8]])
    children = elite.crossings(20, lower, upper, rng)
    known = (children[:, None] == elite.points).any(axis=1)
    assert (known | (children == lower) | (children == upper)).all()
    assert 0.8 < known.mean() < 0.97
    mixed = elite.mixed(starts, lower, upper, rng)
    assert (mixed == starts).all(axis=1).sum() == 3
