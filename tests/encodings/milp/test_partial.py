"""Partial MILPs: which ReLUs get a binary."""

from __future__ import annotations

import numpy as np
from milp_problems import MEMORY, SECONDS, wide_query

from hypersplit.encodings.milp.close import MilpOptions, close
from hypersplit.encodings.milp.partial import important, triangle_scores
from hypersplit.instances.batch import Node
from hypersplit.instances.query import Query


def small(seed: int = 0) -> tuple[Query, Node]:
    """A network with two hidden layers that SCIP needs some nodes for, its threshold a little below what is sampled."""
    return wide_query(seed, inputs=6, width=12)


def test_importance_chooses_and_masks_choose() -> None:
    """The most important ReLUs win more than the least important ones, given as a mask."""
    query, node = small(2)
    scores = triangle_scores(query, node, [0])
    best = important(query, node, [0], 8)
    open_ = np.flatnonzero(scores > 0.0)
    worst = np.zeros(query.neurons, dtype=bool)
    worst[open_[np.argsort(scores[open_])[:8]]] = True
    high, low = (close(query, node, 0, SECONDS, MEMORY, MilpOptions(binaries=m, cutoff=1e6, accept=lambda p: False))
                 for m in (best, worst))  # fmt: skip

    assert best.sum() == 8 and scores[best].min() >= np.sort(scores)[-8]
    assert high.binaries == low.binaries == 8
    assert high.root_bound > low.root_bound
