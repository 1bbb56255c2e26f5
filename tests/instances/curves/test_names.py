"""Curves by their names: pieces, turns and slopes are those of the functions, and what is no name is refused."""

from __future__ import annotations

import numpy as np
import pytest
from wide_curves import wide_curve

from hypersplit.instances.curves.names import CURVES, MOST_POWER, curve, curve_name, is_curve
from hypersplit.instances.network import value_range

KINDS = (*CURVES, "elu:0.5", "elu:1.0", "elu:1.7", "power:2", "power:3", "power:16")


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_are_convex_or_concave(kind: str) -> None:
    """Second differences in extended precision have the sign that each piece between bends is said to have."""
    told = curve(kind)
    ends = (-6.0, *told.bends, 6.0)
    for low, high, convex in zip(ends[:-1], ends[1:], told.convex, strict=True):
        value = wide_curve(kind, np.linspace(low, high, 1001, dtype=np.longdouble))
        bend = value[2:] - 2 * value[1:-1] + value[:-2]
        assert ((bend if convex else -bend) >= -1e-15 * (1 + np.abs(value[1:-1]))).all()


@pytest.mark.parametrize("kind", KINDS)
def test_ranges_hold_all_values_and_no_more(kind: str) -> None:
    """Of intervals around turns and away from them, in extended precision; the ends are reached up to rounding."""
    rng = np.random.default_rng(3)
    lower, upper = np.sort(rng.uniform(-4.0, 4.0, (2, 200)), axis=0)
    least, most = value_range(kind, lower, upper)
    share = np.linspace(0, 1, 301, dtype=np.longdouble)[:, None]
    turns = np.array([[-1.5], [0.0]]) + 0.0 * lower
    z = np.clip(np.concatenate([lower * (1 - share) + upper * share, turns]), lower, upper)
    value = wide_curve(kind, z)
    assert (value >= least).all() and (value <= most).all()
    size = 1.0 + np.abs(value).max(axis=0)
    assert (value.min(axis=0) - least <= 1e-13 * size).all() and (most - value.max(axis=0) <= 1e-13 * size).all()


@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_float32(kind: str) -> None:
    """Values and slopes have the type of what they are given."""
    z = np.linspace(-4.0, 4.0, 50, dtype=np.float32)
    told = curve(kind)
    assert told.value(z).dtype == told.slope(z).dtype == np.float32
    assert np.allclose(told.value(z), wide_curve(kind, z).astype(np.float64), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "kind", ["relu", "elu", "elu:", "elu:0.0", "elu:-1.0", "elu:inf", "power:1", "power:x", f"power:{MOST_POWER + 1}"]
)
def test_other_names_are_no_curves(kind: str) -> None:
    """Parameters out of their range included."""
    assert not is_curve(kind)
    with pytest.raises(ValueError):
        curve(kind)


def test_parameters_are_kept_to_the_last_digit() -> None:
    """A name gives its curve's own number back."""
    alpha = 1.67326319217681884765625
    assert curve(curve_name("elu", alpha)).slope(np.array([-1e-300]))[0] == alpha
