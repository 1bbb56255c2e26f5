"""What the process has in memory, and the ceiling that steps look at before they allocate."""

from __future__ import annotations

import io
import math
import os
import resource
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hypersplit.instances import memory
from hypersplit.instances.memory import ceiling, claim, peak_mb, resident_mb, room_mb


def test_memory_is_the_resident_part_of_statm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second number of /proc/self/statm, in pages, becomes MB of 10^6 bytes."""
    asked: list[str] = []

    def statm(path: str, *_: Any) -> io.StringIO:
        asked.append(path)
        return io.StringIO("90000 5000 700 1 0 300 0\n")

    monkeypatch.setattr(memory, "open", statm, raising=False)
    assert resident_mb() == pytest.approx(5000 * os.sysconf("SC_PAGE_SIZE") / 1e6)
    assert asked == ["/proc/self/statm"]


@pytest.mark.parametrize(("platform", "peak"), [("linux", 244_140.625), ("darwin", 250_000_000)])
def test_without_statm_the_peak_is_taken(monkeypatch: pytest.MonkeyPatch, platform: str, peak: float) -> None:
    """Kilobytes on Linux and bytes on macOS mean the same MB."""

    def nowhere(*_: Any) -> io.StringIO:
        raise FileNotFoundError("/proc/self/statm")

    monkeypatch.setattr(memory, "open", nowhere, raising=False)
    monkeypatch.setattr(resource, "getrusage", lambda _: SimpleNamespace(ru_maxrss=peak))
    monkeypatch.setattr(sys, "platform", platform)
    assert resident_mb() == pytest.approx(250.0) and peak_mb() == pytest.approx(250.0)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="the current value is read from /proc/self/statm")
def test_an_array_that_is_filled_shows_up_in_memory() -> None:
    """64 MB that are written to are resident, and gone again once freed."""
    before = resident_mb()
    filled = np.ones(8_000_000)
    held = resident_mb()
    assert 50.0 < held - before < 100.0 and filled[-1] == 1.0
    del filled
    assert resident_mb() < held - 50.0


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the peak is read from /proc/self/status")
def test_the_peak_stays_when_memory_is_given_back() -> None:
    """An array that was filled and freed still counts in the peak, not in the present memory."""
    filled = np.ones(8_000_000)
    held = resident_mb()
    del filled
    assert peak_mb() > held - 1.0 and resident_mb() < held - 50.0


def test_a_claim_fails_before_anything_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a ceiling, claims up to what is left pass and larger ones raise; without one all pass."""
    monkeypatch.setattr(memory, "resident_mb", lambda: 60.0)
    claim(1e9)
    with ceiling(100.0):
        assert room_mb() == pytest.approx(40.0)
        claim(40.0)
        with pytest.raises(MemoryError, match="41 MB, 40 MB are left"):
            claim(41.0)
        with ceiling(50.0):
            assert room_mb() == 0.0
            claim(0.5)  # too little to look at
            with pytest.raises(MemoryError):
                claim(2.0)
        claim(40.0)
    assert room_mb() == math.inf
