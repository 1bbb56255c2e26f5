"""Whose bounds matter: by linear programs over the triangle relaxation, with the other neurons' bounds let go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from phase_trees import phase_nodes, short_cut, wide_queries  # noqa: F401

from hypersplit.encodings.slopes.increasing_neurons import bounds_matter
from hypersplit.encodings.slopes.optimised_bounds import OptimiseOptions
from hypersplit.encodings.slopes.phase_bounds import disjunct_minima
from hypersplit.instances.network import Layer, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

LONG = OptimiseOptions(iterations=200)


def asked(layers: tuple[Layer, ...], rows: np.ndarray) -> Query:
    """Any row of the outputs <= 0, each a disjunct, on [-1, 1]^2."""
    box = InputSet.box(-np.ones(2), np.ones(2))
    forbidden = tuple(Polyhedron(row[None], np.zeros(1)) for row in rows)
    return queries(Network(2, layers), Property((Case(box, forbidden),), 2, rows.shape[1]))[0]


@pytest.mark.parametrize("sparse", [False, True])
def test_bounds_that_do_not_matter_change_nothing(sparse: bool) -> None:
    """Let go of, no margin's bound falls; let go of the others', some do."""
    fallen = freed = 0
    for seed in range(120):
        for query in wide_queries(seed, sparse):
            nodes = phase_nodes(query, seed, 1)[np.array([0])]
            matter = bounds_matter(query, nodes.duty)
            unstable = (nodes.pre_lower < 0.0) & (nodes.pre_upper > 0.0) & query.relu
            before = disjunct_minima(query, nodes, LONG)
            for let_go, falls in ((unstable & ~matter, False), (unstable & matter, True)):
                loose = replace(
                    nodes,
                    pre_lower=np.where(let_go, 3.0 * nodes.pre_lower, nodes.pre_lower),
                    pre_upper=np.where(let_go, 3.0 * nodes.pre_upper, nodes.pre_upper),
                )
                after, scale = disjunct_minima(query, loose, LONG), 1.0 + np.abs(before).max()
                if falls:
                    fallen += int((after < before - 0.05 * scale).any())
                else:
                    freed += int(let_go.sum())
                    assert (after >= before - 0.02 * scale).all(), seed
    assert freed > 5 and fallen > 5


def test_signs_are_those_of_the_margins() -> None:
    """Through affine layers, by the disjuncts that are left; earlier layers always matter."""
    first = Layer((0,), (np.eye(2),), np.zeros(2), "relu")
    second = Layer((1,), (np.ones((3, 2)),), np.zeros(3), "relu")
    affine = Layer((2,), (np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]),), np.zeros(2))
    query = asked((first, second, affine), np.array([[1.0, -1.0], [-1.0, 1.0]]))
    part = query.slices[1]
    for duty, expected in (((0,), [0, 1, 1]), ((1,), [1, 0, 0]), ((0, 1), [1, 1, 1]), ((), [0, 0, 0])):
        wanted = np.isin(np.arange(2), duty)[None]
        found = bounds_matter(query, wanted)[0]
        assert found[part].tolist() == [bool(v) for v in expected], duty
        assert found[query.slices[0]].all() or not duty


def test_values_that_a_hidden_layer_reads_too_always_matter() -> None:
    """A residual edge around a ReLU."""
    first = Layer((0,), (np.eye(2),), np.zeros(2), "relu")
    second = Layer((1,), (np.ones((2, 2)),), np.zeros(2), "relu")
    last = Layer((1, 2), (np.eye(2), np.eye(2)), np.zeros(2))
    query = asked((first, second, last), np.eye(2))
    found = bounds_matter(query, np.ones((1, query.disjuncts), dtype=bool))[0]
    assert found[query.slices[0]].all() and not found[query.slices[1]].any()
