"""Minima over box and half-spaces, compiled, against scipy's LP, rationals and the numpy twin."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

import numpy as np
import pytest
from random_instances import random_query
from scipy.optimize import linprog

from hypersplit.encodings.kernels.narrow_layout import room_for
from hypersplit.encodings.kernels.narrow_regions import concretise, misses, reach_of
from hypersplit.encodings.linear.halfspaces import cut_is_empty
from hypersplit.encodings.linear.narrow_bounds import _flatten
from hypersplit.instances.network import Array


def region(seed: int, cuts: int, scale: float) -> tuple[Array, Array, Array]:
    """A box of three inputs, half-spaces through it."""
    rng = np.random.default_rng(seed)
    lower = scale * rng.normal(size=3)
    upper = lower + scale * rng.random(3)
    normals = rng.normal(size=(cuts, 3))
    inside = lower + (upper - lower) * rng.random(3)
    return lower, upper, np.column_stack([normals, -normals @ inside + 0.1 * scale * rng.random(cuts)])


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("cuts", [0, 1, 3])
def test_minima_are_below_the_lp_and_one_cut_is_exact(cuts: int, scale: float) -> None:
    """Between the box's minimum and scipy's optimum; constants lose what rounding may have moved."""
    for seed in range(10):
        query = next(q for s in range(50) if (q := random_query(s)).network.input_size == 3)
        net = _flatten(query)
        room, rng = room_for(net, cuts), np.random.default_rng(seed)
        lower, upper, rows = region(seed, cuts, scale)
        a, c = rng.normal(size=(4, 3)), scale * rng.normal(size=4)
        room.pending[:12], room.constants[:4], room.errors[:4] = a.ravel(), c, 0.0
        room.cuts[:cuts] = rows[::-1]
        concretise(net, room, 4, (lower, upper), cuts)
        for r in range(4):
            box = c[r] + np.minimum(a[r] * lower, a[r] * upper).sum()
            # the solver's tolerances are absolute: it is asked in units of the box
            ends = list(zip(lower / scale, upper / scale, strict=True))
            sides = (-rows[:, :3], rows[:, 3] / scale) if cuts else (None, None)
            optimum = c[r] + scale * linprog(a[r], *sides, bounds=ends).fun
            slack = 1e-7 * scale
            assert box - slack <= room.values[r] <= optimum + slack, f"seed {seed}"
            if cuts <= 1:
                assert room.values[r] >= optimum - slack, f"seed {seed}"
            assert room.constants[r] <= c[r]


def test_misses_is_the_twins_rule() -> None:
    """Half-spaces near the box's corners, by many sizes: as the numpy twin says, and only of regions that are empty."""
    told = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        lower, upper, rows = region(seed, 2, 10.0 ** rng.integers(-6, 7))
        top = np.maximum(rows[0, :3] * lower, rows[0, :3] * upper).sum()
        rows[0, 3] = -top * (1.0 + rng.choice([-1e-9, 0.0, 1e-17, 1e-9]))
        found = bool(misses((lower, upper), rows))
        assert found == bool(cut_is_empty(lower[None], upper[None], rows[None])[0]), f"seed {seed}"
        if found:
            for row in rows:
                most = Fraction(float(row[3]))
                for g, a, b in zip(row[:3], lower, upper, strict=True):
                    most += max(Fraction(float(g)) * Fraction(float(a)), Fraction(float(g)) * Fraction(float(b)))
                told += most < 0
    assert told > 20


@pytest.mark.parametrize("power", [-160, -20, 0, 20, 150])
def test_reach_is_not_below_the_farthest_corner(power: int) -> None:
    """Against integer square roots of rationals."""
    for seed in range(10):
        lower, upper, _ = region(seed, 0, 10.0**power)
        farthest = np.maximum(np.abs(lower), np.abs(upper))
        square = sum(Fraction(float(a)) ** 2 for a in farthest)
        assert Fraction(float(reach_of((lower, upper)))) * 10**400 >= isqrt(int(square * 10**800))
