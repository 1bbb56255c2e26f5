"""The crew: every exception reaches the caller, and nothing is given once it has been left."""

from __future__ import annotations

import threading

import pytest

from hypersplit.bab.run.limits import LimitReached
from hypersplit.bab.tree.crew import run_crew


class Numbers:
    """Hands out 0 .. count - 1; helpers and the calling thread can be made to fail at giving or doing."""

    def __init__(self, count: int) -> None:
        self.left, self.given, self.back = list(range(count))[::-1], [], []  # type: ignore[var-annotated]
        self.failing: dict[str, BaseException] = {}  # "do" or "give", of helpers
        self.started, self.free = threading.Event(), threading.Event()

    def over(self) -> bool:
        """Never."""
        return False

    def take(self) -> int | None:
        """The next number."""
        return self.left.pop() if self.left else None

    def do(self, work: int) -> int:
        """Its square; the calling thread waits until a helper has begun."""
        if threading.current_thread() is threading.main_thread():
            self.started.wait(10.0)
        else:
            self.started.set()
            if "do" in self.failing:
                raise self.failing["do"]
        return work * work

    def give(self, work: int, found: int) -> None:
        """Note it."""
        if threading.current_thread() is not threading.main_thread() and "give" in self.failing:
            raise self.failing["give"]
        self.given.append((work, found))

    def put_back(self, work: int) -> None:
        """Note it."""
        self.back.append(work)


def test_all_work_is_done_once() -> None:
    """By three threads; each piece is given back with what came of it."""
    numbers = Numbers(200)
    run_crew(numbers, 3)
    assert sorted(numbers.given) == [(k, k * k) for k in range(200)] and not numbers.back


@pytest.mark.parametrize("place", ["do", "give"])
def test_an_exception_of_a_helper_reaches_the_caller(place: str) -> None:
    """While it works, or while it gives back; work that failed is put back."""
    numbers = Numbers(50)
    numbers.failing[place] = ValueError("lost")
    with pytest.raises(ValueError, match="lost"):
        run_crew(numbers, 2)
    assert len(numbers.back) == (place == "do")


def test_after_an_interruption_nothing_is_given() -> None:
    """The calling thread leaves while a helper works: what the helper finds later is dropped."""
    numbers = Numbers(2)
    done = threading.Event()

    def do(work: int) -> int:
        if threading.current_thread() is threading.main_thread():
            numbers.started.wait(10.0)
            raise LimitReached("time")
        numbers.started.set()
        numbers.free.wait(10.0)
        done.set()
        return work

    numbers.do = do  # type: ignore[method-assign]
    with pytest.raises(LimitReached):
        run_crew(numbers, 2)
    numbers.free.set()
    assert done.wait(10.0)
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(1.0)
    assert numbers.given == []
