"""Descents find what is there, and stay in their boxes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from convolutions import convolutional
from random_instances import random_instance

from hypersplit.heuristics.attacks.attack_passes import passes_of
from hypersplit.heuristics.attacks.attacks import points_in, projected_gradient
from hypersplit.instances.network import Array, Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries


def forbidding(network: Network, region: InputSet, *polyhedra: Polyhedron) -> Query:
    """The question whether an output of the region lies in one of the polyhedra."""
    prop = Property((Case(region, polyhedra),), network.input_size, network.output_size)
    return queries(network, prop)[0]


def test_points_stay_in_their_boxes_and_never_get_worse() -> None:
    """Every start ends in its own box, no higher than it began, with the worst margin that is told."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        query = queries(*_asked(seed))[0]
        lower, upper = query.region.lower, query.region.upper
        centre = points_in(lower, upper, 12, rng)
        low, high = np.maximum(lower, centre - 0.1), np.minimum(upper, centre + 0.1)
        starts = rng.uniform(low, high)
        targets = np.arange(12) % query.disjuncts
        points, worst = projected_gradient(query, starts, low, high, 8, targets)
        assert ((points >= low) & (points <= high)).all(), seed
        assert np.allclose(worst, query.worst(query.network.evaluate(points)), atol=1e-9), seed
        assert (worst <= query.worst(query.network.evaluate(starts)) + 1e-12).all(), seed


def _asked(seed: int) -> tuple[Network, Property]:
    instance = random_instance(seed)
    return instance.network, instance.prop


def test_clear_counterexamples_are_found() -> None:
    """Of the random instances with room below zero, descents from 32 starts find nearly all."""
    missed = asked = 0
    for seed in range(60):
        instance = random_instance(seed)
        if instance.kind != "clear-sat" or len(instance.prop.cases) != 1:
            continue
        query = queries(instance.network, instance.prop)[0]
        if len(query.region.rows):
            continue  # attacks know boxes only
        asked += 1
        starts = points_in(query.region.lower, query.region.upper, 32, np.random.default_rng(seed))
        points, _ = projected_gradient(query, starts, query.region.lower, query.region.upper, 40)
        missed += not query.worst(query.network.evaluate(points)).min() <= 0.0
    assert asked >= 5
    assert missed <= asked // 10


def test_every_polyhedron_is_aimed_at() -> None:
    """Each of many classes that only its own descent reaches is reached from the middle of the box."""
    classes = 8
    network = sequential([np.eye(classes)], [np.zeros(classes)])
    region = InputSet.box(np.zeros(classes), np.ones(classes))
    polyhedra = [Polyhedron(-np.eye(classes)[k : k + 1], np.array([-0.9 - 0.01 * k])) for k in range(classes)]
    query = forbidding(network, region, *polyhedra)
    starts = np.full((classes, classes), 0.5)
    points, worst = projected_gradient(query, starts, region.lower, region.upper, 40, np.arange(classes))
    each = query.per_disjunct(query.network.evaluate(points))
    assert (worst < 0.0).all()
    assert (each.argmin(axis=1) == np.arange(classes)).all()


def test_conjunctions_need_all_their_rows() -> None:
    """The smoothed worst margin ends where both rows hold, not where their sum is least."""
    network = sequential([np.array([[3.0, 1.0], [-1.0, -1.0]])], [np.zeros(2)])
    region = InputSet.box(np.full(2, -1.0), np.ones(2))
    # 3 a + b <= -0.4 pulls more strongly than -a - b <= -0.3; both hold only around a = -0.55, b = 1
    query = forbidding(network, region, Polyhedron(np.eye(2), np.array([-0.4, -0.3])))
    points, worst = projected_gradient(query, np.zeros((4, 2)), region.lower, region.upper, 60)
    assert worst.min() < 0.0
    assert query.worst(query.network.evaluate(points)).min() < 0.0


def test_dead_layers_do_not_stop_a_descent() -> None:
    """Where a whole layer is off the exact gradient is 0, and yet the way out is found."""
    network = sequential([np.eye(3), np.ones((1, 3)), np.array([[-1.0]])], [np.zeros(3), np.full(1, -2.5), np.zeros(1)])
    region = InputSet.box(np.full(3, -1.0), np.ones(3))
    query = forbidding(network, region, Polyhedron(np.array([[1.0]]), np.array([-0.2])))
    start = np.full((1, 3), -0.5)
    _, pre = query.network.values(start)
    assert not query.network.pullback(pre, np.ones((1, 1))).any()
    _, worst = projected_gradient(query, start, region.lower, region.upper, 40)
    assert worst[0] < 0.0


def _chunked() -> tuple[Query, Array]:
    """A wide network that any point violates, with twice as many starts as a chunk holds."""
    rng = np.random.default_rng(7)
    network = sequential([rng.normal(size=(4096, 8)), np.full((1, 4096), 1.0)], [np.zeros(4096), np.zeros(1)])
    region = InputSet.box(np.zeros(8), np.ones(8))
    query = forbidding(network, region, Polyhedron(np.array([[1.0]]), np.array([1e6])))
    chunk = passes_of(query.network, region.lower, region.upper).chunk
    return query, points_in(region.lower, region.upper, 2 * chunk, rng)


def test_a_chunk_with_a_counterexample_ends_the_attack() -> None:
    """Starts behind it are handed back as they were, with margin inf."""
    query, starts = _chunked()
    points, worst = projected_gradient(query, starts, query.region.lower, query.region.upper, 20)
    half = len(starts) // 2
    assert (worst[:half] < 0.0).all()
    assert np.isinf(worst[half:]).all()
    assert np.array_equal(points[half:], starts[half:])


def test_no_step_begins_after_the_deadline() -> None:
    """Of a deadline in the past the first chunk's starts come back, evaluated; those behind it as they were."""
    query, starts = _chunked()
    points, worst = projected_gradient(query, starts, query.region.lower, query.region.upper, 20, deadline=0.0)
    half = len(starts) // 2
    assert np.allclose(points, starts)
    assert np.isfinite(worst[:half]).all() and np.isinf(worst[half:]).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_same_generator_gives_the_same_points(seed: int) -> None:
    """A descent is a function of its arguments; another generator leads elsewhere."""
    network = convolutional(np.random.default_rng(8))
    region = InputSet.box(np.zeros(network.input_size), np.ones(network.input_size))
    query = forbidding(network, region, *(Polyhedron(r[None], np.full(1, -1e3)) for r in np.eye(4)))
    starts = points_in(region.lower, region.upper, 8, np.random.default_rng(9))
    attack: Callable[[int], Array] = lambda n: projected_gradient(  # noqa: E731
        query, starts, region.lower, region.upper, 6, rng=np.random.default_rng(n)
    )[0]
    assert np.array_equal(attack(seed), attack(seed))
    assert not np.array_equal(attack(seed), attack(seed + 1))
