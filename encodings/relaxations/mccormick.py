"""Planes around a product of two numbers in a box: p = a b over [l_a, u_a] x [l_b, u_b].

The convex hull of the surface is a tetrahedron with four planes (McCormick, *Computability of global solutions to
factorable nonconvex programs*, 1976):

    p >= l_b a + l_a b - l_a l_b,    p >= u_b a + u_a b - u_a u_b,
    p <= u_b a + l_a b - l_a u_b,    p <= l_b a + u_a b - u_a l_b.

With middles m and radii r, all planes on an edge of the hull are, for -1 <= t <= 1,

    p >= (m_b + t r_b) a + (m_a + t r_a) b + least,

equally high over the box's middle, r_a r_b below the surface there. `lower_planes` takes the t whose plane is highest
at its own lowest point over the box: that is the least of the four corners' products, as linear programming duality has
it, so that the plane is nowhere worse than the interval of the product. Of several such t the one nearest to 0 is
taken, that is to the tangent plane over the middle. (Measured 2026-11, ten random networks Q K' V of four inputs: trees
of 816 nodes together; 2134 with t = 0 throughout.)

In terms of squares (`instances/products.py`) a = z_s + z_d, b = z_s - z_d and p = y_s - y_d. Slopes are given on z_s
and z_d, and any floats will do: a bilinear function less a linear one is least over a box at one of its corners, and
that is where intercepts are proved.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...instances.network import Array
from ...instances.rounding import TINY, UP, gamma

__all__ = ["Box", "Planes", "hull_planes", "lower_planes", "product_range", "upper_planes"]


class Box(NamedTuple):
    """Bounds of the factors, of equal shapes."""

    left_lower: Array
    left_upper: Array
    right_lower: Array
    right_upper: Array

    @property
    def mirrored(self) -> Box:
        """The box of -a and b."""
        return Box(-self.left_upper, -self.left_lower, self.right_lower, self.right_upper)

    def corners(self) -> list[tuple[Array, Array]]:
        """The four corners (a, b)."""
        return [(a, b) for a in (self.left_lower, self.left_upper) for b in (self.right_lower, self.right_upper)]


class Planes(NamedTuple):
    """plus z_s + minus z_d + intercept, below or above the product, shapes as the box's."""

    plus: Array
    minus: Array
    intercept: Array


def product_range(box: Box) -> tuple[Array, Array]:
    """Bounds of a b on the box, shapes as its own."""
    products = [a * b for a, b in box.corners()]
    low, high = np.minimum.reduce(products), np.maximum.reduce(products)
    slack = gamma(1) * np.maximum(np.abs(low), np.abs(high)) + TINY
    return low - slack, high + slack


def lower_planes(box: Box) -> Planes:
    """The plane below a b that is highest at its lowest point."""
    middle_a, radius_a = 0.5 * box.left_lower + 0.5 * box.left_upper, 0.5 * box.left_upper - 0.5 * box.left_lower
    middle_b, radius_b = 0.5 * box.right_lower + 0.5 * box.right_upper, 0.5 * box.right_upper - 0.5 * box.right_lower
    ends = [-m / np.where(r > 0.0, r, 1.0) for m, r in ((middle_a, radius_a), (middle_b, radius_b))]
    t = np.clip(np.clip(0.0, np.minimum(*ends), np.maximum(*ends)), -1.0, 1.0)
    return _proved(box, middle_b + t * radius_b, middle_a + t * radius_a)


def upper_planes(box: Box) -> Planes:
    """The plane above a b that is lowest at its highest point."""
    return _turned(lower_planes(box.mirrored))


def hull_planes(box: Box) -> tuple[list[Planes], list[Planes]]:
    """The two planes below and the two above."""
    below, above = (
        [_proved(b, b.right_lower, b.left_lower), _proved(b, b.right_upper, b.left_upper)]
        for b in (box, box.mirrored)
    )
    return below, [_turned(plane) for plane in above]


def _proved(box: Box, on_left: Array, on_right: Array) -> Planes:
    """A plane below a b with nearly these slopes.

    On z_s and z_d they are rounded, which changes them by a unit of themselves; so does each of the five operations of
    a corner's height.
    """
    plus, minus = on_left + on_right, on_left - on_right
    least, size = np.full(plus.shape, np.inf), np.zeros_like(plus)
    for a, b in box.corners():
        terms = a * b, on_left * a, on_right * b
        least = np.minimum(least, terms[0] - terms[1] - terms[2])
        size = np.maximum(size, np.abs(terms[0]) + (np.abs(on_left) + np.abs(on_right)) * (np.abs(a) + np.abs(b)))
    return Planes(plus, minus, least - gamma(4) * size * UP - TINY)


def _turned(plane: Planes) -> Planes:
    """Above a b what lies below (-a) b: with -a and b for a and b, z_s becomes -z_d and z_d becomes -z_s."""
    return Planes(plane.minus, plane.plus, -plane.intercept)
