"""Tests of bab/studies/partition_iris.py."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hypersplit.bab.command.cli import main
from hypersplit.bab.studies.partition_iris import CLOSE, CURVES


def test_quick_partition_iris(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every bound holds in every row, splits lie between the truth and the LP, and the small version says so."""
    pytest.importorskip("matplotlib")
    assert 0 == main(["study", "partition-iris", "--quick", "--out", str(tmp_path)])
    said = capsys.readouterr().out
    with (tmp_path / "partition-iris.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    for part in ("Theorem 1", "Lemma 2", "recursion", "Corollary 1", "Proposition 3"):
        mine = [row for row in rows if row["part"] == part]
        assert mine and all(-CLOSE <= float(row["value"]) <= float(row["bound"]) + CLOSE for row in mine)
    last = [row for row in rows if row["part"] == "recursion"][-1]
    assert float(last["value"]) < 1e-5
    for kind in ("own eps", "common eps"):
        groups: dict[tuple[str, ...], dict[str, float]] = {}
        for row in rows:
            if row["part"] == kind:
                key = row["network"], row["flower"], row["rival"]
                groups.setdefault(key, {})[row["what"]] = float(row["value"])
        assert groups
        for (network, *_), values in groups.items():
            assert set(CURVES) == set(values)
            assert values["multistart"] <= values["exact"] + CLOSE
            for what in CURVES[-3:]:
                assert values["exact"] - CLOSE <= values[what] <= values["unpartitioned"]
            if network == "one layer":  # one row has a coefficient above 0, and no other has an error
                assert values["best row"] <= values["exact"] + CLOSE
                assert values["best row"] <= values["bound (17)"] + CLOSE
    assert "Proposition 4: along all rows the error is at most" in said
    assert "the order of scores is" in said
