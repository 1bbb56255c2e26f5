"""The kernel of wide networks: true bounds, the same as its numpy twin's."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
import scipy.sparse as sp
from phase_trees import ASCENT, ONLY_LINES, phase_nodes, refreshed, short_cut, wide_queries  # noqa: F401

from hypersplit.encodings.linear.bounds import Bounds
from hypersplit.instances.network import Layer, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_bounds_hold_on_every_leaf(seed: int, sparse: bool) -> None:
    """Exact values at all vertices of a node's leaves lie between the bounds; only empty nodes are called so."""
    for query in wide_queries(seed, sparse):
        nodes = phase_nodes(query, seed, 6)
        found = refreshed(query, nodes, ASCENT, "compiled")
        region = InputSet.box(query.region.lower, query.region.upper)
        for b in range(len(nodes)):
            leaves = list(oracle.leaves(query.network, region, nodes.node(b).phases))
            assert not (found.infeasible[b] and leaves)
            for leaf in leaves:
                for k, part in enumerate(query.slices):
                    for i in range(part.stop - part.start):
                        least, most = leaf.pre[k].range(leaf.polytope, i)
                        assert found.pre_lower[b, part.start + i] <= least
                        assert found.pre_upper[b, part.start + i] >= most
                for r in range(query.rows):
                    assert found.margins[b, r] <= leaf.pre[-1].range(leaf.polytope, r)[0]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_the_twins_agree(seed: int, sparse: bool) -> None:
    """With plain lines bounds, multipliers and totals are the same up to float32's share of the box."""
    for query in wide_queries(seed, sparse):
        nodes = phase_nodes(query, seed, 6)
        nodes.duty[:] = True
        plain, fast = (refreshed(query, nodes, ONLY_LINES, kernel) for kernel in ("plain", "compiled"))
        both = ~(plain.infeasible | fast.infeasible)
        open_relus = (plain.pre_lower < 0.0) & (plain.pre_upper > 0.0) & query.relu & both[:, None]
        scale = 1.0 + np.abs(plain.pre_upper[both]).max(initial=0.0) + np.abs(plain.margins[both]).max(initial=0.0)
        for name in ("pre_lower", "pre_upper"):
            ours, theirs = (getattr(found, name)[open_relus] for found in (fast, plain))
            np.testing.assert_allclose(ours, theirs, atol=2e-4 * scale)
        np.testing.assert_allclose(fast.margins[both], plain.margins[both], atol=2e-3 * scale)
        unstable = (plain.pre_lower < -1e-3 * scale) & (plain.pre_upper > 1e-3 * scale) & query.relu
        assert plain.totals is not None and fast.totals is not None
        where = (both[:, None] & unstable)[:, None, :].repeat(query.rows, axis=1)
        largest = 1.0 + np.abs(plain.totals[where]).max(initial=0.0)
        if not (_near_kinks(query, plain, scale) & both).any():
            np.testing.assert_allclose(fast.totals[where], plain.totals[where], atol=1e-2 * largest)
            np.testing.assert_allclose(fast.sensitivities[where], plain.sensitivities[where], atol=1e-2 * largest)


def _near_kinks(query: Query, bounds: Bounds, scale: float) -> np.ndarray:
    """[B] bool: some neuron is so near to a change of its line that rounding decides."""
    low, high = bounds.pre_lower, bounds.pre_upper
    near = np.minimum(np.minimum(np.abs(low), np.abs(high)), np.abs(low + high)) < 2e-3 * scale
    return np.asarray((near & query.relu & (bounds.pre_lower < bounds.pre_upper)).any(axis=1))


def test_residual_edges_and_many_rows() -> None:
    """More rows than a block holds, over a residual edge: as the twin says."""
    rng = np.random.default_rng(3)
    size = 150
    layers = (
        Layer((0,), (rng.normal(size=(size, 5)),), rng.normal(size=size), "relu"),
        Layer((1,), (rng.normal(size=(size, size)) / size,), rng.normal(size=size) / 8.0, "relu"),
        Layer((1, 2), (sp.csr_array(np.eye(size)), rng.normal(size=(size, size)) / 9.0), np.zeros(size), "relu"),
        Layer((3,), (rng.normal(size=(2, size)) / size,), np.zeros(2)),
    )
    network = Network(5, layers)
    region = InputSet.box(-np.ones(5), np.ones(5))
    query = queries(network, Property((Case(region, (Polyhedron(np.eye(2), np.zeros(2)),)),), 5, 2))[0]
    nodes = phase_nodes(query, 0, 3)
    plain, fast = (refreshed(query, nodes, ONLY_LINES, kernel) for kernel in ("plain", "compiled"))
    unstable = (plain.pre_lower < 0.0) & (plain.pre_upper > 0.0)
    assert unstable[:, query.slices[2]].sum(axis=1).max() > 64
    np.testing.assert_allclose(fast.pre_lower, plain.pre_lower, atol=1e-3)
    np.testing.assert_allclose(fast.pre_upper, plain.pre_upper, atol=1e-3)
    np.testing.assert_allclose(fast.margins, plain.margins, atol=1e-2)
