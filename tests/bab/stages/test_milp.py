"""SCIP's word is advice: one that lies, or that nothing proves again, never makes an `unsat` of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from random_instances import Shape, random_instance

from hypersplit.bab.closers.conflict_search import Refutation
from hypersplit.bab.run.options import Options
from hypersplit.bab.stages import milp as milp_stage
from hypersplit.bab.stages.milp import NO_MEMORY, NOT_PROVED, close_by_milp
from hypersplit.bab.verify import verify
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.milp.close import MilpResult
from hypersplit.heuristics.efforts import GROWTH
from hypersplit.instances import memory
from hypersplit.instances.batch import Node, root
from hypersplit.instances.judges.witness import Witness
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

LIE = MilpResult("refuted", np.inf, [], 1, 0.0, "")
SCALED = Shape(scale=1e3)


@pytest.fixture
def liar(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """SCIP replaced by one that refutes everything; what it was asked."""
    asked: list[int] = []

    def close(query: object, node: object, k: int, *_: Any, **__: Any) -> MilpResult:
        asked.append(k)
        return LIE

    monkeypatch.setattr("hypersplit.encodings.milp.process.close_apart", close)
    return asked


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
        query: object, node: object, k: int, seconds: float, memory: float, options: object, stop: object
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


@pytest.mark.parametrize("refuted_at", [{0: 1, 1: 1, 2: 1}, {0: 2, 1: 2, 2: 2}, {0: 1, 1: 2, 2: 1}])
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_what_a_slice_leaves_open_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, refuted_at: dict[int, int], jobs: int
) -> None:
    """Disjuncts that SCIP does not refute in a slice are asked with a longer one, until they are; no longer."""
    query, node = bounded_root(-1.5)
    calls = answers(monkeypatch, refuted_at)
    options = Options(jobs=jobs, trust_scip=True)
    outcome = close_by_milp(query, node, [0, 1, 2], lambda: 10.0, options, lambda points: None)

    assert outcome.left == [] and outcome.witness is None and outcome.trusted == [0, 1, 2]
    assert outcome.questions == len(calls) == sum(refuted_at.values())
    for k in range(3):
        slices = [seconds for asked, seconds in calls if asked == k]
        assert slices == pytest.approx([slices[0] * GROWTH**i for i in range(len(slices))])


def test_what_is_not_refuted_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disjunct that SCIP leaves open is left; without time nothing is asked."""
    query, node = bounded_root(-0.5)
    calls = answers(monkeypatch, {0: 1, 2: 2})
    clock = iter(range(10**6))
    options = Options(jobs=1, trust_scip=True)
    outcome = close_by_milp(query, node, [0, 1, 2], lambda: 10.0 - 0.1 * next(clock), options, lambda points: None)

    assert outcome.left == [1]

    calls.clear()
    outcome = close_by_milp(query, node, [0, 1, 2], lambda: 0.0, options, lambda points: None)

    assert outcome.left == [0, 1, 2] and not calls


def test_scip_itself_refutes_several_disjuncts() -> None:
    """The real SCIP and the conflict search refute three disjuncts that linear bounds leave open."""
    query, node = bounded_root(-1.5)
    outcome = close_by_milp(query, node, [0, 1, 2], lambda: 60.0, Options(jobs=2), lambda points: None)

    assert outcome.left == [] and outcome.proved == [0, 1, 2]


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

    assert outcome.witness is found and 1 <= len(seen) <= jobs


@pytest.mark.parametrize("method", ["auto", "milp"])
@pytest.mark.parametrize("kind", ["clear-sat", "near-sat", "touching"])
def test_a_lying_scip_never_makes_unsat(liar: list[int], method: str, kind: str) -> None:
    """SCIP refutes what has a counterexample: the verdict is sat or open, whatever the method."""
    for seed in range(20):
        instance = random_instance(seed, kind, SCALED if seed % 2 else None)
        result = verify(instance.network, instance.prop, method=method, jobs=1, timeout=60.0, nodes=200)
        assert result.verdict in (instance.truth, "unknown"), f"{instance}: {result}"


def test_trust_is_said(liar: list[int]) -> None:
    """With trust_scip a true refutation by SCIP alone is `scip-float`; without, it is the conflict search's."""
    reasons: dict[bool, set[str]] = {True: set(), False: set()}
    for seed in range(30):
        instance = random_instance(seed, "near-unsat")
        for trust, seen in reasons.items():
            asked = len(liar)
            result = verify(instance.network, instance.prop, method="milp", jobs=1, timeout=60.0, trust_scip=trust)
            if instance.truth == "unsat" and len(liar) > asked:
                assert result.verdict == "unsat", f"{instance}: {result}"
                seen.add(result.reason)
    assert {reason.partition(",")[0] for reason in reasons[True]} == {"scip-float"}
    assert reasons[False] and all("conflict-driven search" in reason for reason in reasons[False])
    assert not any("scip-float" in reason for reason in reasons[False])


def test_what_is_not_proved_again_is_said(liar: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the conflict search leaves open what SCIP refutes, the verdict is unknown, and the reason says why."""
    monkeypatch.setattr(milp_stage, "refute_apart", lambda *_, **__: Refutation("open", "too large"))
    seen = 0
    for seed in range(30):
        instance = random_instance(seed, "near-unsat")
        asked = len(liar)
        result = verify(instance.network, instance.prop, method="milp", jobs=1, timeout=60.0)
        if len(liar) > asked and result.verdict != "sat":
            seen += 1
            assert result.verdict == "unknown" and NOT_PROVED in result.reason, f"{instance}: {result}"
    assert seen >= 5


def test_a_lack_of_memory_is_said(liar: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Conflict searches get what is left of the ceiling, and one that has too little is a part of the reason."""
    shares: list[float] = []

    def refute(*_: Any, memory_mb: float = 0.0, **__: Any) -> Refutation:
        shares.append(memory_mb)
        return Refutation("open", "memory")

    monkeypatch.setattr(milp_stage, "refute_apart", refute)
    query, node = bounded_root(-1e9)
    with memory.ceiling(memory.resident_mb() + 1000.0):
        outcome = close_by_milp(query, node, [0], lambda: 30.0, Options(jobs=2, method="milp"), lambda points: None)
    assert outcome.left == [0] and NO_MEMORY in outcome.reason
    assert shares and all(0.0 < share <= 500.0 for share in shares)


@pytest.mark.parametrize("method", ["auto", "milp"])
@pytest.mark.parametrize("kind", ["touching", "clear-sat"])
def test_badly_scaled_networks_are_never_misjudged(method: str, kind: str) -> None:
    """Neurons of sizes 1e-3 to 1e3, on which SCIP's tolerances decide wrongly: what is violated is never `unsat`."""
    for seed in range(40):
        instance = random_instance(seed, kind, SCALED)
        result = verify(instance.network, instance.prop, method=method, jobs=1, timeout=60.0, nodes=200)
        assert result.verdict in (instance.truth, "unknown"), f"{instance}: {result}"


@pytest.mark.parametrize("method", ["auto", "milp"])
def test_where_scip_is_known_to_be_wrong_nothing_is_refuted(method: str) -> None:
    """Weights of 53 bits and three sizes, touched by equality: SCIP was seen to refute it."""
    instance = random_instance(5048, "touching", Shape(scale=1e3, rough=True))
    assert instance.truth == "sat"
    result = verify(instance.network, instance.prop, method=method, jobs=1, timeout=60.0)
    assert result.verdict in ("sat", "unknown"), f"{instance}: {result}"
