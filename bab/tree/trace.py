"""A listener that remembers the whole split tree: for every node its parent, its split and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ...heuristics.splits.splits import Splits
from ...instances.batch import Batch
from ...instances.network import Array
from .evidence import State
from .recorder import Recorder

__all__ = ["SplitTree", "Trace"]


class _Split(NamedTuple):
    """One call of `Trace.split`: B parents, of which R are cut by a hyperplane."""

    parents: Array  # [B] numbers
    first_child: int
    axis: Array  # [B], as in `SplitTree`
    at: Array  # [B]
    neuron: Array  # [B]
    disjunct: Array  # [B]
    cut: Array  # [R] numbers
    rows: Array  # [R, inputs + 1]


class Trace(Recorder):
    """The listener that remembers: `tree()` tells what it heard."""

    def __init__(self) -> None:
        self.size = 0  # nodes heard of
        self._ends: list[tuple[Array, Array]] = []
        self._splits: list[_Split] = []
        self._names: Array | None = None  # [neurons left] flat indices of the network's own

    def planted(self, roots: Batch) -> None:
        """See `Recorder`."""
        self.size += len(roots)

    def ended(self, numbers: Array, evidence: Array) -> None:
        """See `Recorder`."""
        self._ends.append((numbers, evidence))

    def stuck(self, numbers: Array) -> None:
        """See `Recorder`."""
        self._ends.append((numbers, np.full(len(numbers), State.STUCK, dtype=np.int8)))

    def split(self, parents: Batch, splits: Splits, children: Batch) -> None:
        """See `Recorder`."""
        if not len(parents):
            return
        neuron = splits.neuron
        if self._names is not None:
            neuron = np.where(neuron >= 0, self._names[np.maximum(neuron, 0)], -1)
        cuts = (neuron < 0) & np.any(splits.row != 0.0, axis=1)  # with a neuron, its phase is the split
        numbers = parents.number
        self._splits.append(
            _Split(
                numbers, self.size, splits.axis, splits.at, neuron, splits.disjunct, numbers[cuts], splits.row[cuts]
            )
        )
        self.size += len(children)

    def renamed(self, kept: Array) -> None:
        """See `Recorder`."""
        self._names = kept if self._names is None else self._names[kept]

    def tree(self) -> SplitTree:
        """The tree so far; leaves that nothing was heard of are open."""
        size, first = self.size, 0
        rows = [split.rows for split in self._splits if len(split.rows)]
        tree = SplitTree(
            np.full(size, -1), np.full((size, 2), -1), np.full(size, -1), np.zeros(size), np.full(size, -1),
            np.full(size, -1), np.full(size, -1), np.concatenate(rows) if rows else np.zeros((0, 0)),
            np.full(size, State.OPEN, dtype=np.int8),
        )  # fmt: skip
        for numbers, codes in self._ends:
            tree.ended[numbers] = codes
        for split in self._splits:
            parents = split.parents
            upper = split.first_child + np.arange(len(parents))
            lower = upper + len(parents)
            tree.children[parents] = np.stack([upper, lower], axis=1)
            tree.parent[upper] = tree.parent[lower] = parents
            tree.axis[parents], tree.at[parents], tree.neuron[parents] = split.axis, split.at, split.neuron
            tree.disjunct[parents] = split.disjunct
            tree.row[split.cut] = first + np.arange(len(split.cut))
            first += len(split.cut)
            tree.ended[parents] = State.SPLIT
        return tree


@dataclass(frozen=True, eq=False)
class SplitTree:
    """The split tree of one search, node 0 its root; a child's number is larger than its parent's.

    The upper child of a node demands x_axis >= at, z_neuron >= 0 or row >= 0, the lower one <=; or it has the first
    disjuncts to refute, and the lower one the others, both on all of the node.
    """

    parent: Array  # [N] int, -1 for the root
    children: Array  # [N, 2] int: upper and lower child, -1 for a leaf
    axis: Array  # [N] int, the input that was halved at `at`; -1 for none
    at: Array  # [N]
    neuron: Array  # [N] int, flat index of the ReLU whose phase was split; -1 for none
    disjunct: Array  # [N] int, the last one that the upper child has to refute; -1 where the duty was not divided
    row: Array  # [N] int, index into `rows`; -1 for none
    rows: Array  # [R, inputs + 1] hyperplanes g'x + h = 0
    ended: Array  # [N] int8, an `Evidence` or a `State`

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
    def leaves(self) -> Array:
        """[N] int: how many leaves are below each node, itself for a leaf."""
        count = self.leaf.astype(np.int64)
        for level in self.levels[::-1]:
            inner = level[~self.leaf[level]]
            count[inner] = count[self.children[inner]].sum(axis=1)
        return count

    @cached_property
    def depth(self) -> Array:
        """[N] int: number of splits above the node."""
        depth = np.zeros(len(self), dtype=np.int64)
        for d, numbers in enumerate(self.levels):
            depth[numbers] = d
        return depth
