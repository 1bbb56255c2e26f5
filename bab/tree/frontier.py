"""The open nodes: a stack of batches, deepest on top, so that memory grows with depth and not with the tree.

Children of one batch are stacked with the most suspicious node (lowest bound) on top. Where memory gets short the
bottom of the stack waits on the disk (`cold`), and is read back when it is taken: the order stays. Nodes that cannot be
read back are lost: nobody takes them, and by the account of the tree they are open for good.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ...instances import memory
from ...instances.batch import Batch
from ...instances.errors import InputError
from .cold import PIECE_MB, SPARE, Cold, Shelf, size_mb, slices

__all__ = ["Frontier"]

LOG = logging.getLogger(__name__)


class Frontier:
    """Open nodes of one query."""

    def __init__(self, *batches: Batch | Cold, shelf: Shelf | None = None) -> None:
        """batches: the last one on top; shelf: where nodes go when memory gets short, None for nowhere."""
        self._stack = [b for b in batches if len(b)]
        self.shelf = shelf
        self.lost, self.why = 0, ""  # nodes that could not be read back, and what was wrong with the first ones

    @staticmethod
    def of(batches: Iterable[Batch | Cold], shelf: Shelf | None = None) -> Frontier:
        """A stack of these batches, the last one on top."""
        return Frontier(*batches, shelf=shelf)

    def __len__(self) -> int:
        return sum(len(b) for b in self._stack)

    def __iter__(self) -> Iterator[Batch]:
        """All nodes from the bottom up, those on the disk read as they come. Raises InputError where they cannot be."""
        return (self._read(b) if isinstance(b, Cold) else b for b in self._stack)

    @property
    def hot(self) -> list[Batch]:
        """Nodes in memory, the topmost last."""
        return [b for b in self._stack if isinstance(b, Batch)]

    @property
    def cold(self) -> list[Cold]:
        """Nodes on the disk, the topmost last; with one worker all of them lie below those in memory."""
        return [b for b in self._stack if isinstance(b, Cold)]

    @property
    def lost_nodes(self) -> str:
        """That nodes are lost, as a reason; "" where none are."""
        return f"{self.lost} open nodes could not be read back: {self.why}" if self.lost else ""

    @property
    def margin(self) -> float:
        """Lowest proved worst margin among the open nodes; +inf when there is none."""
        return min((b.margin if isinstance(b, Cold) else float(b.margin.min()) for b in self._stack), default=np.inf)

    @property
    def closed_share(self) -> float:
        """Share of the tree that is not open: a node at depth d is 2^-d of it. Lost nodes are not counted."""
        return 1.0 - sum(b.share if isinstance(b, Cold) else float((0.5**b.depth).sum()) for b in self._stack)

    def push(self, batch: Batch) -> None:
        """Stack a batch, lowest margins on top."""
        if len(batch):
            self._stack.append(batch[np.argsort(-batch.margin, kind="stable")])

    def pop(self, count: int) -> Batch:
        """Take up to `count` nodes off the top. Raises IndexError when empty."""
        self.warm(count)
        if not self._stack:
            raise IndexError("no open nodes")
        first = len(self._stack) - 1
        while first and sum(len(b) for b in self._stack[first:]) < count:
            first -= 1
        rest, taken = self._stack[:first], [b for b in self._stack[first:] if isinstance(b, Batch)]
        batch = Batch.concatenate(taken) if len(taken) > 1 else taken[0]
        if len(batch) > count:
            # a copy: a view would keep the memory of the nodes that leave
            rest.append(batch[np.arange(len(batch) - count)])
            batch = batch[len(batch) - count :]
        self._stack = rest  # last: what fails before has changed nothing
        return batch

    def warm(self, count: int) -> None:
        """Read back what the top `count` nodes are; what cannot be read is lost, and those below it take its place."""
        i, there = len(self._stack), 0
        while i and there < count:
            i -= 1
            there += self._warm(i)

    def _warm(self, i: int) -> int:
        """Read one entry of the stack back, or lose it; returns how many nodes it is then."""
        entry = self._stack[i]
        if isinstance(entry, Cold):
            try:
                self._stack[i] = self._read(entry)
            except InputError as error:
                self._lose(entry, error)
                del self._stack[i]
                return 0
        return len(entry)

    def _lose(self, entry: Batch | Cold, error: InputError) -> None:
        LOG.warning("%d open nodes are lost: %s", len(entry), error)
        self.lost, self.why = self.lost + len(entry), self.why or str(error)

    def _read(self, entry: Cold) -> Batch:
        if self.shelf is None:
            raise InputError("nobody knows where they are")
        return self.shelf.get(entry)

    def pop_largest(self, count: int) -> Batch:
        """Take up to `count` nodes with the largest shares of the tree. Raises IndexError when there is none."""
        wanted = count
        for entry in sorted(self._stack, key=_least_depth):
            if wanted <= 0:
                break
            wanted -= self._warm(next(i for i, other in enumerate(self._stack) if other is entry))
        stack, taken = list(self._stack), []
        for i in sorted(range(len(stack)), key=lambda i: _least_depth(stack[i])):
            batch = stack[i]
            if count <= 0 or isinstance(batch, Cold):
                break
            order = np.argsort(batch.depth, kind="stable")
            taken.append(batch[order[:count]])
            stack[i] = batch[np.sort(order[count:])]
            count -= len(taken[-1])
        if not taken:
            raise IndexError("no open nodes")
        batch = Batch.concatenate(taken)
        self._stack = [b for b in stack if len(b)]
        return batch

    def changed(self, change: Callable[[Batch], Batch]) -> Frontier:
        """The same stack with every batch changed, one after another; those on the disk go back there."""
        stack: list[Batch | Cold] = []
        fresh = Frontier(shelf=self.shelf)
        fresh.lost, fresh.why = self.lost, self.why
        for entry in self._stack:
            try:
                batch = self._read(entry) if isinstance(entry, Cold) else entry
            except InputError as error:
                fresh._lose(entry, error)
                continue
            batch = change(batch)
            stack += (self._put(batch) if isinstance(entry, Cold) else None) or [batch]
        fresh._stack = [b for b in stack if len(b)]
        return fresh

    def cool(self) -> None:
        """Put the coldest nodes away where those in memory leave too little of it; without a shelf nothing is done."""
        if self.shelf is None or self.shelf.closed or memory.room_mb() >= SPARE * memory.resident_mb():
            return
        here = sum(map(size_mb, self.hot))
        if here <= PIECE_MB or SPARE * here <= memory.room_mb():
            return
        memory.trim()  # what was freed may be there still
        if SPARE * here > (room := memory.room_mb()):
            self._cool(here, 0.5 * (here + room) / (1.0 + SPARE))
            memory.trim()

    def _cool(self, here: float, most: float) -> None:
        """From the bottom up, until `most` MB of `here` are left in memory."""
        i = 0
        while here > most and i < len(self._stack):
            group: list[Batch] = []
            mb = 0.0
            for entry in self._stack[i:]:
                if isinstance(entry, Cold) or (group and mb + size_mb(entry) > PIECE_MB):
                    break
                group.append(entry)
                mb += size_mb(entry)
            if not group:
                i += 1
                continue
            away = self._put(Batch.concatenate(group))
            if away is None:
                return
            self._stack = [*self._stack[:i], *away, *self._stack[i + len(group) :]]
            i, here = i + len(away), here - mb

    def _put(self, batch: Batch) -> list[Cold] | None:
        """Nodes on the disk; None where that fails."""
        away: list[Cold] = []
        for piece in slices(batch):
            cold = self.shelf.put(piece) if self.shelf else None
            if cold is None:
                return None
            away.append(cold)
        return away


def _least_depth(entry: Batch | Cold) -> int:
    return entry.depth if isinstance(entry, Cold) else int(entry.depth.min())
