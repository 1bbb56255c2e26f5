"""The policy's numbers, changed for a test."""

from __future__ import annotations

from typing import Any

import pytest

from hypersplit.heuristics import policy

__all__ = ["change_efforts"]


def change_efforts(monkeypatch: pytest.MonkeyPatch, step: str, **changes: Any) -> None:
    """Of one stage or step, by its name in `Efforts`, for every query that begins from now on."""
    changed = getattr(policy.EFFORTS, step)._replace(**changes)
    monkeypatch.setattr(policy, "EFFORTS", policy.EFFORTS._replace(**{step: changed}))
