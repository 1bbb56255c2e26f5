"""The bench's table against sums by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hypersplit.bab.bench.bench_table import (
    Row,
    complaints,
    read_rows,
    read_truth,
    table,
)
from hypersplit.instances.errors import InputError

ROW = Row("toy", "a.onnx", "p.vnnlib", "unsat", 1.0, 0.5, 80.0, 7, "linear bounds", 10.0, "")


def test_results_with_other_columns_are_refused(tmp_path: Path) -> None:
    """A csv of some other kind is not taken for results or known verdicts."""
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="columns"):
        read_rows(path)
    with pytest.raises(InputError, match="family"):
        read_truth(path)


def test_the_table_counts_by_hand() -> None:
    """Solved, PAR-2, known, wrong and memory of four rows, computed by hand; late answers are not solved."""
    rows = [
        ROW,
        replace(ROW, vnnlib="late", seconds=11.0),
        replace(ROW, vnnlib="wrong", verdict="sat", seconds=3.0, witness="outside", peak_mb=120.0),
        replace(ROW, vnnlib="open", verdict="timeout", seconds=10.0),
    ]
    truth = {ROW.key: "unsat", rows[2].key: "unsat"}
    line = table(rows, truth).splitlines()[2]
    cells = [c.strip() for c in line.strip("|").split("|")]
    assert cells == ["toy", "4", "2", "1", "0", "1", "0", "2", "2", "1", "4.0", "11.00", "120"]
    assert len(complaints(rows, truth)) == 2
