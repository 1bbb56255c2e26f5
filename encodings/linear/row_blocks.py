"""Rows in blocks of about the same work, as long as the clock allows: what makes a walk back divisible.

A walk of one row through the layers takes work
    sum over the layers walked of  dense products + SPARSE * (nonzeros of sparse weights),
times the nodes of the batch. A block takes about BLOCK of it, a tenth of a second. Its size depends on the network
alone, never on the clock, so that equal runs find equal bounds; the clock only says whether the next block begins: not
after the deadline, and not where the block before, of the same rows' kind, took longer than what is left. Its arrays
fit the memory that is left, at the price of smaller blocks; where a single row does not, `memory.claim` raises.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from ...instances import memory
from ...instances.network import Array, Layer

__all__ = ["blocks_in_time", "time_kept_for", "walk_work"]

BLOCK = 1e9  # products of a block
SPARSE = 8.0  # a sparse product in dense ones
PACE = 2e-10  # seconds of a product, as foreseen
KEPT = 0.1  # share of the time left that is kept for later work at most
COPIES = 6  # arrays of a block's coefficients that a walk holds at a time


def walk_work(layers: Sequence[Layer]) -> float:
    """Work of one row of one node walked back through these layers."""
    parts = [w.size if isinstance(w, np.ndarray) else SPARSE * w.nnz for layer in layers for w in layer.weights]
    return float(sum(parts)) + sum(layer.size for layer in layers)


def time_kept_for(work: float, deadline: float) -> float:
    """An earlier deadline, such that so much work may follow it."""
    return deadline - min(PACE * work, KEPT * max(0.0, deadline - time.monotonic()))


def blocks_in_time(rows: Array, most: int, work: float, floats: int, deadline: float) -> Iterator[Array]:
    """The rows in blocks of at most `most`, until the deadline (time.monotonic()).

    work: of one row, see `walk_work`; floats: float64s of one row's coefficients. Raises MemoryError.
    """
    row_mb, begin, took = COPIES * 8e-6 * floats, 0, 0.0
    while begin < len(rows):
        began = time.monotonic()
        if began + took > deadline:
            return
        size = max(1, min(most, int(BLOCK / max(work, 1.0)), len(rows) - begin))
        if row_mb * size >= memory.SMALL and row_mb * size > (room := memory.room_mb()):
            size = max(1, int(room / row_mb))
            memory.claim(row_mb * size)
        yield rows[begin : begin + size]
        begin, took = begin + size, time.monotonic() - began
