"""Groups of neurons: who takes part, how often, and subsets against brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from milp_problems import bounded
from random_instances import Shape, random_query

from hypersplit.heuristics.neuron_groups import (
    GROUPINGS,
    Grouping,
    Wanted,
    adaptive_size,
    groups_of_layer,
    groups_with_inputs,
    subsets,
)  # fmt: skip
from hypersplit.instances.batch import Node, root
from hypersplit.instances.network import Layer, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries


def made(seed: int) -> tuple[Query, Node] | None:
    """A random query's root with linear bounds."""
    query = random_query(seed, Shape(halfspaces=0.0))
    node = bounded(query, root(query).node(0))
    return None if node is None else (query, node)


@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("size", [2, 3])
def test_members_are_what_the_grouping_takes(size: int, grouping: str) -> None:
    """Ascending and distinct rows of a ReLU layer, unstable (or active, by correlation), and never too many groups."""
    seen = 0
    for seed in range(25):
        if (found := made(seed)) is None:
            continue
        query, node = found
        for k, part in enumerate(query.slices, start=1):
            groups = groups_of_layer(query, node, k, Grouping(size, 4, grouping))
            low, high = node.pre_lower[part], node.pre_upper[part]
            unstable, active = (low < 0.0) & (high > 0.0), (low >= 0.0) & (high > low)
            takes = unstable | active if grouping == "correlation" else unstable
            assert groups.shape[1] == size and len(groups) <= 4 and (np.diff(groups, axis=1) > 0).all()
            assert len({tuple(g) for g in groups.tolist()}) == len(groups) and takes[groups].all()
            assert query.kinds[k - 1] == "relu" or not len(groups)
            assert grouping != "correlation" or unstable[groups].any(axis=1).all()
            seen += len(groups)
    assert seen > 5


def test_partners_point_the_same_or_the_opposite_way() -> None:
    """Of four rows two are parallel and two opposite: they find each other, whatever their lengths."""
    weights = np.array([[1.0, 2.0], [3.0, 6.0], [2.0, -1.0], [-4.0, 2.0]])
    network = Network(2, (Layer((0,), (weights,), np.zeros(4), "relu"), Layer((1,), (np.ones((1, 4)),), np.zeros(1))))
    case = Case(InputSet.box(-np.ones(2), np.ones(2)), (Polyhedron(np.eye(1), np.zeros(1)),))
    query = queries(network, Property((case,), 2, 1))[0]
    node = bounded(query, root(query).node(0))
    assert node is not None
    assert groups_of_layer(query, node, 1, Grouping(2, 9)).tolist() == [[0, 1], [2, 3]]
    with pytest.raises(ValueError, match="grouping 'likeness'"):
        groups_of_layer(query, node, 1, Grouping(2, 9, "likeness"))


def test_inputs_that_go_past_a_neuron_meet_it_again() -> None:
    """Against a loop over edges: the neuron reads the input, and a later row reads both."""
    pairs = 0
    for seed in range(40):
        query = random_query(seed, Shape(halfspaces=0.0, residual=1.0, most_hidden=3))
        node = bounded(query, root(query).node(0))
        if node is None:
            continue
        layers = query.network.layers
        for k, part in enumerate(query.slices, start=1):
            wanted = set()
            if query.kinds[k - 1] == "relu" and 0 in layers[k - 1].sources:
                own = layers[k - 1].weights[layers[k - 1].sources.index(0)]
                for layer in (x for x in layers[k:] if 0 in x.sources and k in x.sources):
                    a, b = layer.weights[layer.sources.index(k)], layer.weights[layer.sources.index(0)]
                    for i, j in np.ndindex(own.shape):
                        flat = part.start + i
                        if own[i, j] != 0.0 and node.pre_lower[flat] < 0.0 < node.pre_upper[flat]:
                            if ((a[:, i] != 0.0) & (b[:, j] != 0.0)).any():
                                wanted.add((flat, query.neurons + j))
            assert {tuple(p) for p in groups_with_inputs(query, node, k).tolist()} == wanted, f"seed {seed}, layer {k}"
            pairs += len(wanted)
    assert pairs > 10


def test_subsets_are_all_subsets_once() -> None:
    """Of overlapping groups, against itertools."""
    groups = np.array([[0, 2, 5, 7], [2, 5, 7, 8]])
    for size in (1, 2, 3, 4):
        truth = {c for g in groups.tolist() for c in combinations(g, size)}
        found = [tuple(s) for s in subsets(groups, size).tolist()]
        assert set(found) == truth and len(found) == len(truth)
    assert subsets(groups[:0], 2).shape == (0, 2)


def test_k_goes_up_to_what_is_wanted() -> None:
    """Groups of 2 to k, larger ones cut into subsets that are each there once; k = 1 has none."""
    sizes = set()
    for seed in range(12):
        if (found := made(seed)) is None:
            continue
        query, node = found
        for k in range(1, len(query.slices) + 1):
            assert Wanted(k="1").of_layer(query, node, k, (2, 3), 4) == []
            auto = Wanted().of_layer(query, node, k, (2, 3), 4)
            assert [g.shape[1] for g in auto] == [2, 3]
            assert [g.tolist() for g in auto] == [
                groups_of_layer(query, node, k, Grouping(size, 4)).tolist() for size in (2, 3)
            ]
            for subset in (2, 3):
                some = Wanted("area", "5", subset).of_layer(query, node, k, (2,), 4)
                assert [g.shape[1] for g in some] == list(range(2, subset + 1))
                large = groups_of_layer(query, node, k, Grouping(5, 4, "area"))
                last = {tuple(g) for g in some[-1].tolist()}
                assert len(last) == len(some[-1]) and {tuple(g) for g in subsets(large, subset).tolist()} <= last
                sizes |= {len(large) > 0}
    assert sizes == {True, False}


def test_areas_do_not_ask_the_multipliers() -> None:
    """Grouped by area the same neurons meet whatever they cost the margins; by multipliers others do."""
    differ = 0
    for seed in range(12):
        if (found := made(seed)) is None:
            continue
        query, node = found
        costs = np.random.default_rng(seed).random(query.neurons)
        for k in range(1, len(query.slices) + 1):
            area, same, other = (
                groups_of_layer(query, node, k, Grouping(2, 1, way), given).tolist()
                for way, given in (("area", None), ("area", costs), ("multipliers", costs))
            )
            assert area == same
            differ += area != other
    assert differ > 0


@pytest.mark.parametrize(("neurons", "k"), [(3, 5), (250, 5), (251, 4), (500, 4), (501, 3), (5000, 3)])
def test_the_budget_chooses_k(neurons: int, k: int) -> None:
    """Disjoint groups of k have ceil(n / k) comb(k, 3) subsets, of which 500 are allowed."""
    assert adaptive_size(neurons) == k


def test_wrong_wishes_are_refused() -> None:
    """Ways, sizes and subsets that do not exist."""
    for wrong in ({"way": "likeness"}, {"k": "6"}, {"subset": 4}):
        with pytest.raises(ValueError, match="groups: "):
            Wanted(**wrong)  # type: ignore[arg-type]
