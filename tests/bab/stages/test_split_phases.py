"""The search over phases against the oracle, with refreshed and inherited hidden bounds."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from changed_efforts import change_efforts
from random_instances import Shape, random_instance

import hypersplit
from hypersplit.bab.stages import slopes
from hypersplit.encodings.linear import prepared_layers
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.property import Property


@pytest.mark.parametrize("refreshed", [True, False])
@pytest.mark.parametrize("seed", [*range(20), 901366, 901367])
def test_verdicts_are_the_oracles(seed: int, refreshed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Splitting phases alone, small inputs treated as wide ones: never another verdict than the exact one."""
    change_efforts(monkeypatch, "phases", quick_ascent=math.inf if refreshed else -1.0)
    monkeypatch.setattr(prepared_layers, "BALL", 1)
    instance = random_instance(seed, shape=Shape(rough=seed % 4 == 0))
    result = hypersplit.verify(instance.network, instance.prop, timeout=120, method="split", rule="phases", jobs=1)
    exact = {oracle.decide(instance.network, case, instance.prop.joint)[0] for case in instance.prop.cases}
    # a counterexample by equality only may stay unknown
    assert result.verdict in ({"sat", "unknown"} if "sat" in exact else {"unsat"})


def test_an_ascent_that_had_to_wait_is_not_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes get hidden bounds of their own by the processor time that the root's took, not by the clock."""
    tighten = slopes.tighten

    def waiting(*args: Any) -> Any:
        time.sleep(1.5)
        return tighten(*args)

    monkeypatch.setattr(slopes, "tighten", waiting)
    network, log = random_network([60, 50, 50, 50, 4], 3), tmp_path / "log.txt"
    x = np.random.default_rng(3).uniform(0.0, 1.0, 60)
    prop = Property.robustness(x, 0.04, int(network.evaluate(x[None])[0].argmax())).about(60, 4)
    hypersplit.verify(network, prop, timeout=60, jobs=1, method="split", rule="phases", nodes=20, log=str(log))
    assert "phases, refreshed bounds" in log.read_text()
