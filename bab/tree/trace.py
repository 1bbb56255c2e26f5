"""The recorder of a search: the whole split tree, for every node its parent, its split and how it ended.

A `Recorder` records nothing and costs nothing; a `Trace` is one that does. The search numbers no nodes by itself: a
trace gives the root 0 and the children of every split the next free numbers, which travel in `Batch.number`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ...encodings.linear.linear_bounds import Bounds, LinearBoundOptions, bound
from ...heuristics.splits.splits import Splits
from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.query import Query

__all__ = ["End", "Recorder", "Trace", "Tree"]


class End(IntEnum):
    """How a node ended."""

    OPEN = 0
    SPLIT = 1
    LINEAR = 2  # linear bounds of single rows
    CONJUNCTION = 3  # linear bounds of a disjunct's rows taken together
    INFEASIBLE = 4  # the half-spaces and phases above it leave nothing
    CLIPPED = 5  # its own bounds leave nothing of the box
    REGION = 6  # an activation region, by LP
    WHOLE = 7  # refuted together with all that was open: at the root, or by the conflict search
    MILP = 8  # SCIP
    GIVEN_UP = 9  # no step could close it and no float could split it
    WITNESS = 10  # holds a counterexample


class _Split(NamedTuple):
    """One call of `Trace.split`: B parents, of which R are cut by a hyperplane."""

    parents: Array  # [B] numbers
    first_child: int
    axis: Array  # [B], as in `Tree`
    at: Array  # [B]
    neuron: Array  # [B]
    cut: Array  # [R] numbers
    rows: Array  # [R, inputs + 1]


class Recorder:
    """What the search tells while it works. This one does not listen."""

    def bounded(self, query: Query, batch: Batch, bounds: Bounds) -> None:
        """The batch has its bounds, and those of its nodes whose `margin` is positive are closed by them."""

    def ended(self, batch: Batch, which: Array, end: End) -> None:
        """Nodes `which` ([B] bool) of the batch leave the search."""

    def split(self, batch: Batch, splits: Splits, children: Batch) -> None:
        """The nodes that have a split give way to `children`, as `branching.children` orders them."""


class Trace(Recorder):
    """The recorder that listens: `tree()` tells what it heard."""

    def __init__(self) -> None:
        self.size = 1  # nodes seen, the root included
        self._ends: list[tuple[Array, int]] = []
        self._splits: list[_Split] = []

    def bounded(self, query: Query, batch: Batch, bounds: Bounds) -> None:
        """See `Recorder`. Which rows closed a node is found out by bounding it again without the conjunctions."""
        closed = batch.margin > 0.0
        if not closed.any():
            return
        alone = closed & ~bounds.infeasible
        together = np.zeros(len(batch), dtype=bool)
        if query.rows > query.disjuncts and alone.any():
            margins = bound(query, batch[alone], LinearBoundOptions(hidden=False)).margins
            together[alone] = ~(query.worst(margins) > 0.0)
        self.ended(batch, closed & bounds.infeasible, End.INFEASIBLE)
        self.ended(batch, together, End.CONJUNCTION)
        self.ended(batch, alone & ~together, End.LINEAR)

    def ended(self, batch: Batch, which: Array, end: End) -> None:
        """See `Recorder`."""
        if which.any():
            self._ends.append((batch.number[which], end))

    def split(self, batch: Batch, splits: Splits, children: Batch) -> None:
        """See `Recorder`; the children get their numbers."""
        if len(children):
            some = ~splits.missing
            cuts = (splits.neuron < 0) & np.any(splits.row != 0.0, axis=1)  # with a neuron, its phase is the split
            self._splits.append(
                _Split(
                    batch.number[some], self.size, splits.axis[some], splits.at[some], splits.neuron[some],
                    batch.number[cuts], splits.row[cuts],
                )
            )  # fmt: skip
            children.number = self.size + np.arange(len(children))
            self.size += len(children)

    def tree(self, rest: End = End.OPEN) -> Tree:
        """The tree so far; leaves that nothing was heard of end as `rest`."""
        size, first = self.size, 0
        rows = [split.rows for split in self._splits]
        tree = Tree(
            np.full(size, -1), np.full((size, 2), -1), np.full(size, -1), np.zeros(size), np.full(size, -1),
            np.full(size, -1), np.concatenate(rows) if rows else np.zeros((0, 0)), np.full(size, rest, dtype=np.int8),
        )  # fmt: skip
        for numbers, end in self._ends:
            tree.ended[numbers] = end
        for split in self._splits:
            parents = split.parents
            upper = split.first_child + np.arange(len(parents))
            lower = upper + len(parents)
            tree.children[parents] = np.stack([upper, lower], axis=1)
            tree.parent[upper] = tree.parent[lower] = parents
            tree.axis[parents], tree.at[parents], tree.neuron[parents] = split.axis, split.at, split.neuron
            tree.row[split.cut] = first + np.arange(len(split.cut))
            first += len(split.cut)
            tree.ended[parents] = End.SPLIT
        return tree


@dataclass(frozen=True, eq=False)
class Tree:
    """The split tree of one search, node 0 its root; a child's number is larger than its parent's.

    The upper child of a node demands x_axis >= at, z_neuron >= 0 or row >= 0, the lower one <=.
    """

    parent: Array  # [N] int, -1 for the root
    children: Array  # [N, 2] int: upper and lower child, -1 for a leaf
    axis: Array  # [N] int, the input that was halved at `at`; -1 for none
    at: Array  # [N]
    neuron: Array  # [N] int, flat index of the ReLU whose phase was split; -1 for none
    row: Array  # [N] int, index into `rows`; -1 for none
    rows: Array  # [R, inputs + 1] hyperplanes g'x + h = 0
    ended: Array  # [N] int8, an `End`

    def __len__(self) -> int:
        return len(self.parent)

    @cached_property
    def leaf(self) -> Array:
        """[N] bool: not split."""
        return np.asarray(self.children[:, 0] < 0)

    @cached_property
    def side(self) -> Array:
        """[N] int: +1 for an upper child, -1 for a lower one, 0 for the root."""
        side = np.zeros(len(self), dtype=np.int8)
        inner = self.children[~self.leaf]
        side[inner[:, 0]], side[inner[:, 1]] = 1, -1
        return side

    @cached_property
    def levels(self) -> list[Array]:
        """Nodes by depth, the root's first."""
        levels = [np.zeros(1, dtype=np.int64)]
        while len(below := self.children[levels[-1]][~self.leaf[levels[-1]]]):
            levels.append(below.ravel())
        return levels

    @cached_property
    def depth(self) -> Array:
        """[N] int: number of splits above the node."""
        depth = np.zeros(len(self), dtype=np.int64)
        for d, numbers in enumerate(self.levels):
            depth[numbers] = d
        return depth
