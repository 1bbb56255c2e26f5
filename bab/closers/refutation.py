"""A conflict search in a process of its own: it neither holds the search's lock nor outlives its time."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from ...encodings.milp.process import apart
from ...instances.batch import Node
from ...instances.query import Query
from .conflict_search import ConflictSearch, Refutation

__all__ = ["refute", "refute_apart"]

SHARE = 0.95  # of its time that the search may use; the rest is for its answer


def refute(query: Query, node: Node, disjunct: int, seconds: float) -> Refutation:
    """Refute a disjunct on a node with finite bounds within so many seconds.

    Raises ValueError for sigmoid and tanh.
    """
    return ConflictSearch(query, node, disjunct).run(time.monotonic() + seconds)


def refute_apart(
    query: Query, node: Node, disjunct: int, seconds: float, stop: Callable[[], bool] = lambda: False
) -> Refutation:
    """See `refute`. stop() is asked some times a second; True ends the search at once, and its result is open."""
    answer = apart(partial(refute, query, node, disjunct, SHARE * seconds), seconds, stop)
    if isinstance(answer, str):
        return Refutation("open", answer)
    assert isinstance(answer, Refutation)
    return answer
