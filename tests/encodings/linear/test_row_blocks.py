"""Blocks of rows: their sizes, and the clock and the memory that they look at."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from hypersplit.encodings.linear import row_blocks
from hypersplit.encodings.linear.row_blocks import (
    BLOCK,
    COPIES,
    KEPT,
    PACE,
    SPARSE,
    blocks_in_time,
    time_kept_for,
    walk_work,
)
from hypersplit.instances import memory
from hypersplit.instances.network import Layer

ROWS = np.arange(100, 110)
FLOATS = 1000


class Clock:
    """A clock that goes on by one second with every look."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        patch.setattr(row_blocks, "time", SimpleNamespace(monotonic=self.look))

    def look(self) -> float:
        """The time."""
        self.now += 1.0
        return self.now


def test_blocks_are_all_rows_in_order_by_work() -> None:
    """Without limits nothing is left out; a block is of about BLOCK products, of `most` rows at most."""
    for most, work, size in ((3, 1.0, 3), (100, BLOCK / 4.5, 4), (100, 10 * BLOCK, 1), (0, 1.0, 1)):
        blocks = list(blocks_in_time(ROWS, most, work, FLOATS, math.inf))
        assert np.array_equal(np.concatenate(blocks), ROWS)
        assert [len(b) for b in blocks[:-1]] == [size] * (len(blocks) - 1)


def test_no_block_begins_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline in the past leaves every row; one that comes between two blocks, those behind it."""
    Clock(monkeypatch)
    assert list(blocks_in_time(ROWS, 2, 1.0, FLOATS, 0.0)) == []
    # blocks from 2 to 3 and from 4 to 5; the next one could begin at 6 but is expected to end at 7
    Clock(monkeypatch).look()
    assert len(list(blocks_in_time(ROWS, 2, 1.0, FLOATS, 6.5))) == 2


def test_the_clock_changes_no_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as they come, blocks in time are those without limit: equal runs find equal bounds."""
    Clock(monkeypatch)
    free = list(blocks_in_time(ROWS, 3, 1.0, FLOATS, math.inf))
    for some, same in zip(blocks_in_time(ROWS, 3, 1.0, FLOATS, 8.0), free, strict=False):
        assert np.array_equal(some, same)


def test_little_memory_makes_blocks_smaller_and_none_where_no_row_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The foreseen figure decides, before anything is allocated."""
    floats = 10**6
    row_mb = COPIES * 8e-6 * floats
    monkeypatch.setattr(memory, "resident_mb", lambda: 500.0)
    with memory.ceiling(500.0 + 2.5 * row_mb):
        assert [len(b) for b in blocks_in_time(ROWS, 10, 1.0, floats, math.inf)] == [2] * 5
    with memory.ceiling(500.0 + 0.9 * row_mb), pytest.raises(MemoryError):
        next(blocks_in_time(ROWS, 10, 1.0, floats, math.inf))


def test_work_counts_stored_entries() -> None:
    """A dense product is one, a sparse one SPARSE, and every neuron one more."""
    dense = Layer((0,), (np.ones((4, 3)),), np.zeros(4), "relu")
    sparse = Layer((1,), (sp.csr_array(np.eye(4)),), np.zeros(4), "relu")
    assert walk_work([]) == 0.0
    assert walk_work([dense, sparse]) == 12 + 4 + 4 * SPARSE + 4


def test_time_is_kept_for_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much as the work is foreseen to take, a share of what is left at most; nothing of no time or endless time."""
    monkeypatch.setattr(row_blocks, "time", SimpleNamespace(monotonic=lambda: 100.0))
    assert time_kept_for(1.0 / PACE, 200.0) == pytest.approx(199.0)
    assert time_kept_for(1e9 / PACE, 200.0) == pytest.approx(200.0 - 100.0 * KEPT)
    assert time_kept_for(1.0 / PACE, 50.0) == 50.0 and time_kept_for(1.0 / PACE, math.inf) == math.inf
