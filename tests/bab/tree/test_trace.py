"""The trace hears the whole tree: its leaves partition the input set, every node has a parent, a split, an end."""

from __future__ import annotations

import numpy as np
import pytest
from hard_searches import hard_query, searched

from hypersplit.bab.tree.evidence import Evidence, State


@pytest.mark.parametrize("rule", ["inputs", "rows-1", "phases"])
def test_every_node_has_its_parent_its_split_and_its_end(rule: str) -> None:
    """Inner nodes have two children and exactly one split, leaves none; what was bounded and closed is in the tree."""
    known, tree = searched(hard_query(1), rule)
    inner = np.flatnonzero(~tree.leaf)

    assert len(inner) > 5 and len(tree) == 2 * len(inner) + 1
    assert sorted(tree.children[inner].ravel()) == list(range(1, len(tree)))
    assert (tree.parent[tree.children[inner]] == inner[:, None]).all() and tree.parent[0] == -1
    assert (tree.side[tree.children[inner]] == [1, -1]).all() and tree.side[0] == 0
    assert (tree.depth[1:] == tree.depth[tree.parent[1:]] + 1).all() and tree.depth.max() >= known.deepest
    made = np.stack([tree.axis >= 0, tree.neuron >= 0, tree.row >= 0, tree.disjunct >= 0]).sum(axis=0)
    assert (made == ~tree.leaf).all() and ((tree.ended == State.SPLIT) == ~tree.leaf).all()
    assert known.size == len(tree) and known.count_open == int((tree.ended == State.OPEN).sum())


def test_a_finished_search_leaves_nothing_open() -> None:
    """Every leaf of a search that closed everything says by what."""
    query = hard_query(0, slack=-0.5)
    known, tree = searched(query, "inputs", 10_000)

    assert known.closed and not np.isin(tree.ended, (State.OPEN, State.STUCK)).any()
    assert {Evidence.LINEAR, Evidence.TOGETHER} & set(tree.ended)
