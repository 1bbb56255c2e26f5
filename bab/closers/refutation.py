"""A conflict search in a process of its own: it neither holds the search's lock nor outlives its time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial

from ...encodings.milp.process import FORKS, apart
from ...instances.batch import Node
from ...instances.memory import confine
from ...instances.query import Query
from .conflict_search import ConflictSearch, Refutation

__all__ = ["refute", "refute_apart"]

SHARE = 0.95  # of its time that the search may use; the rest is for its answer


def refute(
    query: Query, node: Node, disjunct: int, seconds: float, probing: str = "auto", memory_mb: float = math.inf
) -> Refutation:
    """Refute a disjunct on a node with finite bounds within so many seconds.

    probing: see `Options`; memory_mb: what the process, one of its own, may have more from here on. Raises ValueError
    for sigmoid and tanh.
    """
    if memory_mb < math.inf:
        confine(memory_mb)
    return ConflictSearch(query, node, disjunct, probing).run(time.monotonic() + seconds)


def refute_apart(
    query: Query, node: Node, disjunct: int, seconds: float, stop: Callable[[], bool] = lambda: False,
    probing: str = "auto", memory_mb: float = math.inf,
) -> Refutation:  # fmt: skip
    """See `refute`. stop() is asked some times a second; True ends the search at once, and its result is open.

    Where processes cannot be forked the search shares the memory of this one, and its ceiling.
    """
    own = memory_mb if FORKS else math.inf
    answer = apart(partial(refute, query, node, disjunct, SHARE * seconds, probing, own), seconds, stop)
    if isinstance(answer, str):
        return Refutation("open", answer)
    assert isinstance(answer, Refutation)
    return answer
