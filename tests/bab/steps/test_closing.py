"""Closers get the nodes that those before them have left, and what these have still to refute."""

from __future__ import annotations

import numpy as np
from random_instances import random_nodes, random_query

from hypersplit.bab.closers.regions import Check
from hypersplit.bab.steps.closing import close_by
from hypersplit.bab.tree.evidence import Evidence, State
from hypersplit.bab.tree.search import Closing
from hypersplit.instances.batch import Batch
from hypersplit.instances.judges.witness import Witness
from hypersplit.instances.network import Array


def test_each_closer_gets_what_is_left() -> None:
    """The first ends a node and refutes a disjunct of another, the second sees neither; a witness ends it all."""
    query = next(q for q in map(random_query, range(100)) if q.disjuncts > 1)
    batch = random_nodes(np.random.default_rng(0), query, 4)
    margins, seen = np.tile(np.arange(4.0)[:, None], query.rows), []

    def first(nodes: Batch, some: Array, check: Check, told: Closing) -> None:
        seen.append((some[:, 0].tolist(), nodes.duty.all(axis=1).tolist()))
        told.kinds[0], told.duty[1, 0] = Evidence.LP, False

    def second(nodes: Batch, some: Array, check: Check, told: Closing) -> None:
        seen.append((some[:, 0].tolist(), nodes.duty.all(axis=1).tolist()))
        told.witness = Witness(np.zeros(1), np.zeros(1), False)

    closing = Closing.nothing(batch)
    closing.kinds[3] = State.STUCK
    close_by([first, second, first], batch, margins, lambda points: None, closing)
    assert seen == [([0.0, 1.0, 2.0], [True] * 3), ([1.0, 2.0], [False, True])]
    assert closing.kinds.tolist() == [Evidence.LP, State.OPEN, State.OPEN, State.STUCK]
    assert closing.witness is not None and batch.duty.all()
