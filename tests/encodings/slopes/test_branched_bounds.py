"""Bounds of hidden neurons by branching with LPs: exact with leaves enough, true with few, never worse than before."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import oracle
import pytest
from milp_problems import bounded
from random_instances import Shape, random_query

from hypersplit.encodings.programs.branched_bounds import tighten_by_branching
from hypersplit.encodings.programs.lp import tighten
from hypersplit.instances.batch import Node, root
from hypersplit.instances.network import Array
from hypersplit.instances.property import InputSet
from hypersplit.instances.query import Query

SHAPE = Shape(identity=0.0)
MANY = 10_000  # leaves, more than there are


def layers(seed: int) -> Iterator[tuple[Query, Node, int, Array]]:
    """A random query's root with linear bounds, and each later layer with its unstable neurons."""
    query = random_query(seed, SHAPE)
    node = bounded(query, root(query).node(0))
    for k, part in enumerate(query.slices, start=1):
        if node is not None and k > 1:
            unstable = np.flatnonzero((node.pre_lower[part] < 0.0) & (node.pre_upper[part] > 0.0))
            if len(unstable):
                yield query, node, k, unstable


def exact(query: Query, node: Node, k: int, index: Array) -> tuple[Array, Array]:
    """The least and the largest pre-activations, by enumeration."""
    low, high = np.full(len(index), np.inf), np.full(len(index), -np.inf)
    region = InputSet(node.lower, node.upper, node.cuts[:, :-1], node.cuts[:, -1])
    for leaf in oracle.leaves(query.network, region):
        for i, neuron in enumerate(index.tolist()):
            least, most = leaf.pre[k - 1].range(leaf.polytope, neuron)
            low[i], high[i] = min(low[i], float(least)), max(high[i], float(most))
    return low, high


def known_layers(seed: int) -> Iterator[tuple[Query, Node, int, Array, Array, Array]]:
    """Layers of regions that are not empty, and the exact ends of their unstable neurons."""
    for query, node, k, index in layers(seed):
        low, high = exact(query, node, k, index)
        if np.isfinite(low).all():
            yield query, node, k, index, low, high


def test_many_leaves_find_the_exact_ends() -> None:
    """Up to the tolerance of what is worth more leaves, neurons that turn out stable aside; never beyond them."""
    seen = 0
    for seed in range(12):
        for query, node, k, index, low, high in known_layers(seed):
            lower, upper = tighten_by_branching(query, node, k, index, time.monotonic() + 60.0, MANY, 1e-6)
            assert (lower <= low + 1e-12).all() and (upper >= high - 1e-12).all(), f"seed {seed}"
            assert ((lower >= low - 1e-4) | (lower >= 0.0) | (upper <= 0.0)).all(), f"seed {seed}"
            assert ((upper <= high + 1e-4) | (lower >= 0.0) | (upper <= 0.0)).all(), f"seed {seed}"
            seen += len(index)
    assert seen > 10


def test_few_leaves_lie_between_the_lp_and_the_truth() -> None:
    """One leaf is the LP; more win something, and nothing that is not true."""
    won = 0
    for seed in range(12):
        for query, node, k, index, low, high in known_layers(seed):
            widths = []
            for leaves in (1, 3, 9):
                lower, upper = tighten_by_branching(query, node, k, index, time.monotonic() + 60.0, leaves, 1e-6)
                assert (lower <= low + 1e-12).all() and (upper >= high - 1e-12).all(), f"seed {seed}"
                widths.append(float((upper - lower).sum()))
            assert widths == sorted(widths, reverse=True) or np.ptp(widths) < 1e-6, f"seed {seed}"
            won += widths[-1] < widths[0] - 1e-3
    assert won > 0


def test_one_leaf_is_the_lp() -> None:
    """The same bounds as those of `tighten` over the layers before."""
    seen = 0
    for seed in range(8):
        for query, node, k, index in layers(seed):
            lower, upper = tighten_by_branching(query, node, k, index, time.monotonic() + 60.0, 1, 0.0)
            lps = tighten(query, node, index + query.slices[k - 1].start, time.monotonic() + 60.0, 0.0)
            mine = lps[0][query.slices[k - 1]][index], lps[1][query.slices[k - 1]][index]
            still = (mine[0] < 0.0) & (mine[1] > 0.0)
            assert lower[still] == pytest.approx(mine[0][still], abs=1e-6), f"seed {seed}"
            assert upper[still] == pytest.approx(mine[1][still], abs=1e-6), f"seed {seed}"
            seen += int(still.sum())
    assert seen > 0


def test_without_time_bounds_stay() -> None:
    """After the deadline the node's own bounds come back."""
    query, node, k, index = next(one for seed in range(20) for one in layers(seed))
    part = query.slices[k - 1]
    lower, upper = tighten_by_branching(query, node, k, index, time.monotonic() - 1.0, MANY)
    assert np.array_equal(lower, node.pre_lower[part][index]) and np.array_equal(upper, node.pre_upper[part][index])
