"""Octahedral polytopes: directions, vertices, and the proof that the vertices enclose the polytope."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from exact_hulls import awkward, graph_vertices, integers, of_points, zonotopes

from hypersplit.encodings.neuron_groups import octahedron
from hypersplit.encodings.neuron_groups.octahedron import Vertices, enumerate_vertices, octahedral_directions


def test_directions_stand_in_the_documented_order() -> None:
    """By the number of entries, by neurons, by signs; fewer entries are a prefix; none is missing."""
    expected = [[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [1, -1], [-1, 1], [-1, -1]]

    assert octahedral_directions(2).tolist() == expected
    for k in range(1, 6):
        everything = octahedral_directions(k)
        octagons = octahedral_directions(k, 2)
        assert {tuple(row) for row in everything.tolist()} == set(product((-1, 0, 1), repeat=k)) - {(0,) * k}
        assert len(everything) == 3**k - 1 and len(octagons) == 2 * k**2
        assert (everything[: len(octagons)] == octagons).all()


def assert_encloses(vertices: Vertices, g: int, exact: tuple[np.ndarray, int], directions: np.ndarray) -> None:
    """In exact arithmetic, no direction reaches further on the polytope than on the vertices with their errors."""
    part = slice(vertices.first[g], vertices.first[g + 1])
    (points, one), (errors, two) = integers(vertices.points[part]), integers(vertices.error[part])
    whole = integers(directions)[0]
    reach = [Fraction(v, one) for v in (whole @ points.T).ravel().tolist()]
    doubt = [Fraction(v, two) for v in (abs(whole) @ errors.T).ravel().tolist()]
    most = [r + d for r, d in zip(reach, doubt, strict=True)]
    for i, row in enumerate(whole):
        outermost = max(most[i * len(points) : (i + 1) * len(points)])
        assert max((row @ exact[0].T).tolist()) <= outermost * exact[1]


@pytest.mark.parametrize("k", [1, 2, 3])
def test_vertices_enclose_the_polytope_exactly(k: int) -> None:
    """Every polytope, degenerate ones too, is proved, and lies in the hull of what is listed."""
    rng = np.random.default_rng(k)
    for seed in range(15 if k < 3 else 2):
        cases = [*awkward(rng, k).values(), *zonotopes(rng, 3, k), *zonotopes(rng, 3, k, 1)]
        vertices = enumerate_vertices(np.array(cases), octahedral_directions(k))
        directions = rng.integers(-4, 5, (20, k)).astype(float)

        assert vertices.proved.all() and not vertices.empty.any(), f"seed {seed}"
        size = np.abs(cases).max(axis=1).repeat(np.diff(vertices.first))
        assert (vertices.error.max(axis=1) <= 1e-13 * size + 1e-290).all()
        for g, bounds in enumerate(cases):
            exact = graph_vertices(bounds, k)
            if len(exact[0]):  # a rounded flat polytope may have no point at all
                assert_encloses(vertices, g, exact, directions)


@pytest.mark.parametrize("k", [2, 3])
def test_vertices_are_the_polytopes_own(k: int) -> None:
    """Every listed point satisfies all rows, and every support is reached."""
    bounds = zonotopes(np.random.default_rng(k), 40, k)
    vertices = enumerate_vertices(bounds, octahedral_directions(k))
    for g, row in enumerate(bounds):
        values = vertices.points[vertices.first[g] : vertices.first[g + 1]] @ octahedral_directions(k).T
        assert (values <= row + 1e-9).all()
        assert np.allclose(values.max(axis=0), row)  # a zonotope's rows are all tight


def test_emptiness_is_proved_or_not_said() -> None:
    """Contradictory rows are empty; rows that touch in one point, or lack bounds, are not."""
    box = of_points(np.array([[-1.0, -1.0], [1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]]))
    beyond, touching, crossed, open_row, unbounded = (box.copy() for _ in range(5))
    beyond[4] = -2.000001  # z1 + z2
    touching[4] = -2.0
    crossed[1] = -1.5  # z1 >= 1.5
    open_row[4:] = np.inf
    unbounded[0] = np.inf
    vertices = enumerate_vertices(
        np.array([beyond, touching, crossed, open_row, unbounded]), octahedral_directions(2)
    )  # fmt: skip

    assert vertices.empty.tolist() == [True, False, True, False, False]
    assert vertices.proved.tolist() == [True, True, True, True, False]
    assert len(enumerate_vertices(np.zeros((0, 8)), octahedral_directions(2)).points) == 0


def test_a_botched_enumeration_is_not_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without shifts ties are settled by rounding, which goes wrong for some polytopes: none of those is proved, and
    what is proved encloses."""
    monkeypatch.setattr(octahedron, "SHIFT", 0.0)
    rng = np.random.default_rng(5)
    bounds = np.array([of_points(p) for p in 0.1 * rng.integers(-3, 4, (150, 4, 3))])
    vertices = enumerate_vertices(bounds, octahedral_directions(3))

    assert 0.0 < vertices.proved.mean() < 1.0
    for g in np.flatnonzero(vertices.proved)[:30].tolist():
        exact = graph_vertices(bounds[g], 3)
        if len(exact[0]):
            assert_encloses(vertices, g, exact, rng.integers(-4, 5, (10, 3)).astype(float))


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_a_missing_or_misplaced_vertex_breaks_the_proof(k: int) -> None:
    """The check of the walls notices a basis that is changed, whatever its point."""
    directions = octahedral_directions(k)
    cutting = octahedron._Cutting(zonotopes(np.random.default_rng(k), 4, k), directions)
    for m in range(2 * k, len(directions)):
        cutting.insert(m)
    assert cutting.finish().proved.all()
    wrong = np.flatnonzero(cutting.group == 2)[0]
    cutting.rows[wrong, 0] ^= 1  # the opposite row, or another pattern of signs on the same neurons
    assert cutting.finish().proved.tolist() == [True, True, False, True]
