"""Half-spaces around norm balls that cut rational points off."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from hypersplit.encodings.exact.tangent import exact_tangent
from hypersplit.instances.norm_ball import NormBall


def _value(row: np.ndarray, x: list[Fraction]) -> Fraction:
    return sum((Fraction(float(g)) * v for g, v in zip(row, [*x, Fraction(1)], strict=True)), Fraction(0))


@pytest.mark.parametrize("norm", [1, 2])
def test_the_ball_stays_and_the_point_goes(norm: int) -> None:
    """Every point of the ball satisfies the half-space exactly, the point outside does not."""
    rng = np.random.default_rng(norm)
    ball = NormBall(rng.normal(size=3), 0.7, norm)
    surface = ball.project(ball.centre + rng.normal(size=(200, 3)))
    inside = [[Fraction(v) for v in x] for x in surface.tolist() if ball.contains(np.array(x))]
    assert len(inside) > 20
    for step in rng.normal(size=(20, 3)) * 3.0:
        outside = [Fraction(v) for v in (ball.centre + step).tolist()]
        if ball.contains_exactly(outside):
            continue
        row = exact_tangent(ball, outside)
        assert _value(row, outside) < 0
        assert all(_value(row, x) >= 0 for x in inside)


def test_sides_that_floats_hold_are_exact() -> None:
    """(3, 4) / 5 touches in l2, a facet of dyadic numbers is the ball's own in l1; the centre has none."""
    row = exact_tangent(NormBall(np.zeros(2), 2.5, 2), [Fraction(3), Fraction(4)])
    assert row.tolist() == [-0.75, -1.0, 3.125]
    row = exact_tangent(NormBall(np.array([0.5, 0.25]), 1.0, 1), [Fraction(9), Fraction(-9)])
    assert row.tolist() == [-1.0, 1.0, 1.25]
    assert not exact_tangent(NormBall(np.ones(2), 1.0, 2), [Fraction(1), Fraction(1)]).any()
