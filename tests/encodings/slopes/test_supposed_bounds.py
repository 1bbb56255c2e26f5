"""Supposing a counterexample: what is bounded then holds for every one, in exact arithmetic."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import oracle
import pytest
from random_instances import Shape, random_instance

from hypersplit.encodings.slopes import supposed_bounds as module
from hypersplit.encodings.slopes.optimised_bounds import OptimiseOptions
from hypersplit.encodings.slopes.phase_bounds import bound_phases
from hypersplit.encodings.slopes.supposed_bounds import suppose
from hypersplit.instances.property import InputSet
from hypersplit.instances.query import queries
from hypersplit.instances.sparse import sp

from .test_phase_bounds import phase_nodes
from .test_row_multipliers import bounded, pool_of, question


@pytest.mark.parametrize("kernel", ["plain", "compiled"])
@pytest.mark.parametrize("shape", [Shape(), Shape(scale=1e3), Shape(rough=True), Shape(halfspaces=0.0, scale=1e-3)])
def test_all_counterexamples_are_within(shape: Shape, kernel: str) -> None:
    """For each piece of a node on which a disjunct of its duty is met: the first layer's pre-activations there."""
    inside = tighter = halves = 0
    for seed in range(12):
        instance = random_instance(seed, shape=shape)
        for query in queries(instance.network, instance.prop):
            batch = phase_nodes(query, seed, 5)
            batch.duty = np.random.default_rng(seed).random(batch.duty.shape) < 0.7
            _, numbers = bound_phases(query, batch, OptimiseOptions(iterations=6))
            lower, upper, new, behind = suppose(query, batch, numbers, kernel=kernel)
            assert (lower >= batch.pre_lower).all() and (upper <= batch.pre_upper).all()
            changed = ((lower > batch.pre_lower) | (upper < batch.pre_upper)).any(axis=1)
            assert not (changed & ~new).any()
            given = behind.normals.any(axis=1)
            assert (batch.duty.sum(axis=1)[given] == 1).all()
            halves += int(given.sum())
            tighter += int(changed.sum())
            for b in range(len(batch)):
                node = batch.node(b)
                region = InputSet(node.lower, node.upper, node.cuts[:, :-1], node.cuts[:, -1])
                for leaf in oracle.leaves(query.network, region, node.phases):
                    for k in np.flatnonzero(batch.duty[b]):
                        part = leaf.polytope
                        for r in range(int(query.starts[k]), int(query.starts[k + 1])):
                            part = part.cut([-a for a in leaf.pre[-1].rows[r]])
                        if not part.points():
                            continue
                        if given[b]:
                            a, h = behind.normals[b], Fraction(float(behind.offsets[b]))
                            assert min(oracle.exact_dot(a, x) + h for x in part.points()) >= 0
                        for layer, places, pre in zip(query.network.layers, query.slices, leaf.pre, strict=False):
                            for i in range(layer.size):
                                least, most = pre.range(part, i)
                                assert lower[b, places.start + i] <= least and most <= upper[b, places.start + i]
                                inside += 1
    assert inside > 50 and tighter > 5 and halves > 5


@pytest.mark.parametrize("seed", [0, 1, 2, 4, 5])
def test_with_rows_of_several_neurons(seed: int) -> None:
    """Half-spaces that rows of pairs and triples helped to prove: no counterexample among many points is outside."""
    query = question(seed)
    batch = bounded(query)
    pool = pool_of(query, batch)
    _, numbers = bound_phases(query, batch, OptimiseOptions(iterations=60), pool=pool)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FAR", np.inf)
        lower, upper, new, behind = suppose(query, batch, numbers, pool)
    points = np.random.default_rng(seed).uniform(query.region.lower, query.region.upper, (20_000, 3))
    pre = query.network.values(points)[1]
    bad = (query.per_disjunct(pre[-1]) <= 0.0).any(axis=1)
    hidden = np.concatenate(pre[:-1], axis=1)[bad]
    assert len(pool) and numbers.mus.any() and new.all() and len(hidden) > 100
    assert (points[bad] @ behind.normals[0] + behind.offsets[0] >= -1e-12).all()
    assert (lower[0] - 1e-12 <= hidden).all() and (hidden <= upper[0] + 1e-12).all()


def test_nothing_is_supposed_without_a_duty() -> None:
    """A node that has nothing to refute keeps its bounds."""
    instance = random_instance(1)
    query = queries(instance.network, instance.prop)[0]
    batch = phase_nodes(query, 1, 2)
    _, numbers = bound_phases(query, batch, OptimiseOptions(iterations=2))
    batch.duty[:] = False
    lower, upper, new, behind = suppose(query, batch, numbers)
    assert np.array_equal(lower, batch.pre_lower) and np.array_equal(upper, batch.pre_upper) and not new.any()
    assert not behind.normals.any()


def test_sparse_layers_and_the_deadline() -> None:
    """A sparse first layer is bounded as a dense one is, in blocks too; behind the deadline nothing is."""
    instance = random_instance(4)
    query = queries(instance.network, instance.prop)[0]
    batch = phase_nodes(query, 4, 6)
    _, numbers = bound_phases(query, batch, OptimiseOptions(iterations=6))
    dense = suppose(query, batch, numbers)[:3]
    assert (dense[0] > batch.pre_lower).any() or (dense[1] < batch.pre_upper).any()
    first, *others = query.network.layers
    layers = (replace(first, weights=tuple(sp.csr_array(w) for w in first.weights)), *others)
    sparse = replace(query, network=replace(query.network, layers=layers))
    for chunk in (module.CHUNK, 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "CHUNK", chunk)
            for found, wanted in zip(suppose(sparse, batch, numbers)[:3], dense, strict=True):
                np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)
    lower, upper, new, _ = suppose(query, batch, numbers, deadline=-np.inf)
    assert np.array_equal(lower, batch.pre_lower) and np.array_equal(upper, batch.pre_upper) and not new.any()
