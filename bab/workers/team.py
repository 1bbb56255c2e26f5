"""A team: whoever takes errands, wherever they are. `processes.py` and `cluster.py` are two kinds of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Event", "Team", "TeamError"]


class TeamError(Exception):
    """Nobody of the team can be reached, and nobody will be; says why."""


@dataclass(frozen=True, eq=False)
class Event:
    """Something that was heard of an errand. A report or a failure is the last of it."""

    key: int
    report: bytes | None = None
    failure: str = ""  # why there is no report
    share: float | None = None  # of the tree, that is open below the errand's nodes at present


class Team(Protocol):
    """Errands by their keys, which are used once."""

    name: str  # in words
    essential: bool  # whether the run ends where nobody can be reached any more; else it goes on by itself

    def size(self) -> int:
        """How many errands can be at work at a time, by now."""
        ...

    def free(self) -> int:
        """How many more can be taken at once."""
        ...

    def send(self, key: int, frame: bytes, errand: bytes) -> None:
        """Give an errand to somebody who is free. Raises TeamError."""
        ...

    def ask(self, key: int) -> None:
        """Let an errand come back soon, with what is left of it."""
        ...

    def wait(self, seconds: float) -> list[Event]:
        """What was heard, at the latest after so many seconds. Raises TeamError."""
        ...

    def drop(self) -> None:
        """Nobody wants the errands that are at work; they end soon, and are not heard of any more."""
        ...

    def close(self) -> None:
        """Send everybody home, whatever they do."""
        ...
