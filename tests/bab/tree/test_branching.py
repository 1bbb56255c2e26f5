"""Children cover their parent; half-spaces are kept within their limit; the frontier and its loop lose nothing."""

from __future__ import annotations

import numpy as np

from hypersplit.bab.tree.branching import MOST_CUTS, children
from hypersplit.bab.tree.frontier import Frontier
from hypersplit.encodings.linear.clipping import clip_batch
from hypersplit.encodings.linear.linear_bounds import LinearBoundOptions, bound
from hypersplit.heuristics.splits.rules import RULES
from hypersplit.heuristics.splits.splits import Splits, choose_splits, halved_duty
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries


def random_query(seed: int) -> Query:
    """A 3-6-5-2 network on a box with one half-space; both outputs forbidden below a low threshold."""
    rng = np.random.default_rng(seed)
    sizes = [3, 6, 5, 2]
    weights = [rng.normal(size=(b, a)) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    network = sequential(weights, [rng.normal(size=len(w)) for w in weights])
    region = InputSet(-np.ones(3), np.ones(3), np.array([[1.0, 1.0, 1.0]]), np.array([1.0]))
    return queries(network, Property((Case(region, (Polyhedron(np.eye(2), np.full(2, -1.0)),)),), 3, 2))[0]


def inside(query: Query, batch: Batch, b: int, points: np.ndarray) -> np.ndarray:
    """Which points lie in node b: box, half-spaces of splits, phases."""
    node = batch.node(b)
    pre = np.concatenate(query.network.values(points)[1][:-1], axis=1)
    cuts = batch.cuts[b, query.reserved :]
    return (
        ((points >= node.lower) & (points <= node.upper)).all(axis=1)
        & (points @ cuts[:, :-1].T + cuts[:, -1] >= 0.0).all(axis=1)
        & ((pre >= 0.0) | (node.phases <= 0)).all(axis=1)
        & ((pre <= 0.0) | (node.phases >= 0)).all(axis=1)
    )


def test_duties_are_divided() -> None:
    """Each disjunct of the parent's is one child's to refute, each child has some, on all of the parent's region."""
    batch = root(random_query(0))
    batch.duty = np.array([[True, False, True, True, False, True, True]])
    both = children(random_query(0), batch, halved_duty(batch.duty, 3))
    assert [[0, 2, 3], [5, 6]] == [np.flatnonzero(duty).tolist() for duty in both.duty]
    assert both.depth.tolist() == [1, 1] and both.last.tolist() == [0, 0]
    for name in ("lower", "upper", "phases", "pre_lower", "pre_upper"):
        assert (getattr(both, name) == getattr(batch, name)).all()
    pair = batch[np.array([0])]
    pair.duty = np.array([[False, True, False, False, False, False, True]])
    both = children(random_query(0), pair, halved_duty(pair.duty, 3))
    assert [[1], [6]] == [np.flatnonzero(duty).tolist() for duty in both.duty]


def test_children_cover_their_parent_for_every_rule() -> None:
    """Down ten splits of each rule, a point of a node lies in one of its children."""
    for rule in RULES:
        for seed in range(3):
            query, rng = random_query(seed), np.random.default_rng(seed)
            batch = root(query)
            for _ in range(10):
                bounds = bound(query, batch, LinearBoundOptions(means=True))
                batch.pre_lower, batch.pre_upper = bounds.pre_lower, bounds.pre_upper
                splits = choose_splits(query, batch, bounds, rule)
                if splits.missing.any():
                    break
                points = rng.uniform(batch.lower[0], batch.upper[0], (200, 3))
                points = points[inside(query, batch, 0, points)]
                both = children(query, batch, splits)

                assert (inside(query, both, 0, points) | inside(query, both, 1, points)).all(), f"{rule}, seed {seed}"
                batch = both[np.array([int(rng.integers(2))])]


def test_a_node_keeps_the_propertys_half_spaces_and_the_newest_cuts() -> None:
    """However many cuts are made, the reserved slots stay in front and at most MOST_CUTS follow, newest last."""
    query, rng = random_query(0), np.random.default_rng(1)
    batch = root(query)
    first = batch.cuts[:, : query.reserved].copy()
    for _ in range(MOST_CUTS + 5):
        row = rng.normal(size=(1, 4))
        nothing = np.array([-1])
        batch = children(query, batch, Splits(nothing, np.zeros(1), nothing, row, np.zeros(1), nothing))[np.array([0])]

    assert batch.cuts.shape[1] == query.reserved + MOST_CUTS
    assert np.array_equal(batch.cuts[:, : query.reserved], first)
    assert np.array_equal(batch.cuts[0, -1], row[0])


def test_clipping_a_batch_keeps_counterexamples() -> None:
    """A point whose margins are all <= 0 stays in the node's box and satisfies the half-spaces it hands on."""
    met = 0
    for seed in range(30):
        query = random_query(seed)
        batch = root(query)
        bounds = bound(query, batch)
        points = np.random.default_rng(seed).uniform(-1.0, 1.0, (3000, 3))
        bad = points[(query.worst(query.network.evaluate(points)) <= 0.0) & (points.sum(axis=1) + 1.0 >= 0.0)]
        clipped, empty = clip_batch(query, batch, bounds)
        met += len(bad) > 0

        assert not (empty[0] and len(bad))
        assert (bad >= clipped.lower[0]).all() and (bad <= clipped.upper[0]).all()
        assert (bad @ clipped.cuts[0, :, :-1].T + clipped.cuts[0, :, -1] >= 0.0).all()
    assert met > 5


def test_the_frontier_gives_back_what_was_pushed_most_suspicious_first() -> None:
    """Nodes come back once each, the lowest margin of the last batch first, in the numbers asked for."""
    query = random_query(0)
    batch = Batch.concatenate([root(query)] * 5)
    batch.margin = np.array([-1.0, -5.0, -2.0, -4.0, -3.0])
    frontier = Frontier(batch[:0])
    frontier.push(batch)

    assert frontier.margin == -5.0
    assert frontier.pop(2).margin.tolist() == [-4.0, -5.0]
    assert sorted(frontier.pop(9).margin.tolist()) == [-3.0, -2.0, -1.0]
    assert len(frontier) == 0
