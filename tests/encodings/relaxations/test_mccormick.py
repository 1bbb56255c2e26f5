"""Planes around products: never crossed, at any scale, and nowhere further off than the hull is."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from hypersplit.encodings.relaxations.mccormick import (
    Box,
    Planes,
    hull_planes,
    lower_planes,
    product_range,
    upper_planes,
)

SCALES = (1.0, 1e3, 1e-3, 2.0**500, 2.0**-500)


def boxes(rng: np.random.Generator, count: int, left: float, right: float) -> Box:
    """Boxes of all signs, some of width 0 or of one rounding, in units of `left` and `right`."""
    ends = []
    for scale in (left, right):
        low = rng.normal(size=count) * 10.0 ** rng.integers(-2, 2, count)
        width = rng.random(count) * 10.0 ** rng.integers(-3, 2, count)
        width[::7] = 0.0
        high = np.where(np.arange(count) % 5 == 1, np.nextafter(low, np.inf), low + width)
        ends += [scale * low, scale * high]
    return Box(*ends)


def inside(box: Box, q: int) -> Iterator[tuple[Fraction, Fraction]]:
    """A grid over one box in rationals, its corners included."""
    one, two = ([Fraction(float(e[q])) for e in ends] for ends in (box[:2], box[2:]))
    share = [Fraction(i, 4) for i in range(5)]
    yield from product(*([low + s * (high - low) for s in share] for low, high in (one, two)))


def height(plane: Planes, q: int, a: Fraction, b: Fraction) -> Fraction:
    """A plane over (a, b), by the halves that it is given on."""
    plus, minus, intercept = (Fraction(float(x[q])) for x in plane)
    return plus * (a + b) / 2 + minus * (a - b) / 2 + intercept


@pytest.mark.parametrize("left", SCALES)
@pytest.mark.parametrize("right", SCALES)
def test_no_plane_is_crossed(left: float, right: float) -> None:
    """Exactly, in rationals: the best planes, the four of the hull, and the interval."""
    if left * right == np.inf:
        pytest.skip("the product of these scales is infinite in float64")
    box = boxes(np.random.default_rng(3), 60, left, right)
    pair = hull_planes(box)
    below, above = [lower_planes(box), *pair[0]], [upper_planes(box), *pair[1]]
    low, high = product_range(box)
    for q in range(60):
        for a, b in inside(box, q):
            assert all(height(plane, q, a, b) <= a * b for plane in below), q
            assert all(height(plane, q, a, b) >= a * b for plane in above), q
            assert Fraction(float(low[q])) <= a * b <= Fraction(float(high[q])), q


def test_planes_touch_the_hull() -> None:
    """All are r_a r_b off over the middle, and those of the hull are exact at two corners each."""
    box = boxes(np.random.default_rng(5), 200, 1.0, 1.0)
    middle = [0.5 * low + 0.5 * high for low, high in (box[:2], box[2:])]
    radius = [0.5 * high - 0.5 * low for low, high in (box[:2], box[2:])]
    size = 1e-12 * (1.0 + np.abs(box).max(axis=0) ** 2)
    below, above = hull_planes(box)
    for sign, planes in ((1.0, [lower_planes(box), *below]), (-1.0, [upper_planes(box), *above])):
        for plane in planes:
            on_halves = plane.plus * (middle[0] + middle[1]) / 2, plane.minus * (middle[0] - middle[1]) / 2
            over = sum(on_halves) + plane.intercept
            gap = sign * (middle[0] * middle[1] - over) - radius[0] * radius[1]
            assert (np.abs(gap) <= size).all()
    for plane in (*below, *above):
        met = [
            np.abs(plane.plus * (a + b) / 2 + plane.minus * (a - b) / 2 + plane.intercept - a * b) <= size
            for a, b in box.corners()
        ]
        assert (np.sum(met, axis=0) >= 2).all()


def test_the_best_plane_is_never_worse_than_the_interval() -> None:
    """Its lowest corner is the least product, its highest one the largest, up to rounding."""
    box = boxes(np.random.default_rng(7), 300, 1.0, 1.0)
    size = 1e-12 * (1.0 + np.abs(box).max(axis=0) ** 2)
    ends = product_range(box)
    for plane, end, sign in ((lower_planes(box), ends[0], 1.0), (upper_planes(box), ends[1], -1.0)):
        heights = [plane.plus * (a + b) / 2 + plane.minus * (a - b) / 2 + plane.intercept for a, b in box.corners()]
        worst = np.min([sign * h for h in heights], axis=0)
        assert (worst >= sign * end - size).all()


def test_what_overflows_is_no_plane() -> None:
    """Where a product is beyond float64 the intercept is not finite; its neighbour keeps its plane."""
    with np.errstate(over="ignore", invalid="ignore"):
        huge = Box(*(np.array([x, y]) for x, y in ((-1.0, -1e200), (1.0, 1e200), (0.0, -1e200), (2.0, 1e200))))
        for plane in (lower_planes(huge), upper_planes(huge)):
            assert np.isfinite(plane.intercept[0]) and not np.isfinite(plane.intercept[1])
