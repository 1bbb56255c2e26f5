"""When a rung is asked: tried with a small share of the time, used where it closes more of the tree than the search."""

from __future__ import annotations

import numpy as np

from hypersplit.bab.rungs.account import Account
from hypersplit.heuristics.efforts import LadderEffort

DEPTHS = np.array([7, 2, 9, 4, 2])


def account(seconds: float, share: float, **changes: float) -> Account:
    """Of a search that has closed `share` of its tree at an even pace for so many seconds."""
    effort = LadderEffort(after=1.0, share=0.01, few=2, slice=0.01, deeper=3)
    one = Account(effort if not changes else LadderEffort(after=1.0, **changes))
    one.started -= seconds
    one.marks = [(one.started, 0.0), (one.started + 0.5 * seconds, 0.5 * share)]
    return one


def test_it_is_not_tried_too_early_nor_beyond_its_share() -> None:
    """Not in the first second, and not once a hundredth of the time is spent."""
    assert not len(account(0.5, 0.0).due(DEPTHS, 0.0)[0])
    spent = account(100.0, 0.0)
    assert len(spent.due(DEPTHS, 0.0)[0])
    spent.note(1.5, 2, np.zeros(0), np.array([0.5, 0.5]))
    assert not len(spent.due(DEPTHS, 0.0)[0])


def test_trials_take_few_nodes_of_growing_depth() -> None:
    """The shallowest two at first; three levels deeper after a trial in vain; from the top again behind the deepest."""
    one = account(1e6, 0.0)
    assert one.due(DEPTHS, 0.0)[0].tolist() == [1, 4]
    one.note(0.01, 2, np.zeros(0), np.array([0.5, 0.5]))
    assert one.due(DEPTHS, 0.0)[0].tolist() == [3, 0]
    one.note(0.01, 2, np.zeros(0), np.array([0.5, 0.5]))
    assert one.due(DEPTHS, 0.0)[0].tolist() == [0, 2]
    one.depth = 20
    assert not len(one.due(DEPTHS, 0.0)[0])
    assert one.due(DEPTHS, 0.0)[0].tolist() == [1, 4]


def test_it_is_used_on_all_nodes_where_it_is_faster_than_the_tree() -> None:
    """Four nodes of depth 2 in a second are a whole tree a second, the search closes a hundredth of it."""
    fast, slow = account(100.0, 1.0), account(100.0, 1.0)
    fast.note(1.0, 8, np.full(4, 2), np.full(4, 0.5))
    slow.note(1.0, 8, np.full(4, 9), np.full(4, 0.5))
    assert len(fast.due(DEPTHS, 1.0)[0]) == len(DEPTHS) and fast.pays()
    assert len(slow.due(DEPTHS, 1.0)[0]) < len(DEPTHS) and not slow.pays()
    fast.note(99.0, 8, np.full(8, 0), np.zeros(0))  # however much it closes, the search keeps most of the time
    assert len(fast.due(DEPTHS, 1.0)[0]) < len(DEPTHS)


def test_one_that_moves_nothing_is_tried_more_rarely() -> None:
    """A quarter of its share is left to it."""
    idle, busy = account(100.0, 0.0), account(100.0, 0.0)
    idle.note(0.5, 2, np.zeros(0), np.array([0.0, 0.01]))
    busy.note(0.5, 2, np.zeros(0), np.array([0.4, 0.3]))
    idle.depth = busy.depth = 0
    idle.slice = busy.slice = 0.01
    assert not len(idle.due(DEPTHS, 0.0)[0]) and len(busy.due(DEPTHS, 0.0)[0])


def test_counts_are_told_once() -> None:
    """What happened since the last time; the account in words says how it stands."""
    one = account(100.0, 0.0)
    one.note(0.25, 3, np.array([2]), np.array([0.5, 0.1]))
    assert one.take_counts() == {"tried": 3, "closed": 1, "ms": 250}
    assert not one.take_counts()
    assert "3 nodes in 0.25 s, 1 closed, 0.25 of the tree; the others moved by 0.3" in str(one)
    assert str(Account()).startswith("every node")


def test_progress_is_that_of_the_last_half() -> None:
    """Marks of the first half are dropped, but the last of them; their number stays small."""
    one = account(10.0, 0.5)
    for _ in range(300):
        one.due(DEPTHS, 0.6)
    assert len(one.marks) <= 65 and one.marks[-1][1] == 0.6
    assert one.marks[0][0] >= one.started
