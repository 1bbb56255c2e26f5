"""The study of maxima, in small."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hypersplit.bab.command.cli import main
from hypersplit.bab.studies import partition_rules as partition_rules
from hypersplit.bab.studies import scaling as scaling

Captured = pytest.CaptureFixture[str]


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a csv."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_quick_max_subproblems(tmp_path: Path, capsys: Captured) -> None:
    """2^d - 1 nodes with single neurons, one with several; all prove it."""
    pytest.importorskip("matplotlib")
    assert 0 == main(["study", "max-subproblems", "--quick", "--out", str(tmp_path)])
    rows = read(tmp_path / "max-subproblems.csv")

    assert {"unsat"} == {row["verdict"] for row in rows}
    for row in rows:
        if row["method"] == "single-neuron":
            assert int(row["nodes"]) == 2 ** int(row["inputs"]) - 1
        if row["method"] == "multi-neuron":
            assert int(row["nodes"]) == 1 and float(row["bound"]) == pytest.approx(0.01, abs=1e-6)
    assert "grow by a factor of 2" in capsys.readouterr().out
