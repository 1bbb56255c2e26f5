"""The tree of a question is one: whoever searches it, in whatever order and however often it is stopped."""

from __future__ import annotations

import pytest
from same_leaves import WAYS, differences
from worker_teams import steady


@pytest.mark.parametrize("seed", [6, 7, 1149])
def test_the_same_leaves_end_in_every_way(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads, a team, parts and stops at random numbers of nodes: the same leaves by the same evidence."""
    steady(monkeypatch)
    seen: list[str] = []
    assert differences(seed, told=seen.append) == []
    assert seen == [*WAYS]
