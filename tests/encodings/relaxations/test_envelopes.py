"""Lines that support the hull of a curve's graph: never crossed by it, and nowhere further off than the hull is."""

from __future__ import annotations

import numpy as np
import pytest
from wide_curves import WIDE, wide_curve

from hypersplit.encodings.relaxations.envelopes import sloped, supports
from hypersplit.encodings.relaxations.lines import Lines
from hypersplit.instances.curves.curve import JUMP_SLOPE
from hypersplit.instances.curves.names import curve
from hypersplit.instances.network import Array

SMOOTH = (
    "sigmoid", "tanh", "arctan", "softsign", "exp", "softplus", "hardswish", "elu:1.0", "elu:0.5", "elu:1.67",
    "power:2", "power:3", "power:4", "power:5", "erf", "gelu", "gelu:1.0", "gelu_tanh", "mish", "silu", "sin", "cos",
)  # fmt: skip
JUMPING = (
    "step:0.0", "step:0.5", "threshold:1.0", "threshold:-2.0", "shrink:0.5:0.0", "shrink:1.0:-1.0", "floor", "round",
)  # fmt: skip
KINDS = (*SMOOTH, *JUMPING)
PARTIAL = ("sqrt", "log", "reciprocal", "power:-2", "power:-3", "power:0.3", "power:1.5")


APART = 1e-9  # of points of a graph on either side of a jump


def places(kind: str) -> list[float]:
    """Bends and jumps, of stairs those up to 45."""
    told = curve(kind)
    return [*told.bends] if told.stairs is None else [n - told.stairs for n in range(-45, 46)]


def beside(kind: str) -> Array:
    """These, and numbers around 0, with their neighbours."""
    around = [*places(kind), -1e-9, 0.0, 1e-9]
    return np.array([np.nextafter(place, side) for place in around for side in (-np.inf, place, np.inf)])


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
    z = np.concatenate([lower * (1 - share) + upper * share, beside(kind)[:, None] + 0 * lower])
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
        near = [place + side for place in places(kind) for side in (-APART, 0.0, APART)]
        z = np.unique(np.concatenate([np.linspace(lower, upper, 2001), np.clip([at, *near], lower, upper)]))
        z = z[np.append(True, np.diff(z) > 1e-3 * APART)]  # nearer ones differ by rounding alone
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


@pytest.mark.skipif(np.finfo(WIDE).nmant <= 52, reason="no extended precision on this platform")
@pytest.mark.parametrize("kind", PARTIAL)
def test_no_line_is_crossed_inside_a_domain(kind: str) -> None:
    """Of functions that are not defined everywhere: widths and places over many orders of magnitude, on both sides."""
    rng, edge = np.random.default_rng(5), max(curve(kind).gaps[0][1], 1e-12)
    lower = edge * 10.0 ** rng.uniform(0.01, 12.0, 300)
    upper = np.minimum(lower * (1.0 + 10.0 ** rng.uniform(-15.0, 3.0, 300)), 1e3 + lower)
    at = lower + (upper - lower) * rng.random(300)
    sides = (1.0, -1.0) if np.isfinite(curve(kind).gaps[0][0]) else (1.0,)
    share = np.linspace(0, 1, 401, dtype=WIDE)[:, None]
    for sign in sides:
        ends = np.sort(sign * np.array([lower, upper]), axis=0)
        found = Lines(*(np.asarray(a, dtype=WIDE) for a in supports(kind, *ends, np.clip(sign * at, *ends))))
        z = np.clip(ends[0] * (1 - share) + ends[1] * share, *ends)
        value = wide_curve(kind, z)
        assert (found.upper_slope * z + found.upper_intercept >= value).all()
        assert (found.lower_slope * z + found.lower_intercept <= value).all()
        wide = (found.upper_slope - found.lower_slope) * z[200] + found.upper_intercept - found.lower_intercept
        assert np.isfinite(np.asarray(wide, dtype=np.float64)).all()


@pytest.mark.parametrize("kind", PARTIAL)
def test_what_touches_the_edge_of_a_domain_gets_no_line(kind: str) -> None:
    """A slope of 0 and an infinite intercept; the interval beside it keeps its lines."""
    edge = curve(kind).gaps[0][1]
    lower = np.array([-1.0, 0.0, edge, np.nextafter(edge, 1.0), 0.5])
    found = supports(kind, lower, np.full(5, 1.0), np.full(5, 0.75))
    assert np.isposinf(found.upper_intercept[:3]).all() and np.isneginf(found.lower_intercept[:3]).all()
    assert np.isfinite(np.array(found)[:, 3:]).all()


def test_waves_beyond_their_reach_lie_between_their_limits() -> None:
    """Flat lines at -1 and 1; within it the lines of a short interval are closer."""
    for kind in ("sin", "cos"):
        found = supports(kind, np.array([-30.0, 1.0]), np.array([-29.0, 1.1]), np.array([-29.5, 1.05]))
        assert found.upper_slope[0] == found.lower_slope[0] == 0.0
        assert -1.0 - 1e-13 < found.lower_intercept[0] <= -1.0 <= 1.0 <= found.upper_intercept[0] < 1.0 + 1e-13
        gap = (found.upper_slope - found.lower_slope) * 1.05 + found.upper_intercept - found.lower_intercept
        assert gap[1] < 0.01


@pytest.mark.parametrize("kind", JUMPING)
def test_lines_across_jumps_are_not_steep(kind: str) -> None:
    """However narrow the interval around a jump is."""
    place = curve(kind).jumps[-1][0] if curve(kind).jumps else 1.0 - (curve(kind).stairs or 0.0)
    width = 10.0 ** -np.arange(0.0, 16.0)
    for left, right in ((0.5, 0.5), (0.01, 1.0), (1.0, 0.0)):
        found = supports(kind, place - left * width, place + right * width, place + 0.0 * width)
        assert (np.abs([found.lower_slope, found.upper_slope]) <= JUMP_SLOPE).all()
