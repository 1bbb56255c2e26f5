"""Half-spaces in linear bounds against linear programs, and boxes clipped by half-spaces against their points."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linprog

from hypersplit.encodings.linear.clipping import shrink_box
from hypersplit.encodings.linear.halfspaces import absorb_cuts, cut_is_empty


def random_region(seed: int, cuts: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(lower, upper, cuts [K, n + 1], a point inside)."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 6))
    lower, upper = -scale * rng.uniform(size=n), scale * rng.uniform(size=n)
    point = rng.uniform(lower, upper)
    normals = rng.normal(size=(cuts, n))
    offsets = -normals @ point + 0.1 * scale * rng.uniform(size=cuts)
    return lower, upper, np.concatenate([normals, offsets[:, None]], axis=1), point


def least(a: np.ndarray, c: float, lower: np.ndarray, upper: np.ndarray) -> float:
    return float(c + np.minimum(a * lower, a * upper).sum())


@pytest.mark.parametrize("cuts", [1, 2, 4])
def test_multipliers_never_pass_the_linear_program(cuts: int) -> None:
    """The bound lies between the box's and the linear program's, and one half-space is taken in exactly."""
    for seed in range(150):
        lower, upper, rows, _ = random_region(seed, cuts)
        a = np.random.default_rng(seed + 10**6).normal(size=len(lower))
        optimum = linprog(a, A_ub=-rows[:, :-1], b_ub=rows[:, -1], bounds=list(zip(lower, upper, strict=True))).fun
        lowered, offset, error = absorb_cuts(a[None, None], np.zeros((1, 1)), lower[None], upper[None], rows[None])
        bound = least(lowered[0, 0], float(offset[0, 0]), lower, upper)

        assert least(a, 0.0, lower, upper) - 1e-9 <= bound <= optimum + 1e-9, f"seed {seed}"
        assert 0.0 <= error[0, 0] < 1e-10
        if cuts == 1:
            assert bound == pytest.approx(optimum, abs=1e-9), f"seed {seed}"


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_lowered_function_is_below_the_old_one_on_the_region(scale: float) -> None:
    """In exact arithmetic, at points of the region, the new function exceeds the old one by no more than `error`."""
    for seed in range(60):
        lower, upper, rows, point = random_region(seed, 3, scale)
        rng = np.random.default_rng(seed + 10**6)
        a, c = rng.normal(size=len(lower)), float(scale * rng.normal())
        lowered, offset, error = absorb_cuts(a[None, None], np.full((1, 1), c), lower[None], upper[None], rows[None])
        x = [Fraction(v) for v in point.tolist()]
        if any(_exact(row[:-1], float(row[-1]), x) < 0 for row in rows):
            continue
        new, old = _exact(lowered[0, 0], float(offset[0, 0]), x), _exact(a, c, x)

        assert new <= old + Fraction(float(error[0, 0])), f"seed {seed}"


def _exact(a: np.ndarray, c: float, x: list[Fraction]) -> Fraction:
    return Fraction(c) + sum((Fraction(v) * w for v, w in zip(a.tolist(), x, strict=True)), Fraction(0))


def test_an_empty_region_is_seen_and_a_touching_one_is_not() -> None:
    """A half-space that misses the box proves the node empty; one that touches a corner does not."""
    lower, upper = np.zeros((1, 2)), np.ones((1, 2))
    beyond, touching = np.array([[[1.0, 1.0, -2.5]]]), np.array([[[1.0, 1.0, -2.0]]])

    assert cut_is_empty(lower, upper, beyond).tolist() == [True]
    assert cut_is_empty(lower, upper, touching).tolist() == [False]


def test_clipping_keeps_every_point_of_the_region() -> None:
    """A shrunken box lies in the old one and keeps all points that satisfy the half-spaces."""
    shrunk = 0
    for seed in range(200):
        lower, upper, rows, point = random_region(seed, 3)
        low, high = shrink_box(lower[None], upper[None], rows[None, :, :-1], rows[None, :, -1])
        points = np.random.default_rng(seed).uniform(lower, upper, (200, len(lower)))
        points = np.concatenate([points[(points @ rows[:, :-1].T + rows[:, -1] >= 0.0).all(axis=1)], point[None]])

        assert (low[0] >= lower).all() and (high[0] <= upper).all()
        assert (points >= low[0]).all() and (points <= high[0]).all(), f"seed {seed}"
        shrunk += bool((low[0] > lower).any() or (high[0] < upper).any())
    assert shrunk > 50


def test_clipping_by_a_contradiction_leaves_nothing() -> None:
    """Half-spaces that exclude the whole box cross its bounds."""
    low, high = shrink_box(np.zeros((1, 1)), np.ones((1, 1)), np.array([[[1.0]]]), np.array([[-2.0]]))

    assert low[0, 0] > high[0, 0]
