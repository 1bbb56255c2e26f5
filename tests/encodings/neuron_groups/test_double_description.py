"""Facets by double description against hulls that are known, and Qhull's."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from hypersplit.encodings.neuron_groups import double_description
from hypersplit.encodings.neuron_groups.double_description import hull_facets


@pytest.mark.parametrize("d", [1, 2, 3, 5, 6])
def test_cubes_and_cross_polytopes(d: int) -> None:
    """A cube has 2d facets, though each holds many points; a cross-polytope 2^d; inner points change nothing."""
    rng = np.random.default_rng(d)
    cube = np.array(list(product((-1.0, 0.0, 1.0), repeat=d)))
    cross = np.vstack([np.eye(d), -np.eye(d), 0.1 * rng.uniform(-1.0, 1.0, (5, d)) / d])
    facets, cut = (found.round(9) + 0.0 for found in hull_facets([rng.permutation(cube), rng.permutation(cross)]))
    known = np.column_stack([np.vstack([np.eye(d), -np.eye(d)]), np.ones(2 * d)]) + 0.0

    assert np.allclose(facets[np.lexsort(facets.T)], known[np.lexsort(known.T)])
    assert len(cut) == 2**d


@pytest.mark.parametrize("d", [2, 3, 4])
def test_random_points_have_qhulls_facets(d: int) -> None:
    """In general position every facet is Qhull's, and the other way round."""
    sets = [np.random.default_rng(seed).uniform(-1.0, 1.0, (8 + seed, d)) for seed in range(10)]
    for seed, (points, mine) in enumerate(zip(sets, hull_facets(sets), strict=True)):
        known = -ConvexHull(points).equations
        mine = mine / np.linalg.norm(mine[:, :-1], axis=1, keepdims=True)

        assert len(mine) == len(known), f"seed {seed}"
        assert (np.abs(mine[:, None] - known[None]).max(axis=2).min(axis=1) < 1e-8).all(), f"seed {seed}"


def test_points_in_a_plane_are_refused() -> None:
    """The hull of points in a plane has no facets to speak of."""
    points = np.random.default_rng(0).uniform(size=(9, 2)) @ np.array([[1.0, 2.0, 0.5], [0.0, 1.0, -1.0]])
    with pytest.raises(np.linalg.LinAlgError):
        hull_facets([np.eye(4)[:, :3], points])


def test_sets_do_not_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each set has the facets that it has alone, in whatever company and portions, and by either way to neighbours."""
    rng = np.random.default_rng(3)
    sets = [rng.integers(-2, 3, (int(n), 4)).astype(float) / 2.0 for n in rng.integers(9, 24, 9)]
    together = hull_facets(sets)
    monkeypatch.setattr(double_description, "MOST_PAIRS", 200)
    for i, (points, mine) in enumerate(zip(sets, together, strict=True)):
        monkeypatch.setattr(double_description, "FEW_RAYS", 64 * (i % 2))
        alone = hull_facets([points])[0]
        assert len(alone) == len(mine) and (mine[:, :-1] @ points.T + mine[:, -1:] > -1e-8).all()
        assert (np.abs(alone[:, None] - mine[None]).max(axis=2).min(axis=1) < 1e-9).all()
    assert not hull_facets([])
