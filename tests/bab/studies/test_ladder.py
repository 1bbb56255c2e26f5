"""The study of the ladder's steps, in small."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hypersplit.bab.command.cli import main
from hypersplit.bab.studies import partition_rules as partition_rules
from hypersplit.bab.studies import scaling as scaling
from hypersplit.bab.studies.ladder import STEPS

Captured = pytest.CaptureFixture[str]


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a csv."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_quick_ladder(tmp_path: Path, capsys: Captured) -> None:
    """Every step meets every question; steps that build on others are no worse, and none beats the attack."""
    pytest.importorskip("matplotlib")
    assert 0 == main(["study", "ladder", "--quick", "--out", str(tmp_path)])
    rows = read(tmp_path / "ladder.csv")

    for name in {row["instance"] for row in rows}:
        bounds = {row["step"]: float(row["bound"]) for row in rows if row["instance"] == name}
        upper = {float(row["upper"]) for row in rows if row["instance"] == name}
        assert set(bounds) == set(STEPS) and len(upper) == 1
        assert max(value for step, value in bounds.items() if not step.startswith("partial")) <= upper.pop() + 1e-9
        order = [
            ("linear", "slopes-last"), ("slopes-last", "linear+LP"), ("greedy", "LP-LAST"), ("LP-LAST", "LP-ALL"),
            ("slopes+LP", "LP-ALL"), ("IBP", "2-layer"), ("greedy", "dual"), ("dual", "dual-best"),
            ("dual-best", "LP-LAST"), ("slopes+LP", "windows"),
        ]  # fmt: skip
        for worse, better in order:
            assert bounds[worse] <= bounds[better] + 1e-6 * (1.0 + abs(bounds[worse]))
    assert "LP-ALL" in capsys.readouterr().out
