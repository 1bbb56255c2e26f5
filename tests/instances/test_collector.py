"""The collector rests while it is paused."""

from __future__ import annotations

import gc

import pytest

from hypersplit.instances.collector import paused


def test_it_goes_on_behind_the_block() -> None:
    """Also where the block raises, and in blocks inside blocks."""
    assert gc.isenabled()
    with pytest.raises(ValueError, match="here"), paused():
        with paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
        raise ValueError("here")
    assert gc.isenabled()


def test_it_stays_off_where_it_was_off() -> None:
    """Whoever turned it off finds it so."""
    gc.disable()
    try:
        with paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_an_interruption_before_the_block_leaves_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal between turning it off and the block: it is on again."""
    real = gc.disable

    def disable() -> None:
        real()
        raise InterruptedError

    monkeypatch.setattr(gc, "disable", disable)
    try:
        with pytest.raises(InterruptedError), paused():
            pass
        assert gc.isenabled()
    finally:
        gc.enable()
