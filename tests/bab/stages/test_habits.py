"""Searches of one query, one after another, are as one: what pays, models that stay warm, and not the time between."""

from __future__ import annotations

import numpy as np
from job_problems import PLAIN, problem

from hypersplit.bab.jobs.job import Job
from hypersplit.bab.jobs.run import candidates_of, work_of
from hypersplit.bab.run.limits import Limits
from hypersplit.bab.run.options import Options
from hypersplit.bab.rungs.milp import MilpRung
from hypersplit.bab.stages.habits import Habits
from hypersplit.bab.stages.ladders import closers_of, tell
from hypersplit.bab.stages.work import Work
from hypersplit.bab.steps.candidates import Candidates
from hypersplit.instances.judges.replay import Replay

PAUSE = 1000.0  # seconds


def asked() -> Candidates:
    """A query whose nodes may get every rung."""
    network, prop = problem()
    limits = Limits(Options(**(PLAIN | {"method": "auto"})))
    found = candidates_of(0, Replay(network), prop, limits, np.random.default_rng(0))
    assert found is not None
    return found


def search_of(candidates: Candidates, habits: Habits | None) -> Work:
    """A search that is about to begin."""
    work = work_of(Job.fresh(0, candidates.query), candidates)
    work.habits = habits
    closers_of(work, phases=False)
    return work


def test_rungs_and_their_accounts_go_on() -> None:
    """Those of the search before, with what was tried; SCIP's rung is of the search at hand; without habits all new."""
    candidates, habits = asked(), Habits()
    first = search_of(candidates, habits)
    assert first.ladder is not None and len(first.ladder.steps) == 4
    for step in first.ladder.steps:
        step.account.note(0.5, 4, np.zeros(0), np.zeros(4))
    tell(first)
    second, alone = search_of(candidates, habits), search_of(candidates, None)
    assert second.ladder is not None and alone.ladder is not None
    for before, step, other in zip(first.ladder.steps, second.ladder.steps, alone.ladder.steps, strict=True):
        assert step.account is before.account and step.account.tried == 4 and other.account.tried == 0
        assert (step.rung is before.rung) == (not isinstance(step.rung, MilpRung))
    assert isinstance(second.ladder.steps[3].rung, MilpRung)
    assert second.ladder.steps[3].rung.asking.exact is second.exact


def test_the_time_between_two_searches_does_not_count() -> None:
    """Accounts and SCIP's share of the time begin later by as much, and the tree's progress is looked at anew."""
    candidates, habits = asked(), Habits()
    first = search_of(candidates, habits)
    assert first.ladder is not None and habits.node_milp is not None
    accounts, began = [step.account for step in first.ladder.steps], habits.node_milp.started
    starts = [account.started for account in accounts]
    accounts[0].marks.append((0.0, 0.0))
    tell(first)
    habits.left -= PAUSE
    search_of(candidates, habits)
    assert all(account.started >= start + PAUSE for account, start in zip(accounts, starts, strict=True))
    assert habits.node_milp.started >= began + PAUSE and not accounts[0].marks
