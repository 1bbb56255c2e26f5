"""Linear functions over the part of a norm ball that lies in a box, rigorously in floats; clipping, tangents.

For any split of the coefficients, a = (a - p) + p,
    min {a'x : l <= x <= u, ||x - c|| <= r}  >=  min over the box of (a - p)'x  +  p'c - r ||p||_*,
with the dual norm. The best p is that of the Lagrangian with one multiplier, lambda >= 0, of the ball:
    l2    x_j = c_j - t a_j clipped into the box, t = 1 / lambda such that ||x - c|| = r;    p = -lambda (x - c)
    l1    lambda is one of the |a_j|, found by sorting as in a fractional knapsack: larger coefficients leave the centre
          for the box's end one after another until the radius is used up;    p_j = a_j, cut off at -lambda and lambda
Both are strong duals (the problem is convex), so nothing is lost but rounding. The search is a heuristic: any p proves.
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array
from ...instances.norm_ball import NormBall
from ...instances.rounding import FEW_ROUNDINGS, TINY, TINY_32, TINY_SQUARE, UP, gamma
from .bounds import at_least

__all__ = ["minimum_in_ball", "misses_ball", "outward", "shrink_to_ball", "split_by_ball", "tangents"]

ITERATIONS = 24  # of the search for t: it ends after one where the box cuts nothing off, after a few as a rule
CLOSE = 1e-13  # share of r^2 by which ||x - c||^2 may still be off


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def split_by_ball(ball: NormBall, lower: Array, upper: Array, coefficients: Array) -> tuple[Array, Array]:
    """(p, x): the ball's part of the coefficients, 0 where the box alone decides, and the minimiser, up to rounding.

    lower, upper: [B, n]; coefficients: [B, R, n]. Returns two arrays [B, R, n] of the coefficients' type.
    """
    centre = ball.centre.astype(coefficients.dtype)
    low, high = (lower - centre)[:, None], (upper - centre)[:, None]
    find = _split_l2 if ball.norm == 2 else _split_l1
    part, step = find(ball.radius, low, high, coefficients)
    known = np.isfinite(part).all(axis=2, keepdims=True)
    points = np.clip(centre + step, lower[:, None], upper[:, None])
    return np.where(known, part, 0.0).astype(coefficients.dtype), points.astype(coefficients.dtype)


def _split_l2(radius: float, low: Array, high: Array, a: Array) -> tuple[Array, Array]:
    """x - c for the t with ||x - c|| = r; where the box's own minimiser lies in the ball that, and no part."""
    near = np.clip(0.0, low, high)
    if radius == 0.0:
        return a.copy(), np.broadcast_to(near, a.shape)
    corner = np.where(a > 0.0, low, np.where(a < 0.0, high, near))
    outside = np.nonzero((corner * corner).sum(axis=2) > radius * radius)
    part, step = np.zeros_like(a), corner.astype(a.dtype)
    if len(outside[0]):
        below, above = low[outside[0], 0], high[outside[0], 0]
        unit = np.abs(a[outside]).max(axis=1, keepdims=True)
        unit = np.where(unit > 0.0, unit, 1.0)
        own = a[outside] / unit
        t = _steps_to(radius, below, above, own)[:, None]
        step[outside] = np.clip(-t * own, below, above)
        part[outside] = -step[outside] / t * unit
    return part, step


def _steps_to(radius: float, low: Array, high: Array, a: Array) -> Array:
    """[M] the t with ||clip(-t a, low, high)|| = r, by the positive root on the piece that t lies in, in a bracket.

    a: [M, n], the largest entries 1.
    """
    square = radius * radius
    t = radius / np.sqrt((a * a).sum(axis=1) + TINY_32)
    below, above = np.zeros_like(t), np.full_like(t, np.inf)
    left = np.arange(len(t))
    for _ in range(ITERATIONS):
        now, mine, low_end, high_end = t[left], a[left], low[left], high[left]
        step = np.clip(-now[:, None] * mine, low_end, high_end)
        free = (step > low_end) & (step < high_end)
        size = (step * step).sum(axis=1)
        off = ~(np.abs(size - square) <= CLOSE * square)
        if not off.any():
            break
        left, now, mine, step, free, size = left[off], now[off], mine[off], step[off], free[off], size[off]
        below[left], above[left] = np.where(size <= square, now, below[left]), np.where(size > square, now, above[left])
        slope, fixed = np.where(free, mine, 0.0), np.where(free, 0.0, step)
        guess = np.sqrt((square - (fixed * fixed).sum(axis=1)) / (slope * slope).sum(axis=1))
        middle = np.where(np.isfinite(above[left]), 0.5 * (below[left] + above[left]), 2.0 * now)
        t[left] = np.where((guess > below[left]) & (guess < above[left]), guess, middle)
    return t


def _split_l1(radius: float, low: Array, high: Array, a: Array) -> tuple[Array, Array]:
    """Coefficients in falling order leave the point of the box next to the centre until the radius is used up."""
    near = np.clip(0.0, low, high)
    corner = np.where(a > 0.0, low, np.where(a < 0.0, high, near))
    price = np.abs(corner) - np.abs(near)
    order = np.argsort(-np.abs(a), axis=2, kind="stable")
    paid = np.cumsum(np.take_along_axis(price, order, axis=2), axis=2)
    left = radius - np.broadcast_to(np.abs(near).sum(axis=2), paid.shape[:2])
    over = paid > left[:, :, None]
    inside = ~over[:, :, -1]
    last = np.where(inside, a.shape[2] - 1, np.argmax(over, axis=2))[:, :, None]
    pick = np.take_along_axis(order, last, axis=2)  # the input whose step the radius cuts off
    multiplier = np.where(inside[:, :, None], 0.0, np.abs(np.take_along_axis(a, pick, axis=2)))
    part = np.where(low > 0.0, -multiplier, np.where(high < 0.0, multiplier, np.clip(a, -multiplier, multiplier)))
    rank = np.argsort(order, axis=2, kind="stable")
    room = left[:, :, None] - np.take_along_axis(paid, last, axis=2) + np.take_along_axis(price, pick, axis=2)
    share = np.clip(room / np.take_along_axis(price, pick, axis=2), 0.0, 1.0)
    share = np.where(rank < last, 1.0, np.where((rank == last) & ~inside[:, :, None], share, 0.0))
    step = np.where(inside[:, :, None], corner, near + share * (corner - near))
    return part, step


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end proves nothing
def minimum_in_ball(ball: NormBall, lower: Array, upper: Array, coefficients: Array, constants: Array) -> Array:
    """[B, R] lower bounds of coefficients @ x + constants over box and ball, what this rounds subtracted.

    lower, upper: [B, n]; coefficients: [B, R, n]; constants: [B, R].
    """
    part, _ = split_by_ball(ball, lower, upper, coefficients)
    rest, n = coefficients - part, lower.shape[1]
    values = np.matmul(np.maximum(rest, 0.0), lower[:, :, None])[:, :, 0]
    values += np.matmul(np.minimum(rest, 0.0), upper[:, :, None])[:, :, 0]
    taken = ball.radius * _dual(ball, part)
    values += part @ ball.centre - taken + constants
    reach = np.maximum(np.abs(lower), np.abs(upper))
    size = np.matmul(np.abs(rest), reach[:, :, None])[:, :, 0] + np.abs(part) @ np.abs(ball.centre)
    error = 2.0 * gamma(n) * (size + taken + np.abs(constants)) + TINY
    return at_least(values - error * UP)


def _dual(ball: NormBall, a: Array) -> Array:
    """The dual norm along the last axis, up to gamma(n) of itself; what underflows is added."""
    if ball.dual == np.inf:
        return np.asarray(np.abs(a).max(axis=-1, initial=0.0))
    return np.asarray(np.sqrt(np.einsum("...n,...n->...", a, a) + TINY_SQUARE))


def _gaps(ball: NormBall, lower: Array, upper: Array) -> Array:
    """[B, n] distance of each of the centre's coordinates from its interval, up to one rounding."""
    return np.maximum(np.maximum(lower - ball.centre, ball.centre - upper), 0.0)


@np.errstate(over="ignore", invalid="ignore")
def misses_ball(ball: NormBall, lower: Array, upper: Array) -> Array:
    """[B] bool: no point of the box [B, n] lies in the ball, rigorously."""
    distance = np.linalg.norm(_gaps(ball, lower, upper), ord=ball.norm, axis=1)
    least = distance * (1.0 - 2.0 * gamma(lower.shape[1]))  # what underflows makes it smaller
    return np.asarray((least > ball.radius) & np.isfinite(distance))


@np.errstate(over="ignore", invalid="ignore")
def shrink_to_ball(ball: NormBall, lower: Array, upper: Array) -> tuple[Array, Array]:
    """The box without what the ball excludes, coordinate by coordinate, rounded outward; empty where lower > upper.

    |x_j - c_j| is at most what the other coordinates' distances from the box leave of the radius.
    """
    gaps, radius, slack = _gaps(ball, lower, upper), ball.radius, 2.0 * gamma(lower.shape[1])
    if ball.norm == 1:
        total = gaps.sum(axis=1, keepdims=True)
        room = radius - (total - gaps) + slack * (radius + total)
    else:
        squares = gaps * gaps
        total = squares.sum(axis=1, keepdims=True)
        square = radius * radius
        room = np.sqrt(np.maximum(square - (total - squares) + slack * (square + total), 0.0) + TINY_SQUARE)
    room = np.where(np.isfinite(room), np.maximum(room, 0.0), np.inf)
    room += FEW_ROUNDINGS * (room + np.abs(ball.centre)) + TINY
    return np.fmax(lower, ball.centre - room), np.fmin(upper, ball.centre + room)


@np.errstate(over="ignore", invalid="ignore")
def tangents(ball: NormBall, directions: Array) -> Array:
    """[..., n + 1] half-spaces (g, h), g'x + h >= 0, that hold the whole ball and touch it where g'x is least.

    g'x >= g'c - r ||g||_* for directions g [..., n], which are scaled, rounded outward; a row of zeros, which says
    nothing, for the direction 0 and where numbers are not finite.
    """
    size = np.abs(directions).max(axis=-1, keepdims=True)
    g = directions / np.where(size > 0.0, size, 1.0)
    taken = ball.radius * _dual(ball, g)
    error = 2.0 * gamma(g.shape[-1]) * (np.abs(g) @ np.abs(ball.centre) + taken) + TINY
    rows = np.concatenate([g, (taken - g @ ball.centre + error)[..., None]], axis=-1)
    void = ~(np.isfinite(rows).all(axis=-1, keepdims=True) & (size > 0.0))
    return np.where(void, 0.0, rows)


def outward(ball: NormBall, points: Array) -> Array:
    """Directions [..., n] whose tangents cut points outside the ball [..., n] off, as deep as any does."""
    steps = ball.centre - points
    return np.asarray(steps if ball.norm == 2 else np.sign(steps))
