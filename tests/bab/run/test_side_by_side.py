"""Work in processes of their own: all of it is done, and what goes wrong there comes out here."""

from __future__ import annotations

import math
import os

import pytest

from hypersplit.bab.run.side_by_side import side_by_side


def test_here_and_in_order() -> None:
    """One job works here, task by task, no task before its turn."""
    begun: list[int] = []

    def work(task: int) -> int:
        begun.append(task)
        return os.getpid() + task

    found = side_by_side(work, [1, 2, 3], 1)
    assert os.getpid() + 1 == next(found) and [1] == begun
    assert [os.getpid() + 2, os.getpid() + 3] == list(found)


def test_in_two_processes() -> None:
    """Every task is done once."""
    assert [0, 1, 2, 3] == sorted(side_by_side(math.isqrt, [0, 1, 4, 9], 2))


def test_what_is_raised_there_comes_out_here() -> None:
    """An exception of a piece of work ends them all."""
    with pytest.raises(ValueError, match="isqrt"):
        list(side_by_side(math.isqrt, [4, -1, 9], 2))
