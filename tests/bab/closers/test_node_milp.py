"""SCIP beside the phase search: what it closes, what it leaves, when it is asked."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import oracle
import pytest
from changed_efforts import change_efforts
from random_instances import random_instance

import hypersplit
from hypersplit.bab.closers import asking
from hypersplit.bab.closers.conflict_search import Refutation
from hypersplit.bab.closers.exact_step import ExactStep
from hypersplit.bab.closers.node_milp import NodeMilp
from hypersplit.bab.run.options import Options
from hypersplit.bab.tree.evidence import Evidence, State
from hypersplit.bab.tree.search import Closing
from hypersplit.bab.tree.tree import Tree
from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.milp.close import MilpResult
from hypersplit.heuristics import policy
from hypersplit.heuristics.efforts import AscentEffort, NodeMilpEffort
from hypersplit.heuristics.policy import Facts, Stage
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.judges.witness import Witness
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries


def problem(thresholds: np.ndarray) -> tuple[Query, Batch, np.ndarray]:
    """Two outputs, each forbidden at its threshold or below; the root with plain bounds, and its margins."""
    network = random_network([4, 8, 8, 2], 1)
    region = InputSet.box(np.full(4, -1.0), np.full(4, 1.0))
    forbidden = tuple(Polyhedron(row[None], np.array([t])) for row, t in zip(np.eye(2), thresholds, strict=True))
    query = queries(network, Property((Case(region, forbidden),), 4, 2))[0]
    batch = root(query)
    bounds = bound(query, batch, LinearBoundOptions(kernel="plain"))
    batch.pre_lower, batch.pre_upper = bounds.pre_lower, bounds.pre_upper
    return query, batch, bounds.margins


def open_root() -> tuple[Query, Batch, np.ndarray]:
    """Both disjuncts hold, and plain bounds leave both open."""
    query, _, floor = problem(np.zeros(2))
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (20000, 4))
    met = np.asarray(query.network.evaluate(points).min(axis=0))
    query, batch, margins = problem(0.5 * met + 0.5 * floor[0])
    assert (margins < 0.0).all()
    return query, batch, margins


def asker(query: Query, batch: Batch, trust: bool = False) -> NodeMilp:
    """One that is asked at once, with slices that a loaded machine does not use up."""
    effort = NodeMilpEffort(first_slice=20.0, after=-1.0, trials=1e9, most=1e9)
    return NodeMilp(query, Options(jobs=1, trust_scip=trust), time.monotonic() + 60.0, Tree(batch), ExactStep(), effort)


def told(asks: NodeMilp, batch: Batch, margins: np.ndarray) -> int:
    """What becomes of the only node; nothing is found."""
    closing = Closing.nothing(batch)
    asks.close(batch, margins, lambda points: None, closing)
    assert closing.witness is None
    return int(closing.kinds[0])


@pytest.mark.parametrize("trust", [False, True])
def test_scip_refutes_all_duties_of_a_node(trust: bool) -> None:
    """The node is closed and its duties are done; it rests on SCIP's word only where that is trusted."""
    query, batch, margins = open_root()
    asks = asker(query, batch, trust)
    assert told(asks, batch, margins) == (Evidence.SCIP if trust else Evidence.CONFLICTS)
    assert trust or asks.counts


def test_a_slow_scip_only_shows_what_it_can() -> None:
    """Where the tree is faster a node that only SCIP refutes stays with the tree, whose bounds are rigorous."""
    query, batch, margins = open_root()
    asks = asker(query, batch, trust=True)
    asks.tree.take(1)  # the tree has closed everything else
    asks.started -= 0.01
    asks.seconds = 100.0
    assert told(asks, batch, margins) == State.OPEN
    assert asks.share == 1.0


def test_parts_of_a_tree_searched_one_after_another_add_up() -> None:
    """What the search has closed is what it closed of these parts, not what lies outside them."""
    query, batch, _ = open_root()
    one, two = asker(query, replace(batch, depth=np.array([2]))), asker(query, replace(batch, depth=np.array([3])))
    one.go_on(None)
    assert one.closed == 0.0
    one.tree.open.pop(1)
    one.share, one.slice = 0.5, 3.0
    two.go_on(one)
    assert two.closed == 0.25 and (two.share, two.slice, two.started) == (0.5, 3.0, one.started)
    two.tree.open.pop(1)
    assert two.closed == 0.375


def test_what_is_not_proved_again_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SCIP that refutes everything closes nothing where the conflict search proves nothing."""
    query, batch, margins = open_root()
    asks = asker(query, batch)
    lie = MilpResult("refuted", np.inf, [], 1, 0.1, "")
    monkeypatch.setattr("hypersplit.encodings.milp.process.close_apart", lambda *_, **__: lie)
    monkeypatch.setattr(asking, "refute_apart", lambda *_, **__: Refutation("open", "time"))
    assert told(asks, batch, margins) == State.OPEN


@pytest.mark.parametrize("replays", [True, False])
def test_an_exact_counterexample_ends_the_node(replays: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the conflict search finds in exact arithmetic is a witness, or forbids `unsat`."""
    query, batch, margins = open_root()
    asks = asker(query, batch)
    monkeypatch.setattr(
        "hypersplit.encodings.milp.process.close_apart", lambda *_, **__: MilpResult("refuted", 1.0, [], 1, 0.1, "")
    )
    point = (Fraction(1, 3),) * 4
    monkeypatch.setattr(asking, "refute_apart", lambda *_, **__: Refutation("point", exact=point))
    found = Witness(np.zeros(4), np.zeros(2), False)
    closing = Closing.nothing(batch)
    asks.close(batch, margins, lambda points: found if replays else None, closing)
    assert (closing.witness is found) == replays
    assert closing.kinds.tolist() == [State.OPEN if replays else State.STUCK]
    assert asks.asking.exact.counterexample == (None if replays else point)


def test_a_failed_slice_leaves_the_node_and_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error is an open node; the next slice is longer."""
    query, batch, margins = open_root()
    asks = asker(query, batch)
    failed = MilpResult("open", -np.inf, [], 0, 0.1, "error: out of memory")
    monkeypatch.setattr("hypersplit.encodings.milp.process.close_apart", lambda *_, **__: failed)
    assert told(asks, batch, margins) == State.OPEN
    assert asks.slice > 20.0


def test_it_is_not_asked_too_early_nor_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before the tree had its time, and not beyond the trials where it closed nothing."""
    query, batch, margins = open_root()
    monkeypatch.setattr("hypersplit.encodings.milp.process.close_apart", lambda *_, **__: pytest.fail("asked"))
    early = NodeMilp(query, Options(jobs=1), time.monotonic() + 60.0, Tree(batch), ExactStep())
    assert told(early, batch, margins) == State.OPEN
    at_once = NodeMilpEffort(after=-1.0)
    spent = NodeMilp(query, Options(jobs=1), time.monotonic() + 60.0, Tree(batch), ExactStep(), at_once)
    spent.started -= 10.0
    spent.seconds = 1.0
    assert told(spent, batch, margins) == State.OPEN


@pytest.mark.parametrize("seed", range(12))
def test_verdicts_with_scip_in_the_tree_are_the_oracles(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked in every round, SCIP never turns a verdict; what rests on it is called `scip-float`."""
    change_efforts(monkeypatch, "node_milp", after=-1.0, trials=1e9, most=1e9)
    change_efforts(monkeypatch, "phases", margins=AscentEffort(0))

    def only_phases(known: Facts, *asked: str) -> list[Stage]:
        return [Stage("split", 1.0, "phases")]

    monkeypatch.setattr("hypersplit.bab.stages.answer.plan", only_phases)
    assert policy.plan is not only_phases
    instance = random_instance(seed)
    result = hypersplit.verify(instance.network, instance.prop, timeout=20, jobs=1)
    exact = {oracle.decide(instance.network, case, instance.prop.joint)[0] for case in instance.prop.cases}
    assert result.verdict in ({"sat", "unknown"} if "sat" in exact else {"unsat"})
