"""Closing by solvers: SCIP's questions, slices and splits, and activation regions."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit.bab.closers.regions import close_regions, open_disjuncts
from hypersplit.bab.run.options import Options
from hypersplit.bab.stages.milp import close_by_milp
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.milp.close import MilpResult
from hypersplit.instances.batch import Node, root
from hypersplit.instances.judges.witness import Witness
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries


def three_disjuncts(threshold: float = -5.0) -> Query:
    """y = (x, -x, |x|) on [-1, 1], each output forbidden at `threshold` or below."""
    out = np.array([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]])
    network = sequential([np.array([[1.0], [-1.0]]), out], [np.zeros(2), np.zeros(3)])
    forbidden = tuple(Polyhedron(row[None], np.array([threshold])) for row in np.eye(3))
    case = Case(InputSet.box(np.array([-1.0]), np.array([1.0])), forbidden)
    return queries(network, Property((case,), 1, 3))[0]


def answers(monkeypatch: pytest.MonkeyPatch, refuted_at: dict[int, int]) -> list[tuple[int, float]]:
    """SCIP replaced by one that refutes disjunct k when asked for the refuted_at[k]-th time; returns the calls."""
    calls: list[tuple[int, float]] = []

    def close(
        query: object, node: object, k: int, seconds: float, memory: float, seed: int, stop: object, strategy: str
    ) -> MilpResult:
        calls.append((k, seconds))
        done = sum(c[0] == k for c in calls) >= refuted_at.get(k, 99)
        return MilpResult("refuted" if done else "open", 1.0 if done else -1.0, [], 1, seconds, "")

    monkeypatch.setattr("hypersplit.encodings.milp.process.close_apart", close)
    return calls


def bounded_root(threshold: float) -> tuple[Query, Node]:
    """The query's root with linear bounds."""
    query = three_disjuncts(threshold)
    batch = root(query)
    bounds = bound(query, batch)
    batch.pre_lower, batch.pre_upper = bounds.pre_lower, bounds.pre_upper
    return query, batch.node(0)


@pytest.mark.parametrize("refuted_at", [{0: 1, 1: 1, 2: 1}, {0: 2, 1: 2, 2: 2}, {0: 1, 1: 2, 2: 1}, {}])
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_what_a_slice_leaves_open_is_split(
    monkeypatch: pytest.MonkeyPatch, refuted_at: dict[int, int], jobs: int
) -> None:
    """Disjuncts that SCIP does not refute in a slice fall once their phases are split, here by linear bounds."""
    query, node = bounded_root(-1.5)
    calls = answers(monkeypatch, refuted_at)
    outcome = close_by_milp(query, node, [0, 1, 2], lambda: 10.0, Options(jobs=jobs), lambda points: None)

    assert outcome.left == [] and outcome.witness is None
    assert outcome.questions == len(calls) <= 3
    assert all(0.0 < seconds <= 10.0 for _, seconds in calls)


def test_slices_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each split gives the halves longer slices, and a question without phases to split all the time there is."""
    query, node = bounded_root(-0.5)
    calls = answers(monkeypatch, {})
    outcome = close_by_milp(query, node, [1], lambda: 10.0, Options(jobs=1, trust_scip=True), lambda points: None)

    assert outcome.left == [1]
    slices = [seconds for _, seconds in calls]
    assert slices == sorted(slices) and slices[0] < slices[-1] == 10.0


def test_what_is_not_refuted_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disjunct that SCIP leaves open is left, with its bound; without time nothing is asked."""
    query, node = bounded_root(-0.5)
    calls = answers(monkeypatch, {0: 1, 2: 2})
    outcome = close_by_milp(query, node, [0, 1, 2], lambda: 10.0, Options(jobs=1, trust_scip=True), lambda points: None)

    assert outcome.left == [1] and outcome.bound == -1.0

    calls.clear()
    outcome = close_by_milp(query, node, [0, 1, 2], lambda: 0.0, Options(jobs=1, trust_scip=True), lambda points: None)

    assert outcome.left == [0, 1, 2] and not calls


def test_scip_itself_refutes_several_disjuncts() -> None:
    """The real SCIP refutes three disjuncts that linear bounds leave open."""
    query, node = bounded_root(-1.5)
    outcome = close_by_milp(query, node, [0, 1, 2], lambda: 60.0, Options(jobs=2), lambda points: None)

    assert outcome.left == []


def test_open_disjuncts_come_most_suspicious_first() -> None:
    """Refuted disjuncts are left out, the others sorted by their bounds."""
    assert open_disjuncts(three_disjuncts(), np.array([-1.0, 2.0, -3.0])) == [2, 0]


def test_an_activation_region_is_decided_by_one_linear_program() -> None:
    """With all phases fixed the bound is exact; nodes with an unstable ReLU are left alone."""
    query = three_disjuncts(threshold=-0.5)
    batch = root(query)
    batch.lower[:] = 0.6  # x in [0.6, 1]: both ReLUs stable, -x <= -0.5 is reached
    bounds = bound(query, batch)
    batch.pre_lower, batch.pre_upper = bounds.pre_lower, bounds.pre_upper
    proved, witness = close_regions(query, batch, bounds, lambda points: None)

    assert proved[0] == pytest.approx(-0.5, abs=1e-6) and witness is None

    whole = root(query)
    whole.pre_lower[:], whole.pre_upper[:] = -1.0, 1.0
    proved, _ = close_regions(query, whole, bounds, lambda points: None)

    assert proved[0] == -np.inf


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_witness_ends_all(jobs: int) -> None:
    """Once one disjunct's solution replays, the others are not asked any longer."""
    query, node = bounded_root(-1.0)  # x = -1 for the first, x = 1 for the second
    found = Witness(np.array([-1.0]), np.array([-1.0, 1.0, 1.0]), False)
    seen: list[np.ndarray] = []

    def check(points: np.ndarray) -> Witness | None:
        seen.append(points)
        return found

    outcome = close_by_milp(query, node, [0, 1, 2], lambda: 60.0, Options(jobs=jobs), check)

    assert outcome.witness is found and len(seen) == 1
