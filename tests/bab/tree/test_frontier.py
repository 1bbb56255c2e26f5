"""The stack of open nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest

from hypersplit.bab.tree import cold
from hypersplit.bab.tree import frontier as module
from hypersplit.bab.tree.cold import Cold
from hypersplit.bab.tree.frontier import Frontier
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.errors import InputError
from hypersplit.instances.families.random_networks import random_network, random_property
from hypersplit.instances.multipliers import Multipliers
from hypersplit.instances.network import Array
from hypersplit.instances.query import queries


def nodes(margins: list[float]) -> Batch:
    """As many copies of a root, told apart by their margins."""
    network = random_network([3, 5, 2], seed=0)
    batch = root(queries(network, random_property(network, seed=0))[0])[np.zeros(len(margins), dtype=np.intp)]
    batch.margin = np.array(margins)
    return batch


class Drawer:
    """A shelf in memory, of which some nodes may get lost."""

    def __init__(self) -> None:
        self.closed, self.kept, self.lost = "", dict[str, Batch](), set[str]()

    def put(self, batch: Batch) -> Cold | None:
        """See `Shelf`."""
        name = str(len(self.kept))
        self.kept[name] = batch
        return Cold.of(batch, name, Nowhere())

    def get(self, cold: Cold) -> Batch:
        """See `Shelf`."""
        if cold.name in self.lost:
            raise InputError("gone")
        return self.kept[cold.name]


class Nowhere:
    """A source that nobody asks."""

    def data(self) -> bytes:
        """See `Source`."""
        raise InputError("nowhere")


def put_away(monkeypatch: pytest.MonkeyPatch) -> tuple[Frontier, Drawer]:
    """Ten batches of two, at depths 0, 0, 1, 1, ..., of which the lowest seven or so wait on a shelf."""
    short = SimpleNamespace(room_mb=lambda: 0.0, resident_mb=lambda: 1.0, trim=lambda: None)
    monkeypatch.setattr(module, "memory", short)
    for place in (cold, module):
        monkeypatch.setattr(place, "PIECE_MB", 1e-6)
    stack, drawer = Frontier(), Drawer()
    for i in range(10):
        batch = nodes([-1.0 - i, -1.5 - i])
        batch.number, batch.depth = np.array([2 * i, 2 * i + 1]), np.full(2, i)
        stack.push(batch)
    stack.shelf = drawer
    stack.cool()
    assert stack.cold and stack.hot and len(stack) == 20
    assert [type(b) for b in stack._stack] == [Cold] * len(stack.cold) + [Batch] * len(stack.hot)
    return stack, drawer


def test_nodes_that_are_put_away_keep_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken off the top, in whatever portions, they come as they would have from memory; so does what is known."""
    stack, _ = put_away(monkeypatch)
    assert stack.margin == -10.5 and stack.closed_share == 1.0 - 2 * sum(0.5**i for i in range(10))
    assert sorted(n for b in stack for n in b.number) == list(range(20))
    seen = [stack.pop(count).number.tolist() for count in (1, 6, 3, 9, 5)]
    assert [n for part in seen for n in sorted(part, reverse=True)] == list(range(19, -1, -1))
    assert len(stack) == 0 and not stack.lost


def test_the_largest_shares_are_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nodes highest in the tree are on the shelf, and leave first."""
    stack, _ = put_away(monkeypatch)
    assert sorted(stack.pop_largest(3).depth) == [0, 0, 1] and sorted(stack.pop_largest(3).depth) == [1, 2, 2]
    assert len(stack) == 14


def test_lost_nodes_are_counted_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that is lost says why; those below and above it are taken as ever."""
    stack, drawer = put_away(monkeypatch)
    drawer.lost = {stack.cold[1].name, stack.cold[3].name}
    gone = len(stack.cold[1]) + len(stack.cold[3])
    assert len(stack.pop(20)) == 20 - gone
    assert stack.lost == gone and stack.lost_nodes == f"{gone} open nodes could not be read back: gone"
    stack, drawer = put_away(monkeypatch)
    drawer.lost = set(drawer.kept)
    away = sum(map(len, stack.cold))
    assert len(stack.pop_largest(20)) == 20 - away and stack.lost == away
    with pytest.raises(IndexError):
        stack.pop_largest(1)


def test_a_change_comes_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """To nodes on the shelf, too, which stay there; batches of which nothing is left go, lost ones stay lost."""
    stack, drawer = put_away(monkeypatch)
    before, drawer.lost = len(stack.cold), {stack.cold[2].name}
    gone = len(stack.cold[2])
    changed = stack.changed(lambda batch: batch[batch.number % 4 < 2])
    assert len(changed.cold) < before and all(n % 4 < 2 for b in changed for n in b.number)
    assert changed.lost == gone and 10 - gone <= len(changed) <= 10


def test_the_lowest_margins_leave_first() -> None:
    """Within a batch the most suspicious nodes are on top, and later batches lie above earlier ones."""
    frontier = Frontier(nodes([]))
    frontier.push(nodes([-1.0, -3.0, -2.0]))
    frontier.push(nodes([-0.5, -0.7]))
    assert len(frontier) == 5 and frontier.margin == -3.0
    assert sorted(frontier.pop(3).margin) == [-3.0, -0.7, -0.5]
    assert frontier.pop(9).margin.tolist() == [-1.0, -2.0]
    assert len(frontier) == 0 and frontier.margin == np.inf
    with pytest.raises(IndexError):
        frontier.pop(1)


def test_the_closed_share_of_a_tree() -> None:
    """An open root is all of it, each level halves a node's part, an empty frontier has closed it."""
    batch = nodes([-1.0, -2.0])
    batch.depth = np.array([2, 3])
    assert Frontier(nodes([-1.0])).closed_share == 0.0
    assert Frontier(batch).closed_share == 1.0 - 1 / 4 - 1 / 8
    assert Frontier(nodes([])).closed_share == 1.0


@pytest.mark.parametrize("known", [False, True])
def test_what_stays_keeps_no_memory_of_what_left(known: bool) -> None:
    """The arrays of the nodes left behind are their own, those of an ascent too."""
    batch = nodes([-float(i) for i in range(100)])
    if known:
        batch.multipliers = Multipliers.none((100, batch.duty.shape[1]), batch.pre_lower.shape[1], 2, 3)
    frontier = Frontier(nodes([]))
    frontier.push(batch)
    assert len(frontier.pop(98)) == 98
    (left,) = frontier
    assert len(left) == 2 and (left.multipliers is not None) == known
    held = dict(arrays(left))
    assert len(held) == len(fields(Batch)) - 1 + known * len(fields(Multipliers))
    for name, array in held.items():
        assert array.base is None or array.base.size <= array.size, name


def arrays(record: Batch | Multipliers) -> Iterator[tuple[str, Array]]:
    """The arrays of a record, those of records in it too, with their names."""
    for name in (f.name for f in fields(record)):
        value = getattr(record, name)
        if isinstance(value, Multipliers):
            yield from ((f"{name}.{inner}", array) for inner, array in arrays(value))
        elif value is not None:
            yield name, value
