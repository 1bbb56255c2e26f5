"""The kernel of wide networks: what half-spaces, neurons left out and samples of the inputs do to its bounds."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import oracle
import pytest
from phase_trees import ASCENT, phase_nodes, refreshed, short_cut, wide_queries  # noqa: F401

from hypersplit.encodings.slopes import sampled_inputs
from hypersplit.encodings.slopes.phase_bounds import refresh_phases
from hypersplit.encodings.slopes.rows_behind import HalfSpaces
from hypersplit.instances.property import InputSet


def test_a_deadline_leaves_nodes_as_they_were() -> None:
    """Nodes that the time does not reach keep their bounds and claim nothing."""
    query = wide_queries(0, sparse=False)[0]
    nodes = phase_nodes(query, 0, 3)
    late = replace(ASCENT, deadline=0.0)
    found = refreshed(query, nodes, late, "compiled")
    assert np.array_equal(found.pre_lower, nodes.pre_lower)
    assert np.isneginf(found.margins).all()
    assert not found.infeasible.any()


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_bounds_hold_behind_half_spaces(sparse: bool, sampled: bool, size: float) -> None:
    """Exact values at all vertices of what is left of a node's leaves; narrower than without the half-space."""
    narrower, rng = 0, np.random.default_rng(0)
    for seed in range(10):
        for query in wide_queries(seed, sparse):
            nodes = phase_nodes(query, seed, 4)
            n = query.network.input_size
            normals = rng.normal(size=(len(nodes), n)) * size
            inside = query.region.lower + rng.random((len(nodes), n)) * (query.region.upper - query.region.lower)
            behind = HalfSpaces(normals, -(normals * inside).sum(axis=1))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sampled_inputs, "LEAST", 0 if sampled else 64)
                alone = refreshed(query, nodes, ASCENT, "compiled")
                found = refresh_phases(query, nodes[np.arange(len(nodes))], ASCENT, "compiled", behind)
            narrower += int(((found.pre_lower > alone.pre_lower) | (found.pre_upper < alone.pre_upper)).sum())
            region = InputSet.box(query.region.lower, query.region.upper)
            for b in range(len(nodes)):
                exact = [Fraction(float(v)) for v in (*normals[b], behind.offsets[b])]
                whole = [int(v * 2**1100) for v in exact]
                for leaf in oracle.leaves(query.network, region, nodes.node(b).phases):
                    part = leaf.polytope.cut(whole)
                    if not part.points():
                        continue
                    assert not found.infeasible[b]
                    for k, places in enumerate(query.slices):
                        for i in range(places.stop - places.start):
                            least, most = leaf.pre[k].range(part, i)
                            assert found.pre_lower[b, places.start + i] <= least
                            assert found.pre_upper[b, places.start + i] >= most
    assert narrower > 10


def test_half_spaces_that_are_no_numbers_prove_nothing() -> None:
    """Infinite coefficients, and offsets that overflow: bounds are those without, or stay as they were."""
    query = wide_queries(0, sparse=False)[0]
    nodes = phase_nodes(query, 0, 2)
    alone = refreshed(query, nodes, ASCENT, "compiled")
    n = query.network.input_size
    for normal, offset in ((np.inf, 0.0), (1.0, np.inf), (1e300, -1e300), (1.0, np.nan)):
        behind = HalfSpaces(np.full((len(nodes), n), normal), np.full(len(nodes), offset))
        with np.errstate(all="ignore"):
            found = refresh_phases(query, nodes[np.arange(len(nodes))], ASCENT, "compiled", behind)
        assert (found.pre_lower <= alone.pre_upper + 1e-9).all() and (found.pre_upper >= alone.pre_lower - 1e-9).all()
        assert np.isfinite(found.pre_lower).all() and np.isfinite(found.pre_upper).all()


@pytest.mark.parametrize("kernel", ["plain", "compiled"])
def test_neurons_that_do_not_matter_are_left_alone(kernel: str) -> None:
    """In the last hidden layer, behind which no others' bounds depend on them; those of the others are as ever."""
    spared = 0
    for seed in range(120):
        for query in wide_queries(seed, sparse=False):
            parts = [p for kind, p in zip(query.kinds, query.slices, strict=True) if kind == "relu"]
            if not parts:
                continue
            part = parts[-1]
            nodes = phase_nodes(query, seed, 5)
            matter = np.ones(nodes.pre_lower.shape, dtype=bool)
            matter[:, part] = np.random.default_rng(seed).random((len(nodes), part.stop - part.start)) < 0.5
            whole = refreshed(query, nodes, ASCENT, kernel)
            found = refresh_phases(query, nodes[np.arange(len(nodes))], ASCENT, kernel, matter=matter)
            both = np.broadcast_to(~(whole.infeasible | found.infeasible)[:, None], matter.shape)
            scale = 0.03 * (1.0 + np.abs(whole.pre_lower[both]).max(initial=0.0))  # signs of steps hang on roundings
            same = both & matter
            np.testing.assert_allclose(found.pre_lower[same], whole.pre_lower[same], atol=scale)
            assert (found.pre_lower <= whole.pre_lower + scale)[both].all()
            spared += int((found.pre_lower < whole.pre_lower - scale)[both].sum())
    assert spared > 0


def test_boxes_of_several_kinds_are_left_to_numpy() -> None:
    """Axes are split where no ReLU is left to split: the kernel has one box, the bounds are its twin's there."""
    query = wide_queries(0, sparse=False)[0]
    nodes = phase_nodes(query, 0, 4)
    one = refreshed(query, nodes, ASCENT, "compiled")
    nodes.upper[1] = 0.5 * nodes.lower[1] + 0.5 * nodes.upper[1]
    plain, found = (refreshed(query, nodes, ASCENT, kernel) for kernel in ("plain", "compiled"))
    assert np.array_equal(found.pre_lower, plain.pre_lower) and np.array_equal(found.pre_upper, plain.pre_upper)
    assert (found.pre_upper[1] < one.pre_upper[1]).any()
