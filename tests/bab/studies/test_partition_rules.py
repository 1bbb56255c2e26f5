"""The study of rules that split inputs, in small."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hypersplit.bab.command.cli import main
from hypersplit.bab.split_rules.fixed_splits import TRIED
from hypersplit.bab.studies import partition_rules as partition_rules
from hypersplit.bab.studies import scaling as scaling
from hypersplit.heuristics.splits.rules import PHASE_RULES, RULES
from hypersplit.instances.carried import DATA

Captured = pytest.CaptureFixture[str]


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a csv."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_quick_partition_rules(tmp_path: Path, capsys: Captured) -> None:
    """Every rule meets every instance, with search and without, and all agree; nothing is run twice."""
    pytest.importorskip("matplotlib")
    words = ["study", "partition-rules", "--quick", "--out", str(tmp_path)]
    assert 0 == main(words)
    rows = read(tmp_path / "partition-rules.csv")
    others, rows = ([row for row in rows if (row["part"] == "search") == own] for own in (False, True))
    verdicts = {(row["instance"], row["verdict"]) for row in rows}

    assert set(partition_rules.RULES) == {row["rule"] for row in rows} > set(RULES) - set(PHASE_RULES)
    assert len(rows) == len(verdicts) * len(partition_rules.RULES)
    assert len(others) == len(verdicts) * (1 + len(TRIED))
    assert {"sat", "unsat"} == {verdict for _, verdict in verdicts}
    hard = [row for row in rows if row["instance"].startswith("random")]
    assert hard and all(int(row["nodes"]) > 1 for row in hard)
    page = (tmp_path / "partition-rules.html").read_text()
    assert 4 == page.count("<svg ") and "best single rule" in page and "average ranks of 14 rules" in page
    capsys.readouterr()

    before = (tmp_path / "partition-rules.csv").read_text()
    assert 0 == main([*words, "--resume"])
    assert before == (tmp_path / "partition-rules.csv").read_text()


def test_partition_rules_on_a_list(tmp_path: Path, capsys: Captured) -> None:
    """--instances takes VNN-COMP's lists, --only chooses, and the smaller of both limits holds."""
    pytest.importorskip("matplotlib")
    words = ["study", "partition-rules", "--instances", str(DATA / "instances.csv"), "--only", "control_force_1.2*"]
    assert 0 == main([*words, "--quick", "--timeout", "4", "--out", str(tmp_path)])
    rows = read(tmp_path / "partition-rules.csv")

    assert {"data control_2d.onnx control_force_1.2.vnnlib"} == {row["instance"] for row in rows}
    searched = {(row["verdict"], row["timeout"]) for row in rows if row["verdict"]}
    assert ("unsat", "4.0") in searched and searched <= {("unsat", "4.0"), ("timeout", "4.0")}
    assert f"{partition_rules.DEFAULT}: 1 of 1 solved" in capsys.readouterr().out
