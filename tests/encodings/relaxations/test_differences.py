"""Lines around differences of two ReLUs: valid for all pre-activations within the bounds, exactly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from hypersplit.encodings.relaxations.differences import Chords, chords, least, take
from hypersplit.instances.network import Difference

Ends = tuple[np.ndarray, np.ndarray]


def drawn(rng: np.random.Generator, count: int) -> tuple[Ends, Ends, Ends, np.ndarray, np.ndarray]:
    """Bounds of z, w and z - w, and for each pair points z, w within all three; [1, count]."""
    z, w = rng.normal(size=count), rng.normal(size=count)
    z = np.where(rng.random(count) < 0.2, w, z)  # equal ones
    near = z - w
    ends = []
    for values in (z, w, near):
        below, above = rng.exponential(1.0, (2, count)) * (rng.random((2, count)) < 0.8)
        ends.append(((values - below - 1e-9)[None], (values + above + 1e-9)[None]))
    return ends[0], ends[1], ends[2], z, w


def gap(z: float, w: float) -> Fraction:
    return max(Fraction(z), Fraction(0)) - max(Fraction(w), Fraction(0))


@pytest.mark.parametrize("seed", range(20))
def test_lines_enclose_the_difference(seed: int) -> None:
    """below d - drop <= relu(z) - relu(w) <= above d + rise in rational numbers."""
    z_ends, w_ends, ends, z, w = drawn(np.random.default_rng(seed), 60)
    line = chords(*ends, z_ends, w_ends)
    for i in range(len(z)):
        d = Fraction(float(z[i])) - Fraction(float(w[i]))
        below, drop, above, rise = (Fraction(float(a[0, i])) for a in (line.below, line.drop, line.above, line.rise))
        assert below * d - drop <= gap(float(z[i]), float(w[i])) <= above * d + rise, (seed, i)
        assert Fraction(float(least(z_ends, w_ends)[0, i])) <= d


@pytest.mark.parametrize("seed", range(20))
def test_what_is_taken_bounds_from_below(seed: int) -> None:
    """A row over both ReLUs is at least what is left of it and the lines that were put in."""
    rng = np.random.default_rng(seed)
    count = 12
    z_ends, w_ends, ends, z, w = drawn(rng, count)
    line = chords(*ends, z_ends, w_ends)
    left, right = rng.permutation(count), rng.permutation(count)
    pairs = Difference(1, 2, 3, left, right)
    a, b = rng.normal(size=(1, 3, count)), rng.normal(size=(1, 3, count))
    taken = take(pairs, line, a, b)
    values, others = np.empty(count), np.empty(count)
    values[left], others[right] = z, w
    x, y = np.maximum(values, 0.0), np.maximum(others, 0.0)
    whole = a[0] @ x + b[0] @ y
    rest = taken.first[0] @ x + taken.second[0] @ y
    lines = taken.straight[0] @ values + taken.straight_second[0] @ others + taken.constants[0]
    assert (whole >= rest + lines - 1e-12 * count).all()
    assert (np.abs(taken.first) <= np.abs(a)).all() and (np.abs(taken.second) <= np.abs(b)).all()


def test_they_are_worth_it_where_both_neurons_are_wide() -> None:
    """A narrow difference of wide neurons is taken; a stable pair, and a wide difference, are not."""
    wide, active = (np.array([[-1.0]]), np.array([[1.0]])), (np.array([[0.5]]), np.array([[1.0]]))
    narrow = np.array([[-0.01]]), np.array([[0.01]])

    def worth(line: Chords) -> bool:
        return bool(line.worth[0, 0])

    assert worth(chords(*narrow, wide, wide))
    assert not worth(chords(*narrow, active, active)) and not worth(chords(*(2.0 * e for e in wide), wide, wide))
