"""When a search that learns from its conflicts begins again at its root, with all that it has learnt.

What it decided first was chosen when it knew least, and below a bad decision it may stay for long. So it goes back to
the root after UNIT times 1, 1, 2, 1, 1, 2, 4, 1, ... conflicts: within a factor of log t of the best schedule of
restarts for unknown run times t (Luby, Sinclair and Zuckerman 1993).
"""

from __future__ import annotations

__all__ = ["Restarts", "luby"]

UNIT = 16  # conflicts


class Restarts:
    """Counts conflicts."""

    def __init__(self) -> None:
        self.count, self.left = 0, UNIT

    def due(self) -> bool:
        """Whether the search should restart after one conflict more."""
        self.left -= 1
        if self.left > 0:
            return False
        self.count += 1
        self.left = UNIT * luby(self.count + 1)
        return True


def luby(i: int) -> int:
    """The i-th number of the schedule, i >= 1.

    >>> [luby(i) for i in range(1, 16)]
    [1, 1, 2, 1, 1, 2, 4, 1, 1, 2, 1, 1, 2, 4, 8]
    """
    while True:
        bits = i.bit_length()
        if i == (1 << bits) - 1:
            return 1 << (bits - 1)
        i -= (1 << (bits - 1)) - 1
