"""Starts and descents in input sets with a norm ball."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit import Case, InputSet, Polyhedron, Property, sequential
from hypersplit.heuristics.attacks.attacks import (
    Elite,
    points_in,
    points_near_corners,
    projected_gradient,
    quasi_random,
)
from hypersplit.heuristics.attacks.ball_points import into_ball
from hypersplit.instances.network import Array
from hypersplit.instances.norm_ball import NormBall
from hypersplit.instances.query import queries

SLACK = 1e-12
BALLS = [NormBall(np.full(6, 0.5), 0.4, norm) for norm in (1, 2)]
BOXES = [(np.full(6, 0.1), np.full(6, 0.9)), (np.full(6, 0.52), np.full(6, 0.9)), (np.full(6, 0.1), np.full(6, 0.6))]


def inside(points: Array, lower: Array, upper: Array, ball: NormBall) -> bool:
    """Whether all points lie in box and ball."""
    near = ball.distances(points) <= ball.radius * (1.0 + SLACK)
    return bool(near.all() and (points >= lower).all() and (points <= upper).all())


@pytest.mark.parametrize("ball", BALLS, ids=["l1", "l2"])
@pytest.mark.parametrize("box", BOXES, ids=["whole", "beside the centre", "around it"])
def test_starts_lie_in_the_ball(ball: NormBall, box: tuple[Array, Array]) -> None:
    """Uniform points, points near corners, Sobol's and crossings, in all of the ball's box and in parts of it."""
    rng = np.random.default_rng(0)
    found = points_in(*box, 64, rng, ball)
    elite = Elite()
    elite.add(found[:4], np.arange(4.0))
    for points in (
        found, points_near_corners(*box, 64, rng, ball), quasi_random(*box, 64, 3, ball),
        elite.crossings(64, *box, rng, ball), elite.mixed(found, *box, rng, ball),
    ):  # fmt: skip
        assert points.shape == (64, 6) and inside(points, *box, ball)
        assert (ball.distances(points) > 0.5 * ball.radius).mean() > 0.3  # they reach out


def test_points_of_the_ball_stay_where_they_are() -> None:
    """What is inside is not moved, without a ball nothing is."""
    rng = np.random.default_rng(1)
    points = 0.5 + rng.uniform(-0.05, 0.05, size=(20, 6))
    for ball in BALLS:
        assert np.allclose(into_ball(points, *BOXES[0], ball), points, atol=1e-15)
    assert into_ball(points, *BOXES[0], None) is points


def test_a_box_outside_the_ball_gives_its_nearest_point() -> None:
    """Where box and ball have nothing in common, the box's point that is nearest to the centre stands for it."""
    lower, upper = np.full(6, 0.8), np.full(6, 0.9)
    points = np.full((3, 6), 0.85)
    assert (into_ball(points, lower, upper, BALLS[0]) == 0.8).all()


@pytest.mark.parametrize("ball", BALLS, ids=["l1", "l2"])
def test_descents_stay_in_the_ball_and_reach_its_minimum(ball: NormBall) -> None:
    """On a linear function the descent comes to a'c - r ||a||_q; also with a start for each box of its own."""
    rng = np.random.default_rng(2)
    a = rng.normal(size=6)
    network = sequential([a[None]], [np.zeros(1)])
    least = a @ ball.centre - ball.radius * float(np.linalg.norm(a, ord=ball.dual))
    forbidden = (Polyhedron(np.ones((1, 1)), np.array([least - 1.0])),)
    lower, upper = BOXES[0]
    query = queries(network, Property((Case(InputSet.box(lower, upper), forbidden),), 6, 1))[0]
    starts = points_in(lower, upper, 16, rng, ball)
    points, worst = projected_gradient(query, starts, lower, upper, 60, rng=rng, ball=ball)
    assert inside(points, lower, upper, ball)
    assert worst.min() == pytest.approx(1.0, abs=1e-3)
    lowers, uppers = np.tile(BOXES[1][0], (16, 1)), np.tile(BOXES[1][1], (16, 1))
    points, _ = projected_gradient(query, np.full((16, 6), 0.53), lowers, uppers, 20, rng=rng, ball=ball)
    assert inside(points, *BOXES[1], ball)
