"""Curves by their names: pieces, turns and slopes are those of the functions, and what is no name is refused."""

from __future__ import annotations

import numpy as np
import pytest
from wide_curves import wide_curve

from hypersplit.instances.curves.names import CURVES, JUMPING, MOST_POWER, PARTIAL, curve, curve_name, is_curve
from hypersplit.instances.network import value_range

KINDS = (*CURVES, "elu:0.5", "elu:1.0", "elu:1.7", "power:2", "power:3", "power:16", "gelu:1.0", "gelu:2.5",
         "gelu_tanh:0.786:0.0362", "gelu_tanh:0.81:0.0352")  # fmt: skip
ONLY_ABOVE = ("sqrt", "log", "power:0.3", "power:-0.5", "power:2.5")  # 0
BOTH_SIDES = ("reciprocal", "power:-2", "power:-3")
STEPS = ("step:0.0", "step:0.5", "step:1.0", "threshold:1.0", "threshold:-0.5", "shrink:0.5:0.0", "shrink:0.0:1.0",
         "shrink:1.0:2.0", *JUMPING)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_are_convex_or_concave(kind: str) -> None:
    """Second differences in extended precision have the sign that each piece between bends is said to have."""
    told = curve(kind)
    far = told.reach if told.reach < np.inf else 6.0
    ends = (-far, *told.bends, far)
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
    turns = np.array([*curve(kind).turns, 0.0])[:, None] + 0.0 * lower
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
    "kind",
    [
        "relu", "elu", "elu:", "elu:0.0", "elu:-1.0", "elu:inf", "power:1", "power:x", f"power:{MOST_POWER + 1}",
        "power:0", "power:1e-9", "power:nan", "gelu:0.0", "gelu_tanh:0.6:0.03", "gelu_tanh:0.8:0.0", "step:2.0", "step",
        "shrink:0.5", "shrink:-0.5:0.0", "threshold:inf",
    ],
)  # fmt: skip
def test_other_names_are_no_curves(kind: str) -> None:
    """Parameters out of their range included."""
    assert not is_curve(kind)
    with pytest.raises(ValueError):
        curve(kind)


def test_parameters_are_kept_to_the_last_digit() -> None:
    """A name gives its curve's own number back."""
    alpha = 1.67326319217681884765625
    assert curve(curve_name("elu", alpha)).slope(np.array([-1e-300]))[0] == alpha


@pytest.mark.parametrize("kind", [*ONLY_ABOVE, *BOTH_SIDES])
def test_nothing_is_claimed_where_a_function_is_not_defined(kind: str) -> None:
    """Intervals that touch the domain's edge have no range; beside it ranges hold all values and no more."""
    told, rng = curve(kind), np.random.default_rng(4)
    edge = told.gaps[0][1]
    assert 0.0 <= edge < 2e-3
    for low, high in ((-1.0, 1.0), (0.0, 1.0), (edge, 1.0), (np.nan, 1.0), (0.0, 0.0)):
        least, most = value_range(kind, np.array([low]), np.array([high]))
        assert np.isneginf(least).all() and np.isposinf(most).all()
    lower, upper = np.sort(10.0 ** rng.uniform(np.log10(max(edge, 1e-20)) + 0.1, 2.0, (2, 200)), axis=0)
    for sign in (1.0, -1.0) if kind in BOTH_SIDES else (1.0,):
        ends = np.sort(sign * np.array([lower, upper]), axis=0)
        least, most = value_range(kind, *ends)
        share = np.linspace(0, 1, 101, dtype=np.longdouble)[:, None]
        value = wide_curve(kind, np.clip(ends[0] * (1 - share) + ends[1] * share, *ends))
        assert (value >= least).all() and (value <= most).all()
        size = 1.0 + np.abs(value).max(axis=0)
        assert (value.min(axis=0) - least <= 1e-13 * size).all() and (most - value.max(axis=0) <= 1e-13 * size).all()


@pytest.mark.parametrize("kind", [*ONLY_ABOVE, *BOTH_SIDES])
def test_partial_functions_are_convex_where_they_say_so(kind: str) -> None:
    """By second differences in extended precision, on each side of 0 where there are two."""
    told = curve(kind)
    for sign, convex in ((1.0, told.convex[-1]), *([(-1.0, told.convex[0])] if kind in BOTH_SIDES else [])):
        value = wide_curve(kind, sign * np.linspace(0.01, 6.0, 1001, dtype=np.longdouble))
        bend = value[2:] - 2 * value[1:-1] + value[:-2]
        assert ((bend if convex else -bend) >= -1e-15 * (1 + np.abs(value[1:-1]))).all()


@pytest.mark.parametrize("kind", PARTIAL)
def test_slopes_end_where_error_terms_do(kind: str) -> None:
    """Just inside the domain the slope is at most 2^40."""
    inside = np.nextafter(np.array([curve(kind).gaps[0][1]]), np.inf)
    assert 2.0**38 < abs(curve(kind).slope(inside)[0]) <= 2.0**40


@pytest.mark.parametrize("kind", STEPS)
def test_ranges_hold_both_sides_of_a_jump(kind: str) -> None:
    """The limits from either side and the value at the jump, at its ends too; away from jumps nothing else."""
    told, rng = curve(kind), np.random.default_rng(5)
    places = [place for place, _, _ in told.jumps]
    if told.stairs is not None:
        places = [n - told.stairs for n in range(-3, 4)]
    for place in places:
        beside = np.array([np.nextafter(place, -np.inf), place, np.nextafter(place, np.inf)])
        value = np.asarray(wide_curve(kind, beside), dtype=np.float64)
        for low, high in ((place, place), (place - 0.25, place), (place, place + 0.25), (place - 0.3, place + 0.3)):
            least, most = value_range(kind, np.array(low), np.array(high))
            assert least <= value.min() and most >= value.max()
    lower, upper = np.sort(rng.uniform(-3.0, 3.0, (2, 300)), axis=0)
    least, most = value_range(kind, lower, upper)
    beside = np.array([[np.nextafter(p, side)] for p in places for side in (-np.inf, np.inf)]) + 0.0 * lower
    z = np.clip(np.concatenate([lower + (upper - lower) * np.linspace(0, 1, 101)[:, None], beside]), lower, upper)
    value = told.value(z)
    assert (value >= least).all() and (value <= most).all()
    assert (value.min(axis=0) - least <= 1e-13).all() and (most - value.max(axis=0) <= 1e-13).all()


@pytest.mark.parametrize("kind", [*ONLY_ABOVE, *BOTH_SIDES, *STEPS])
def test_float32_stays_float32_beside_gaps_and_jumps(kind: str) -> None:
    """Values and slopes have the type of what they are given, and what attacks follow has it, too."""
    z, told = np.linspace(0.1, 4.0, 50, dtype=np.float32), curve(kind)
    assert told.value(z).dtype == told.slope(z).dtype == np.float32
    assert told.lead is None or told.lead(z).dtype == np.float32
    assert np.allclose(told.value(z), wide_curve(kind, z).astype(np.float64), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "value"), [("step:0.0", 0.0), ("step:0.5", 0.5), ("step:1.0", 1.0)])
def test_steps_have_their_value_at_the_jump(kind: str, value: float) -> None:
    """As ONNX has it for >, for the sign and for >=; NaN stays NaN."""
    found = curve(kind).value(np.array([-1e-300, 0.0, -0.0, 1e-300, np.nan]))
    assert found[:4].tolist() == [0.0, value, value, 1.0] and np.isnan(found[4])


def test_waves_are_known_within_eight_half_periods() -> None:
    """Beyond them the range is [-1, 1], and a little more for rounding, whatever the interval."""
    for kind in ("sin", "cos"):
        least, most = value_range(kind, np.array([26.0, 0.1, np.nan]), np.array([26.1, 0.2, 1.0]))
        assert least[0] == least[2] == -1.0 and most[0] == most[2] == 1.0
        assert most[1] - least[1] < 0.1
