"""Points pulled into half-spaces."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit.heuristics.attacks.gradient_attack import projected_gradient
from hypersplit.heuristics.attacks.halfspace_projection import repaired
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries


def tied(inputs: int, reach: float, room: float = 0.0) -> Query:
    """Is x_0 <= `room` - 1 possible where neighbours differ by at most `reach`? The box is [-1, 1]^inputs."""
    rows = np.eye(inputs - 1, inputs) - np.eye(inputs - 1, inputs, 1)
    rows = np.concatenate([rows, -rows])
    region = InputSet(-np.ones(inputs), np.ones(inputs), rows, np.full(len(rows), reach))
    network = sequential([np.eye(1, inputs)], [np.zeros(1)])
    case = Case(region, (Polyhedron(np.ones((1, 1)), np.array([room - 1.0])),))
    return queries(network, Property((case,), inputs, 1))[0]


@pytest.mark.parametrize("inputs", [2, 10, 40])
def test_points_outside_are_moved_inside_and_others_are_not(inputs: int) -> None:
    """Random points of the box come to lie in all half-spaces; points inside stay where they are."""
    query, rng = tied(inputs, 0.3), np.random.default_rng(inputs)
    points = rng.uniform(-1, 1, (200, inputs))
    points[0] = 0.5
    moved = repaired(query, points)
    within = np.array([query.region.contains(x) for x in moved])
    assert np.array_equal(moved[0], points[0])
    assert within.mean() > (0.95 if inputs <= 10 else 0.5)
    assert np.all(np.abs(moved) <= 1.0)


def test_thin_sets_are_reached_without_room() -> None:
    """A strip that is thinner than the room that is aimed at is reached all the same."""
    moved = repaired(tied(2, 1e-7), np.random.default_rng(0).uniform(-1, 1, (50, 2)))
    assert np.abs(moved[:, 0] - moved[:, 1]).max() < 2e-7


def test_descents_stay_in_half_spaces() -> None:
    """A descent ends at points of the input set that are better than where it began."""
    query = tied(10, 0.3, room=0.5)
    starts = repaired(query, np.random.default_rng(1).uniform(-1, 1, (8, 10)))
    found, worst = projected_gradient(query, starts, query.region.lower, query.region.upper, 40)
    assert worst.min() <= 0.0
    assert query.region.contains(repaired(query, found)[int(np.argmin(worst))])
