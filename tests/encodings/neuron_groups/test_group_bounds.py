"""Octahedral bounds against exact maxima over the oracle's leaves."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracle
import pytest
from milp_problems import bounded
from random_instances import Shape, random_query

from hypersplit.encodings.neuron_groups.group_bounds import octahedral_bounds
from hypersplit.encodings.neuron_groups.octahedron import octahedral_directions
from hypersplit.encodings.slopes.optimised_bounds import OptimiseOptions
from hypersplit.instances.batch import root
from hypersplit.instances.query import Query

DIRECTIONS = octahedral_directions(2)
SHAPES = (Shape(halfspaces=0.0), Shape(halfspaces=1.0, rough=True), Shape(scale=1e4, residual=0.5))


def exact_maxima(query: Query, k: int, group: np.ndarray) -> list[Fraction] | None:
    """Largest directions @ z over the region; None where it is empty."""
    most: list[Fraction] | None = None
    for leaf in oracle.leaves(query.network, query.region):
        z = leaf.pre[k - 1]
        columns = [z.at_vertices(leaf.polytope, int(i)) for i in group]
        found = [max(sum(int(a) * v for a, v in zip(d, point, strict=True)) for point in zip(*columns, strict=True))
                 for d in DIRECTIONS]  # fmt: skip
        most = found if most is None else [max(pair) for pair in zip(most, found, strict=True)]
    return most


@pytest.mark.parametrize("iterations", [None, 6])
@pytest.mark.parametrize("shape", SHAPES)
def test_bounds_are_above_the_exact_maxima(shape: Shape, iterations: int | None) -> None:
    """Of all directions of pairs in every layer, with plain slopes and with optimised ones."""
    checked = 0
    for seed in range(10):
        query = random_query(seed, shape)
        node = bounded(query, root(query).node(0))
        if node is None:
            continue
        for k, part in enumerate(query.slices, start=1):
            size = part.stop - part.start
            if size < 2 or query.kinds[k - 1] != "relu":
                continue
            group = np.random.default_rng(seed).choice(size, (1, 2), replace=False)
            options = None if iterations is None else OptimiseOptions(iterations=iterations)
            found = octahedral_bounds(query, node.batch, k, group, DIRECTIONS, options)
            truth = exact_maxima(query, k, group[0])
            for m, most in enumerate(truth or []):
                assert Fraction(float(found[0, m])) >= most, f"seed {seed}, layer {k}, direction {DIRECTIONS[m]}"
                checked += 1
    assert checked > 40


def test_the_first_layer_is_exact_over_a_box() -> None:
    """Combinations of affine functions have their own minima, much below the sums of the boxes' ends."""
    narrower = 0
    for seed in range(8):
        query = random_query(seed, Shape(halfspaces=0.0, identity=0.0))
        node = bounded(query, root(query).node(0))
        assert node is not None
        size = query.slices[0].stop
        if size < 2:
            continue
        group = np.array([[0, size - 1]])
        found = octahedral_bounds(query, node.batch, 1, group, DIRECTIONS)[0]
        w, b = query.network.layers[0].weights[0][group[0]], query.network.layers[0].bias[group[0]]
        rows = DIRECTIONS @ w
        exact = np.maximum(rows * node.lower, rows * node.upper).sum(axis=1) + DIRECTIONS @ b
        scale = 1.0 + np.abs(exact).max()
        assert (found >= exact - 1e-13 * scale).all() and (found <= exact + 1e-9 * scale).all(), f"seed {seed}"
        low, high = node.pre_lower[group[0]], node.pre_upper[group[0]]
        ends = np.maximum(DIRECTIONS, 0.0) @ high + np.minimum(DIRECTIONS, 0.0) @ low
        narrower += int((found < ends - 1e-3).any())
    assert narrower > 0


def test_a_batch_of_groups_is_its_groups() -> None:
    """Shared combinations are bounded once, and say the same to every group that has them."""
    query = random_query(5, Shape(most_width=5, identity=0.0, halfspaces=0.0))
    node = bounded(query, root(query).node(0))
    assert node is not None
    k = max(range(1, len(query.slices) + 1), key=lambda k: query.slices[k - 1].stop - query.slices[k - 1].start)
    size = query.slices[k - 1].stop - query.slices[k - 1].start
    groups = np.array([[i, j] for i in range(size) for j in range(i + 1, size)])
    whole = octahedral_bounds(query, node.batch, k, groups, DIRECTIONS)
    for g, group in enumerate(groups):
        alone = octahedral_bounds(query, node.batch, k, group[None], DIRECTIONS)
        np.testing.assert_allclose(whole[g], alone[0], rtol=1e-9, atol=1e-12)
    assert octahedral_bounds(query, node.batch, k, groups[:0], DIRECTIONS).shape == (0, len(DIRECTIONS))
