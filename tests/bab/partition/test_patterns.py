"""Tests of bab/partition/patterns.py, against a fine grid of inputs."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit.bab.partition.patterns import patterns
from hypersplit.instances.errors import NetworkError, PropertyError
from hypersplit.instances.families.random_networks import nested_max, random_network
from hypersplit.instances.network import sequential
from hypersplit.instances.property import InputSet

SQUARE = InputSet.box(-np.ones(2), np.ones(2))


@pytest.mark.parametrize("sizes", [(2, 4, 1), (2, 3, 2, 1), (2, 2, 2, 2, 1)])
def test_all_patterns_of_a_grid_are_found(sizes: tuple[int, ...]) -> None:
    """Every pattern that a grid's points meet is there, with a range that holds their values and is no wider by far."""
    axis = np.linspace(-0.9999, 0.9999, 161)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    for seed in range(2):
        network = random_network(sizes, seed)
        known = {one.signs: one for one in patterns(network, SQUARE, np.ones(1))}
        _, pre = network.values(points)
        signs = np.where(np.concatenate(pre[:-1], axis=1) > 0.0, 1, -1)
        values = network.evaluate(points)[:, 0]
        met = {tuple(row) for row in np.unique(signs, axis=0).tolist()}

        assert met <= set(known)
        assert len(known) <= len(met) + 5  # slivers between the points
        for one in known.values():
            here = values[(signs == one.signs).all(axis=1)]
            assert len(here) == 0 or one.lowest <= here.min() + 1e-9 and one.highest >= here.max() - 1e-9
        assert max(one.highest for one in known.values()) == pytest.approx(values.max(), abs=0.3)


def test_lines_through_one_point_make_six_regions() -> None:
    """Three lines in general directions through the middle of a square: six regions, not eight."""
    network = sequential([np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]]), np.ones((1, 3))], [np.zeros(3), np.zeros(1)])
    found = patterns(network, SQUARE, np.ones(1))
    assert 6 == len(found)
    assert 3.0 == pytest.approx(max(one.highest for one in found))
    assert 0.0 == pytest.approx(min(one.lowest for one in found), abs=1e-12)


def test_what_is_no_chain_is_refused() -> None:
    """Edges past a layer, and input sets with rows, are named."""
    with pytest.raises(NetworkError, match="expected a chain"):
        patterns(nested_max(3), InputSet.box(np.zeros(3), np.ones(3)), np.ones(1))
    ball = InputSet.around(np.zeros(2), 0.5, norm=2)
    with pytest.raises(PropertyError, match="no ball"):
        patterns(random_network((2, 2, 1), 0), ball, np.ones(1))
