"""The tree's account: nodes = ended + split + open + stuck, in every kind of run, and all who tell of it agree."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from random_instances import random_instance
from tree_account import DRAWN, Ledger, account

from hypersplit.bab.tree.evidence import Evidence
from hypersplit.bab.tree.tree import Round, Tree
from hypersplit.heuristics.splits.splits import Splits
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.query import queries

BLOCK = 40  # seeds of one test; `scripts/account.py` goes through as many as it is told


@pytest.mark.parametrize("block", range(8))
def test_the_account_is_whole_and_all_agree(block: int) -> None:
    """Nodes = ended + split + open + stuck; each leaf that has ended has evidence; listeners, trace, statistics,
    picture and tree tell the same; all is reached from the root; `unsat` is said exactly when nothing is left."""
    counts: Counter[str] = Counter()
    for seed in range(1000 * block, 1000 * block + BLOCK):
        counts += account(seed, DRAWN[seed % len(DRAWN)], slopes_first=block % 2 == 0)
    assert min(counts["holds"], counts["sat"]) > 0, counts


def test_a_tree_that_lost_a_node_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account is no tautology: a tree that forgets to say that nodes ended does not pass it."""
    monkeypatch.setattr(Ledger, "ended", lambda *_: None)
    with pytest.raises(AssertionError, match="random_instance"):
        for seed in range(5):
            account(seed, "clear-unsat", slopes_first=True)


def some_tree() -> tuple[Tree, Ledger, Batch]:
    """A tree of two disjuncts whose root is split into two open nodes, one of them stuck."""
    instance = random_instance(3, "clear-unsat")
    query = queries(instance.network, instance.prop)[0]
    batch = root(query)
    two = replace(batch, duty=np.ones((1, 2), dtype=bool), pre_lower=-1.0 + 0.0 * batch.depth[:, None],
                  pre_upper=1.0 + 0.0 * batch.depth[:, None], phases=np.zeros((1, 1), dtype=np.int8))  # fmt: skip
    ledger = Ledger()
    tree = Tree(two, (ledger,))
    taken = tree.take(1)
    splits = Splits.none(1, query.network.input_size)
    splits.axis[0] = 0
    tree.give(taken, Round(split=(taken, splits, Batch.concatenate([taken, taken]))))
    taken = tree.take(1)
    tree.give(taken, Round(stuck=[taken]))
    return tree, ledger, two


def test_a_lemma_ends_what_it_leaves_nothing_to_refute() -> None:
    """Open nodes and stuck ones alike, once their last disjunct is refuted; until then they know what is."""
    tree, ledger, _ = some_tree()
    tree.learn(Evidence.GROUPS, [1])
    assert (tree.count_open, tree.count_stuck, tree.ended.total()) == (1, 1, 0)
    assert tree.root.duty.tolist() == [[True, False]] and not any(b.duty[:, 1].any() for b in tree.open)
    tree.learn(Evidence.CONFLICTS, [0])
    assert tree.closed and tree.ended == {Evidence.CONFLICTS: 2} and not ledger.known and not ledger.stuck_ones
    assert tree.evidence == {Evidence.CONFLICTS: 3, Evidence.GROUPS: 1}


def test_a_lemma_of_bounds_reaches_every_node_and_ends_empty_ones() -> None:
    """Tighter bounds of the root are bounds of all nodes; where they contradict a node's own it holds no input."""
    tree, _, _ = some_tree()
    tree.learn(Evidence.SLOPES, lower=np.array([-0.5]), upper=np.array([0.5]))
    assert [b.pre_lower.tolist() for b in (tree.root, *tree.open, *tree.stuck)] == [[[-0.5]]] * 3
    tree.learn(Evidence.SLOPES, lower=np.array([0.75]))
    assert tree.closed and tree.ended == {Evidence.SLOPES: 2}


def test_nodes_in_hand_are_open_and_come_back() -> None:
    """What was taken counts as open; recalled it is there again, put back too."""
    tree, ledger, _ = some_tree()
    batch = tree.take(5)
    assert len(tree.open) == 0 and tree.count_open == 1 and not tree.closed
    there = tree.open_share
    assert there == float((0.5**batch.depth).sum()) > 0.0
    tree.put_back(batch)
    tree.take(5)
    tree.recall()
    assert len(tree.open) == 1 and not tree.hands and len(ledger.known) == 1
    assert tree.open_share == there


def test_lost_nodes_close_nothing_even_where_others_were_counted_twice() -> None:
    """One node that ended twice and one that the disk lost make the account even; the tree stays open."""
    tree, _, _ = some_tree()
    tree.listeners, tree.stuck = (), []
    ended = np.full(1, Evidence.LINEAR, dtype=np.int8)
    for _ in range(2):  # the other one of the root's two children is nowhere
        tree._end(np.array([1]), ended)
    tree.open._stack, tree.open.lost = [], 1
    assert tree.count_open == 0 and tree.whole and not tree.closed
