"""Interruptions and want of memory in the middle of anything: never a verdict, and the run ends with the reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hypersplit
from hypersplit.bab import verify as verifying
from hypersplit.bab.jobs.run import Outcome
from hypersplit.bab.run.limits import LimitReached, Limits
from hypersplit.bab.stages.answer import Answer
from hypersplit.bab.steps.candidates import Candidates
from hypersplit.bab.steps.inputs import InputSteps
from hypersplit.bab.tree.frontier import Frontier
from hypersplit.instances.batch import Batch
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.network import Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property


def violated(sets: int = 1) -> tuple[Network, Property]:
    """A property with a counterexample near the lowest output; further sets of the same rows hold."""
    network = random_network([2, 8, 2], 3)
    met = network.evaluate(np.random.default_rng(0).uniform(-1.0, 1.0, (5000, 2)))[:, 0]
    row, end = np.array([[1.0, 0.0]]), met.min() + 0.05 * np.ptp(met)
    box = InputSet.box(-np.ones(2), np.ones(2))
    cases = [Case(box, (Polyhedron(row, np.array([end - 100.0 * (k > 0)])),)) for k in range(sets)]
    return network, Property(tuple(cases), 2, 2)


@pytest.mark.parametrize("sets", [1, 20])
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("place", ["push", "pop", "concatenate"])
@pytest.mark.parametrize("error", [LimitReached("time"), MemoryError("none left"), KeyboardInterrupt()])
@pytest.mark.parametrize("when", range(1, 6))
def test_nodes_that_are_lost_close_nothing(
    error: BaseException, when: int, place: str, jobs: int, sets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fails while nodes change hands: what has a counterexample is not `unsat`, however blind the attacks."""
    monkeypatch.setattr(Candidates, "check", lambda self, points: None)
    owner: Any = Batch if place == "concatenate" else Frontier
    real, calls = getattr(owner, place), 0

    def failing(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == when and place == "pop":
            real(*arguments)
        if calls == when:
            raise error
        return real(*arguments)

    wrapped = staticmethod(failing) if place == "concatenate" else failing
    monkeypatch.setattr(owner, place, wrapped)
    network, prop = violated(sets)
    try:
        verdict = hypersplit.verify(network, prop, timeout=30, jobs=jobs, batch=4, nodes=60, method="split").verdict
    except (KeyboardInterrupt, MemoryError):
        return
    assert verdict in ("unknown", "timeout")


def test_ctrl_c_in_a_search_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other input set is begun, and the reason is the interruption."""
    asked = 0

    def stop(*_: object) -> None:
        nonlocal asked
        asked += 1
        raise KeyboardInterrupt

    monkeypatch.setattr(Candidates, "check", lambda self, points: None)
    monkeypatch.setattr(InputSteps, "split", stop)
    network, prop = violated()
    for sets in (4, 20):
        asked = 0
        result = hypersplit.verify(network, Property(prop.cases * sets, 2, 2), timeout=30, jobs=1, method="split")
        assert (result.verdict, result.reason, asked) == ("unknown", "interrupted", 1)


def test_the_bound_knows_of_sets_that_were_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the time is over before the second set, nothing is proved of it."""
    network, prop = violated(2)
    over = False

    def run(*_: object, **__: object) -> Outcome:
        nonlocal over
        over = True
        return Outcome(Answer(holds=True, bound=5.0), None, (np.zeros(0), np.zeros(0)))

    monkeypatch.setattr(verifying, "run", run)
    monkeypatch.setattr(Limits, "exceeded", lambda self, nodes=0, seconds=0.0: "time" if over else "")
    result = hypersplit.verify(network, prop, timeout=30)
    assert (result.verdict, result.bound) == ("timeout", -np.inf)


@pytest.mark.parametrize("sets", [3, 20])
def test_a_file_that_cannot_be_run_is_said_for_any_number_of_sets(sets: int) -> None:
    """A counterexample of the real-valued network, and no replay: unknown, with the reason."""
    network, prop = violated(sets)
    gone = hypersplit.Network(
        network.input_size, network.layers, network.input_shape, network.output_shape, source="/nonexistent/x.onnx"
    )
    result = hypersplit.verify(gone, prop, timeout=30, jobs=1)
    assert result.verdict == "unknown" and result.reason.startswith("no replay is possible")
