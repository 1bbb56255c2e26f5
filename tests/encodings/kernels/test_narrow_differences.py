"""Bounds by differences of networks that are nearly one: compiled and numpy agree, both enclose what is true."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from compiled_twins import OPTIONS, assert_same, nodes_of
from near_twins import both_queries

from hypersplit.encodings.linear.linear_bounds import LinearBoundOptions, bound
from hypersplit.instances.batch import root

SHARED = [True, False]


@pytest.mark.parametrize("shared", SHARED)
@pytest.mark.parametrize("seed", range(12))
def test_the_twins_agree(seed: int, shared: bool) -> None:
    """All that is bounded of random nodes with half-spaces, of networks whose weights have many bits."""
    query = both_queries(seed, shared=shared, grid=2.0**20)[1]
    batch = nodes_of(seed, query, 12)
    batch.phases[:] = 0  # the kernel makes half-spaces of phases
    assert_same(query, batch, OPTIONS[seed % len(OPTIONS)], f"seed {seed}")


@pytest.mark.parametrize("kernel", ["plain", "compiled"])
@pytest.mark.parametrize("seed", range(6))
def test_bounds_enclose_the_exact_ranges(seed: int, kernel: str) -> None:
    """Every pre-activation of the whole region, differences among them, and the worst margin."""
    query = both_queries(seed)[1]
    found = bound(query, root(query), LinearBoundOptions(kernel=kernel))
    ranges = oracle.pre_activation_ranges(query.network, query.region)
    exact = [end for layer in ranges[:-1] for end in layer]
    for low, high, (least, most) in zip(found.pre_lower[0], found.pre_upper[0], exact, strict=True):
        assert low <= least and most <= high, f"seed {seed}"
    for bound_, (least, _) in zip(found.margins[0], ranges[-1], strict=True):
        assert bound_ <= least, f"seed {seed}"


def test_they_bound_what_networks_apart_do_not() -> None:
    """Over seeds, the margins of a small change are much better than those of the two networks by themselves."""
    gained = []
    for seed in range(10):
        pair = both_queries(seed, change=0.03)
        apart, together = (bound(q, root(q), LinearBoundOptions(kernel="plain")).margins[0].min() for q in pair)
        gained.append(together - apart)
    assert np.median(gained) > 0.1
