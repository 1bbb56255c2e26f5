"""Exact hulls of groups of ReLUs: the papers' examples, brute force, and rational arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from exact_hulls import awkward, graph_vertices, least_values, maximum, zonotopes

from hypersplit.encodings.neuron_groups.hull_rows import HullRows
from hypersplit.encodings.neuron_groups.octahedron import octahedral_directions
from hypersplit.encodings.neuron_groups.relu_hull import exact_hull


def of_affine(weights: list[list[float]], lower: float, upper: float) -> np.ndarray:
    """[1, 3^k - 1] bounds of weights @ x over the box lower <= x <= upper."""
    rows = octahedral_directions(len(weights)) @ np.array(weights)
    return np.maximum(rows * lower, rows * upper).sum(axis=1)[None]


def none(k: int) -> HullRows:
    return HullRows(np.zeros(0, dtype=int), np.zeros((0, k)), np.zeros((0, k)), np.zeros(0))


def test_the_worked_example_of_k_relu() -> None:
    """z = (x1 + x2, x1 - x2) on [-1, 1]^2: one row beyond triangles, 2 y1 + 2 y2 - z1 - z2 <= 2; y1 + 2 y2: 5 -> 4."""
    bounds = of_affine([[1.0, 1.0], [1.0, -1.0]], -1.0, 1.0)
    rows = exact_hull(bounds, octahedral_directions(2))
    objective = np.array([0.0, 0.0, 1.0, 2.0])

    assert len(rows) == 1
    assert np.allclose(np.hstack([rows.z, rows.y, rows.constants[:, None]]) / rows.constants[0], [0.5, 0.5, -1, -1, 1])
    assert maximum(objective, none(2), bounds[0]) == pytest.approx(5.0)
    assert maximum(objective, rows, bounds[0]) == pytest.approx(4.0)


def test_a_stable_neuron_in_the_group_makes_max_exact() -> None:
    """max(x1, x2) = x2 + ReLU(x1 - x2) on [0, 1]^2: 1.5 by the triangle, 1 with the group {x1 - x2, x2}."""
    bounds = of_affine([[1.0, -1.0], [0.0, 1.0]], 0.0, 1.0)
    objective = np.array([0.0, 1.0, 1.0, 0.0])

    assert maximum(objective, none(2), bounds[0]) == pytest.approx(1.5)
    assert maximum(objective, exact_hull(bounds, octahedral_directions(2)), bounds[0]) == pytest.approx(1.0)


def test_one_neuron_gives_its_triangle() -> None:
    """k = 1: y >= 0, y >= z, y <= u (z - l) / (u - l), and nothing beyond the triangle."""
    bounds, directions = np.array([[2.0, 1.0]]), octahedral_directions(1)
    rows = exact_hull(bounds, directions, triangles=True)
    table = np.hstack([rows.z, rows.y, rows.constants[:, None]]).round(9)

    assert {tuple(r) for r in (table + 0.0).tolist()} == {
        (0.0, 1.0, 0.0),
        (-1.0, 1.0, 0.0),
        (round(2 / 3, 9), -1.0, round(2 / 3, 9)),
    }
    assert len(exact_hull(bounds, directions)) == 0


def test_stable_neurons_and_flat_groups_have_equations() -> None:
    """A neuron with one phase has y = z or y = 0 as a pair of rows; z1 = z2 makes y1 = y2."""
    directions = octahedral_directions(2)
    points = np.array([[[1.0, -2.0], [3.0, -1.0], [2.0, -5.0]], [[-1.0, -1.0], [2.0, 2.0], [0.0, 0.0]]])
    bounds = (points @ directions.T).max(axis=1)
    rows = exact_hull(bounds, directions, triangles=True)
    for group, z, y in ((0, [1.5, -1.5], [1.5, 0.0]), (1, [1.0, 1.0], [1.2, 1.2])):
        mine = rows[rows.group == group]
        assert mine.values(np.array([z] * 2), np.array([y] * 2)).min() > -1e-9
        for off in ([0.1, 0.0], [-0.1, 0.0], [0.0, 0.1], [0.0, -0.1]):
            assert mine.values(np.array([z] * 2), np.array([y] * 2) + off).min() < -0.01


@pytest.mark.parametrize("k", [1, 2, 3])
def test_rows_hold_and_touch_in_exact_arithmetic(k: int) -> None:
    """On every exact vertex of every piece, degenerate groups included, each row is >= 0, and nearly 0 on one."""
    rng = np.random.default_rng(k)
    directions, checked = octahedral_directions(k), 0
    for seed in range(15 if k < 3 else 1):
        bounds = np.array([*awkward(rng, k).values(), *zonotopes(rng, 3, k), *zonotopes(rng, 2, k, 1)])
        rows = exact_hull(bounds, directions, triangles=True)
        for g in range(len(bounds)):
            vertices, mine = graph_vertices(bounds[g], k), rows[rows.group == g]
            if not len(vertices[0]) or not len(mine):
                continue
            least = least_values(mine, vertices)
            assert min(least) >= 0, f"seed {seed}, group {g}"
            assert max(least) <= 1e-8 * np.abs(bounds[g]).max() + 1e-290, f"seed {seed}, group {g}"
            checked += 1
    assert checked > (200 if k < 3 else 15)


@pytest.mark.parametrize("k", [2, 3])
def test_the_hull_has_no_slack(k: int) -> None:
    """In random directions the rows' LP optimum is the largest value on the graph."""
    rng = np.random.default_rng(k)
    cases = [*zonotopes(rng, 4 if k == 2 else 1, k), *zonotopes(rng, 4 if k == 2 else 1, k, 2)]
    rows = exact_hull(np.array(cases), octahedral_directions(k))
    for g, bounds in enumerate(cases):
        numerators, scale = graph_vertices(bounds, k)
        z = (numerators / scale).astype(float)
        graph = np.hstack([z, np.maximum(z, 0.0)])
        for _ in range(10):
            objective = rng.normal(size=2 * k)
            best = float((graph @ objective).max())
            assert maximum(objective, rows[rows.group == g], bounds) == pytest.approx(best, abs=1e-6), f"group {g}"


def test_groups_without_a_point_get_no_rows() -> None:
    """Contradictory bounds leave nothing to say, and no groups at all are no error."""
    bounds = np.array([[1.0, 1.0, 1.0, 1.0, -3.0, 2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]])
    rows = exact_hull(bounds, octahedral_directions(2))

    assert set(rows.group.tolist()) == {1}
    assert len(exact_hull(bounds[:0], octahedral_directions(2))) == 0
