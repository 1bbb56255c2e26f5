"""Trees that are shared: the same verdicts as alone, every node accounted for, and nobody believed who is wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from job_problems import PLAIN, problem
from worker_teams import AtOnce, searched, steady

from hypersplit.bab.run.budget import Budget
from hypersplit.bab.run.options import Options
from hypersplit.bab.stages.work import Work
from hypersplit.bab.tree.cold import size_mb
from hypersplit.bab.tree.evidence import Evidence
from hypersplit.bab.workers import desk, sharing
from hypersplit.bab.workers.errands import Report, opened, sent
from hypersplit.instances.batch import root
from hypersplit.instances.errors import InputError
from hypersplit.instances.query import queries

GAPS = {"axes": 0.02, "phases": 0.01}


def account(outcome: Any) -> None:
    """nodes = ended + split + open + stuck, and each waiting node has a number of its own."""
    job = outcome.job
    waiting = [*job.open, *job.stuck]
    assert job.size == job.inner + job.ended.total() + sum(map(len, waiting))
    numbers = [n for b in waiting for n in b.number.tolist()]
    assert len(set(numbers)) == len(numbers) and all(0 <= n < job.size for n in numbers)


@pytest.fixture(autouse=True)
def small_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `worker_teams.steady`."""
    steady(monkeypatch)


@pytest.mark.parametrize("rule", GAPS)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_shared_tree_is_the_tree(rule: str, count: int) -> None:
    """A node's children depend on the node alone, so the same nodes end by the same evidence, whoever does it."""
    network, prop = problem(GAPS[rule])
    alone = searched(network, prop, None, rule=rule)
    teams: list[AtOnce] = []

    def gather(options: Any) -> AtOnce:
        teams.append(AtOnce(network, prop, options, count))
        return teams[-1]

    shared = searched(network, prop, gather, rule=rule)
    assert teams[0].sent > count and teams[0].closed
    assert shared.answer.holds and alone.answer.holds
    account(shared)
    for name in ("nodes", "depth", "stuck_nodes"):
        assert shared.answer.statistics[name] == alone.answer.statistics[name]
    assert shared.answer.evidence == alone.answer.evidence


@pytest.mark.parametrize("fails", [False, True])
def test_errands_of_a_stage_are_as_one_search(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after another at a desk they have their habits in common; an errand that fails leaves none."""
    had, grow = [], desk._grow

    def growing(work: Work, budget: Budget) -> None:
        had.append(work.habits)
        if fails and len(had) == 2:
            raise InputError("on purpose")
        grow(work, budget)

    monkeypatch.setattr(desk, "_grow", growing)
    network, prop = problem(0.02)

    def gather(options: Options) -> AtOnce:
        made = AtOnce(network, prop, options)
        if fails:
            made.desk.do = failing(made.desk.do)  # type: ignore[method-assign]
        return made

    shared = searched(network, prop, gather, rule="axes")
    assert shared.answer.holds and len(had) > 3
    assert len(set(map(id, had))) == (2 if fails else 1) and had[-1] is (had[2] if fails else had[0])
    account(shared)


def failing(do: Callable[..., bytes]) -> Callable[..., bytes]:
    """An errand's InputError as no report at all."""

    def done(*given: Any) -> bytes:
        try:
            return do(*given)
        except InputError:
            return b""

    return done


def test_a_team_begins_before_its_tree_has_a_node_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack of this tree never holds a thousand nodes; a team of a thousand works on it nevertheless."""
    network, prop = problem(0.02)
    monkeypatch.setattr(sharing, "FIRST", 4)  # the tree is small
    team = AtOnce(network, prop, Options(**(PLAIN | {"rule": "axes"})), 1000)
    shared = searched(network, prop, lambda options: team, rule="axes")
    assert shared.answer.holds and team.sent > 0
    account(shared)


@pytest.mark.parametrize("gap", [-0.02, -0.2])
def test_a_witness_of_a_worker_is_replayed(gap: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sat` with the input that the worker found; the attacks before the search are off."""
    from hypersplit.bab.stages import answer, attack

    network, prop = problem(gap)
    monkeypatch.setattr(answer, "attack_quickly", lambda work: False)
    monkeypatch.setattr(attack, "attack", lambda work, stage, budget: None)
    found = searched(network, prop, partial(AtOnce, network, prop), rule="axes", batch=1)
    assert found.answer.witness is not None
    assert (network.evaluate(found.answer.witness.input[None]) @ [1.0, 0.0] <= prop.cases[0].forbidden[0].rhs[0]).all()


def spoiled(how: str, number: int, frame: bytes, errand: bytes, report: bytes) -> bytes | str:
    """A report that is not the errand's."""
    told = opened("report", Report, report, "report")
    if how == "failed":
        return "a worker was ended by SIGKILL"
    if how == "torn":
        return report[:-100] + bytes(100)
    if how == "another errand":
        told = replace(told, errand="0" * 64)
    elif how == "all ended":
        told = replace(told, open=[], stuck=[], size=1, inner=0, ended=Counter({Evidence.LINEAR: 1}))
        told = replace(told, size=told.size + 2, inner=0)
    elif how == "lost nodes":
        told = replace(told, open=[], stuck=[], size=told.size + 1)
    elif how == "a wrong witness":
        told = replace(told, witness=np.zeros(3))
    elif how == "no witness of this network":
        told = replace(told, witness=np.zeros(7))
    elif how == "no fractions":
        told = replace(told, exact=["one", "two", "1/0"])
    return sent("report", told)


WRONG = ["failed", "torn", "another errand", "all ended", "lost nodes", "a wrong witness",
         "no witness of this network", "no fractions"]  # fmt: skip


@pytest.mark.parametrize("how", WRONG)
def test_wrong_reports_leave_nodes_open(how: str) -> None:
    """Three times given, then kept open with the reason: never a verdict, and nothing lost."""
    network, prop = problem(0.02)
    found = searched(network, prop, lambda o: AtOnce(network, prop, o, 2, partial(spoiled, how)), rule="axes")
    assert not found.answer.holds and found.answer.witness is None
    assert "given 3 times" in found.answer.reason
    account(found)
    assert found.answer.statistics["open_nodes"] > 0


@pytest.mark.parametrize("how", WRONG)
def test_one_wrong_report_costs_its_errand_only(how: str) -> None:
    """The nodes are given to another, and the verdict and the tree are those of a search alone."""
    network, prop = problem(0.02)
    spoils = iter([True, False, True, False, True])

    def change(number: int, frame: bytes, errand: bytes, report: bytes) -> bytes | str:
        return spoiled(how, number, frame, errand, report) if next(spoils, False) else report

    shared = searched(network, prop, lambda o: AtOnce(network, prop, o, 2, change), rule="axes")
    alone = searched(network, prop, None, rule="axes")
    assert shared.answer.holds and next(spoils, None) is None
    account(shared)
    assert shared.answer.statistics["nodes"] == alone.answer.statistics["nodes"]
    assert shared.answer.evidence == alone.answer.evidence


def test_an_errand_is_small_where_memory_is() -> None:
    """It has as many nodes as there is time for, and fewer where these would take more than their share of memory."""
    network, prop = problem(0.02)
    nodes = root(queries(network, prop)[0])
    few = 10 * size_mb(nodes) / sharing.ERRAND_SHARE
    for memory_mb, seconds, most in ((math.inf, 0.1, 50), (few, 0.1, 10), (few, 1.0, 5), (0.0, 0.1, 1)):
        some = SimpleNamespace(node_seconds=seconds, sharing=SimpleNamespace(memory_mb=memory_mb),
                               tree=SimpleNamespace(root=nodes))  # fmt: skip
        assert sharing._Shared._most(some) == most  # type: ignore[arg-type]


def test_a_limit_of_nodes_holds() -> None:
    """The search ends with its nodes open, and a job of them goes on."""
    network, prop = problem(0.02)
    found = searched(network, prop, lambda o: AtOnce(network, prop, o, 2), rule="axes", nodes=20)
    assert found.answer.reason == "nodes" and found.answer.statistics["open_nodes"] > 0
    account(found)


def test_a_team_that_cannot_begin_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search goes on by itself; where the team is all that was asked for, the run ends with the reason."""
    from hypersplit.bab.workers.team import TeamError

    network, prop = problem(0.02)

    def gather(options: Any) -> AtOnce:
        raise TeamError("nobody there")

    assert searched(network, prop, gather, rule="axes").answer.holds

    class Gone(AtOnce):
        essential = True

        def wait(self, seconds: float) -> list[Any]:
            if self.sent > 2:
                raise TeamError("the scheduler is gone")
            return super().wait(seconds)

    found = searched(network, prop, lambda o: Gone(network, prop, o), rule="axes")
    assert found.answer.reason == "the scheduler is gone" and not found.answer.holds
    account(found)
