"""Rows of groups: raised until they hold on exact vertices, scaled, told apart, compared with triangles."""

from __future__ import annotations

import numpy as np
import pytest
from exact_hulls import awkward, graph_vertices, least_values, zonotopes
from scipy.optimize import linprog

from hypersplit.encodings.neuron_groups.hull_rows import (
    ENTRIES,
    HullRows,
    beyond_triangles,
    distinct,
    portions,
    raised,
    scaled_rows,
)
from hypersplit.encodings.neuron_groups.octahedron import enumerate_vertices, octahedral_directions


def random_rows(rng: np.random.Generator, groups: int, k: int, each: int) -> HullRows:
    """Rows with y <= 0, which are concave, and arbitrary constants."""
    count = groups * each
    y = -np.abs(rng.normal(size=(count, k))) * (rng.random((count, k)) < 0.7)
    return HullRows(np.repeat(np.arange(groups), each), rng.normal(size=(count, k)), y, rng.normal(size=count) - 3.0)


@pytest.mark.parametrize("k", [2, 3])
def test_raised_rows_hold_exactly_and_no_more_than_needed(k: int) -> None:
    """On every exact vertex of every piece; constants rise only where a row did not hold, and then to its touching."""
    rng, directions = np.random.default_rng(k), octahedral_directions(k)
    bounds = zonotopes(rng, 8, k)
    rows = random_rows(rng, 8, k, 5)
    found = raised(rows, enumerate_vertices(bounds, directions))
    assert len(found) == len(rows)
    for g in range(8):
        vertices = graph_vertices(bounds[g], k)
        mine = np.flatnonzero(found.group == g)
        for before, after, r in zip(
            least_values(rows[mine], vertices), least_values(found[mine], vertices), mine, strict=True
        ):
            assert after >= 0, f"group {g}, row {r}"
            if before < 0:
                assert after <= 1e-6, f"group {g}, row {r}"
            else:
                assert found.constants[r] <= rows.constants[r] + 1e-6


def test_awkward_groups_are_raised_or_left_out() -> None:
    """Flat, tiny, huge and unlike polytopes: what is returned holds in exact arithmetic."""
    rng = np.random.default_rng(5)
    for name, bounds in awkward(rng, 2).items():
        rows = random_rows(rng, 1, 2, 4)
        found = raised(rows, enumerate_vertices(bounds[None], octahedral_directions(2)))
        if len(found):
            assert min(least_values(found, graph_vertices(bounds, 2))) >= 0, name


def test_rows_beyond_triangles_are_what_an_lp_says() -> None:
    """The least of the row over the triangles' relaxation, by scipy: negative where it is said to be."""
    rng = np.random.default_rng(1)
    bounds = zonotopes(rng, 12, 2)
    rows = random_rows(rng, 12, 2, 6)
    rows = HullRows(rows.group, rows.z, rows.y, rows.constants + rng.uniform(0.0, 20.0, len(rows)))
    told, seen = beyond_triangles(rows, bounds), 0
    for r in range(len(rows)):
        high, low = bounds[rows.group[r], 0:4:2], -bounds[rows.group[r], 1:4:2]
        caps, sides, boxes = [], [], []
        for i in range(2):
            boxes.append((low[i], high[i]))
        for i in range(2):
            boxes.append((max(low[i], 0.0), max(high[i], 0.0)))
            one = np.zeros(4)
            one[i], one[2 + i] = 1.0, -1.0
            caps.append(one), sides.append(0.0)  # y >= z
            if low[i] < 0.0 < high[i]:
                slope, cap = high[i] / (high[i] - low[i]), np.zeros(4)
                cap[i], cap[2 + i] = -slope, 1.0
                caps.append(cap), sides.append(-slope * low[i])
            elif high[i] <= 0.0:
                boxes[-1] = (0.0, 0.0)
            else:
                caps.append(-one), sides.append(0.0)
        least = linprog(np.append(rows.z[r], rows.y[r]), np.array(caps), sides, bounds=boxes).fun + rows.constants[r]
        if abs(least) > 1e-5:
            assert told[r] == (least < 0.0), f"row {r}"
            seen += 1
    assert seen > 40 and told.any() and not told.all()


def test_equal_rows_are_one() -> None:
    """Copies off by rounding go, copies of other groups and rows that differ stay; nothing is invented."""
    rng = np.random.default_rng(2)
    bounds = zonotopes(rng, 3, 2)
    rows = random_rows(rng, 3, 2, 4)
    noisy = HullRows(rows.group, rows.z, rows.y, rows.constants * (1.0 + 1e-14))
    found = distinct(HullRows.concatenate([rows, noisy, rows]), bounds)
    assert len(rows) <= len(found) <= len(rows) + 2  # a value on the border of the grid may stay twice
    table = {tuple(t) for t in np.column_stack([rows.group, rows.z]).tolist()}
    assert {tuple(t) for t in np.column_stack([found.group, found.z]).tolist()} == table


def test_scaled_rows_are_positive_multiples() -> None:
    """Largest coefficient 1; terms that are nought but for rounding go, rows without terms too."""
    rng = np.random.default_rng(3)
    bounds = zonotopes(rng, 2, 2)
    rows = rng.normal(size=(4, 4)) * 10.0 ** rng.integers(-9, 10, (4, 1))
    rows[1, 0] = 1e-14 * rows[1, 1]
    rows[3] = 0.0
    found = scaled_rows(np.array([0, 0, 1, 1]), rows, np.ones(4), bounds)
    table = np.hstack([found.z, found.y])
    assert len(found) == 3 and (np.abs(table).max(axis=1) == 1.0).all() and table[1, 0] == 0.0
    np.testing.assert_allclose(found.constants, 1.0 / np.abs(rows[:3]).max(axis=1), rtol=1e-12)


def test_portions_cover_the_list_once() -> None:
    """In order, none empty, none beyond the size unless it is a single polytope."""
    rng = np.random.default_rng(4)
    rows, columns = rng.integers(1, 3000, 200), np.sort(rng.integers(1, 3000, 200))
    parts = portions(rows, columns)
    assert np.concatenate([np.arange(200)[p] for p in parts]).tolist() == list(range(200))
    for part in parts:
        size = (part.stop - part.start) * int(rows[part].max()) * int(columns[part].max())
        assert part.stop == part.start + 1 or size <= ENTRIES * 1.01 or rows[part].max() < rows[: part.start + 1].max()


def test_values_and_order_of_rows() -> None:
    """Left-hand sides are loops; concatenation orders by group."""
    rng = np.random.default_rng(6)
    rows = random_rows(rng, 3, 2, 2)
    z = rng.normal(size=(3, 2))
    y = np.maximum(z, 0.0)
    values = [c + a @ z[g] + b @ y[g] for g, a, b, c in zip(rows.group, rows.z, rows.y, rows.constants, strict=True)]
    np.testing.assert_allclose(rows.values(z, y), values)
    joined = HullRows.concatenate([rows[rows.group == 2], rows[rows.group < 2]])
    assert joined.group.tolist() == sorted(rows.group.tolist())
