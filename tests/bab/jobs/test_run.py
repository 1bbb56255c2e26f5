"""Jobs that are stopped and gone on with: the tree is the one that a single run grows, and nothing gets lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from job_problems import PLAIN, RULES, in_steps, problem
from random_instances import random_instance

from hypersplit.bab.jobs.job import Job
from hypersplit.bab.jobs.records import Columns, packed, unpacked
from hypersplit.bab.jobs.run import Outcome, candidates_of, run
from hypersplit.bab.run.limits import Limits
from hypersplit.bab.run.options import Options
from hypersplit.bab.tree.evidence import Evidence
from hypersplit.instances.batch import root
from hypersplit.instances.errors import InputError
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.query import queries

GAPS = {"auto": 0.02, "axes": 0.02, "phases": 0.01}


def leaves(outcomes: list[Outcome]) -> dict[int, int]:
    """Which nodes ended, and by which evidence; none ends twice."""
    numbers = np.concatenate([outcome.ended[0] for outcome in outcomes])
    kinds = np.concatenate([outcome.ended[1] for outcome in outcomes])
    assert len(np.unique(numbers)) == len(numbers)
    return dict(zip(numbers.tolist(), kinds.tolist(), strict=True))


def travelled(job: Job) -> Job:
    """The job after a journey as JSON and columns."""
    columns = Columns()
    told = packed(job, columns)
    return unpacked(Job, told, columns.joined())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("stops", [[1], [5, 9, 13], list(range(2, 30)), [40]], ids=len)
def test_a_job_that_is_stopped_grows_the_same_tree(rule: Any, stops: list[int]) -> None:
    """At whatever numbers of nodes it stops: the same nodes end by the same evidence, and the same is counted."""
    network, prop = problem(GAPS[rule])
    whole = list(in_steps(network, prop, [10**6], rule=rule))
    parts = list(in_steps(network, prop, [*stops, 10**6], rule=rule))
    assert whole[0].answer.holds and parts[-1].answer.holds and not parts[0].answer.holds
    assert leaves(parts) == leaves(whole)
    assert parts[-1].answer.evidence == whole[0].answer.evidence
    assert parts[-1].answer.statistics == whole[0].answer.statistics
    assert parts[-1].answer.bound == whole[0].answer.bound


@pytest.mark.parametrize("rule", RULES)
def test_jobs_travel_whole(rule: Any) -> None:
    """Every field of every batch, the tables and the counters come back as they were, number for number."""
    network, prop = problem(GAPS[rule])
    job = list(in_steps(network, prop, [12], rule=rule))[-1].job
    assert job is not None and job.open and (job.implied is not None) == (rule == "phases")
    if rule == "phases":
        assert any(b.slopes.size for b in job.open) if hasattr(job.open[0], "slopes") else True
    first, second = Columns(), Columns()
    again = travelled(job)
    assert packed(job, first) == packed(again, second)
    for name, column in first.joined().items():
        other = second.joined()[name]
        assert column.dtype == other.dtype and column.tobytes() == other.tobytes(), name


def test_a_job_that_travelled_is_gone_on_with() -> None:
    """From plain data the rest of the tree is the same, too."""
    network, prop = problem()
    first = list(in_steps(network, prop, [20]))[0]
    whole = list(in_steps(network, prop, [10**6]))
    assert first.job is not None
    limits = Limits(Options(**PLAIN))
    rest = run(
        travelled(first.job), candidates_of(0, Replay(network), prop, limits, np.random.default_rng(0)), leaves=True
    )
    assert leaves([first, rest]) == leaves(whole)


@pytest.mark.parametrize("seed", range(24))
def test_random_queries_get_their_true_answer_in_steps(seed: int) -> None:
    """Random instances with known truth, all rules by turns, stopped every few nodes: never a wrong answer."""
    instance = random_instance(seed)
    rule = ("auto", "axes", "phases", "rows")[seed % 4]
    truths = []
    for k in range(len(instance.prop.cases)):
        prop = replace(instance.prop, cases=(instance.prop.cases[k],))
        for outcome in in_steps(instance.network, prop, [1, 2, 3, 5, 8, 13, 21, 5000], rule=rule, batch=2):
            if outcome.answer.witness or outcome.answer.holds:
                break
        truths.append("sat" if outcome.answer.witness else "unsat" if outcome.answer.holds else "unknown")
    found = "sat" if "sat" in truths else "unsat" if set(truths) == {"unsat"} else "unknown"
    assert found in (instance.truth, "unknown"), f"{instance}"
    assert found != "unknown" or instance.kind != "clear-unsat", f"{instance}"


def broken(job: Job) -> dict[str, Job]:
    """The job with one thing wrong, by what it is."""
    batch = job.open[0]
    neurons = batch.pre_lower.shape[1]
    return {
        "nodes": replace(job, size=job.size + 1),
        "an open node is missing": replace(job, open=[batch[:-1], *job.open[1:]] if len(job.open) else []),
        "more ended": replace(job, ended=job.ended + Counter({Evidence.LINEAR: 1})),
        "fewer ended": replace(job, ended=job.ended - Counter({Evidence.LINEAR: 1}), size=job.size),
        "split": replace(job, inner=job.inner + 1),
        "a node twice": replace(job, open=[*job.open, batch], size=job.size + len(batch)),
        "number": replace(job, open=[replace(batch, number=batch.number + job.size), *job.open[1:]]),
        "type": replace(job, open=[replace(batch, phases=batch.phases.astype(float)), *job.open[1:]]),
        "neurons": replace(job, open=[replace(batch, pre_lower=batch.pre_lower[:, 1:]), *job.open[1:]]),
        "not finite": replace(job, open=[replace(batch, lower=np.full_like(batch.lower, np.nan)), *job.open[1:]]),
        "rows": replace(job, open=[replace(batch, duty=batch.duty[:0]), *job.open[1:]]),
        "kept": replace(job, kept=np.zeros(neurons, dtype=bool)),
        "root": replace(job, root=batch[np.zeros(2, dtype=int)]),
        "facts": replace(job, facts=None),
    }


@pytest.mark.parametrize("what", broken(Job.fresh(0, queries(*problem())[0])))
def test_jobs_with_a_wrong_account_are_refused(what: str) -> None:
    """A tree that does not add up, or nodes that are none of the query's, are bad input."""
    network, prop = problem()
    job = list(in_steps(network, prop, [30]))[-1].job
    assert job is not None and job.ended[Evidence.LINEAR]
    query = queries(network, prop)[0]
    job.check(query)
    with pytest.raises(InputError):
        broken(job)[what].check(query)


def test_a_part_is_a_tree_of_its_own() -> None:
    """Its nodes are numbered from 0, its account is whole, and what is proved of the root goes with it."""
    network, prop = problem()
    query = queries(network, prop)[0]
    job = list(in_steps(network, prop, [20]))[-1].job
    assert job is not None
    count = len(job.waiting)
    parts = [job.part(np.arange(p, count, 3)) for p in range(3)]
    for part in parts:
        part.check(query)
        assert part.size == len(part.waiting) and part.root is job.root
    assert sum(part.size for part in parts) == count


def test_a_fresh_job_is_the_root() -> None:
    """One node, the whole input set."""
    query = queries(*problem())[0]
    job = Job.fresh(0, query)
    assert np.array_equal(job.root.lower, root(query).lower) and not job.closed
    assert job.statistics == Counter(nodes=1, open_nodes=1, stuck_nodes=0, depth=0)
