"""Stuck nodes: SCIP and the conflict search get what neither floats nor splits decide, and nothing else changes."""

from __future__ import annotations

from typing import Any

import oracle
import pytest
import tree_account
from changed_efforts import change_efforts
from random_instances import Instance, random_instance

import hypersplit
from hypersplit.bab.closers import asking
from hypersplit.bab.closers.conflict_search import Refutation
from hypersplit.bab.run.options import Options
from hypersplit.bab.run.result import Result
from hypersplit.bab.steps import inputs
from hypersplit.bab.tree.evidence import Evidence
from hypersplit.encodings.milp.close import MilpResult
from hypersplit.heuristics.splits.splits import Splits
from hypersplit.instances.batch import Batch
from hypersplit.instances.query import Query

OPEN = (4, 8, 11)  # seeds of instances whose root resists linear bounds
SCIP = "hypersplit.encodings.milp.process.close_apart"


@pytest.fixture(autouse=True)
def hopeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be split, and exact arithmetic finds everything too large: what bounds leave open is stuck."""
    change_efforts(monkeypatch, "exact", inputs=0)

    def none(query: Query, batch: Batch, *_: object) -> Splits:
        return Splits.none(len(batch), query.network.input_size)

    monkeypatch.setattr(inputs, "choose_splits", none)


def asked(instance: Instance, **options: Any) -> Result:
    """The verdict of the search alone, without SCIP at the root."""
    return hypersplit.verify(instance.network, instance.prop, timeout=20, jobs=1, method="split", **options)


def truths(instance: Instance) -> set[str]:
    """The oracle's answers."""
    return {oracle.decide(instance.network, case, instance.prop.joint)[0] for case in instance.prop.cases}


@pytest.mark.parametrize("seed", range(6))
def test_what_is_stuck_is_decided_by_scip_and_its_proof(seed: int) -> None:
    """Verdicts are the oracle's; `unsat` rests on the conflict search and never on SCIP's word."""
    instance = random_instance(seed, ("near-unsat", "touching", "near-sat")[seed % 3])
    result = asked(instance, closing="stuck")
    if "sat" in truths(instance):
        assert result.verdict in ("sat", "unknown")
    else:
        assert result.verdict == "unsat" and "scip-float" not in result.evidence


def test_some_of_them_are_open_without() -> None:
    """Where SCIP is not to be asked the same questions end with `numerics`; with it they are decided."""
    for seed in OPEN:
        instance = random_instance(seed, "near-unsat")
        before, after = asked(instance, closing="never"), asked(instance, closing="stuck")
        assert before.verdict == "unknown" and before.reason.startswith("numerics: 1 nodes")
        assert after.verdict == "unsat" and Evidence.CONFLICTS.words in after.evidence
        assert after.statistics["scip_runs"] > 0


def test_without_milps_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """method=split means no SCIP, unless stuck nodes are to go there by name."""
    monkeypatch.setattr(SCIP, lambda *_, **__: pytest.fail("asked"))
    assert [asked(random_instance(seed, "near-unsat")).verdict for seed in OPEN] == ["unknown"] * len(OPEN)


@pytest.mark.parametrize("trust", [False, True])
def test_a_scip_that_lies_ends_nothing_without_a_proof(trust: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its word closes a node only where it is trusted, and the evidence says so; the reason tells what was tried."""
    monkeypatch.setattr(SCIP, lambda *_, **__: MilpResult("refuted", 1.0, [], 1, 0.1, "infeasible"))
    monkeypatch.setattr(asking, "refute_apart", lambda *_, **__: Refutation("open", "time"))
    result = asked(random_instance(OPEN[0], "near-unsat"), closing="stuck", trust_scip=trust)
    if trust:
        assert result.verdict == "unsat" and result.reason.startswith(Evidence.SCIP.words)
    else:
        assert result.verdict == "unknown" and "SCIP: infeasible; conflict search: time" in result.reason


@pytest.mark.parametrize("seed", OPEN)
def test_the_account_of_the_tree_holds(seed: int) -> None:
    """nodes = ended + split + open + stuck, and listeners hear of stuck nodes that end."""
    instance = random_instance(seed, "near-unsat")
    options = Options(method="split", closing="stuck", jobs=1, timeout=20.0)
    for query, outcome, ledger, drawn, tree in tree_account.asked(instance, options):
        tree_account.agree(str(instance), query, outcome, ledger, drawn, tree)
