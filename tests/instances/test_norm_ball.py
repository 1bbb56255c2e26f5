"""Norm balls: membership, projection and the input sets made of them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from hypersplit.instances.errors import PropertyError
from hypersplit.instances.norm_ball import NormBall
from hypersplit.instances.property import InputSet


def _exactly_inside(ball: NormBall, x: np.ndarray) -> bool:
    return ball.contains_exactly([Fraction(float(v)) for v in x])


@pytest.mark.parametrize("norm", [1, 2])
def test_points_next_to_the_surface_are_judged_exactly(norm: int) -> None:
    """Membership is that of fractions, on points whose float distance is the radius up to rounding."""
    rng = np.random.default_rng(0)
    ball = NormBall(rng.normal(size=6), 0.7, norm)
    points = ball.project(ball.centre + rng.normal(size=(400, 6)))
    inside = [ball.contains(x) for x in points]
    assert inside == [_exactly_inside(ball, x) for x in points]
    assert any(inside) and not all(inside)


def test_three_four_five() -> None:
    """(3, 4) has l2 length 5 and l1 length 7, exactly."""
    x = np.array([3.0, 4.0])
    assert NormBall(np.zeros(2), 5.0, 2).contains(x) and not NormBall(np.zeros(2), np.nextafter(5, 0), 2).contains(x)
    assert NormBall(np.zeros(2), 7.0, 1).contains(x) and not NormBall(np.zeros(2), np.nextafter(7, 0), 1).contains(x)


@pytest.mark.parametrize("norm", [1, 2])
def test_projection_is_nearest(norm: int) -> None:
    """No sampled point of the ball is nearer than the projection, and points inside stay."""
    rng = np.random.default_rng(1)
    ball = NormBall(np.array([0.5, -1.0, 2.0]), 1.5, norm)
    far = ball.centre + 3.0 * rng.normal(size=(50, 3))
    found = ball.project(far)
    assert (ball.distances(found) <= 1.5 + 1e-12).all()
    samples = ball.project(ball.centre + 2.0 * rng.normal(size=(4000, 3)))
    best = np.linalg.norm(far[:, None] - samples[None], axis=2).min(axis=1)
    assert (np.linalg.norm(far - found, axis=1) <= best + 1e-9).all()
    inner = ball.centre + 0.1 * rng.normal(size=(5, 3)) / 3
    np.testing.assert_allclose(ball.project(inner), inner, rtol=1e-15)


def test_an_input_set_around_a_point() -> None:
    """The box of a ball is cut to the range, and the ball decides between its corners."""
    region = InputSet.around(np.array([0.1, 0.9]), 0.3, 2, 0.0, 1.0)
    assert region.ball is not None and region.lower[0] == 0.0 and region.upper[1] == 1.0
    assert region.contains(np.array([0.1, 0.65])) and not region.contains(np.array([0.35, 0.65]))
    box = InputSet.around(np.array([0.1, 0.9]), 0.3, np.inf)
    assert box.ball is None and box.contains(np.array([0.4, 0.6]))


@pytest.mark.parametrize(
    ("radius", "norm", "said"),
    [(-1.0, 2, "radius"), (np.nan, 2, "radius"), (1.0, 3, "norm 3"), (1.0, True, "norm True")],
)
def test_what_is_no_ball_is_refused(radius: float, norm: int, said: str) -> None:
    """Radii below 0 or not finite, and other norms."""
    with pytest.raises(PropertyError, match=said):
        NormBall(np.zeros(2), radius, norm)


def test_balls_of_other_sizes_and_empty_ranges_are_refused() -> None:
    """A ball of three inputs for two, and a range that leaves nothing."""
    with pytest.raises(PropertyError, match="3 inputs, expected 2"):
        InputSet(np.zeros(2), np.ones(2), np.zeros((0, 2)), np.zeros(0), ball=NormBall(np.zeros(3), 1.0, 1))
    with pytest.raises(PropertyError, match="exceeds"):
        InputSet.around(np.zeros(2), 1.0, 2, lower=2.0)
