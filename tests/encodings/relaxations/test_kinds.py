"""Lines of single activations: valid all over the interval, however narrow, wide or badly placed it is."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from hypersplit.encodings.relaxations.kinds import Lines, lines
from hypersplit.instances.network import Array

Wide = np.longdouble


def intervals() -> tuple[Array, Array]:
    """(lower, upper): moderate, tiny and huge widths, l == u, ends at 0 and next to it, denormals."""
    rng = np.random.default_rng(0)
    centre = np.concatenate([rng.normal(size=300) * 3.0, rng.normal(size=100) * 40.0, np.zeros(100)])
    width = 10.0 ** rng.uniform(-17, 3, len(centre))
    share = rng.random(len(centre))
    lower, upper = centre - share * width, centre + (1.0 - share) * width
    ends = [
        -1e300,
        -1e8,
        -30.0,
        -1.0,
        -1e-8,
        -1e-300,
        -5e-324,
        0.0,
        5e-324,
        1e-300,
        1e-8,
        1.0,
        30.0,
        1e8,
        1e300,
    ]
    pairs = np.array([(a, b) for a in ends for b in ends if a <= b])
    return np.concatenate([lower, pairs[:, 0]]), np.concatenate([upper, pairs[:, 1]])


def exact_line(slope: float, intercept: float, z: float) -> Fraction:
    """slope z + intercept without rounding."""
    return Fraction(slope) * Fraction(z) + Fraction(intercept)


@pytest.mark.parametrize("slopes", ["adaptive", "parallel"])
def test_relu_lines_hold_exactly(slopes: str) -> None:
    """Both lines are right at l, 0 and u in rational arithmetic, and so everywhere in between."""
    lower, upper = intervals()
    found = lines("relu", lower, upper, slopes)
    for low, high, *line in zip(lower, upper, *found, strict=True):
        for z in {float(low), float(high), 0.0 if low < 0.0 < high else float(low)}:
            value = Fraction(max(z, 0.0))
            assert exact_line(line[0], line[1], z) <= value <= exact_line(line[2], line[3], z), (low, high, z)


def test_relu_lines_of_stable_neurons_are_exact() -> None:
    """z where l >= 0 and 0 where u <= 0, without intercepts, ends at 0 included."""
    lower, upper = np.array([0.0, 0.0, -1.0, 2.0, 3.0, -3.0]), np.array([0.0, 1.0, 0.0, 3.0, 3.0, -3.0])
    found = lines("relu", lower, upper)
    assert np.array_equal(found.lower_slope, found.upper_slope)
    assert not found.lower_intercept.any() and not found.upper_intercept.any()
    assert np.array_equal(found.lower_slope * upper, np.maximum(upper, 0.0))


def test_relu_slopes_are_those_of_the_papers() -> None:
    """Upper line u (z - l) / (u - l); lower slope 1 or 0 (adaptive) or the upper line's (parallel)."""
    lower, upper = np.array([-1.0, -3.0]), np.array([3.0, 1.0])
    adaptive, parallel = lines("relu", lower, upper), lines("relu", lower, upper, "parallel")
    assert adaptive.lower_slope.tolist() == [1.0, 0.0]
    assert parallel.lower_slope == pytest.approx(parallel.upper_slope)
    for found in (adaptive, parallel):
        assert found.upper_slope == pytest.approx(np.array([0.75, 0.25]))
        assert found.upper_intercept == pytest.approx(np.array([0.75, 0.75]))


def curve(kind: str, z: Array) -> Array:
    """The activation in extended precision, from its definition by exponentials."""
    w = np.asarray(z, dtype=Wide)
    return np.tanh(w) if kind == "tanh" else Wide(1) / (Wide(1) + np.exp(-w))


def samples(lower: Array, upper: Array) -> Array:
    """[count, intervals]: dense points, many next to the ends and to 0, in extended precision."""
    share = np.linspace(0, 1, 201, dtype=Wide)
    share = np.sort(
        np.concatenate(
            [
                share,
                10.0 ** -np.linspace(3, 18, 31, dtype=Wide),
                1 - 10.0 ** -np.linspace(3, 18, 31, dtype=Wide),
            ]
        )
    )
    points = lower.astype(Wide) * (1 - share[:, None]) + upper.astype(Wide) * share[:, None]
    around = np.array([-20, -5, -1, -0.1, -1e-4, 0, 1e-4, 0.1, 1, 5, 20], dtype=Wide)[
        :, None
    ] + np.zeros_like(lower)
    return np.clip(np.concatenate([points, around]), lower, upper)


@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
def test_s_shaped_lines_hold_at_dense_samples(kind: str) -> None:
    """No sample of the curve crosses its lines, in extended precision and without a tolerance."""
    if np.finfo(Wide).nmant <= np.finfo(np.float64).nmant:
        pytest.skip("no extended precision on this platform")
    lower, upper = intervals()
    found = Lines(*(np.asarray(part, dtype=Wide) for part in lines(kind, lower, upper)))
    z = samples(lower, upper)
    with np.errstate(over="ignore", under="ignore"):
        value = curve(kind, z)
        above = found.upper_slope * z + found.upper_intercept - value
        below = value - found.lower_slope * z - found.lower_intercept
    for gap in (above, below):
        assert np.isfinite(gap).all()
        worst = int(gap.min(axis=0).argmin())
        assert gap.min() >= 0.0, f"{kind} on [{lower[worst]!r}, {upper[worst]!r}]: crossed by {gap.min()}"


@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
def test_s_shaped_lines_touch_the_curve(kind: str) -> None:
    """On moderate intervals each line comes close to the curve, and both shrink with the interval."""
    lower = np.array([-3.0, -1.0, -4.0, 0.5, -2.0, -0.25])
    upper = np.array([2.0, 4.0, -1.0, 3.0, 2.0, 0.5])
    found, z = lines(kind, lower, upper), samples(lower, upper)
    value = curve(kind, z)
    assert np.all((found.upper_slope * z + found.upper_intercept - value).min(axis=0) < 1e-3)
    assert np.all((value - found.lower_slope * z - found.lower_intercept).min(axis=0) < 1e-3)
    narrow = lines(kind, np.full(3, 0.3), 0.3 + np.array([1e-2, 1e-4, 1e-6]))
    gaps = narrow.upper_intercept - narrow.lower_intercept + 0.3 * (narrow.upper_slope - narrow.lower_slope)
    assert np.all(gaps <= np.array([1e-2, 1e-4, 1e-6]))


def test_identity_and_bad_names() -> None:
    """The identity is its own line; unknown kinds and slope rules are named in the error."""
    found = lines("identity", np.array([-1.0]), np.array([1.0]))
    assert (
        found.lower_slope == found.upper_slope == 1.0
        and found.lower_intercept == found.upper_intercept == 0.0
    )
    with pytest.raises(ValueError, match="softmax"):
        lines("softmax", np.zeros(1), np.ones(1))
    with pytest.raises(ValueError, match="steep"):
        lines("relu", np.zeros(1), np.ones(1), "steep")
