"""What ends the conflict-driven search, or begins it again: memory, restarts; probing changes none of its answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from changed_efforts import change_efforts
from milp_problems import bounded, exact_minimum, pigeons, wide_query
from random_instances import Shape, random_instance

from hypersplit.bab.closers.conflict_search import ConflictSearch
from hypersplit.bab.closers.refutation import refute, refute_apart
from hypersplit.bab.closers.restarts import UNIT, Restarts
from hypersplit.bab.verify import verify
from hypersplit.encodings.milp.process import FORKS, apart
from hypersplit.encodings.propagation.state import Nogoods
from hypersplit.instances import memory
from hypersplit.instances.batch import root
from hypersplit.instances.query import queries

PROBING = ("never", "auto", "always")
SECONDS = 60.0  # far beyond what these need


def test_the_schedule_of_restarts() -> None:
    """After UNIT times 1, 1, 2, 1, 1, 2, 4 conflicts."""
    restarts = Restarts()
    due = [n for n in range(1, 12 * UNIT + 1) if restarts.due()]
    assert due == [UNIT * n for n in (1, 2, 4, 5, 6, 8, 12)] and restarts.count == 7


@pytest.mark.parametrize("probing", PROBING)
def test_answers_do_not_depend_on_probing(probing: str) -> None:
    """Disjunct by disjunct the exact oracle agrees, on well and badly scaled networks."""
    said = ""
    for seed in range(3000, 3040):
        instance = random_instance(seed, shape=Shape(scale=1e3 if seed % 2 else 1.0))
        for query in queries(instance.network, instance.prop):
            node = bounded(query, root(query).node(0))
            for k in range(query.disjuncts if node is not None else 0):
                assert node is not None
                answer, truth = refute(query, node, k, SECONDS, probing), exact_minimum(query, node, [k])
                said += f" {answer.status}"
                # a point whose margins are <= 0 in float64 only is for the replay
                holds = truth is None or truth > 0
                right = ("refuted",) if truth is None or truth >= 1e-9 else ("refuted", "candidate")
                assert answer.status in (right if holds else ("candidate", "point")), f"{instance}, {k}: {answer}"
    assert min(said.count("refuted"), said.count("candidate") + said.count("point")) >= 10, said


@pytest.mark.parametrize("probing", PROBING)
def test_restarts_and_probes_keep_the_answer(probing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a restart after every conflict, and probes at each: four pigeons do not fit into three holes, three do."""
    monkeypatch.setattr("hypersplit.bab.closers.restarts.UNIT", 1)
    change_efforts(monkeypatch, "conflicts", probe_after=1, probe_every=1)
    query, node = pigeons(3)
    answer = refute(query, node, 0, SECONDS, probing)
    assert answer.status == "refuted" and answer.counts["restarts"] >= 1, answer
    assert (answer.counts["probes"] > 0) == (probing != "never"), answer
    query, node = pigeons(3, spare=1)
    answer = refute(query, node, 0, SECONDS, probing)
    assert answer.status in ("candidate", "point"), answer


@pytest.mark.parametrize("probing", PROBING)
def test_verdicts_of_trees_of_phases(probing: str) -> None:
    """Roots that are probed, or not, end with the exact verdict; what probing refutes is told as its evidence."""
    seen = 0
    for seed in range(30):
        instance = random_instance(seed, ("clear-unsat", "near-unsat", "clear-sat")[seed % 3])
        result = verify(
            instance.network, instance.prop, method="split", rule="phases", probing=probing, jobs=1, timeout=60.0
        )
        assert result.verdict == instance.truth, f"{instance}: {result}"
        seen += "probing" in result.evidence
        assert bool(result.statistics.get("probing_probes")) <= (probing == "always")
    assert (seen > 0) == (probing == "always"), seen


def test_without_memory_the_search_is_open_and_says_so() -> None:
    """Below its ceiling nothing is decided: no more state is made, and more time would not help."""
    query, node = wide_query()
    with memory.ceiling(memory.resident_mb() - 1.0):
        answer = ConflictSearch(query, node, 0).run(math.inf)
    assert (answer.status, answer.reason, answer.unfinished) == ("open", "memory", False)
    assert refute(*wide_query(), 0, 0.2).reason == "time"


@pytest.mark.skipif(not FORKS, reason="processes are not forked here")
def test_a_process_of_its_own_has_its_share() -> None:
    """It ends for want of memory, by its own look; this process keeps its ceiling."""
    query, node = wide_query()
    with memory.ceiling(1e6):
        answer = refute_apart(query, node, 0, SECONDS, memory_mb=0.0)
        assert (answer.status, answer.reason) == ("open", "memory")
        assert memory.room_mb() > 1e5


@pytest.mark.skipif(not FORKS, reason="processes are not forked here")
def test_what_asks_nobody_is_refused_by_the_system() -> None:
    """A confined process cannot allocate far beyond its share, and what it raises arrives."""

    def greedy() -> float:
        memory.confine(100.0)
        assert np.ones(1_000_000).sum() == 1e6
        return float(np.ones(int(2e8)).sum())

    with pytest.raises(MemoryError):
        apart(greedy, SECONDS)


def test_nogoods_keep_to_their_store() -> None:
    """Beyond `most` long old ones go, beyond the store's size old ones of any length."""
    nogoods = Nogoods()
    for i in range(100):
        nogoods.add([2 * i, 2 * i + 3] if i % 2 else [2 * i, 2 * i + 3, 2 * i + 5, 2 * i + 7, 2 * i + 9])
    nogoods.reduce(99, 4)
    assert len(nogoods) == 75 and len(nogoods.pairs()) == 50
    before = nogoods.mb
    nogoods.reduce(1000, 4, before / 2)
    assert 0 < len(nogoods) < 75 and nogoods.mb <= before / 2
    assert nogoods.literals[nogoods.starts[-2] :].tolist() == [198, 201]  # the newest is there
    nogoods.reduce(1000, 4, 0.0)
    assert len(nogoods) == 0
