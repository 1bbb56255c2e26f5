"""The graph of implications against enumeration: signs -1, 0 and 1 of a few numbers, all of them."""

from __future__ import annotations

from itertools import product

import networkx as nx
import numpy as np
import pytest

from hypersplit.encodings.propagation.implication_graph import ImplicationGraph, reduced_edges

Signs = tuple[int, ...]


def true(literal: int, signs: Signs, strictly: bool = False) -> bool:
    """Whether a literal holds of numbers with these signs."""
    value = -signs[literal >> 1] if literal & 1 else signs[literal >> 1]
    return value > 0 or (value == 0 and not strictly)


def random_graph(seed: int, count: int) -> tuple[ImplicationGraph, list[Signs]]:
    """Random implications between signs of so many numbers, and all signs that have them."""
    rng = np.random.default_rng(seed)
    graph, models = ImplicationGraph(), list(product((-1, 0, 1), repeat=count))
    for _ in range(int(rng.integers(1, 3 * count))):
        a, b = (int(x) for x in rng.choice(2 * count, 2))
        strictly = bool(rng.random() < 0.7)
        graph.imply(a, *(([], [b]) if strictly else ([b], [])))
        models = [signs for signs in models if not true(a, signs) or true(b, signs, strictly)]
    return graph, models


@pytest.mark.parametrize("seed", range(60))
def test_logic_is_that_of_all_signs(seed: int) -> None:
    """A contradiction iff no signs are left; facts are what all of them have; what is implied holds in each."""
    count = 3 + seed % 3
    graph, models = random_graph(seed, count)
    closure = graph.closed()
    assert closure.contradiction == (not models)
    if not models:
        return
    always = [a for a in range(2 * count) if all(true(a, signs) for signs in models)]
    assert closure.facts == always
    for a, b, strictly in product(range(2 * count), range(2 * count), (False, True)):
        if closure.implies(a, b, strictly):
            assert all(true(b, signs, strictly) for signs in models if true(a, signs)), (a, b, strictly)
    for some in closure.equivalent:
        assert all(len({true(a, signs) for a in some}) == 1 for signs in models)
    for a, b in closure.nogoods():
        assert not any(true(a, signs) and true(b, signs) for signs in models)


@pytest.mark.parametrize("seed", range(60))
def test_chains_of_nogoods_reach_what_paths_reach(seed: int) -> None:
    """By unit propagation through the pairs a literal excludes all that the graph lets it exclude."""
    count = 3 + seed % 4
    closure = random_graph(seed, count)[0].closed()
    if closure.contradiction:
        return
    chains = nx.DiGraph()
    chains.add_nodes_from(range(2 * count))
    for a, b in closure.nogoods():
        chains.add_edges_from([(a, b ^ 1), (b, a ^ 1)])
    settled = {a ^ side for a in closure.facts for side in (0, 1)}
    for a, b in product(set(range(2 * count)) - settled, repeat=2):
        if closure.implies(a, b, strictly=True):
            assert nx.has_path(chains, a, b), (a, b)


@pytest.mark.parametrize("seed", range(20))
def test_the_reduction_is_that_of_networkx(seed: int) -> None:
    """Of closed graphs without circles it is the transitive reduction; with circles it reaches as much."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 12))
    upwards = nx.DiGraph([(a, b) for a in range(size) for b in range(a + 1, size) if rng.random() < 0.3])
    closed = nx.transitive_closure(upwards)
    assert sorted(reduced_edges(closed)) == sorted(nx.transitive_reduction(closed).edges)
    both = nx.DiGraph([(a, b) for a in range(size) for b in range(size) if a != b and rng.random() < 1.5 / size])
    closed = nx.transitive_closure(both)
    less = nx.DiGraph(reduced_edges(closed))
    less.add_nodes_from(closed)
    assert set(nx.transitive_closure(less).edges) == set(closed.edges)
    assert less.number_of_edges() <= closed.number_of_edges()


def test_boundaries_are_told_apart() -> None:
    """z_0 >= 0 -> z_1 >= 0 leaves z_1 = 0 with any z_0; only a strict end has its opposite phase as contrapositive."""
    graph = ImplicationGraph()
    graph.imply(0, weak=[2])
    closure = graph.closed()
    assert closure.implies(0, 2) and not closure.implies(0, 2, strictly=True)
    assert not closure.implies(3, 1) and closure.nogoods() == []
    graph.imply(0, strict=[2])
    closure = graph.closed()
    assert closure.implies(3, 1, strictly=True) and closure.nogoods() == [(0, 3)]


def test_equal_literals_lie_in_one_component() -> None:
    """Around a circle all hold or none; a literal that forces its own opposite never holds, and both never: nothing."""
    graph = ImplicationGraph()
    for a, b in ((0, 2), (2, 5), (5, 0)):
        graph.imply(a, weak=[b])
    assert graph.closed().equivalent == [[0, 2, 5]] and graph.closed().facts == []
    graph.imply(5, strict=[1])
    closure = graph.closed()
    assert closure.facts == [1, 3, 4] and not closure.contradiction
    graph.imply(4, strict=[0])
    assert graph.closed().contradiction
