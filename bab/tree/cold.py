"""Open nodes that wait on the disk: what is known of them without reading them, and where they are put.

    nodes in memory * SPARE > what is left of the memory      the coldest ones go, until half of that is reached

The coldest are those at the bottom of the stack, which are taken last. SPARE leaves room for a checkpoint, whose
columns are copies of what is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np

from ...instances.batch import Batch
from ...instances.network import Array

__all__ = ["PIECE_MB", "SPARE", "Cold", "Shelf", "Source", "size_mb", "slices"]

PIECE_MB = 8.0  # of nodes in one file: what is read back at a time
SPARE = 3.0  # times the nodes' memory that is left free


class Source(Protocol):
    """Where the bytes of cold nodes are."""

    def data(self) -> bytes:
        """The bytes of a file of nodes. Raises InputError where they are missing, or not what they were."""
        ...


@dataclass(eq=False)
class Cold:
    """k open nodes of which the arrays lie on the disk."""

    name: str  # the SHA-256 of what lies there
    number: Array  # [k] int64, the nodes' numbers in their tree
    margin: float  # the least of theirs
    share: float  # of the tree
    depth: int  # the least of theirs
    source: Source | None = field(default=None, metadata={"here": True})  # no part of what is kept

    def __len__(self) -> int:
        return len(self.number)

    @staticmethod
    def of(batch: Batch, name: str, source: Source) -> Cold:
        """What is known of nodes that have been put away."""
        share = float((0.5**batch.depth).sum())
        return Cold(name, batch.number.copy(), float(batch.margin.min()), share, int(batch.depth.min()), source)


class Shelf(Protocol):
    """Who puts nodes away, and gets them back."""

    closed: str  # why nothing can be put there any more, "" as long as it can

    def put(self, batch: Batch) -> Cold | None:
        """Nodes to the disk; None where that fails, which `closed` tells from then on."""
        ...

    def get(self, cold: Cold) -> Batch:
        """The same nodes. Raises InputError where they are missing, or not what they were."""
        ...


def slices(batch: Batch) -> Iterator[Batch]:
    """The nodes in order, PIECE_MB at a time."""
    rows = max(1, int(len(batch) * PIECE_MB / max(size_mb(batch), 1e-9)))
    for first in range(0, len(batch), rows):
        yield batch[first : first + rows]


def size_mb(record: Any) -> float:
    """MB of a batch's arrays, those of its multipliers too."""
    parts = (getattr(record, f.name) for f in fields(record))
    return sum(p.nbytes / 1e6 if isinstance(p, np.ndarray) else 0.0 if p is None else size_mb(p) for p in parts)
