"""A half-space of floats around a norm ball that cuts a rational point off, no wider than one rounding.

With d the step from the centre to the point, rounded to floats (l2), or its signs (l1): d'x <= d'c + r ||d||_*, and the
right-hand side is evaluated in fractions. For l1 these are the ball's own facets, exactly wherever a float holds their
side, so that few of them say all that the ball says near the point.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isqrt

import numpy as np

from ...instances.network import Array
from ...instances.norm_ball import NormBall

__all__ = ["exact_tangent"]

BITS = 200  # behind the point, of the square root of a sum of squares whose first factor lies between 1/2 and 1


def exact_tangent(ball: NormBall, point: Sequence[Fraction]) -> Array:
    """[n + 1] the row (g, h): g'x + h >= 0 on the whole ball. point: [n]. A row of zeros for the centre."""
    centre = [Fraction(c) for c in ball.centre.tolist()]
    steps = [x - c for x, c in zip(point, centre, strict=True)]
    largest = max(map(abs, steps), default=Fraction(0))
    if not largest:
        return np.zeros(len(steps) + 1)
    if ball.norm == 1:
        d = [float((s > 0) - (s < 0)) for s in steps]
        length = Fraction(1)
    else:
        d = [float(s / largest) for s in steps]
        length = _root_above(sum((Fraction(v) ** 2 for v in d), Fraction(0)))
    side = Fraction(ball.radius) * length + sum((Fraction(v) * c for v, c in zip(d, centre, strict=True)), Fraction(0))
    h = float(side)
    if Fraction(h) < side:
        h = float(np.nextafter(h, np.inf))
    return np.array([*(-float(v) for v in d), h])


def _root_above(square: Fraction) -> Fraction:
    """A rational number >= the root, the root itself where it has at most BITS bits."""
    scaled = (square.numerator << 2 * BITS) // square.denominator
    exact = scaled * square.denominator == square.numerator << 2 * BITS
    root = isqrt(scaled)
    return Fraction(root + (not exact or root * root != scaled), 1 << BITS)
