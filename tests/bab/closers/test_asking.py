"""Asking SCIP and the conflict search about a node's disjuncts: in their order, and within the run's time."""

from __future__ import annotations

import time
from typing import Any

import pytest
from milp_problems import bounded
from random_instances import random_query

from hypersplit.bab.closers import asking
from hypersplit.bab.closers.asking import Asking
from hypersplit.bab.closers.conflict_search import Refutation
from hypersplit.bab.closers.exact_step import ExactStep
from hypersplit.bab.run.options import Options
from hypersplit.encodings.milp.close import MilpResult
from hypersplit.instances.batch import root

LEFT = 30.0  # seconds of the run


def test_proofs_end_with_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each disjunct has a conflict search of its own; none of them may go on beyond the deadline."""
    query = next(q for q in map(random_query, range(50)) if q.disjuncts > 1 and bounded(q, root(q).node(0)))
    node, given = bounded(query, root(query).node(0)), []

    def refuted(*asked: Any, **_: Any) -> Refutation:
        given.append(asked[3])
        return Refutation("refuted")

    answer = MilpResult("refuted", 1.0, [], 1, 0.1)
    monkeypatch.setattr("hypersplit.encodings.milp.process.close_apart", lambda *_, **__: answer)
    monkeypatch.setattr(asking, "refute_apart", refuted)
    assert node is not None
    duties = list(range(query.disjuncts))
    for left, most in ((LEFT, LEFT), (-1.0, 0.0)):
        given.clear()
        asks = Asking(query, Options(jobs=1), ExactStep(), time.monotonic() + left)
        found = asks(node, duties, lambda points: None, 5.0, 10.0 * LEFT)
        assert found.refuted == duties and not found.left
        assert len(given) == len(duties) and all(seconds <= most for seconds in given)
