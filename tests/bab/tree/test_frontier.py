"""The stack of open nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import pytest

from hypersplit.bab.tree.frontier import Frontier
from hypersplit.instances.batch import Batch, root
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
