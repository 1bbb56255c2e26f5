"""Linear functions over box and norm ball, held against solvers and against points of both."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from hypersplit.encodings.linear.norm_ball_bounds import (
    minimum_in_ball,
    misses_ball,
    outward,
    shrink_to_ball,
    split_by_ball,
    tangents,
)
from hypersplit.instances.norm_ball import NormBall


def _instance(rng: np.random.Generator, norm: int, n: int, scale: float) -> tuple[NormBall, np.ndarray, np.ndarray]:
    """A ball and a box that meet: the box holds a point of the ball; centres in and outside, inputs fixed."""
    ball = NormBall(scale * rng.normal(size=n), scale * rng.uniform(0.05, 2.0), norm)
    inner = ball.project(ball.centre + scale * rng.normal(size=n)) * 0.5 + 0.5 * ball.centre
    below, above = scale * rng.exponential(0.5, size=(2, n)) * (rng.random((2, n)) < 0.8)
    return ball, inner - below, inner + above


def _by_solver(ball: NormBall, lower: np.ndarray, upper: np.ndarray, a: np.ndarray) -> float:
    """The minimum of a'x: an LP for l1, cone-free SLSQP on the box in the ball's own unit for l2."""
    n, c, r = len(a), ball.centre, ball.radius
    if ball.norm == 1:
        eye = np.eye(n)
        rows = np.block([[eye, -eye], [-eye, -eye], [np.zeros((1, n)), np.ones((1, n))]])
        sides = np.concatenate([c, -c, [r]])
        boxes = [*zip(lower, upper, strict=True), *[(0.0, None)] * n]
        return float(linprog(np.append(a, np.zeros(n)), rows, sides, bounds=boxes).fun)
    unit, size = r, np.abs(a).max()
    low, high = (lower - c) / unit, (upper - c) / unit
    found = minimize(
        lambda y: a @ y / size, np.clip(np.zeros(n), low, high), jac=lambda y: a / size, method="SLSQP",
        bounds=list(zip(low, high, strict=True)), options={"maxiter": 500, "ftol": 1e-13},
        constraints={"type": "ineq", "fun": lambda y: 1.0 - y @ y, "jac": lambda y: -2.0 * y},
    )  # fmt: skip
    return float(a @ c + found.fun * size * unit)


@pytest.mark.parametrize("norm", [1, 2])
@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e3])
def test_minima_are_those_of_a_solver(norm: int, scale: float) -> None:
    """The bound is the solver's optimum up to its tolerance, on 60 random instances of each scale."""
    rng = np.random.default_rng(norm)
    for _ in range(60):
        n = int(rng.integers(1, 7))
        ball, lower, upper = _instance(rng, norm, n, scale)
        a = rng.normal(size=n) * 10.0 ** rng.integers(-2, 3, n) * (rng.random(n) < 0.9)
        if not a.any():
            continue
        found = minimum_in_ball(ball, lower[None], upper[None], a[None, None], np.zeros((1, 1)))[0, 0]
        true = _by_solver(ball, lower, upper, a)
        assert found == pytest.approx(true, abs=1e-6 * scale * np.abs(a).sum())


@pytest.mark.parametrize("norm", [1, 2])
def test_no_point_lies_below_the_bound(norm: int) -> None:
    """Exactly evaluated points of box and ball, the minimisers among them, on badly scaled instances, too."""
    rng = np.random.default_rng(10 + norm)
    near = 0
    for _ in range(200):
        n, scale = int(rng.integers(1, 6)), float(10.0 ** rng.integers(-8, 9))
        ball, lower, upper = _instance(rng, norm, n, scale)
        a = rng.normal(size=(1, 3, n)) * 10.0 ** rng.integers(-9, 10, (1, 3, n))
        constants = rng.normal(size=(1, 3)) * scale
        bound = minimum_in_ball(ball, lower[None], upper[None], a, constants)
        part, best = split_by_ball(ball, lower[None], upper[None], a)
        assert np.isfinite(part).all()
        points = ball.inward(np.concatenate([best[0], ball.centre + scale * rng.normal(size=(5, n))]), lower, upper)
        for x in points:
            if not ball.contains(x):
                continue
            for r in range(3):
                terms = [Fraction(float(p)) * Fraction(float(q)) for p, q in zip(a[0, r], x, strict=True)]
                value = sum(terms, Fraction(float(constants[0, r])))
                assert value >= Fraction(float(bound[0, r]))
                size = float(sum(map(abs, terms))) + abs(constants[0, r]) + np.abs(a[0, r]) @ np.abs(ball.centre)
                near += float(value) - bound[0, r] < 1e-9 * (size + ball.radius * np.abs(a[0, r]).sum())
    assert near > 300  # the bounds are tight


@pytest.mark.parametrize("norm", [1, 2])
def test_many_inputs_and_nodes_at_once(norm: int) -> None:
    """784 inputs between 0 and 1 around an image with zeros: the bound is the value at the minimiser, in the ball."""
    rng = np.random.default_rng(5)
    centre = np.maximum(rng.normal(0.2, 0.5, size=784), 0.0).clip(0.0, 1.0)
    ball = NormBall(centre, 2.0, norm)
    lower, upper = np.zeros((2, 784)), np.ones((2, 784))
    a = rng.normal(size=(2, 5, 784))
    bound = minimum_in_ball(ball, lower, upper, a, np.zeros((2, 5)))
    _, x = split_by_ball(ball, lower, upper, a)
    np.testing.assert_allclose(np.einsum("brn,brn->br", a, x), bound, atol=1e-8)
    assert (ball.distances(x) <= 2.0 + 1e-9).all()
    single = split_by_ball(ball, lower.astype(np.float32), upper.astype(np.float32), a.astype(np.float32))[1]
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, x, atol=1e-3)


@pytest.mark.parametrize("norm", [1, 2])
def test_empty_and_smaller_boxes(norm: int) -> None:
    """A box called empty has no point within the radius, exactly; a shrunk one keeps every point of the ball."""
    rng = np.random.default_rng(20 + norm)
    empty = smaller = 0
    for _ in range(300):
        n = int(rng.integers(1, 5))
        ball = NormBall(rng.normal(size=n), float(rng.uniform(0.0, 1.5)), norm)
        lower = rng.normal(size=n)
        upper = lower + rng.exponential(size=n)
        nearest = [Fraction(float(v)) for v in np.clip(ball.centre, lower, upper)]
        missed = misses_ball(ball, lower[None], upper[None])[0]
        assert missed == (not ball.contains_exactly(nearest))
        empty += missed
        low, high = shrink_to_ball(ball, lower[None], upper[None])
        points = ball.inward(rng.uniform(lower, upper, size=(50, n)), lower, upper)
        for x in points:
            if ball.contains(x):
                assert (x >= low[0]).all() and (x <= high[0]).all()
        smaller += bool((low[0] > lower).any())
    assert empty > 30 and smaller > 100


@pytest.mark.parametrize("norm", [1, 2])
def test_tangents_hold_the_ball_and_cut_points_off(norm: int) -> None:
    """All points of the ball satisfy them in exact arithmetic; a point outside violates its own."""
    rng = np.random.default_rng(30 + norm)
    ball = NormBall(rng.normal(size=4), 0.3, norm)
    far = ball.centre + rng.normal(size=(40, 4))
    far = far[ball.distances(far) > 0.31]
    rows = tangents(ball, outward(ball, far))
    assert (np.einsum("kn,kn->k", rows[:, :4], far) + rows[:, 4] < 0.0).all()
    points = ball.project(ball.centre + rng.normal(size=(60, 4)))
    for x in points:
        if ball.contains(x):
            one = [*(Fraction(float(v)) for v in x), Fraction(1)]
            for row in rows:
                assert sum(Fraction(float(g)) * v for g, v in zip(row, one, strict=True)) >= 0
    assert not tangents(ball, np.zeros((1, 4))).any()


def test_a_point_and_a_touching_box() -> None:
    """Radius 0 leaves the centre's value; a box that touches the ball in a single point is not empty."""
    ball = NormBall(np.array([1.0, -2.0]), 0.0, 2)
    box = ball.centre[None] - 1.0, ball.centre[None] + 1.0
    bound = minimum_in_ball(ball, *box, np.array([[[3.0, 1.0]]]), np.ones((1, 1)))
    assert bound[0, 0] == pytest.approx(2.0, abs=1e-12) and bound[0, 0] <= 2.0
    disc = NormBall(np.zeros(2), 5.0, 2)
    assert not misses_ball(disc, np.array([[3.0, 4.0]]), np.array([[6.0, 6.0]]))[0]
    assert misses_ball(disc, np.array([[3.001, 4.0]]), np.array([[6.0, 6.0]]))[0]
