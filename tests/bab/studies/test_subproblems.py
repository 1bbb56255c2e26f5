"""The study of parts and patterns, in small."""

from __future__ import annotations

import time

import numpy as np
import pytest

from hypersplit.bab.partition.patterns import patterns
from hypersplit.bab.studies import subproblems as module
from hypersplit.bab.studies.frame import Settings
from hypersplit.instances.families.max_networks import tree_max
from hypersplit.instances.property import InputSet

SECONDS = 600.0  # never reached


def test_the_maximum_needs_one_part_or_one_for_each_pattern() -> None:
    """Of three inputs: one part with several neurons, as many as patterns and more without."""
    region = InputSet.box(np.zeros(3), np.ones(3))
    deadline = time.monotonic() + SECONDS
    found = {way: module.leaves(tree_max(3), region, 1.001, way, deadline) for way in module.WAYS}

    assert found["multi"] == (1, True)
    assert found["single"][0] == 4 == len(patterns(tree_max(3), region, np.ones(1)))
    assert found["decided"][0] >= 4


@pytest.mark.parametrize(
    "task",
    [
        ("random network", "2x3", 1), ("random network", "2x2x2", 0), ("piecewise linear", "1 cells of 2", 1),
        ("sum of absolute values", "2", 0),
    ],
)  # fmt: skip
def test_the_inequality_holds(task: tuple[str, str, int]) -> None:
    """Parts with several neurons <= patterns <= parts with single ones in the worst case, network by network."""
    row = module._counted(SECONDS, task)
    assert row["finished"].split() == list(module.WAYS)
    assert row["multi"] <= row["patterns"] <= row["decided"]
    assert row["multi"] <= row["single"] <= row["decided"]


def test_what_is_done_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks that are done are left out, and the others come in their order."""
    monkeypatch.setattr(module, "_tasks", lambda _: [("random network", "2x3", seed) for seed in range(3)])
    settings = Settings(SECONDS, quick=True)
    first = next(module._rows(settings, []))
    rest = list(module._rows(settings, [first]))
    assert [0, 1, 2] == [row["seed"] for row in (first, *rest)]


def test_findings_count_what_holds() -> None:
    """Sentences and table say how often each side of the inequality holds."""
    pytest.importorskip("matplotlib")
    row = {"family": "f", "size": "1", "seed": 0, "neurons": 2, "patterns": 3, "single": 2, "multi": 1, "decided": 4,
           "finished": "single multi decided", "truth": 1.0, "seconds": 0.1}  # fmt: skip
    rows = [row, row | {"single": 5, "multi": 4}, row | {"finished": "single"}]
    findings = module._findings(Settings(1.0), rows)
    assert "multi <= patterns: in 1 of 2 networks" in findings.summary
    assert "patterns <= single at this one threshold: in 1 of 2 networks" in findings.summary
    assert any("1 networks had a tree that was not finished" in line for line in findings.summary)
    assert 2 == findings.tables["By family (means)"][0]["networks"]
