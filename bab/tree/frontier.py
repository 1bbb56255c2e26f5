"""The open nodes: a stack of batches, deepest on top, so that memory grows with depth and not with the tree.

Children of one batch are stacked with the most suspicious node (lowest bound) on top.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ...instances.batch import Batch

__all__ = ["Frontier"]


class Frontier:
    """Open nodes of one query."""

    def __init__(self, *batches: Batch) -> None:
        """batches: the last one on top."""
        self._stack = [b for b in batches if len(b)]

    @staticmethod
    def of(batches: Iterable[Batch]) -> Frontier:
        """A stack of these batches, the last one on top."""
        return Frontier(*batches)

    def __len__(self) -> int:
        return sum(len(b) for b in self._stack)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._stack)

    @property
    def margin(self) -> float:
        """Lowest proved worst margin among the open nodes; +inf when there is none."""
        return min((float(b.margin.min()) for b in self._stack), default=np.inf)

    @property
    def closed_share(self) -> float:
        """Share of the tree that is not open: a node at depth d is 2^-d of it."""
        return 1.0 - sum(float((0.5**b.depth).sum()) for b in self._stack)

    def push(self, batch: Batch) -> None:
        """Stack a batch, lowest margins on top."""
        if len(batch):
            self._stack.append(batch[np.argsort(-batch.margin, kind="stable")])

    def pop(self, count: int) -> Batch:
        """Take up to `count` nodes off the top. Raises IndexError when empty."""
        if not self._stack:
            raise IndexError("no open nodes")
        first = len(self._stack) - 1
        while first and sum(len(b) for b in self._stack[first:]) < count:
            first -= 1
        rest, taken = self._stack[:first], self._stack[first:]
        batch = Batch.concatenate(taken) if len(taken) > 1 else taken[0]
        if len(batch) > count:
            # a copy: a view would keep the memory of the nodes that leave
            rest.append(batch[np.arange(len(batch) - count)])
            batch = batch[len(batch) - count :]
        self._stack = rest  # last: what fails before has changed nothing
        return batch

    def pop_largest(self, count: int) -> Batch:
        """Take up to `count` nodes with the largest shares of the tree. Raises IndexError when empty."""
        if not self._stack:
            raise IndexError("no open nodes")
        stack, taken = list(self._stack), []
        for i in sorted(range(len(stack)), key=lambda i: int(self._stack[i].depth.min())):
            if count <= 0:
                break
            order = np.argsort(stack[i].depth, kind="stable")
            taken.append(stack[i][order[:count]])
            stack[i] = stack[i][np.sort(order[count:])]
            count -= len(taken[-1])
        batch = Batch.concatenate(taken)
        self._stack = [b for b in stack if len(b)]
        return batch
