"""Rows by wrapping: they hold in exact arithmetic, touch the hull, and come for many groups at once."""

from __future__ import annotations

import numpy as np
import pytest
from exact_hulls import awkward, graph_vertices, least_values, maximum, zonotopes

from hypersplit.encodings.neuron_groups.hull_wrapping import wrapped_rows
from hypersplit.encodings.neuron_groups.octahedron import enumerate_vertices, octahedral_directions
from hypersplit.encodings.neuron_groups.relu_hull import exact_hull


def test_the_worked_example_of_k_relu() -> None:
    """z = (x1 + x2, x1 - x2) on [-1, 1]^2: wrapping finds 2 y1 + 2 y2 - z1 - z2 <= 2, which takes y1 + 2 y2 to 4."""
    bounds = np.array([[2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]])
    rows = wrapped_rows(bounds, octahedral_directions(2))

    assert len(rows) == 1
    assert np.allclose(np.hstack([rows.z, rows.y, rows.constants[:, None]]) / rows.constants[0], [0.5, 0.5, -1, -1, 1])
    assert maximum(np.array([0.0, 0.0, 1.0, 2.0]), rows, bounds[0]) == pytest.approx(4.0)


def test_a_stable_neuron_in_the_group_makes_max_exact() -> None:
    """max(x1, x2) = x2 + ReLU(x1 - x2) on [0, 1]^2 is at most 1 with the group {x1 - x2, x2}."""
    bounds = np.array([[1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0]])
    rows = wrapped_rows(bounds, octahedral_directions(2))

    assert maximum(np.array([0.0, 1.0, 1.0, 0.0]), rows, bounds[0]) == pytest.approx(1.0)


def test_one_neuron_gives_its_triangle() -> None:
    """k = 1: y <= u (z - l) / (u - l), and nothing beyond the triangle."""
    bounds, directions = np.array([[2.0, 1.0]]), octahedral_directions(1)
    rows = wrapped_rows(bounds, directions, triangles=True)

    assert np.allclose(np.hstack([rows.z, rows.y, rows.constants[:, None]]), [[2 / 3, -1.0, 2 / 3]])
    assert len(wrapped_rows(bounds, directions)) == 0


@pytest.mark.parametrize("k", [1, 2, 3])
def test_rows_hold_and_touch_in_exact_arithmetic(k: int) -> None:
    """On every exact vertex of every piece, degenerate groups included, each row is >= 0, and nearly 0 on one."""
    rng = np.random.default_rng(k)
    directions, checked = octahedral_directions(k), 0
    for seed in range(15 if k < 3 else 2):
        bounds = np.array([*awkward(rng, k).values(), *zonotopes(rng, 3, k), *zonotopes(rng, 2, k, 1)])
        rows = wrapped_rows(bounds, directions, triangles=True)
        for g in range(len(bounds)):
            vertices, mine = graph_vertices(bounds[g], k), rows[rows.group == g]
            if not len(vertices[0]) or not len(mine):
                continue
            least = least_values(mine, vertices)
            assert min(least) >= 0, f"seed {seed}, group {g}"
            assert max(least) <= 1e-8 * np.abs(bounds[g]).max() + 1e-290, f"seed {seed}, group {g}"
            checked += 1
    assert checked > {1: 150, 2: 200, 3: 30}[k]


@pytest.mark.parametrize(("k", "nonzeros"), [(4, 4), (5, 2), (6, 2)])
def test_large_groups(k: int, nonzeros: int) -> None:
    """On the images of random inputs every row holds; each touches the graph at one of P's vertices."""
    rng = np.random.default_rng(k)
    directions = octahedral_directions(k, nonzeros)
    weights = rng.normal(size=(3, k, 6))
    bounds = np.abs(np.einsum("mk,gkn->gmn", directions, weights)).sum(axis=2)
    rows = wrapped_rows(bounds, directions)
    vertices = enumerate_vertices(bounds, directions)
    for g in range(3):
        mine = rows[rows.group == g]
        table = np.hstack([mine.z, mine.y])
        inputs = np.vstack([rng.uniform(-1.0, 1.0, (200, 6)), rng.choice([-1.0, 1.0], (200, 6))])
        for z, touched in (
            (inputs @ weights[g].T, False),
            (vertices.points[vertices.first[g] : vertices.first[g + 1]], True),
        ):
            values = np.hstack([z, np.maximum(z, 0.0)]) @ table.T + mine.constants
            assert len(mine) > k and values.min() > -1e-9
            assert not touched or np.abs(values.min(axis=0)).max() < 1e-8


def test_eight_neurons_with_few_rows() -> None:
    """Rows without a bound are left out: a group of eight tied by the pairs of a cycle."""
    k, rng = 8, np.random.default_rng(8)
    directions = octahedral_directions(k, 2)
    cycle = [(directions[:, i] != 0.0) & (directions[:, (i + 1) % k] != 0.0) for i in range(k)]
    known = np.any(cycle, axis=0) | (np.arange(len(directions)) < 2 * k)
    weights = rng.normal(size=(k, 4))
    bounds = np.where(known, np.abs(directions @ weights).sum(axis=1), np.inf)[None]
    rows = wrapped_rows(bounds, directions, orders=2)
    z = rng.choice([-1.0, 1.0], (300, 4)) @ weights.T
    values = np.hstack([z, np.maximum(z, 0.0)]) @ np.hstack([rows.z, rows.y]).T + rows.constants

    assert len(rows) > k and values.min() > -1e-9
    assert np.isfinite(rows.constants).all()


@pytest.mark.parametrize("k", [2, 3])
def test_rows_lie_between_triangles_and_exact_hull(k: int) -> None:
    """In random directions over the activations the rows close nearly all of the gap, and never more than it."""
    rng = np.random.default_rng(k)
    bounds = zonotopes(rng, 6 if k == 2 else 2, k)
    directions = octahedral_directions(k)
    exact, rows = exact_hull(bounds, directions), wrapped_rows(bounds, directions)
    one = wrapped_rows(bounds, directions, orders=1)
    closed = []
    for g, own in enumerate(bounds):
        for _ in range(6):
            objective = np.concatenate([rng.normal(size=k), np.abs(rng.normal(size=k))])
            best, mine, less = (maximum(objective, r[r.group == g], own) for r in (exact, rows, one))
            triangles = maximum(objective, rows[rows.group < 0], own)
            assert best - 1e-7 <= mine <= less + 1e-7 and less <= triangles + 1e-7, f"group {g}"
            if triangles - best > 1e-6:
                closed.append((triangles - mine) / (triangles - best))
    assert len(closed) > 5 and np.mean(closed) > 0.9


def test_a_batch_gives_what_its_groups_give() -> None:
    """Rows do not depend on the company, in whatever order the groups are worked on."""
    rng = np.random.default_rng(9)
    bounds = np.array([*zonotopes(rng, 12, 3), *awkward(rng, 3).values(), *zonotopes(rng, 12, 3, 2)])
    together = wrapped_rows(bounds, octahedral_directions(3))
    assert (np.diff(together.group) >= 0).all()
    for g in range(len(bounds)):
        alone, mine = wrapped_rows(bounds[g : g + 1], octahedral_directions(3)), together[together.group == g]
        tables = [np.column_stack([r.z, r.y, r.constants]) for r in (alone, mine)]
        assert tables[0].shape == tables[1].shape, f"group {g}"
        assert np.allclose(*tables, atol=1e-7 * max(1.0, np.abs(bounds[g]).max())), f"group {g}"


def test_groups_without_a_point_get_no_rows() -> None:
    """Contradictory bounds leave nothing to say, and no groups at all are no error."""
    bounds = np.array([[1.0, 1.0, 1.0, 1.0, -3.0, 2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]])
    rows = wrapped_rows(bounds, octahedral_directions(2))

    assert set(rows.group.tolist()) == {1}
    assert len(wrapped_rows(bounds[:0], octahedral_directions(2))) == 0
