"""Every formulation of the MILP, and partial ones, against the oracle, each other and their papers' claims."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from milp_problems import MEMORY, NEAR, SECONDS, assert_honest, bounded, exact_minimum, replace_threshold, wide_query
from random_instances import random_instance

from hypersplit.encodings.milp.close import FORMULATIONS, MilpOptions, close
from hypersplit.encodings.milp.hull_cuts import HullCuts
from hypersplit.encodings.milp.margins import MarginModel
from hypersplit.encodings.milp.model import NetworkModel
from hypersplit.encodings.milp.partition import Partition
from hypersplit.encodings.programs.scip import dual_bound
from hypersplit.instances.batch import Node, root
from hypersplit.instances.query import Query, queries

NAMES = sorted(FORMULATIONS)


def small(seed: int = 0) -> tuple[Query, Node]:
    """A network with two hidden layers that SCIP needs some nodes for, its threshold a little below what is sampled."""
    return wide_query(seed, inputs=6, width=12)


@pytest.mark.parametrize("name", NAMES)
def test_verdicts_agree_with_enumeration(name: str) -> None:
    """Roots of random instances: each disjunct, and all of them jointly, are refuted or hit as the oracle says."""
    for seed in range(15):
        instance = random_instance(seed)
        for query in queries(instance.network, instance.prop):
            node = bounded(query, root(query).node(0))
            for disjunct in [*range(query.disjuncts), None] if node else []:
                asked = list(range(query.disjuncts)) if disjunct is None else [disjunct]
                answer = close(query, node, disjunct, SECONDS, MEMORY, MilpOptions(formulation=name))
                truth = exact_minimum(query, node, asked)
                label = f"{name}, {instance}, disjunct {disjunct}: {answer}, exact {truth}"
                assert_honest(answer, query, node, truth, label)
                assert ";" not in answer.reason, label  # no doubt about an honest SCIP


@pytest.mark.parametrize("name", NAMES)
def test_partial_milps_are_relaxations(name: str) -> None:
    """With two binaries what is refuted holds, a candidate replays, and the bound is below the exact minimum."""
    for seed in range(15):
        instance = random_instance(seed)
        for query in queries(instance.network, instance.prop):
            node = bounded(query, root(query).node(0))
            for k in range(query.disjuncts) if node else []:
                answer = close(query, node, k, SECONDS, MEMORY, MilpOptions(formulation=name, binaries=2))
                truth = exact_minimum(query, node, [k])
                label = f"{name}, {instance}, disjunct {k}: {answer}, exact {truth}"
                assert answer.binaries <= 2, label
                assert answer.status != "refuted" or truth is None or truth > 0, label
                assert truth is None or answer.bound <= max(float(truth), 0.0) + NEAR, label
                if answer.status == "candidate":
                    margins = query.per_disjunct(query.network.evaluate(np.array(answer.points)))[:, k]
                    assert margins.min() <= NEAR, label


@pytest.mark.parametrize("name", NAMES)
def test_starts_are_solutions_of_every_formulation(name: str) -> None:
    """The network's values at a point, with the formulation's own variables, satisfy the whole model."""
    query, node = small()
    for x in np.random.default_rng(0).uniform(-1.0, 1.0, (5, 6)):
        model = MarginModel(query, node, [0], FORMULATIONS[name]())
        solution, margins = model.solution(x)
        model.scip.setSolVal(solution, model.t[0], float(margins[0]))
        assert model.scip.checkSol(solution, original=True)


def relaxation(query: Query, node: Node, name: str) -> float:
    """The bound of the formulation's LP, with hull cuts where it has them, and nothing of SCIP's own."""
    from pyscipopt import SCIP_PARAMSETTING

    formulation = FORMULATIONS[name]()
    model = MarginModel(query, node, [0], formulation, cutoff=1e6)
    model.configure((0, 0), MEMORY, 1, 0)
    scip = model.scip
    scip.setObjective(model.expr({model.t: 1.0}), "minimize")
    scip.setPresolve(SCIP_PARAMSETTING.OFF)
    scip.setHeuristics(SCIP_PARAMSETTING.OFF)
    scip.disablePropagation()
    scip.setSeparating(SCIP_PARAMSETTING.OFF)
    if isinstance(formulation, HullCuts):
        formulation.rounds = 500
        formulation.finish(model)
        for other in ("aggregation", "gomory", "zerohalf", "lagromory", "disjunctive", "cgmip", "mixing", "eccuts"):
            scip.setParam(f"separating/{other}/freq", -1)
    scip.setParam("limits/nodes", 1)
    scip.setParam("separating/maxstallroundsroot", -1)
    scip.setParam("branching/mostinf/priority", 10**6)  # strong branching would raise the bound too
    scip.optimizeNogil()
    return dual_bound(scip)


def test_root_bounds_are_ordered_as_the_papers_say() -> None:
    """big-m <= two groups <= one group an input <= minimum, and the hull's cuts reach what the third does."""
    query, node = small(3)
    FORMULATIONS["whole hull"] = lambda: Partition(query.network.input_size + 100)
    try:
        bounds = {name: relaxation(query, node, name) for name in ("big-m", "partition-2", "whole hull", "hull")}
    finally:
        del FORMULATIONS["whole hull"]
    sampled = query.network.evaluate(np.random.default_rng(0).uniform(-1.0, 1.0, (5000, 6))).min()

    assert bounds["big-m"] < bounds["partition-2"] < bounds["whole hull"] < sampled, bounds
    assert bounds["big-m"] + 0.1 < bounds["hull"], bounds
    assert np.isclose(bounds["hull"], bounds["whole hull"], rtol=1e-2), bounds


def test_more_binaries_bound_better() -> None:
    """Without a replayed point or the limit in the way, the bound rises from no binary to all of them."""
    query, node = small(1)
    easy = replace_threshold(query, 0.2 + 1e-3)  # the sampled minimum is forbidden: nothing is refuted
    options = [MilpOptions(binaries=b, accept=lambda p: False) for b in (0, 8, None)]
    answers = [close(easy, node, 0, SECONDS, MEMORY, wanted) for wanted in options]

    assert [a.status for a in answers[:2]] == ["open", "open"]
    assert all("too few" in a.reason for a in answers[:2])
    assert answers[0].bound < answers[1].bound < answers[2].bound
    assert [a.binaries for a in answers[:2]] == [0, 8]
    assert all(a.points for a in answers)


def test_a_scip_that_lies_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound, or a refutation, that a known counterexample contradicts leaves the node open and says so."""
    query, node = small()
    points = np.random.default_rng(2).uniform(-1.0, 1.0, (1000, 6))
    best = points[np.argmin(query.network.evaluate(points)[:, 0])]
    easy = replace_threshold(query, float(query.network.evaluate(best)[0]) + 1e-3)
    monkeypatch.setattr(MarginModel, "run", lambda model, seconds, accept: ("infeasible", False))
    refuted = close(easy, node, 0, SECONDS, MEMORY, MilpOptions(start=best))
    monkeypatch.setattr(MarginModel, "run", lambda model, seconds, accept: ("timelimit", False))
    monkeypatch.setattr("hypersplit.encodings.milp.close.dual_bound", lambda model: 5.0)
    bounded_ = close(easy, node, 0, SECONDS, MEMORY, MilpOptions(start=best, cutoff=10.0))

    for answer in (refuted, bounded_):
        assert answer.status == "open" and answer.bound == -np.inf
        assert "exceeds a known point's value" in answer.reason


def test_a_scip_that_fails_costs_only_its_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """SCIP's own errors, while the model is built or solved, leave the node open; other exceptions come through."""
    query, node = small()

    def fail(*_: object) -> None:
        raise Exception("SCIP: error in LP solver!")

    with monkeypatch.context() as patch:
        patch.setattr(NetworkModel, "row", fail)
        building = close(query, node, 0, SECONDS, MEMORY)
    with monkeypatch.context() as patch:
        patch.setattr(HullCuts, "finish", lambda formulation, model: setattr(formulation, "failure", TypeError("bug")))
        with pytest.raises(TypeError, match="bug"):
            close(query, node, 0, SECONDS, MEMORY, MilpOptions(formulation="hull"))

    assert building.status == "open" and "error in LP solver" in building.reason


def test_unknown_formulations_are_named() -> None:
    """A wrong name is a ValueError that lists the right ones."""
    query, node = small()
    with pytest.raises(ValueError, match=r"'huge-m': expected one of big-m, hull"):
        close(query, node, 0, SECONDS, MEMORY, MilpOptions(formulation="huge-m"))


def test_nodes_phases_do_not_make_liars() -> None:
    """A start outside the node's phases is no evidence against a refutation of the node."""
    query, node = small(5)
    x = np.random.default_rng(3).uniform(-1.0, 1.0, 6)
    pre = np.concatenate(query.network.values(x[None])[1][:-1], axis=1)[0]
    n = int(np.argmax((node.pre_lower < 0.0) & (node.pre_upper > 0.0) & (pre < -0.1)))
    phases, lower = node.phases.copy(), node.pre_lower.copy()
    phases[n], lower[n] = 1, 0.0
    elsewhere = replace(node, phases=phases, pre_lower=lower)
    easy = replace_threshold(query, float(query.network.evaluate(x)[0]) + 1e-3)
    answer = close(easy, elsewhere, 0, SECONDS, MEMORY, MilpOptions(start=x, accept=lambda p: False))

    assert "exceeds" not in answer.reason
