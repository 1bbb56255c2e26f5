"""The study of the convex barrier, in small."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hypersplit.bab.command.cli import main
from hypersplit.bab.studies import partition_rules as partition_rules
from hypersplit.bab.studies import scaling as scaling


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a csv."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_quick_convex_barrier(tmp_path: Path) -> None:
    """The barrier's error is its factor and 1 for every layer-wise relaxation, that of copied maxima 0."""
    pytest.importorskip("matplotlib")
    assert 0 == main(["study", "convex-barrier", "--quick", "--out", str(tmp_path)])
    for row in read(tmp_path / "convex-barrier.csv"):
        error, size = float(row["error"]), int(row["size"])
        if row["method"] == "search":
            assert row["verdict"] == "unsat"
        elif row["family"].startswith("barrier"):
            assert error == pytest.approx(size + 1, rel=1e-6) and row["verdict"] == "unknown"
        elif row["method"] == "layer-wise":
            assert error < 1e-6 and row["verdict"] == "unsat"
        else:
            assert error > 0.4
