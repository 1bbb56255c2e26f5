"""Rows go to nodes inside the region that they hold on, and are dropped once they are of no use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from random_instances import random_query

from hypersplit.bab.rungs.kept_rows import KeptRows
from hypersplit.bab.tree.branching import MOST_CUTS, children
from hypersplit.encodings.slopes.group_rows import GroupRows
from hypersplit.heuristics.efforts import KeptRowsEffort
from hypersplit.heuristics.splits.splits import Splits
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.query import Query


def asked() -> tuple[Query, Batch]:
    """A query of several disjuncts and its root."""
    drawn = (q for q in map(random_query, range(100)) if q.region.upper[0] > q.region.lower[0])
    query = next(q for q in drawn if q.disjuncts > 1)
    batch = root(query)
    batch.cuts = np.concatenate([batch.cuts, np.zeros((1, 2, batch.cuts.shape[2]))], axis=1)
    return query, batch


def rows(constant: float) -> GroupRows:
    """A row that is told apart by its constant."""
    return GroupRows(np.array([[0, 1]]), np.ones((1, 2)), np.ones((1, 2)), np.array([constant]))


def held(kept: KeptRows, batch: Batch) -> list[float]:
    """Constants of the rows that the only node inherits."""
    return kept.holding(batch, 0).constants.tolist()


def test_nodes_inherit_the_rows_of_regions_around_them() -> None:
    """A smaller box, more half-spaces, more phases, less to refute; and not the other way round, nor a sibling."""
    query, batch = asked()
    below = replace(batch, upper=batch.upper.copy(), cuts=batch.cuts.copy(), phases=batch.phases.copy())
    below.upper[0] = 0.5 * batch.lower[0] + 0.5 * batch.upper[0]
    below.cuts[0, query.reserved, 0] = 1.0
    below.phases[0, 0] = 1
    below.duty = batch.duty & (np.arange(query.disjuncts) > 0)
    kept = KeptRows(query)
    kept.keep(batch, 0, rows(1.0))
    assert held(kept, batch) == [1.0] and held(kept, below) == [1.0]
    for name in ("upper", "cuts", "phases", "duty"):
        kept = KeptRows(query)
        kept.keep(replace(batch, **{name: getattr(below, name)}), 0, rows(2.0))
        assert held(kept, batch) == [] and held(kept, below) == [2.0], name
        sibling = replace(below, **{name: getattr(batch, name)})
        assert held(kept, sibling) == [], name


def test_rows_of_the_root_hold_everywhere() -> None:
    """Those that an earlier stage has made."""
    query, batch = asked()
    assert held(KeptRows(query, rows(3.0)), batch) == [3.0]
    assert held(KeptRows(query, GroupRows.none()), batch) == []


def test_rows_that_never_bind_are_dropped() -> None:
    """After as many nodes in a row as the effort says; one that binds begins anew."""
    query, batch = asked()
    kept = KeptRows(query, rows(1.0), KeptRowsEffort(idle=2))
    for _ in range(2):
        kept.keep(batch, 0, GroupRows.none())
    kept.keep(batch, 0, rows(1.0))  # of use, and kept as this node's own, too
    for _ in range(2):
        kept.keep(batch, 0, GroupRows.none())
        assert 1.0 in held(kept, batch)
    kept.keep(batch, 0, GroupRows.none())
    assert held(kept, batch) == []


def test_the_oldest_give_way_and_the_smallest_come_first() -> None:
    """No more regions than the effort says; of those that hold, the deepest first, as far as rows are wanted."""
    query, batch = asked()
    kept = KeptRows(query, None, KeptRowsEffort(regions=3, rows=2))
    for depth in range(5):
        kept.keep(replace(batch, depth=np.array([depth])), 0, rows(float(depth)))
    assert held(kept, batch) == [4.0, 3.0] and len(kept.regions) == 3


def below(query: Query, batch: Batch, row: np.ndarray, side: int) -> Batch:
    """The child on one side (0: upper, 1: lower) of a hyperplane."""
    splits = Splits.none(1, query.network.input_size)
    splits.row[0] = row
    return children(query, batch, splits)[np.array([side])]


def test_what_rests_on_a_forgotten_half_space_is_not_handed_to_the_other_side() -> None:
    """A node has no room for the half-space of its first split any more; its cousin behind that one looks the same."""
    query, batch = asked()
    planes = np.random.default_rng(0).normal(size=(MOST_CUTS + 1, batch.cuts.shape[2]))
    node, cousin = (below(query, batch, planes[0], side) for side in (0, 1))
    for count, row in enumerate(planes[1:], start=2):
        node, cousin = below(query, node, row, 0), below(query, cousin, row, 0)
        kept = KeptRows(query)
        kept.keep(node, 0, rows(1.0))
        assert held(kept, cousin) == []
        assert held(kept, node) == ([1.0] if count <= MOST_CUTS else [])
    assert np.array_equal(node.cuts, cousin.cuts) and np.array_equal(node.lower, cousin.lower)


def test_nodes_without_their_half_spaces_hand_rows_down_only_where_all_splits_are_phases() -> None:
    """As where phases are begun to be split in a tree of half-spaces, which loses them; see `Tree.rename`."""
    query, batch = asked()
    node, cousin = (below(query, batch, np.ones(batch.cuts.shape[2]), side) for side in (0, 1))
    for child in (node, cousin):
        child.cuts = child.cuts[:, : query.reserved]
    kept = KeptRows(query, bare=True)
    kept.keep(node, 0, rows(1.0))
    assert held(kept, cousin) == []
    split = replace(batch, depth=np.full(1, 1), phases=np.eye(1, query.neurons, dtype=np.int8))
    kept.keep(split, 0, rows(2.0))
    assert held(kept, split) == [2.0] and held(kept, batch) == []
