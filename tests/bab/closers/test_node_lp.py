"""LPs of phase nodes: what they prove empty is empty, and when they are tried."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import oracle
import pytest

from hypersplit.bab.closers.node_lp import NodeLP
from hypersplit.bab.tree.evidence import Evidence, State
from hypersplit.bab.tree.search import Closing
from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.programs.lp import TriangleLP
from hypersplit.heuristics.efforts import NodeLPEffort
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries


def four_rows(seed: int) -> Query:
    """A random network whose outputs must not all be far below zero."""
    network = random_network([6, 12, 12, 2], seed)
    region = InputSet.box(np.full(6, -1.0), np.full(6, 1.0))
    forbidden = tuple(Polyhedron(row[None], np.full(1, -4.0)) for row in np.eye(2))
    return queries(network, Property((Case(region, forbidden),), 6, 2))[0]


def bounded(query: Query, batch: Batch) -> Batch:
    """The batch with plain bounds, at a depth at which LPs are tried."""
    bounds = bound(query, batch, LinearBoundOptions(kernel="plain"))
    batch.pre_lower, batch.pre_upper = bounds.pre_lower, bounds.pre_upper
    batch.depth[:] = 4
    return batch


def told(lp: NodeLP, batch: Batch, margins: np.ndarray) -> int:
    """What becomes of the only node; nothing is found."""
    closing = Closing.nothing(batch)
    lp.close(batch, margins, lambda points: None, closing)
    assert closing.witness is None
    return int(closing.kinds[0])


def test_a_node_without_inputs_is_proved_empty() -> None:
    """Phases that contradict each other: the LP's multipliers prove it, for all disjuncts at once."""
    query = four_rows(1)
    batch = bounded(query, root(query))
    first = np.flatnonzero((batch.pre_lower[0] < 0) & (batch.pre_upper[0] > 0))
    weights = query.network.layers[0].weights[0]
    # more phases than inputs: some pattern of them is met by no input
    rng = np.random.default_rng(0)
    chosen = [i for i in first if i < len(weights)][:10]
    lp, empty = NodeLP(query, time.monotonic() + 60.0, np.random.default_rng(0)), 0
    for _ in range(12):
        node = batch[np.zeros(1, dtype=int)]
        sides = rng.choice([-1, 1], size=len(chosen))
        node.phases[0, chosen] = sides
        node.pre_lower[0, chosen] = np.where(sides > 0, 0.0, node.pre_lower[0, chosen])
        node.pre_upper[0, chosen] = np.where(sides < 0, 0.0, node.pre_upper[0, chosen])
        lp.solved = lp.closed = 0
        lp.seconds = 0.0
        lp.started -= 100.0
        kind = told(lp, node, np.full((1, query.rows), -1.0))
        region = InputSet(node.lower[0], node.upper[0], np.zeros((0, 6)), np.zeros(0))
        inhabited = any(oracle.leaves(query.network, region, node.phases[0]))
        assert not (kind == Evidence.LP and inhabited)
        empty += kind == Evidence.LP
    assert empty


def test_shallow_nodes_and_late_ones_get_no_lp() -> None:
    """Only every few levels, and never after the deadline."""
    query = four_rows(2)
    batch = bounded(query, root(query))
    margins = np.full((1, query.rows), -1.0)
    late = NodeLP(query, time.monotonic() - 1.0, np.random.default_rng(0))
    assert told(late, batch, margins) == State.OPEN
    batch.depth[:] = 3
    odd = NodeLP(query, time.monotonic() + 60.0, np.random.default_rng(0))
    assert told(odd, batch, margins) == State.OPEN
    assert (late.solved, odd.solved) == (0, 0)


def test_an_lp_that_has_not_paid_yet_takes_what_is_left_of_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """At first a moment, later a share of the time, and as much as it wants where LPs close nodes."""
    query = four_rows(1)
    batch = bounded(query, root(query))
    given: list[float] = []

    def minimise(lp: TriangleLP, disjunct: int, seconds: float) -> Any:
        given.append(seconds)
        return solve(lp, disjunct, seconds)

    solve = TriangleLP.minimise
    monkeypatch.setattr(TriangleLP, "minimise", minimise)
    effort = NodeLPEffort()
    for elapsed, closed, expected in (
        (0.0, 0, effort.least), (20.0, 0, 20.0 * effort.share), (20.0, 1, effort.seconds)
    ):  # fmt: skip
        lp = NodeLP(query, time.monotonic() + 60.0, np.random.default_rng(0), effort)
        lp.started, lp.closed, lp.solved = lp.started - elapsed, closed, closed
        told(lp, batch, np.full((1, query.rows), -1.0))
        assert given.pop() == pytest.approx(expected, rel=0.05)
        assert not given
