"""Lines that support the hull of a curve's graph: never crossed by it, and nowhere further off than the hull is."""

from __future__ import annotations

import numpy as np
import pytest
from wide_curves import WIDE, wide_curve

from hypersplit.encodings.relaxations.envelopes import sloped, supports
from hypersplit.encodings.relaxations.lines import Lines
from hypersplit.instances.network import Array

KINDS = (
    "sigmoid", "tanh", "arctan", "softsign", "exp", "softplus", "hardswish", "elu:1.0", "elu:0.5", "elu:1.67",
    "power:2", "power:3", "power:4", "power:5",
)  # fmt: skip


def intervals(rng: np.random.Generator, count: int) -> tuple[Array, Array, Array]:
    """(lower, upper, at): widths from 1e-15 to 30 around places up to 20 away from 0, points anywhere between."""
    centre = np.concatenate([rng.normal(size=count) * 3.0, rng.normal(size=count) * 0.1])
    width = 10.0 ** rng.uniform(-15, 1.5, 2 * count)
    share, place = rng.random(2 * count), rng.random(2 * count)
    place[::7], place[1::7], width[::11] = 0.0, 1.0, 0.0
    lower = centre - share * width
    upper = np.maximum(lower + width, lower)
    return lower, upper, np.clip(lower + place * width, lower, upper)


@pytest.mark.skipif(np.finfo(WIDE).nmant <= 52, reason="no extended precision on this platform")
@pytest.mark.parametrize("kind", KINDS)
def test_no_line_is_crossed(kind: str) -> None:
    """At dense samples in extended precision, ends, bends and their neighbours included, without a tolerance."""
    lower, upper, at = intervals(np.random.default_rng(1), 150)
    found = Lines(*(np.asarray(a, dtype=WIDE) for a in supports(kind, lower, upper, at)))
    share = np.linspace(0, 1, 401, dtype=WIDE)[:, None]
    z = np.concatenate([lower * (1 - share) + upper * share, np.array([[-3], [-1e-9], [0], [1e-9], [3]]) + 0 * lower])
    z = np.clip(z, lower, upper)
    value = wide_curve(kind, z)
    assert (found.upper_slope * z + found.upper_intercept >= value).all()
    assert (found.lower_slope * z + found.lower_intercept <= value).all()


@pytest.mark.skipif(np.finfo(WIDE).nmant <= 52, reason="no extended precision on this platform")
@pytest.mark.parametrize("kind", KINDS)
def test_lines_of_given_slopes_enclose_and_touch(kind: str) -> None:
    """In extended precision without a tolerance, however steep; the nearest of 401 points is hardly off the line."""
    lower, upper, _ = intervals(np.random.default_rng(4), 60)
    rng = np.random.default_rng(5)
    slope = rng.normal(size=len(lower)) * 10.0 ** rng.uniform(-3, 3, len(lower))
    found = Lines(*(np.asarray(a, dtype=WIDE) for a in sloped(kind, lower, upper, slope)))
    share = np.linspace(0, 1, 401, dtype=WIDE)[:, None]
    z = np.clip(np.concatenate([lower * (1 - share) + upper * share, np.array([[0]]) + 0 * lower]), lower, upper)
    value = wide_curve(kind, z)
    over, under = found.upper_slope * z + found.upper_intercept, found.lower_slope * z + found.lower_intercept
    assert (over >= value).all() and (under <= value).all()
    off = 1e-3 * (1.0 + np.abs(value).max(axis=0)) * np.maximum(1.0, upper - lower)
    assert ((over - value).min(axis=0) <= off).all() and ((value - under).min(axis=0) <= off).all()


@pytest.mark.parametrize("kind", KINDS)
def test_lines_touch_the_hull_where_asked(kind: str) -> None:
    """At the middle, and elsewhere inside, they are the hull of 2001 points of the graph up to what those leave out."""
    rng = np.random.default_rng(2)
    for _ in range(12):
        lower, upper = np.sort(rng.uniform(-5.0, 5.0, 2))
        at = lower + (upper - lower) * rng.choice([0.1, 0.5, 0.8])
        found = supports(kind, np.array([lower]), np.array([upper]), np.array([at]))
        z = np.concatenate([np.linspace(lower, upper, 2001), np.clip([at, -3.0, 0.0, 3.0], lower, upper)])
        low, high = hull(z, np.asarray(wide_curve(kind, z), dtype=np.float64), at)
        tolerance = 3e-6 * (1.0 + np.abs(wide_curve(kind, z)).max())
        assert found.upper_slope[0] * at + found.upper_intercept[0] <= high + tolerance
        assert found.lower_slope[0] * at + found.lower_intercept[0] >= low - tolerance


def hull(z: Array, value: Array, at: float) -> tuple[float, float]:
    """The convex hull of the points at `at`: lowest and highest there."""
    return -envelope(z, -value, at), envelope(z, value, at)


def envelope(z: Array, value: Array, at: float) -> float:
    """The least concave function above the points, at `at`, by Andrew's chain."""
    chain: list[tuple[float, float]] = []
    for x, y in sorted(zip(z.tolist(), value.tolist(), strict=True)):
        while len(chain) > 1 and (chain[-1][1] - chain[-2][1]) * (x - chain[-2][0]) <= (y - chain[-2][1]) * (
            chain[-1][0] - chain[-2][0]
        ):
            chain.pop()
        chain.append((x, y))
    return float(np.interp(at, *zip(*chain, strict=True)))


def test_what_is_not_finite_gets_no_line() -> None:
    """Where the curve overflows on the interval, no line is finite; its neighbours keep theirs."""
    found = supports("exp", np.array([-1.0, 0.0]), np.array([1.0, 1000.0]), np.array([0.0, 500.0]))
    assert np.isfinite([a[0] for a in found]).all()
    assert not np.isfinite(found.upper_slope[1] + found.upper_intercept[1])


def test_names_of_no_curve_are_refused() -> None:
    """The name is told."""
    with pytest.raises(ValueError, match="relu"):
        supports("relu", np.zeros(1), np.ones(1), np.zeros(1))
