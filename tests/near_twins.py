"""How far apart are the first outputs of two networks that are nearly one? Queries small enough for the oracle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hypersplit.instances.network import Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries
from hypersplit.instances.rewriting.differences import with_differences
from hypersplit.instances.rewriting.reduced import without_equalities
from hypersplit.instances.rewriting.side_by_side import side_by_side

__all__ = ["both_queries", "near_pair", "property_of_difference"]

SIZES = (2, 4, 3, 2)


def near_pair(seed: int, sizes: tuple[int, ...] = SIZES, change: float = 0.125, grid: float = 64.0) -> Network:
    """Two networks of equal shape side by side; the second one's weights are off by up to `change`.

    Weights are multiples of 1 / grid, so that sums of them are exact.
    """
    rng = np.random.default_rng(seed)
    shapes = list(zip(sizes[1:], sizes[:-1], strict=True))

    def rounded(values: np.ndarray) -> np.ndarray:
        return np.round(values * grid) / grid

    weights = [rounded(rng.normal(size=shape)) for shape in shapes]
    biases = [rounded(0.3 * rng.normal(size=shape[0])) for shape in shapes]
    others = [w + rounded(rng.uniform(-change, change, w.shape)) for w in weights]
    both = side_by_side([sequential(weights, biases), sequential(others, biases)])
    return replace(both, parts=())  # one network of its own


def property_of_difference(network: Network, least: float, shared: bool = True) -> Property:
    """Some input in [-1, 1] has |y_0 - y'_0| >= least, for the networks' first outputs; inputs equal if shared, within
    1/8 else."""
    n, m = network.input_size // 2, network.output_size // 2
    ties = np.concatenate([np.eye(n), -np.eye(n)], axis=1)
    room = 0.0 if shared else 0.125
    region = InputSet(-np.ones(2 * n), np.ones(2 * n), np.vstack([ties, -ties]), np.full(2 * n, room))
    row = np.zeros((1, 2 * m))
    row[0, 0], row[0, m] = -1.0, 1.0
    forbidden = tuple(Polyhedron(sign * row, np.array([-least])) for sign in (1.0, -1.0))
    return Property((Case(region, forbidden),), 2 * n, 2 * m)


def both_queries(seed: int, least: float = 0.5, shared: bool = True, **kwargs: float) -> tuple[Query, Query]:
    """The query without and with differences."""
    network = near_pair(seed, **kwargs)  # type: ignore[arg-type]
    (asked,) = queries(network, property_of_difference(network, least, shared))
    plain = without_equalities(asked)
    assert plain is not None
    found = with_differences(plain)
    assert found.network.differences, f"seed {seed}"
    return replace(plain), found
