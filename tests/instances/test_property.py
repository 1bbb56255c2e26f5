"""Input sets and forbidden sets contain exactly what their inequalities say, in rationals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from random_instances import Shape, random_region

from hypersplit.instances.errors import PropertyError
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property


def value(row: np.ndarray, x: np.ndarray) -> Fraction:
    """row @ x, exactly."""
    return sum((Fraction(float(a)) * Fraction(float(b)) for a, b in zip(row, x, strict=True)), Fraction(0))


@pytest.mark.parametrize("seed", range(6))
def test_membership_is_the_inequalities(seed: int) -> None:
    """At points of multiples of 1/8, on faces and corners too, where float64 rounds nothing."""
    rng = np.random.default_rng(seed)
    region = random_region(rng, 3, Shape(halfspaces=1.0, flat=0.5))
    inside = 0
    for _ in range(200):
        x = np.where(rng.random(3) < 0.3, region.lower, rng.integers(-20, 21, 3) / 8.0)
        box = bool((x >= region.lower).all() and (x <= region.upper).all())
        rows = all(value(g, x) + Fraction(float(h)) >= 0 for g, h in zip(region.rows, region.offsets, strict=True))
        assert region.contains(x) == (box and rows), f"seed {seed}, {x}"
        inside += region.contains(x)
    assert region.contains(np.full(3, np.nan)) is False


def test_strict_faces_are_not_in_the_set() -> None:
    """The very end of a strict interval, a strict half-space's border and a strict row's are outside, one ulp in is."""
    true, false = np.array([True]), np.array([False])
    region = InputSet(np.zeros(1), np.ones(1), np.array([[-1.0]]), np.array([0.5]), true, false, true)
    for x, inside in ((0.0, False), (5e-324, True), (np.nextafter(0.5, 0), True), (0.5, False)):
        assert region.contains(np.array([x])) == inside
    half = Polyhedron(np.array([[1.0]]), np.array([2.0]), true)
    assert not half.contains(np.array([2.0])) and half.contains(np.array([np.nextafter(2.0, 0)]))
    assert Polyhedron(np.array([[1.0]]), np.array([2.0])).contains(np.array([2.0]))


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_ends_of_any_size_are_compared_exactly(scale: float) -> None:
    """Neighbours of the ends, whatever their size, are told from the ends."""
    region = InputSet.box(np.array([-scale]), np.array([scale]))
    for end, out in ((scale, np.inf), (-scale, -np.inf)):
        assert region.contains(np.array([end])) and not region.contains(np.array([np.nextafter(end, out)]))


def test_a_ball_lies_in_its_box() -> None:
    """`around` with the maximum norm is a box that holds all of the ball; an l1 ball's corners are cut off."""
    rng = np.random.default_rng(0)
    centre = rng.normal(size=3)
    box, diamond = InputSet.around(centre, 0.3), InputSet.around(centre, 0.3, 1)
    steps = rng.uniform(-1.0, 1.0, (200, 3))
    assert all(box.contains(centre + 0.3 * s) for s in steps)
    for s in steps:
        size = np.abs(s).sum()
        if abs(size - 1.0) > 1e-9:
            assert diamond.contains(centre + 0.3 * s) == (size < 1.0), s


def test_crossed_ends_and_wrong_widths_are_refused() -> None:
    """Errors of properties say the field; nothing is made of them."""
    with pytest.raises(PropertyError, match="exceeds its upper"):
        InputSet.box(np.ones(2), np.zeros(2))
    with pytest.raises(PropertyError, match="ball"):
        InputSet.around(np.zeros(2), -1.0)
    with pytest.raises(PropertyError, match="columns"):
        Property((Case(InputSet.box(np.zeros(2), np.ones(2)), (Polyhedron(np.eye(3), np.zeros(3)),)),), 2, 2)
