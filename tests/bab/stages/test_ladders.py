"""Every way to bound and to close nodes, on trees of inputs and of phases, against the exact oracle."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tree_account
from changed_efforts import change_efforts
from random_instances import Instance, Shape, random_instance

import hypersplit
from hypersplit.bab.run.options import Options, about
from hypersplit.bab.run.result import Result
from hypersplit.bab.rungs.kept_rows import KeptRows
from hypersplit.bab.stages import ladders
from hypersplit.bab.tree.evidence import Evidence
from hypersplit.heuristics.policy import FEW_INPUTS
from hypersplit.instances.network import Array, Layer, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property

BOUNDS = ("auto", "linear", "slopes", "lp", "rows", "partial-milp")
CLOSINGS = ("never", "stuck", "auto", "always")
FLAT = Shape(flat=1.0, halfspaces=1.0)
HARD = ((6, "near-unsat", Shape()), (15, "touching", Shape()), (28, "near-unsat", Shape()), (4, "near-unsat", FLAT))
COPIES = 8  # of every input, of which the network sees the mean


def spread(instance: Instance) -> tuple[Network, Property]:
    """The same question about many inputs: each input is the mean of as many of its own, so nothing else changes."""

    def mean(matrix: Array) -> Array:
        return np.repeat(matrix / COPIES, COPIES, axis=1)

    layers = [
        replace(layer, weights=tuple(
            mean(np.asarray(w)) if s == 0 else w for s, w in zip(layer.sources, layer.weights, strict=True)
        ))
        for layer in instance.network.layers
    ]  # fmt: skip
    cases = []
    for case in instance.prop.cases:
        region = case.region
        ends = np.repeat(region.lower, COPIES), np.repeat(region.upper, COPIES)
        cases.append(Case(InputSet(*ends, mean(region.rows), region.offsets), case.forbidden))
    inputs = COPIES * instance.network.input_size
    return Network(inputs, tuple(layers)), Property(tuple(cases), inputs, instance.prop.output_size)


def agrees(result: Result, instance: Instance) -> None:
    """The verdict is the oracle's; touching ones may stay open."""
    assert result.verdict in (("sat", "unknown") if instance.truth == "sat" else ("unsat",)), (instance, result)
    assert "scip-float" not in result.evidence


def asked(network: Network, prop: Property, **options: Any) -> Result:
    """One verdict on one core."""
    return hypersplit.verify(network, prop, timeout=30, jobs=1, **options)


@pytest.mark.parametrize("node_bounds", BOUNDS)
@pytest.mark.parametrize("rule", ["inputs", "phases"])
def test_every_bound_of_nodes_keeps_the_verdicts(node_bounds: Any, rule: Any) -> None:
    """In trees of inputs and of phases, with half-spaces, residual edges and several disjuncts."""
    for seed, kind, shape in HARD:
        instance = random_instance(seed, kind, shape)
        agrees(asked(instance.network, instance.prop, node_bounds=node_bounds, method="split", rule=rule), instance)


@pytest.mark.parametrize("closing", CLOSINGS)
@pytest.mark.parametrize("rule", ["inputs", "phases"])
def test_every_way_of_closing_keeps_the_verdicts(closing: Any, rule: Any) -> None:
    """SCIP in no node, in stuck ones, where it pays, in all."""
    for seed, kind, shape in HARD[:2]:
        instance = random_instance(seed, kind, shape)
        agrees(asked(instance.network, instance.prop, closing=closing, method="split", rule=rule), instance)


@pytest.mark.parametrize("node_bounds", BOUNDS)
def test_many_inputs(node_bounds: Any) -> None:
    """The tree of phases on the reduced network, whose nodes the policy sets up."""
    instance = random_instance(6, "near-unsat")
    network, prop = spread(instance)
    assert network.input_size > FEW_INPUTS
    agrees(asked(network, prop, node_bounds=node_bounds), instance)


@pytest.mark.parametrize("rule", ["inputs", "phases"])
def test_auto_may_use_every_rung(rule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With efforts that let every rung be tried at once the verdicts stay, and the accounts show that they were."""
    for name in ("slopes_pay", "lp_pays", "rows_pay", "partial_pays"):
        change_efforts(monkeypatch, name, after=-1.0, share=1e9, most=1e9, slice=20.0)
    instance = random_instance(4, "near-unsat", FLAT)
    result = asked(instance.network, instance.prop, rule=rule)
    agrees(result, instance)
    assert any(name.endswith("_tried") for name in result.statistics)


def test_evidence_is_that_of_the_rung_which_closed() -> None:
    """Nodes that only a rung closes end by its name; what is counted is what ended."""
    instance = random_instance(28, "near-unsat")
    kinds = {"slopes": Evidence.SLOPES, "lp": Evidence.LP, "rows": Evidence.GROUPS, "partial-milp": Evidence.CONFLICTS}
    for name, kind in kinds.items():
        result = asked(instance.network, instance.prop, node_bounds=name, method="split", rule="inputs")
        closed = result.statistics.get(f"{name.replace('-', '_')}_closed", 0)
        assert result.evidence.get(kind.words, 0) == closed, name
        assert result.statistics[f"{name.replace('-', '_')}_tried"] > 0, name


@pytest.mark.parametrize("node_bounds", ["lp", "rows", "partial-milp"])
@pytest.mark.parametrize("rule", ["inputs", "phases"])
def test_the_account_of_the_tree_holds(node_bounds: Any, rule: Any) -> None:
    """nodes = ended + split + open + stuck, whatever closes them."""
    for seed, kind, shape in HARD[1:3]:
        instance = random_instance(seed, kind, shape)
        options = Options(method="split", rule=rule, node_bounds=node_bounds, closing="always", jobs=2, timeout=30.0)
        for query, outcome, ledger, drawn, tree in tree_account.asked(instance, options):
            tree_account.agree(str(instance), query, outcome, ledger, drawn, tree)


def test_the_log_says_how_the_accounts_stand(caplog: pytest.LogCaptureFixture) -> None:
    """A line a rung, at the end of each search."""
    instance = random_instance(28, "near-unsat")
    with caplog.at_level(logging.INFO, logger="hypersplit"):
        asked(instance.network, instance.prop, node_bounds="rows", method="split")
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("rung ")]
    assert [line.split(":")[0] for line in said] == ["rung lp", "rung rows"] and "every node" in said[0]


@pytest.mark.parametrize("rule", ["inputs", "phases"])
def test_rows_know_whether_nodes_have_lost_half_spaces(rule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees of phases begin without those of earlier splits, see `Tree.rename`; trees of inputs keep them."""
    bare, made = [], ladders.KeptRows

    def keeping(*given: Any, **named: Any) -> KeptRows:
        bare.append(named["bare"])
        return made(*given, **named)

    monkeypatch.setattr(ladders, "KeptRows", keeping)
    network, prop = spread(random_instance(28, "near-unsat"))
    asked(network, prop, node_bounds="rows", method="split", rule=rule)
    assert bare == [rule == "phases"]


def test_without_groups_there_are_no_rows() -> None:
    """k = 1 leaves the LP alone."""
    instance = random_instance(28, "near-unsat")
    result = asked(instance.network, instance.prop, node_bounds="rows", k="1", method="split")
    agrees(result, instance)
    assert "rows_tried" not in result.statistics and result.statistics["lp_tried"] > 0


def test_sigmoids_get_lps_and_no_wrong_verdict() -> None:
    """Rungs for nodes of smooth activations: LPs over their lines; what SCIP says of them nothing proves."""
    rng = np.random.default_rng(0)
    hidden = Layer((0,), (rng.normal(size=(6, 2)),), rng.normal(size=6), "sigmoid", "hidden")
    out = Layer((1,), (rng.normal(size=(1, 6)),), np.zeros(1), "identity", "out")
    network = Network(2, (hidden, out))
    points = rng.uniform(-1.0, 1.0, (4000, 2))
    least = float(network.evaluate(points).min())
    case = Case(InputSet.box(-np.ones(2), np.ones(2)), (Polyhedron(np.ones((1, 1)), np.array([least - 0.02])),))
    prop = Property((case,), 2, 1)
    for name in ("lp", "rows", "partial-milp"):
        result = asked(network, prop, node_bounds=name, closing="always", method="split")
        assert result.verdict == "unsat" and result.statistics["lp_tried"] > 0


def test_the_options_name_these_rungs() -> None:
    """What is tested here is what may be asked for."""
    assert set(ladders.RUNGS) == set(BOUNDS)
    assert all(name in about("node_bounds").kind.values for name in BOUNDS)
    assert all(name in about("closing").kind.values for name in CLOSINGS)
