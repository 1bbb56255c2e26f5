"""The study of rules that split phases, in small."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hypersplit.bab.command.cli import main
from hypersplit.bab.studies import partition_rules as partition_rules
from hypersplit.bab.studies import scaling as scaling
from hypersplit.heuristics.splits.rules import PHASE_RULES

Captured = pytest.CaptureFixture[str]


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a csv."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_quick_branching_rules(tmp_path: Path, capsys: Captured) -> None:
    """Every rule of phases meets every instance, and all agree."""
    pytest.importorskip("matplotlib")
    assert 0 == main(["study", "branching-rules", "--quick", "--out", str(tmp_path)])
    rows = read(tmp_path / "branching-rules.csv")

    assert set(PHASE_RULES) == {row["rule"] for row in rows}
    assert {"unsat"} == {row["verdict"] for row in rows}
    assert all(any(int(row["nodes"]) > 1 for row in rows if row["rule"] == rule) for rule in PHASE_RULES)
    assert "phases: 2 of 2 solved" in capsys.readouterr().out
