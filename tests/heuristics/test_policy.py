"""The policy's plans: what comes first on which networks, and what users may ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from changed_efforts import change_efforts
from random_instances import random_instance

import hypersplit
from hypersplit.bab.run.options import METHODS
from hypersplit.bab.steps import phases
from hypersplit.encodings.slopes.phase_bounds import bound_phases
from hypersplit.encodings.slopes.row_multipliers import RowPool
from hypersplit.heuristics import policy
from hypersplit.heuristics.efforts import FEW_UNSTABLE
from hypersplit.heuristics.policy import QUICK_SLOPES, SOME_INPUTS, VERY_FEW, Facts, Stage, plan
from hypersplit.instances.families.random_networks import random_network, random_property


def known(inputs: int = 784, unstable: int = 300, hidden: int = 4, weights: int = 400_000) -> Facts:
    """Facts of a wide network."""
    return Facts(inputs, unstable, hidden, weights, piecewise_linear=True)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("inputs", [5, 30, 100, 784])
@pytest.mark.parametrize("hidden", [1, 4])
def test_the_last_stage_may_use_all_the_time(method: str, inputs: int, hidden: int) -> None:
    """No plan ends with time left over."""
    stages = plan(known(inputs, hidden=hidden), method)
    assert stages[-1].share == 1.0 and stages[-1].most == float("inf")
    assert stages[-1].name in ("split", "milp")


def test_what_scip_says_of_curves_is_left_to_a_tree() -> None:
    """A plain MILP has all the time where the conflict search proves what it refutes, else the tree has its share."""
    curved = Facts(5, 0, 2, 100, piecewise_linear=False)
    assert [stage.name for stage in plan(known(), "milp")] == ["attack", "milp"]
    stages = plan(curved, "milp")
    assert [stage.name for stage in stages] == ["attack", "milp", "split"]
    assert stages[1].share < 1.0 and stages[2].rule == "inputs"


def test_one_hidden_layer_is_split_before_scip_is_asked() -> None:
    """By hyperplanes up to SOME_INPUTS inputs as long as they close the tree, by phases beyond, and behind SCIP."""
    some = plan(known(SOME_INPUTS, hidden=1, weights=4000))
    many = plan(known(SOME_INPUTS + 1, hidden=1, weights=4000))
    assert [(stage.name, stage.rule) for stage in some] == [("split", "rows"), ("milp", ""), ("split", "phases")]
    assert [(stage.name, stage.rule) for stage in many[1:]] == [("split", "phases"), ("milp", ""), ("split", "phases")]
    assert some[0].trial > 0 == many[1].trial == some[-1].trial == many[-1].trial


@pytest.mark.parametrize(
    ("rows", "unstable", "there"),
    [("auto", FEW_UNSTABLE, True), ("auto", FEW_UNSTABLE + 1, False), ("always", 3000, True), ("never", 10, False)],
)
def test_multi_neuron_rows(rows: str, unstable: int, there: bool) -> None:
    """By themselves on few unstable ReLUs of two hidden layers, and as asked for."""
    assert there == any(stage.name == "groups" for stage in plan(known(unstable=unstable, hidden=2), rows=rows))


def test_rows_are_tried_where_splits_hardly_close_the_tree() -> None:
    """On few inputs, for half of the time so far, at least a moment; early where they take no more than that."""
    stages = plan(known(5, VERY_FEW, hidden=2))
    assert [stage.name for stage in stages] == ["attack", "split", "groups", "split", "groups", "split"]
    assert stages[2] == stages[4]
    assert [stages[2].seconds(t) for t in (0.1, 2.0, 1000.0)] == [policy.ROWS_LEAST, 1.0, policy.ROWS_SECONDS]
    assert [stage.trial for stage in stages if stage.name == "split"] == [policy.FEW_TRIAL, policy.SECOND_TRIAL, 0]
    more = plan(known(5, VERY_FEW + 1, hidden=2))
    assert more == [stages[0], *stages[3:]]


def test_hidden_bounds_are_refined_by_branching_after_a_short_search() -> None:
    """On three hidden layers and more, of networks whose ascents take seconds, unless rows are unwanted."""
    names = [stage.name for stage in plan(known(hidden=3))]
    place = names.index("groups")
    assert names[place - 1] == "split" and names[place + 1 :] == ["attack", "split", "milp"]
    assert "groups" not in [stage.name for stage in plan(known(hidden=3, weights=QUICK_SLOPES + 1))]
    assert "groups" not in [stage.name for stage in plan(known(hidden=3), rows="never")]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("inputs", [5, 30, 784])
@pytest.mark.parametrize("hidden", [1, 4])
@pytest.mark.parametrize("unstable", [10, 300, 3000])
def test_rows_that_are_asked_for_come(method: str, inputs: int, hidden: int, unstable: int) -> None:
    """Under every method on every network of ReLUs, once, before the last search; and never by "never"."""
    plans = {rows: plan(known(inputs, unstable, hidden), method, rows=rows) for rows in ("always", "never")}
    names = [stage.name for stage in plans["always"]]
    assert names.count("groups") == 1 and names[-1] in ("split", "milp")
    assert "groups" not in [stage.name for stage in plans["never"]]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("layerwise", [True, False])
def test_rows_that_are_asked_for_turn_no_verdict(
    method: str, layerwise: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Tiny networks, of one hidden layer too: the exact verdict, and the log tells of the stage."""
    if not layerwise:
        change_efforts(monkeypatch, "groups", layerwise=-1)
    asked = 0
    for seed in range(24):
        print(f"seed {seed}")
        instance, log = random_instance(seed), tmp_path / f"{seed}.txt"
        result = hypersplit.verify(
            instance.network, instance.prop, method=method, rows="always", timeout=60, jobs=1, log=log
        )
        assert result.verdict in (instance.truth, "unknown")
        asked += "stage groups" in log.read_text()
    assert asked


@pytest.mark.parametrize("seed", range(8))
def test_verdicts_do_not_depend_on_rows(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows at the root and multipliers in nodes turn no verdict; where neither decides, nodes inherit them."""
    print(f"seed {seed}")
    network = random_network([21, 16, 16, 3], seed=seed)
    prop = random_property(network, seed=seed, radius=0.25, slack=2.0)
    pools: list[RowPool | None] = []

    def heard(*given: Any, **named: Any) -> Any:
        pools.append(named["pool"])
        return bound_phases(*given, **named)

    monkeypatch.setattr(policy, "FEW_UNSTABLE", -1)
    change_efforts(monkeypatch, "groups", layerwise=-1)
    monkeypatch.setattr(phases, "bound_phases", heard)
    never, always = (hypersplit.verify(network, prop, timeout=60, jobs=1, rows=rows) for rows in ("never", "always"))
    truth = hypersplit.verify(network, prop, timeout=60, jobs=1, method="milp").verdict
    assert never.verdict == always.verdict == truth
    assert any(pools) or always.statistics["nodes"] == 1


def test_a_stage_has_a_known_name() -> None:
    """Another name is refused where the plan is made, not where the stage would begin."""
    assert {stage.name for method in METHODS for stage in plan(known(), method)} <= set(policy.STAGES)
    with pytest.raises(ValueError, match="stage 'slope': expected one of attack, slopes, split, groups, milp"):
        Stage("slope", 1.0)


@pytest.mark.parametrize(("most", "there"), [(0, False), (10**6, True)])
def test_efforts_reach_the_steps(most: int, there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed number is the one that a search goes by: nodes begin anew where no multipliers may wait."""
    network = random_network([21, 16, 16, 3], seed=1)
    prop = random_property(network, seed=1, radius=0.25, slack=2.0)
    given: list[bool] = []

    def heard(query: Any, batch: Any, *rest: Any, **named: Any) -> Any:
        given.append(batch.multipliers is not None)
        return bound_phases(query, batch, *rest, **named)

    monkeypatch.setattr(phases, "bound_phases", heard)
    change_efforts(monkeypatch, "phases", most_numbers=most)
    hypersplit.verify(network, prop, timeout=60, jobs=1, method="split", rule="phases", nodes=60)
    assert given and any(given) == there


def test_a_short_run_gives_the_first_search_seconds_in_place_of_a_share() -> None:
    """Up to LEAST_SHARE of what is left; where a tenth is more, a tenth."""
    short = next(stage for stage in plan(known(hidden=3)) if stage.name == "split")
    parts = [short.share_of(left) * left for left in (1.0, 10.0, 20.0, 30.0, 300.0)]
    assert parts == pytest.approx([policy.LEAST_SHARE, 3.0, policy.SHORT_SEARCH, policy.SHORT_SEARCH, 30.0])
    assert [stage.share_of(10.0) for stage in plan(known()) if not stage.least] == [
        stage.share for stage in plan(known()) if not stage.least
    ]
