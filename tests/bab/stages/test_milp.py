"""SCIP's word is advice: one that lies, or that nothing proves again, never makes an `unsat` of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from random_instances import Shape, random_instance

from hypersplit.bab.closers.conflict_search import Refutation
from hypersplit.bab.stages import milp as milp_tree
from hypersplit.bab.stages.milp import NOT_PROVED
from hypersplit.bab.verify import verify
from hypersplit.encodings.milp.close import MilpResult

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
    reasons = {True: set(), False: set()}
    for seed in range(30):
        instance = random_instance(seed, "near-unsat")
        for trust, seen in reasons.items():
            asked = len(liar)
            result = verify(instance.network, instance.prop, method="milp", jobs=1, timeout=60.0, trust_scip=trust)
            if instance.truth == "unsat" and len(liar) > asked:
                assert result.verdict == "unsat", f"{instance}: {result}"
                seen.add(result.reason)
    assert reasons == {True: {"scip-float"}, False: {"conflict-driven search"}}


def test_what_is_not_proved_again_is_said(liar: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the conflict search leaves open what SCIP refutes, the verdict is unknown, and the reason says why."""
    monkeypatch.setattr(milp_tree, "refute_apart", lambda *_, **__: Refutation("open", "too large"))
    seen = 0
    for seed in range(30):
        instance = random_instance(seed, "near-unsat")
        asked = len(liar)
        result = verify(instance.network, instance.prop, method="milp", jobs=1, timeout=60.0)
        if len(liar) > asked and result.verdict != "sat":
            seen += 1
            assert result.verdict == "unknown" and NOT_PROVED in result.reason, f"{instance}: {result}"
    assert seen >= 5


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
