"""Distances from polyhedra: against all sets of active rows in l2, linear programs in l1 and the maximum norm."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import linprog

from hypersplit.encodings.certificates.polytope_distance import ABOVE, ABSENT, BELOW, ON, Polyhedra, Rows, nearest
from hypersplit.instances.network import Array

INPUTS, ROWS = 3, 6
FAR = 1e6  # what is proved of an empty polyhedron is further away


def rows_of(rng: np.random.Generator, error: float = 0.0) -> Rows:
    """Random rows, of very different lengths."""
    normals = rng.normal(size=(ROWS, INPUTS)) * 10.0 ** rng.uniform(-3, 3, (ROWS, 1))
    values = rng.normal(size=ROWS) * np.linalg.norm(normals, axis=1)
    return Rows(normals, values, np.zeros(ROWS), np.full(ROWS, error) * np.linalg.norm(normals, axis=1))


def truth(normals: Array, values: Array, sides: Array, norm: float) -> float:
    """The distance, by solvers of its own; inf where there is no point."""
    upper = [(-g, v) for g, v, s in zip(normals, values, sides, strict=True) if s in (ABOVE, ON)]
    upper += [(g, -v) for g, v, s in zip(normals, values, sides, strict=True) if s in (BELOW, ON)]
    matrix, right = np.array([g for g, _ in upper]).reshape(-1, INPUTS), np.array([v for _, v in upper])
    if norm == 2.0:
        return projected(matrix, right)
    one = np.eye(INPUTS)
    reach = one if norm == 1.0 else np.ones((INPUTS, 1))
    size = reach.shape[1]
    found = linprog(
        np.append(np.zeros(INPUTS), np.ones(size)), bounds=(None, None),
        A_ub=np.block([[matrix, np.zeros((len(matrix), size))], [one, -reach], [-one, -reach]]),
        b_ub=np.concatenate([right, np.zeros(2 * INPUTS)]),
    )  # fmt: skip
    return float(found.fun) if found.status == 0 else np.inf


def projected(matrix: Array, right: Array) -> float:
    """The least length of a y with matrix y <= right: one of those nearest to an intersection of hyperplanes."""
    sizes, best = np.maximum(np.linalg.norm(matrix, axis=1), 1e-300), np.inf
    for count in range(INPUTS + 1):
        for active in map(list, combinations(range(len(right)), count)):
            y = np.linalg.pinv(matrix[active]) @ right[active] if count else np.zeros(INPUTS)
            if (matrix @ y <= right + 1e-9 * sizes).all():
                best = min(best, float(np.linalg.norm(y)))
    return best


@pytest.mark.parametrize("norm", [1.0, 2.0, np.inf])
def test_bounds_are_the_distances_of_polyhedra_with_any_sides(norm: float) -> None:
    """One after the other of the same rows, each bound is its own distance from below, and the step is that long."""
    rng, empty = np.random.default_rng(31), 0
    for number in range(12):
        rows = rows_of(rng)
        polyhedra = Polyhedra(rows, norm)
        for sides in rng.choice([ABSENT, ABOVE, ABOVE, BELOW, BELOW, ON], (8, ROWS)):
            expected = truth(rows.normals, rows.values, sides, norm)
            bound, step = polyhedra.nearest(sides)
            what = f"seed 31, number {number}, sides {sides}: {bound}, {expected}"
            if expected == np.inf:
                empty += 1
                assert bound > FAR and step is None, what
                continue
            assert expected * (1.0 - 1e-6) - 1e-12 <= bound <= expected * (1.0 + 1e-7) + 1e-12, what
            assert step is not None and np.linalg.norm(step, norm) == pytest.approx(expected, rel=1e-5, abs=1e-9), what
            missed = (rows.normals @ step + rows.values) / np.linalg.norm(rows.normals, axis=1)
            assert (missed[(sides == ABOVE) | (sides == ON)] >= -1e-5).all(), what
            assert (missed[(sides == BELOW) | (sides == ON)] <= 1e-5).all(), what
    assert empty > 5


@pytest.mark.parametrize("norm", [1.0, 2.0, np.inf])
def test_errors_of_values_count(norm: float) -> None:
    """A bound holds for every polyhedron whose values are off by as much as is not known of them."""
    rng, moved = np.random.default_rng(37), 0
    for _ in range(20):
        rows = rows_of(rng, 0.05)
        sides = rng.choice([ABOVE, BELOW], ROWS)
        furthest = truth(rows.normals, rows.values, sides, norm)
        least = truth(rows.normals, rows.values + sides * rows.value_errors, sides, norm)
        assert Polyhedra(rows, norm).nearest(sides)[0] <= least * (1.0 + 1e-7) + 1e-12
        moved += least < furthest < np.inf
    assert moved > 3


def test_all_rows_above_is_one_polyhedron() -> None:
    """`nearest` is the distance of the set where every row is at least 0, whatever rows of length 0 say."""
    rows = Rows(np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([-2.0, 1.0]), np.zeros(2), np.zeros(2))
    for norm in (1.0, 2.0, np.inf):
        bound, step = nearest(rows, norm)
        assert bound == pytest.approx(2.0) and step is not None and step[0] == pytest.approx(2.0)
